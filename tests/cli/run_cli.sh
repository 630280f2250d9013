#!/usr/bin/env bash
# The command line as a person uses it: exit codes, sentences, files written and not written.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
tiny=$root/tests/reference/tiny-checkpoint
golden=$root/tests/reference/tiny
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

check() { # check NAME CONDITION...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; sed 's/^/    /' out err 2>/dev/null | head -20; fi
}
run() { # run EXPECTED-EXIT ARGUMENTS...: output in ./out and ./err
    local want=$1 got
    shift
    "$program" "$@" >out 2>err </dev/null
    got=$?
    check "exit code $got of inpaintd $*, expected $want" test "$got" -eq "$want"
}
paint() { run "$1" paint "${@:2}" --model "$tiny" --steps 2 --dtype f32 --no-safety; }

# Help is there for everybody, with examples.
run 0 --help
for command in paint serve worker model token bench; do
    run 0 $command --help
    check "$command's help has examples" grep -q '^Examples:' out
done
run 0 --version
check "version" grep -Eq '^inpaintd [0-9]+\.[0-9]+' out
run 2
run 2 dance
check "names the unknown command" grep -q 'no command "dance"' err

# Wrong options: exit code 2, a sentence, a way to help.
run 2 paint
run 2 paint a.png --mask
check "says what is missing" grep -q -- '--mask needs a value' err
paint 2 "$golden/image-0.png"
check "asks for the mask" grep -q -- '--mask' err
for wrong in "--steps 0" "--steps x" "--steps 1001" "--guidance nan" "--count 65" "--dtype f8" "--frobnicate" "--seed 1.5"; do
    # shellcheck disable=SC2086
    run 2 paint "$golden/image-0.png" --mask "$golden/mask-0.png" $wrong
    check "points to the help" grep -q -- '--help' err
done

# Files that can't be used: exit code 3.
paint 3 missing.png --mask "$golden/mask-0.png"
check "names the file" grep -q missing.png err
echo "not a picture" >text.png
paint 3 text.png --mask "$golden/mask-0.png"
head -c 600 "$golden/image-0.png" >half.png
paint 3 half.png --mask "$golden/mask-0.png" -o never.png
check "no half file" test ! -e never.png
run 3 paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model /nonexistent
check "names the folder" grep -q nonexistent err

# A picture: written whole, seed printed and inside, progress as plain lines.
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" --prompt "a cat" --seed 7 -o one.png
check "written" test -s one.png
check "prints the path" grep -qx one.png out
check "prints the seed" grep -qx 'Using seed: 7' err
check "plain progress lines" grep -q 'step 1 of 2' err
check "the seed is in the PNG" grep -aq 'seed' one.png
cp one.png first.png
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" --prompt "a cat" --seed 7 -o one.png
check "a seed repeats" cmp -s one.png first.png
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" -p "a cat" --seed=7 --raw -o raw.png
check "raw differs" test ! "$(cmp -s raw.png one.png && echo same)"
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" -p "a cat" --seed 7 --invert-mask -o inverted.png
check "inverted differs" test ! "$(cmp -s inverted.png one.png && echo same)"
paint 0 "$golden/image-1.png" --mask "$golden/mask-3.png" -p "a cat" --count 2 -o many.png -q
check "numbered outputs" test -s many-0.png -a -s many-1.png -a ! -e many.png
check "the mask's other size is said" grep -q 'Mask will be resized' err
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" -o out.jpg
paint 0 out.jpg --mask "$golden/mask-0.png" -o out.webp
paint 0 out.webp --mask out.jpg -o again.png
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" -p "$(printf 'word %.0s' $(seq 2000))" -o long.png
check "the cut is said" grep -q 'truncated' err
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" -p "$(printf '\377\376 broken')" -o broken.png
paint 3 "$golden/image-0.png" --mask "$golden/mask-0.png" -o no/such/folder.png
check "said before painting" test ! "$(grep step err)"

# Previews: where they were asked for, and nowhere else.
paint 0 "$golden/pipeline-3-image.png" --mask "$golden/pipeline-3-mask.png" --preview=kitty -o preview.png
check "a preview for kitty" grep -aq 'Ga=T,f=100' err
check "the picture is written all the same" test -s preview.png
paint 0 "$golden/image-0.png" --mask "$golden/mask-0.png" --preview -o preview.png
check "says why there is none" grep -q 'no preview' err
run 2 paint "$golden/image-0.png" --mask "$golden/mask-0.png" --preview=aalib

# Ctrl-C: leaves within a step, exit code 130, no file.
"$program" paint "$golden/pipeline-3-image.png" --mask "$golden/pipeline-3-mask.png" --model "$tiny" --steps 1000 --dtype f32 --no-safety -o stopped.png >out 2>err &
process=$!
for _ in $(seq 100); do grep -q 'step' err && break; sleep 0.1; done
kill -INT $process
wait $process
check "interrupted: 130" test $? -eq 130
check "interrupted: no file" test ! -e stopped.png

# Facts about a folder.
run 0 model inspect "$tiny"
check "tells the UNet's class" grep -q UNet2DConditionModel out
check "can inpaint" grep -q '^can inpaint' out
cp -r "$tiny" four && chmod -R u+w four && sed -i 's/"in_channels": 9/"in_channels": 4/' four/unet/config.json
run 3 model inspect four
check "says what to get instead" grep -q 'stable-diffusion-inpainting' out
rm -r four/unet/*.safetensors
run 3 model inspect four
run 3 model inspect /nonexistent
run 3 model inspect "$tiny/unet/diffusion_pytorch_model.safetensors"
check "a file that is no checkpoint" grep -q "UNet alone" out
run 3 model inspect "$root/tests/weights/torch/evil.bin"
check "a pickle that asks for more" grep -q 'asks for posix.system' out
run 0 bench --model "$tiny" --size 64x64 --steps 2 --dtype f32 --json
for key in guided_step_s encode_s decode_s text_s safety_s load_s peak_f32_gflops peak_bf16_gflops peak_rss_bytes; do
    check "bench has $key" grep -q "\"$key\": *[0-9]" out
done
run 2 bench --size big

# The model's own advice is the default; what the user says goes first.
run 0 paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model "$root/models/bundled" -o advised.png
check "hints.json advises steps" sh -c 'tr "\r" "\n" <err | grep -q "step 20 of 20"'
check "and guidance" grep -qa 'guidance.4' advised.png
run 0 paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model "$root/models/bundled" --steps 3 --guidance 2 -o told.png
check "unless steps are given" sh -c 'tr "\r" "\n" <err | grep -q "step 3 of 3"'
check "and guidance is" grep -qa 'guidance.2' told.png

# LoRAs, samplers, decoders.
lora=$root/tests/reference/lora
cp "$lora/peft.safetensors" sd15_lcm.safetensors
paint() { run "$1" paint "$golden/image-0.png" --mask "$golden/mask-0.png" --model "$tiny" --seed 7 --dtype f32 --no-safety "${@:2}"; }
paint 0 --steps 2 -o plain.png
paint 0 --steps 2 --lora "$lora/kohya.safetensors:0.5" -o lora.png
check "says what a LoRA changed" grep -q 'kohya.safetensors, weight 0.5: 204 layers changed' err
check "and it paints something else" sh -c '! cmp -s plain.png lora.png'
paint 0 --lora sd15_lcm.safetensors -o lcm.png
check "a LoRA for few steps brings sampler and steps" grep -q 'sampler lcm; it wants 4 steps' err
check "and they are heeded" sh -c 'tr "\r" "\n" <err | grep -q "step 4 of 4"'
paint 0 --lora sd15_lcm.safetensors --sampler ddim --steps 2 -o ddim.png
check "unless told otherwise" grep -q 'another was asked for' err
paint 0 --steps 2 --decoder "$root/tests/reference/taesd/taesd_decoder.safetensors" --previewer "$root/tests/reference/taesd/vae" -o taesd.png
check "another decoder makes another picture" sh -c '! cmp -s plain.png taesd.png'
paint 3 --lora nowhere.safetensors:0.5
check "names the LoRA that is not there" grep -q 'no file nowhere.safetensors;' err
paint 3 --lora "$golden/image-0.png"
paint 2 --sampler dance
paint 2 --sampler lcm --steps 51
run 3 serve --listen 127.0.0.1:0 --data lora-data --model "$tiny" --no-safety --lora "$lora/kohya.safetensors" --lora nowhere.safetensors
check "serve hands them to its worker" grep -q 'no file nowhere.safetensors;' err

# Tokens: shown once, listed, revoked.
run 0 token create alice --data data
check "shows the secret" grep -Eqx 'inp_[0-9a-f]{48}' out
run 0 token list --data data
check "lists the name" grep -q alice out
run 0 token revoke alice --data data
run 2 token create 'no spaces' --data data
run 3 token revoke nobody --data data

echo "$passed passed, $failed failed"
test $failed -eq 0
