#!/bin/bash
# Real clients against a running server. $INPAINTD: the program. Clients are installed, at pinned
# versions, below build/clients; one whose toolchain is missing, or that cannot be installed here, is
# reported and left out.
#
#   run_clients.sh [npm-replicate] [npm-ai] [python-replicate] [python-replicate-beta] [go-replicate] [schemathesis]
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${CLIENTS_CACHE:-$here/../../build/clients}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
export IMAGE="$here/photo.png" MASK="$here/mask.png" LARGE="$here/large.png" LARGE_MASK="$here/large-mask.png"
data=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT

# serve NAME [options]: prints nothing, sets $url
serve() {
    local name=$1
    shift
    mkdir "$data/$name"
    "$INPAINTD" serve --listen 127.0.0.1:0 --data "$data/$name" "$@" >"$data/$name.out" 2>"$data/$name.log" &
    servers+=($!)
    for _ in $(seq 150); do grep -qs '^listening' "$data/$name.out" && break; sleep 0.1; done
    url=$(sed -n 's/^listening on //p' "$data/$name.out")
    [ -n "$url" ] || { cat "$data/$name.log"; exit 1; }
}
if [ -z "${SERVICE_URL:-}" ]; then
    serve plain
    SERVICE_URL=$url
    serve data-uris --data-uri-output
    DATA_URI_URL=$url
    if openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$data/key.pem" -out "$data/certificate.pem" 2>"$data/openssl.log"; then
        serve secure --tls-certificate "$data/certificate.pem" --tls-key "$data/key.pem"
        export TLS_URL=$url NODE_EXTRA_CA_CERTS=$data/certificate.pem
    fi
    serve idle --workers 0 --max-wait 1 # nothing that is made up gets painted
    IDLE_URL=$url
fi
export SERVICE_URL DATA_URI_URL IDLE_URL

failed=()
left_out=()
# client NAME TOOL COMMAND...: run one client in its folder
client() {
    local name=$1 tool=$2
    shift 2
    case "${wanted:-$name} " in "$name "* | *" $name "*) ;; *) return ;; esac
    echo "== $name"
    if ! command -v "$tool" >/dev/null; then
        echo "left out: $tool is missing"
        left_out+=("$name")
        return
    fi
    "$@"
    case $? in
    0) ;;
    77) echo "left out: it could not be installed"; left_out+=("$name") ;;
    *) failed+=("$name") ;;
    esac
}

npm_client() ( # a subshell: it changes folder
    local folder=$cache/$1
    mkdir -p "$folder"
    cp "$here/$1/package.json" "$here/$1/client.mjs" "$folder/"
    cd "$folder" || return
    cmp -s package.json installed.json || { npm install --no-audit --no-fund --loglevel=error && cp package.json installed.json; } || return 77
    # The client's webhook check uses a global `crypto`, which Node 18 (Debian 12's) only has on request.
    local flags=()
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 19 ] || flags=(--experimental-global-webcrypto)
    timeout 240 node "${flags[@]}" client.mjs
)

# A virtual environment with a folder's requirements.
python_environment() {
    local folder=$cache/$1
    [ -x "$folder/bin/pip" ] || python3 -m venv "$folder" || return
    cmp -s "$here/$1/requirements.txt" "$folder/installed.txt" && return 0
    "$folder/bin/pip" install -q --disable-pip-version-check -r "$here/$1/requirements.txt" && cp "$here/$1/requirements.txt" "$folder/installed.txt"
}
python_client() {
    python_environment "$1" || return 77
    timeout 240 "$cache/$1/bin/python" "$here/$1/client.py"
}

go_client() {
    mkdir -p "$cache/$1"
    cp "$here/$1/"go.mod "$here/$1/"go.sum "$here/$1/"*.go "$cache/$1/"
    # The library needs Go 1.21; Debian 12 has 1.19.
    local version
    version=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 21 ] || { echo "this Go is 1.$version, the client needs 1.21"; return 77; }
    (cd "$cache/$1" && go mod download) || return 77
    (cd "$cache/$1" && go build -o client . && timeout 240 ./client)
}

schemathesis_client() {
    python_environment "$1" || return 77
    timeout 240 bash "$here/$1/check.sh" "$cache/$1/bin"
}

wanted="$*"
client npm-replicate npm npm_client npm-replicate
client npm-ai npm npm_client npm-ai
client python-replicate python3 python_client python-replicate
client python-replicate-beta python3 python_client python-replicate-beta
client go-replicate go go_client go-replicate
client schemathesis python3 schemathesis_client schemathesis

grep -hA30 -E 'Sanitizer|runtime error:' "$data"/*.log && failed+=("the service itself")
[ ${#left_out[@]} -eq 0 ] || echo "left out: ${left_out[*]}"
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    grep -hE ' (error|warning) ' "$data"/*.log | tail -20
    exit 1
fi
[ ${#left_out[@]} -lt 6 ] || exit 77
