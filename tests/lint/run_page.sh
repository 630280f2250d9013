#!/usr/bin/env bash
# The page: at most 100 kB without its sample pictures, no inline script or style, nothing from another host.
set -u
cd "$(dirname "$0")/../.."
failed=0
bytes=$(find web -type f ! -path 'web/samples/*' -print0 | xargs -0 cat | wc -c)
if [ "$bytes" -gt 100000 ]; then
    echo "page: $bytes bytes, above 100000"
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
