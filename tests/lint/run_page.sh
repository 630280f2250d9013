#!/usr/bin/env bash
# The page: what loads before the first photo is at most 100 kB on the wire; no inline script or style, nothing from
# another host, no text turned into code.
set -u
cd "$(dirname "$0")/../.."
failed=0

# index.html and what it links, then what those modules import at once, over and over.
loaded=$(grep -oE '(src|href)="/[^"]+"' web/index.html | sed -E 's/.*"(\/[^"]+)"/web\1/')
while :; do
    more=$({
        echo "$loaded"
        for file in $loaded; do
            folder=$(dirname "$file")
            sed -nE 's/^import .*from "([^"]+)".*/\1/p' "$file" | while read -r name; do realpath --relative-to=. "$folder/$name"; done
        done
    } | sort -u)
    [ "$more" != "$loaded" ] || break
    loaded=$more
done
# As they go over the wire: text is packed, pictures are as they are.
bytes=$(cat web/samples/*.jpg | wc -c)
for file in web/index.html $loaded; do bytes=$((bytes + $(gzip -6 <"$file" | wc -c))); done
if [ "$bytes" -gt 100000 ]; then
    echo "page: $bytes bytes before the first photo, above 100000"
    failed=1
fi
if grep -nE '<script>|<style|[ "]style="|[ ]on[a-z]+="|javascript:' -r web --include='*.html'; then
    echo "page: the lines above need a Content-Security-Policy that we do not have"
    failed=1
fi
if grep -nE "(src|href|url|import|from|fetch)[=( ]*[\"'(]*https?://" -r web --include='*.html' --include='*.css' --include='*.js'; then
    echo "page: the lines above load something from another host"
    failed=1
fi
if grep -nE '\b(eval|Function)\(|innerHTML|document\.write' -r web --include='*.js'; then
    echo "page: the lines above turn text into code"
    failed=1
fi
[ $failed = 0 ] && echo "page: $bytes bytes, clean"
exit $failed
