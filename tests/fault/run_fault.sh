#!/usr/bin/env bash
# The program itself, in which allocations and system calls fail (faults.py tells how). INPAINT_SEED repeats a run;
# INPAINT_TRIES says how many of each kind (0: every one, which takes hours).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
[ -f "$(dirname "$INPAINTD")/tests/libfault.so" ] || { echo "skipped: a sanitizer's allocator can't be replaced"; exit 77; }
for what in paint service worker; do
    python3 "$here/faults.py" "$what" "${INPAINT_SEED:-1}" "${INPAINT_TRIES:-1}"
done
