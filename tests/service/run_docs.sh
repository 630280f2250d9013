#!/bin/bash
# Every example of docs/api.md and docs/moving.md, in order, against a running server; and every route must be in the first.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
document=$here/../../docs/api.md
command -v curl >/dev/null || { echo "curl is missing"; exit 77; }
data=$(mktemp -d)
"$INPAINTD" serve --listen 127.0.0.1:0 --data "$data/store" >"$data/out" 2>"$data/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$data"' EXIT
for _ in $(seq 100); do grep -qs '^listening' "$data/out" && break; sleep 0.1; done
url=$(sed -n 's/^listening on //p' "$data/out")
cp "$here/../clients/photo.png" "$here/../clients/mask.png" "$data/"

{
    echo 'set -euo pipefail; curl() { command curl --fail-with-body -m 60 "$@"; }; trap '\''echo "failed: $BASH_COMMAND" >&2'\'' ERR; set -E'
    cat "$document" "$here/../../docs/moving.md" | sed -n '/^```sh$/,/^```$/{/^```/!p}' | sed "s|^BASE=.*|BASE=$url|"
} >"$data/examples.sh"
(cd "$data" && bash examples.sh >examples.out) || { tail -c 2000 "$data/examples.out"; exit 1; }
cmp "$data/photo.png" "$data/same.png"
for file in out.png preview.png; do
    [ "$(head -c 4 "$data/$file" | tail -c 3)" = PNG ] || [ "$(od -An -tx1 -N2 "$data/$file" | tr -d ' ')" = ffd8 ] || { echo "$file is no picture"; exit 1; }
done

missing=0
for path in $(curl -s "$url/openapi.json" | grep -o '"/[^"]*":{"\(get\|post\|delete\)"' | sed 's/^"//; s/":.*//'); do
    grep -qF "$path\`" "$document" || { echo "docs/api.md does not have $path"; missing=1; }
done
[ $missing = 0 ] && echo "ok   $(grep -c '' "$data/examples.sh") lines of examples, every route"
