#!/usr/bin/env bash
# A disk that fills up: nothing new is taken, what was taken is finished, and nothing is lost. On a small file system in
# memory, in a mount namespace of its own. $INPAINTD: the program.
set -u
cd "$(dirname "$0")/../.."
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
if [ "${1:-}" != inside ]; then
    # As root, or as a user who may have a user namespace.
    for how in "unshare --mount" "unshare --map-root-user --mount"; do
        if $how true 2>/dev/null; then exec $how -- bash "$0" inside; fi
    done
    echo "skipped: mounting a file system needs root or user namespaces"
    exit 77
fi
place=$(mktemp -d)
trap 'umount "$place"; rmdir "$place"' EXIT
mount -t tmpfs -o size=40m tmpfs "$place" || { echo "skipped: no tmpfs can be mounted here"; trap - EXIT; exit 77; }
python3 tests/service/full_disk.py "$place"
