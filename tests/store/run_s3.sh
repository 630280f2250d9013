#!/usr/bin/env bash
# Blobs in S3: the tests of the folder, and S3's own, against a real server of this test's.
set -u
cd "$(dirname "$0")/../.."
build=$(dirname "$INPAINTD")
. tests/store/s3_server.sh

failed=0
for test in store-blob store-blob_s3; do
    echo "== $test"
    "$build/tests/$test" || failed=1
done
exit $failed
