#!/usr/bin/env bash
# Makes .venv with the locked packages and the `promptlane` command. `make setup` runs it when something changed.
# Usage: tools/setup.sh PYTHON VENV
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Promptlane needs Python 3.11 or newer; name one: make setup PYTHON=python3.11" >&2
  exit 1
fi
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  # Debian keeps the part of venv that brings pip in a package of its own.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    tools/apt_install.sh python3-venv
  fi
  "$python" -m venv --clear "$venv"
fi

pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
# Wheels only: nothing that a package's own set-up code might do runs here.
"${pip[@]}" --no-deps --require-hashes --only-binary :all: -r requirements/dev.txt
# `compat` makes a plain path entry, not an import hook that runs at every interpreter start.
"${pip[@]}" --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
