#!/usr/bin/env bash
# Several "machines" on one PostgreSQL: two services and two workers that share nothing but the database and the folder
# of pictures. One is asked, another answers; the database is restarted and a worker killed in their middle.
set -u
program=${INPAINTD:?the path of inpaintd}
cd "$(dirname "$0")/../.."
tiny=$PWD/tests/reference/tiny-checkpoint golden=$PWD/tests/reference/tiny
. tests/store/postgres_cluster.sh
processes=
end() {
    kill $processes 2>/dev/null
    wait 2>/dev/null
    stop
    rm -rf "$work"
}
work=$(mktemp -d)
trap end EXIT
secret=hunter2hunter2
url="postgres://postgres:$secret@/postgres?host=$folder"
passed=0 failed=0
check() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; tail -n 20 "$work"/*.err | sed 's/^/    /'; fi
}
serve() { # serve NAME: a service without a worker; sets $address
    INPAINT_STORE=$url "$program" serve --listen 127.0.0.1:0 --data "$work/shared" --workers 0 >"$work/$1.out" 2>"$work/$1.err" &
    processes="$processes $!"
    for _ in $(seq 200); do grep -q '^listening on' "$work/$1.out" && break; sleep 0.05; done
    address=$(sed -n 's/^listening on //p' "$work/$1.out")
}
worker() { # worker NAME; sets $worker
    INPAINT_STORE=$url "$program" worker --data "$work/shared" --model "$tiny" --no-safety --dtype f32 --threads 1 2>"$work/$1.err" &
    worker=$!
    processes="$processes $worker"
}
create() { # create STEPS, on the first: prints the id
    python3 - "$1" "$golden" <<'P' >"$work/body"
import base64, json, sys
uri = lambda name: "data:image/png;base64," + base64.b64encode(open(f"{sys.argv[2]}/{name}", "rb").read()).decode()
print(json.dumps({"version": "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180",
                  "input": {"prompt": "a cat", "image": uri("image-0.png"), "mask": uri("mask-0.png"), "num_inference_steps": int(sys.argv[1]), "seed": 7}}))
P
    curl -s -H "Authorization: Bearer $token" -H 'Content-Type: application/json' --data-binary "@$work/body" "$first/v1/predictions" | field id
}
field() { python3 -c 'import json,sys; v=json.load(sys.stdin).get(sys.argv[1]); print("" if v is None else v if isinstance(v,str) else json.dumps(v))' "$1"; }
status() { curl -s -H "Authorization: Bearer $token" "$second/v1/predictions/$1" | field status 2>/dev/null; } # asked of the second
wait_for() { # wait_for ID STATUS SECONDS
    for _ in $(seq $(($3 * 10))); do [ "$(status "$1")" = "$2" ] && return 0; sleep 0.1; done
    return 1
}

token=$("$program" token create alice --data "$work/shared" --store "$url" 2>/dev/null)
check "a token is made" test -n "$token"
serve first
first=$address
serve second
second=$address
check "both need the token" test "$(curl -s -o /dev/null -w '%{http_code}' "$second/v1/predictions")" = 401
worker one
one=$worker
id=$(create 4)
check "asked of one, painted, answered by the other" wait_for "$id" succeeded 60

id=$(create 400)
check "processing" wait_for "$id" processing 30
"$INPAINT_TEST_POSTGRES_RESTART" fast
check "painted although the database was restarted" wait_for "$id" succeeded 240

id=$(create 400)
check "processing again" wait_for "$id" processing 30
worker two
kill -9 "$one"
wait "$one" 2>/dev/null
check "painted by the other worker" wait_for "$id" succeeded 240
check "no local database was made" test ! -e "$work/shared/inpaintd.db"
check "the password is in no log" test "$(cat "$work"/*.err "$work"/*.out | grep -c "$secret")" = 0
echo "machines: $passed passed, $failed failed"
[ $failed = 0 ]
