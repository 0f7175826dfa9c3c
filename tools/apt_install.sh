#!/usr/bin/env bash
# Installs Debian packages: as root, with sudo where that asks for no password, or not at all.
# Usage: tools/apt_install.sh PACKAGE...    Fails, and says what to run, where it may not install.
set -euo pipefail

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "please install with your system's package manager: $*" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
