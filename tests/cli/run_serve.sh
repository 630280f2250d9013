#!/usr/bin/env bash
# The service as an operator runs it: a worker killed in mid-run, a clean end, a model that can't be used.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
tiny=$root/tests/reference/tiny-checkpoint
golden=$root/tests/reference/tiny
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0
check() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; tail -20 "$work/err" | sed 's/^/    /'; fi
}
start() {
    : >"$work/out" # the last server's address must not be taken for the new one's
    "$program" serve --listen 127.0.0.1:0 --data "$work/data" --model "$tiny" --no-safety --dtype f32 --threads 1 >"$work/out" 2>>"$work/err" &
    server=$!
    for _ in $(seq 200); do grep -q '^listening on' "$work/out" && break; sleep 0.05; done
    url=$(sed -n 's/^listening on //p' "$work/out")
}
field() { python3 -c 'import json,sys; v=json.load(sys.stdin).get(sys.argv[1]); print("" if v is None else v if isinstance(v,str) else json.dumps(v))' "$1"; }
create() { # create STEPS: prints the id
    python3 - "$1" "$golden" <<'P' >"$work/body"
import base64, json, sys
uri = lambda name: "data:image/png;base64," + base64.b64encode(open(f"{sys.argv[2]}/{name}", "rb").read()).decode()
print(json.dumps({"version": "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180",
                  "input": {"prompt": "a cat", "image": uri("image-0.png"), "mask": uri("mask-0.png"), "num_inference_steps": int(sys.argv[1]), "seed": 7}}))
P
    curl -s -H 'Content-Type: application/json' --data-binary "@$work/body" "$url/v1/predictions" | field id
}
status() { curl -s "$url/v1/predictions/$1" | field status; }
wait_for() { # wait_for ID STATUS SECONDS
    for _ in $(seq $(($3 * 10))); do [ "$(status "$1")" = "$2" ] && return 0; sleep 0.1; done
    return 1
}
worker() { # the server's child, without procps
    local file process parent
    for file in /proc/[0-9]*/stat; do
        read -r process _ _ parent _ 2>/dev/null <"$file" && [ "$parent" = "$server" ] && echo "$process" && return
    done
}

start
check "healthz answers 200" test "$(curl -s -o /dev/null -w '%{http_code}' "$url/healthz")" = 200
check "the page is served" test "$(curl -s -o /dev/null -w '%{http_code}' "$url/")" = 200

# A worker killed with -9 in mid-run costs one attempt, not the prediction.
id=$(create 500)
check "processing" wait_for "$id" processing 30
sleep 0.5
kill -9 "$(worker)"
check "succeeded after the kill" wait_for "$id" succeeded 240
check "begun twice" test "$(grep -c "$id begins" "$work/err")" = 2
output=$(curl -s "$url/v1/predictions/$id" | python3 -c 'import json,sys; print(json.load(sys.stdin)["output"][0])')
check "the picture is there" test "$(curl -s "$output" | head -c 8 | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a

# A clean end gives running work back; the next start paints it.
id=$(create 500)
check "processing again" wait_for "$id" processing 30
kill -TERM $server
wait $server
check "leaves with 0" test $? -eq 0
start
check "painted after the restart" wait_for "$id" succeeded 240
check "given back, not lost" grep -q "$id goes back to the queue" "$work/err"

# The service itself killed: its worker goes too, nothing is lost.
id=$(create 500)
check "processing a third time" wait_for "$id" processing 30
child=$(worker)
kill -9 $server
wait $server 2>/dev/null
for _ in $(seq 100); do kill -0 "$child" 2>/dev/null || break; sleep 0.1; done
check "no worker lingers" test ! -d "/proc/$child"
start
check "painted after the crash" wait_for "$id" succeeded 240

# Cancel takes effect within a step.
id=$(create 500)
check "processing a fourth time" wait_for "$id" processing 30
curl -s -X POST "$url/v1/predictions/$id/cancel" >/dev/null
check "canceled" test "$(status "$id")" = canceled
kill -TERM $server
wait $server
server=

"$program" serve --listen 127.0.0.1:0 --data "$work/data" --model /nonexistent >"$work/out" 2>"$work/err"
check "a model that is not there ends the service with 3" test $? -eq 3
check "and says so" grep -q nonexistent "$work/err"
"$program" serve --listen 0.0.0.0:0 --data "$work/other" --model "$tiny" >"$work/out" 2>"$work/err"
check "refuses the open network without a token" test $? -ne 0
check "and says how to get one" grep -qi token "$work/err"

echo "$passed passed, $failed failed"
test $failed -eq 0
