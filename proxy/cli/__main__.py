"""`python -m proxy.cli`: the command where the package is not installed, as in the container image."""

import sys

from proxy.cli import main

sys.exit(main())
