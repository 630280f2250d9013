#!/bin/bash
# What depends on how the server was started: tokens, lifetimes, restarts, origins. $INPAINTD: the program.
set -eu
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
exec python3 -B "$(dirname "$0")/settings.py" "$@"
