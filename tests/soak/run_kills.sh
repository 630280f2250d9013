#!/usr/bin/env bash
# Some twenty kills -9 on each kind of store; `make soak` goes on for as long as it is told. $INPAINTD: the program.
# INPAINT_SEED repeats a run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
for store in sqlite postgres; do
    status=0
    python3 "$here/kills.py" "$store" "${INPAINT_SEED:-1}" "${INPAINT_KILLS:-20}" || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || exit "$status"
done
