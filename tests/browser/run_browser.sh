#!/usr/bin/env bash
# The page in a real Chromium against a real inpaintd with the bundled model, used as a person would.
# $INPAINTD: the program. $SCREENSHOTS: a folder for pictures to look at (default: beside the build).
#   run_browser.sh [FILE.mjs]
set -u
cd "$(dirname "$0")"
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
if [ -z "$chromium" ] || ! command -v npm >/dev/null; then
    echo "skipped: needs chromium and npm"
    exit 77
fi
if [ ! -d node_modules/playwright-core ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error || exit 1
fi

work=$(mktemp -d)
export CHROMIUM=$chromium WORK=$work SCREENSHOTS=${SCREENSHOTS:-$(dirname "$INPAINTD")/screenshots}
mkdir -p "$SCREENSHOTS"
: >"$work/serve.log"
"$INPAINTD" serve --listen 127.0.0.1:0 --data "$work/data" --model ../../models/bundled >"$work/serve.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 300); do
    URL=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/serve.log" | head -1)
    [ -n "$URL" ] && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
if [ -z "$URL" ]; then
    cat "$work/serve.log"
    echo "the server did not start"
    exit 1
fi
export URL
node "${1:-all.mjs}"
status=$?
[ $status = 0 ] || tail -n 40 "$work/serve.log"
exit $status
