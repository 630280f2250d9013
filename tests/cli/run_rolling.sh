#!/usr/bin/env bash
# Machines that share nothing but a PostgreSQL and an S3 bucket, behind a balancer (HAProxy), restarted one after the other
# under load: no client sees an error, nothing is lost. INPAINTD_OLD: an earlier program that the machines run first.
set -u
program=${INPAINTD:?the path of inpaintd}
cd "$(dirname "$0")/../.."
for tool in haproxy python3 curl; do command -v $tool >/dev/null || { echo "skipped: $tool is missing"; exit 77; }; done
. tests/store/s3_server.sh
. tests/store/postgres_cluster.sh
end() {
    s3_stop
    stop
}
trap end EXIT
export INPAINT_STORE="postgres://postgres@/postgres?host=$folder" INPAINT_BLOBS=$INPAINT_TEST_S3
INPAINTD=$program python3 tests/cli/rolling.py
