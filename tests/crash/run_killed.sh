#!/usr/bin/env bash
# The whole program, killed with -9 at random moments: service, worker or both. $INPAINTD: the program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
exec python3 "$here/killed.py" "$INPAINTD" "$here/../../samples"
