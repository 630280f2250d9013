#!/bin/bash
# The wire contract, clause by clause, where no client's own suite looks. $INPAINTD: the program.
set -eu
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
exec python3 -B "$(dirname "$0")/contract.py" "$@"
