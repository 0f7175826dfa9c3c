"""Looks at the configuration, as a program: see `reading`, which starts it.

It takes the folder and the file of prices, and writes what it has seen on standard output, as a pickle.
"""

import os
import pickle
import sys
from pathlib import Path

from proxy.adapters.children import give_way
from proxy.config.load import look

if __name__ == "__main__":
    give_way(os.getpid())
    config_dir, pricing_file = map(Path, sys.argv[1:])
    sys.stdout.buffer.write(pickle.dumps(look(config_dir, pricing_file, os.environ)))
