#!/usr/bin/env bash
# Hosts cut off from each other, a slow way to the database, clocks that differ. As root only; INPAINT_SEED repeats a
# run, INPAINT_ROUNDS makes a long one (0: six disturbances, each kind once).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: hosts of its own (network namespaces) can be made by root only"; exit 77; }
unshare --net --mount true 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
command -v ip >/dev/null || { echo "skipped: ip is missing (Debian package: iproute2)"; exit 77; }
exec unshare --net --mount --propagation private python3 "$here/split.py" "${INPAINT_SEED:-1}" "${INPAINT_ROUNDS:-0}"
