#!/bin/bash
# What no client library sends: raw sockets against a running server. $INPAINTD: the program;
# or $SERVICE_URL: a server that runs already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
if [ -z "${SERVICE_URL:-}" ]; then
    data=$(mktemp -d)
    "$INPAINTD" serve --listen 127.0.0.1:0 --data "$data" >"$data/out" 2>"$data/log" &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$data"' EXIT
    for _ in $(seq 100); do grep -qs '^listening' "$data/out" && break; sleep 0.1; done
    SERVICE_URL=$(sed -n 's/^listening on //p' "$data/out")
    [ -n "$SERVICE_URL" ] || { cat "$data/log"; exit 1; }
fi
python3 -B "$here/raw.py" "$SERVICE_URL"
if [ -n "${server:-}" ]; then # it ends well, and a build that looks for memory errors and races found none
    trap 'rm -rf "$data"' EXIT
    kill "$server"
    wait "$server"
    ! grep -A30 -E 'Sanitizer|runtime error:' "$data/log"
fi
