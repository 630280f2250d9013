#!/usr/bin/env bash
# inpaintd model pull, list, verify and remove against a Hub on loopback, which is well-behaved or not (hub_server.py).
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
tiny=$root/tests/reference/tiny-checkpoint
golden=$root/tests/reference/tiny
work=$(mktemp -d)
hub=
trap 'kill $hub 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0
check() { # check NAME CONDITION...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; sed 's/^/    /' "$work/out" "$work/err" | tail -15; fi
}
not() { ! "$@"; }

# A repository as they are: each component in two forms, other programs' files, a checkpoint of everything.
repository=$work/hub/stable-diffusion-v1-5/stable-diffusion-inpainting
mkdir -p "$repository"
cp -r "$tiny"/. "$repository"
for component in unet/diffusion_pytorch_model vae/diffusion_pytorch_model text_encoder/model safety_checker/model; do
    cp "$repository/$component.safetensors" "$repository/$component.fp16.safetensors"
    head -c 200000 /dev/urandom >"$repository/$component.safetensors"
    cp "$repository/$component.safetensors" "$repository/$component.bin"
done
mkdir "$repository/onnx"
head -c 300000 /dev/urandom >"$repository/onnx/model.onnx"
head -c 300000 /dev/urandom >"$repository/sd-v1-5-inpainting.ckpt"
echo "a model" >"$repository/README.md"
# Others: one that takes 4 channels, one that is a single file, one that is no model.
mkdir -p "$work/hub/o"
cp -r "$tiny" "$work/hub/o/four"
sed -i 's/"in_channels": 9/"in_channels": 4/' "$work/hub/o/four/unet/config.json"
mkdir "$work/hub/o/single" "$work/hub/o/several" "$work/hub/o/none"
head -c 400000 /dev/urandom >"$work/hub/o/single/model.ckpt"
cp "$work/hub/o/single/model.ckpt" "$work/hub/o/several/a.ckpt"
cp "$work/hub/o/single/model.ckpt" "$work/hub/o/several/b.safetensors"
echo text >"$work/hub/o/none/README.md"

python3 "$root/tests/library/hub_server.py" "$work/hub" "$work/log" >"$work/address" &
hub=$!
for _ in $(seq 200); do [ -s "$work/address" ] && break; sleep 0.05; done
address=$(cat "$work/address")
id=stable-diffusion-v1-5/stable-diffusion-inpainting
unset HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_ENDPOINT
no_proxy=127.0.0.1,127.0.0.2
export no_proxy

run() { # run EXPECTED-EXIT ARGUMENTS... of "inpaintd model"
    local want=$1 got
    shift
    "$program" model "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    check "exit code $got of model $*, expected $want" test "$got" -eq "$want"
}
fresh() { # a models folder of its own, in which the licence is accepted
    export INPAINT_MODELS=$work/models-$1
    mkdir -p "$INPAINT_MODELS/.licenses"
    echo >"$INPAINT_MODELS/.licenses/creativeml-openrail-m"
    : >"$work/log"
}
pull() { run "$1" pull "$id" --from "$address/$2"; } # pull EXPECTED-EXIT MODE
received() { # received MODE: bytes of the UNet's content that the log says were sent
    python3 -c 'import json,sys; print(sum(l["bytes"] for l in map(json.loads, open(sys.argv[1])) if l["mode"] == sys.argv[2]
        and l["path"].endswith("unet/diffusion_pytorch_model.fp16.safetensors") and l["status"] in (200, 206)))' "$work/log" "$1"
}
unet=unet/diffusion_pytorch_model.fp16.safetensors
size=$(stat -c %s "$repository/$unet")
same() { cmp -s "$repository/$unet" "$INPAINT_MODELS/$id/$unet" && cmp -s "$repository/tokenizer/vocab.json" "$INPAINT_MODELS/$id/tokenizer/vocab.json"; }
nothing() { test ! -e "$INPAINT_MODELS/$id"; }

# ---- the licence is asked for, once
export INPAINT_MODELS=$work/models
pull 2 plain
check "names the licence and the option" grep -q -- '--accept-license creativeml-openrail-m' "$work/err"
check "tells what the licence says" grep -q 'Attachment A' "$work/err"
check "nothing received without it" nothing
run 2 pull "$id" --from "$address/plain" --accept-license mit
check "another licence's name is not enough" nothing

# ---- everything well
: >"$work/log"
HF_TOKEN=hf_secret run 0 pull "$id" --from "$address/plain/" --accept-license creativeml-openrail-m
check "prints where it is" test "$(cat "$work/out")" = "$INPAINT_MODELS/$id"
check "the same bytes" same
check "half precision only" test ! -e "$INPAINT_MODELS/$id/unet/diffusion_pytorch_model.safetensors" -a ! -e "$INPAINT_MODELS/$id/unet/diffusion_pytorch_model.bin"
check "no other program's files" test ! -e "$INPAINT_MODELS/$id/onnx" -a ! -e "$INPAINT_MODELS/$id/sd-v1-5-inpainting.ckpt"
check "nothing left beside it" test -z "$(find "$INPAINT_MODELS" -name '*.part' -o -name '*.spans')"
check "the Hub got the token" grep -q '"host": "127.0.0.1".*hf_secret' "$work/log"
check "the other host did not" not grep -q '"host": "127.0.0.2".*hf_secret' "$work/log"
check "in ranges" test "$(grep -c 'unet/diffusion_pytorch_model.fp16.safetensors.*"status": 206' "$work/log")" -gt 1
check "received once" test "$(received plain)" -eq "$size"

: >"$work/log"
run 0 pull "$id" --from "$address/plain"
check "says that it is there" grep -q 'there already' "$work/err"
check "receives nothing again" not grep -q resolve "$work/log"
run 0 list
check "listed with its licence" grep -q "^$id .*creativeml-openrail-m" "$work/out"
run 0 inspect "$id"
check "a pulled name can be looked at" grep -q '^can inpaint' "$work/out"
"$program" paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model "$id" --steps 1 --no-safety -q -o "$work/out.png" 2>"$work/err"
check "a pulled name can be painted with" test -s "$work/out.png"
run 0 verify "$id"
printf x | dd of="$INPAINT_MODELS/$id/$unet" bs=1 seek=4000 conv=notrunc status=none
rm "$INPAINT_MODELS/$id/vae/config.json"
run 3 verify "$id"
check "names the file that was changed" grep -q "^$unet was changed" "$work/out"
check "and the one that is missing" grep -q '^vae/config.json is missing' "$work/out"
run 3 verify "$tiny"
check "knows nothing of what it did not pull" grep -q 'not pulled' "$work/err"
run 0 remove "$id"
check "removed" nothing
run 0 list
run 3 remove "$id"
run 2 remove ../..
HF_ENDPOINT=$address/plain run 0 pull "$id@main" --quiet
check "HF_ENDPOINT is heeded" same
check "quiet" test ! -s "$work/err"

# ---- servers with faults
for mode in expired noranges moving shifted trouble dropping; do
    fresh $mode
    pull 0 $mode
    check "$mode: the same bytes" same
done
check "dropped connections: goes on where it was" test "$(received dropping)" -lt $((size + size / 10))
fresh damaged-once
pull 0 damaged-once
check "damaged once: says so" grep -q 'once more' "$work/err"
check "damaged once: the same bytes in the end" same
fresh damaged
pull 3 damaged
check "damaged: says so" grep -q 'damaged twice' "$work/err"
check "damaged: nothing in place" nothing
fresh longer
pull 3 longer
check "longer: says so" grep -q 'sends more' "$work/err"
check "longer: nothing in place" nothing

# ---- stopped in the middle
fresh killed
"$program" model pull "$id" --from "$address/slow" >"$work/out" 2>"$work/err" </dev/null &
child=$!
spans=$INPAINT_MODELS/.pulling/${id/\//--}/$unet.spans
for _ in $(seq 600); do grep -q '"done":\[[^]]*[1-9]' "$spans" 2>/dev/null && break; sleep 0.02; done
kill -9 $child
wait $child 2>/dev/null
check "killed: nothing in place" nothing
: >"$work/log"
pull 0 plain
check "killed: says what is there already" grep -q 'here already' "$work/err"
check "killed: went on, not from the beginning" test "$(received plain)" -lt "$size"
check "killed: the same bytes" same
fresh interrupted
"$program" model pull "$id" --from "$address/slow" >"$work/out" 2>"$work/err" </dev/null &
child=$!
for _ in $(seq 600); do grep -q 'unet/diffusion.*206' "$work/log" 2>/dev/null && break; sleep 0.02; done
kill -INT $child
wait $child
check "interrupted: exit code 130" test $? -eq 130
"$program" model pull "$id" --from "$address/slow" >"$work/out" 2>"$work/err" </dev/null &
child=$!
for _ in $(seq 600); do grep -q 'receiving' "$work/err" && break; sleep 0.02; done
run 1 pull "$id" --from "$address/slow"
check "two at once: the second is told" grep -q 'by another inpaintd' "$work/err"
kill -INT $child
wait $child

# ---- refusals
fresh refused
refuse() { # refuse EXPECTED-EXIT MODE PATTERN
    pull "$1" "$2"
    check "$2: says $3" grep -q "$3" "$work/err"
    check "$2: nothing in place" nothing
}
refuse 1 gated HF_TOKEN
HF_TOKEN=hf_x run 1 pull "$id" --from "$address/gated"
check "gated, with a token: says what to do" grep -q 'accept its terms' "$work/err"
refuse 3 dots 'no repository can hold'
check "dots: nothing escaped" test -z "$(find "$work" -name 'escaped.txt')"
refuse 3 negative "can't be"
refuse 3 absurd "can't be"
refuse 1 huge 'Make room'
refuse 3 garbage 'no JSON'
refuse 3 endless 'longer than'
refuse 3 loop 'redirects'
run 3 pull o/missing --from "$address/plain"
check "missing: says so" grep -q 'status 404' "$work/err"
run 3 pull o/four --from "$address/plain"
check "4 channels: says so" grep -q '4 channels' "$work/err"
check "4 channels: before the weights" not grep -q 'four/.*safetensors' "$work/log"
run 3 pull o/none --from "$address/plain"
run 2 pull o/several --from "$address/plain"
check "several: names them" grep -q 'a.ckpt.*b.safetensors' "$work/err"
run 0 pull o/several --file a.ckpt --from "$address/plain"
check "one of several" cmp -s "$(cat "$work/out")" "$work/hub/o/several/a.ckpt"
run 0 pull o/single --from "$address/plain"
check "a single file" cmp -s "$(cat "$work/out")" "$work/hub/o/single/model.ckpt"
run 2 pull single --from "$address/plain"
run 2 pull o/../x --from "$address/plain"
run 2 pull o/single --from ftp://127.0.0.1/
run 3 pull o/other --from http://127.0.0.1:1
check "nobody there: says so" grep -q "can't be reached" "$work/err"
"$program" paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model o/nowhere >"$work/out" 2>"$work/err"
check "a name that was not pulled: says how to get it" grep -q 'model pull o/nowhere' "$work/err"

echo "$passed passed, $failed failed"
test $failed -eq 0
