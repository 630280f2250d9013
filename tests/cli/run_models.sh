#!/usr/bin/env bash
# Several models in one server: listed, asked for by version and by name, opened on demand, closed within a budget; a broken one
# fails only its own predictions.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
tiny=$root/tests/reference/tiny-checkpoint
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0
check() { # check NAME CONDITION...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; tail -5 "$work/answer" "$work/err" | sed 's/^/    /'; fi
}
start() {
    : >"$work/out"
    "$program" serve --listen 127.0.0.1:0 --data "$work/data" --no-safety --dtype f32 --threads 1 "$@" >"$work/out" 2>>"$work/err" &
    server=$!
    for _ in $(seq 600); do
        grep -q '^listening on' "$work/out" && break
        kill -0 $server 2>/dev/null || break
        sleep 0.05
    done
    url=$(sed -n 's/^listening on //p' "$work/out")
}
stop() { kill -TERM $server; wait $server; server=; }
get() { curl -s "$url/v1/$1" | tee "$work/answer" | python3 -c 'import json,sys; a=json.load(sys.stdin); print(eval(sys.argv[1]))' "$2"; }
post() { # post PATH VERSION: prints the HTTP status; the answer is in $work/answer
    python3 - "$2" "$root/tests/reference/tiny" >"$work/body" <<'P'
import base64, json, sys
uri = lambda name: "data:image/png;base64," + base64.b64encode(open(f"{sys.argv[2]}/{name}", "rb").read()).decode()
body = {"input": {"prompt": "a cat", "image": uri("image-0.png"), "mask": uri("mask-0.png"), "num_inference_steps": 2, "seed": 7}}
if sys.argv[1]:
    body["version"] = sys.argv[1]
print(json.dumps(body))
P
    curl -s -o "$work/answer" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$work/body" "$url/v1/$1"
}
answered() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get(sys.argv[2]))' "$work/answer" "$1"; }
ended() { # ended STATUS: the prediction just created comes to this
    local id
    id=$(answered id)
    for _ in $(seq 1200); do
        curl -s "$url/v1/predictions/$id" >"$work/answer"
        case $(answered status) in succeeded | failed | canceled) break ;; esac
        sleep 0.05
    done
    test "$(answered status)" = "$1"
}
picture() { curl -s "$(get "predictions/$(answered id)" 'a["output"][0]')" | sha256sum; }

cp -r "$tiny" "$work/other"
mkdir "$work/broken"
cp -r "$tiny/." "$work/broken"
rm "$work/broken/vae/diffusion_pytorch_model.safetensors"
models=(--model "$tiny" --model "acme/other=$work/other" --model "small=$root/models/bundled" --model "$work/broken")
start "${models[@]}"
check "all are listed" test "$(get models '" ".join(m["owner"] + "/" + m["name"] for m in a["results"])')" \
    = "andreasjansson/stable-diffusion-inpainting acme/other local/small local/broken"
other=$(get models/acme/other 'a["latest_version"]["id"]')
small=$(get models/local/small/versions 'a["results"][0]["id"]')
check "a version is 64 hex digits" test "$(expr "$other" : '[0-9a-f]*$')" = 64
check "others have others" test "$other" != "$small"
check "a version has a schema" test "$(get "models/local/small/versions/$small" '"num_inference_steps" in a["openapi_schema"]["components"]["schemas"]["Input"]["properties"]')" = True
check "not under another's name" test "$(curl -s -o "$work/answer" -w '%{http_code}' "$url/v1/models/acme/other/versions/$small")" = 404
check "the document names them" sh -c "curl -s $url/openapi.json | grep -q 'local/small:$small'"

check "by version: 201" test "$(post predictions "$small")" = 201
check "by version: its model" test "$(answered model)" = local/small
check "by version: succeeded" ended succeeded
first=$(picture)
check "by name: 201" test "$(post models/local/small/predictions "")" = 201
check "by name: its version" test "$(answered version)" = "$small"
check "by name: succeeded" ended succeeded
check "the same picture" test "$(picture)" = "$first"
check "by name and version: 201" test "$(post predictions "acme/other:$other")" = 201
check "by name and version: succeeded" ended succeeded
second=$(picture)
check "another model, another picture" test "$second" != "$first"
check "the default: 201" test "$(post predictions e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180)" = 201
check "the default: succeeded" ended succeeded
check "the default is the first" test "$(picture)" = "$second" # acme/other is a copy of it
check "a version of another model: 422" test "$(post models/acme/other/predictions "$small")" = 422
check "a name with another's version: 422" test "$(post predictions "acme/other:$small")" = 422
check "no such version: 422" test "$(post predictions "$(printf '0%.0s' $(seq 64))")" = 422
check "no such model: 404" test "$(post models/acme/none/predictions "")" = 404
check "broken: 201" test "$(post models/local/broken/predictions "")" = 201
check "broken: failed" ended failed
check "broken: says what is missing" sh -c "grep -q 'The model local/broken can.t be opened.*no weights' '$work/answer'"
check "and the others go on" test "$(post models/local/small/predictions "")" = 201
check "succeeded" ended succeeded
check "opened once each" test "$(grep -c 'models/bundled is open' "$work/err")" = 1
stop

# A budget that holds one of them; the versions stay what they are, until the model is another.
: >"$work/err"
echo '{"_class_name": "DDIMScheduler", "steps_offset": 1}' >"$work/other/scheduler/scheduler_config.json"
start "${models[@]}" --memory-budget 40
check "the same version after a start" test "$(get models/local/small 'a["latest_version"]["id"]')" = "$small"
check "another after a change" test "$(get models/acme/other 'a["latest_version"]["id"]')" != "$other"
for model in small small; do
    check "$model within the budget: 201" test "$(post models/local/$model/predictions "")" = 201
    check "$model within the budget: succeeded" ended succeeded
    check "the default within the budget: 201" test "$(post predictions andreasjansson/stable-diffusion-inpainting)" = 201
    check "the default within the budget: succeeded" ended succeeded
done
check "closed to make room" test "$(grep -c 'is closed to make room' "$work/err")" -ge 3
check "and opened again" test "$(grep -c 'models/bundled is open' "$work/err")" -ge 2
stop

"$program" serve --listen 127.0.0.1:0 --data "$work/data" --model "$tiny" --model a/b="$tiny" --model a/b="$work/other" >"$work/out" 2>"$work/err"
check "a name twice ends with 2" test $? -eq 2

echo "$passed passed, $failed failed"
test $failed -eq 0
