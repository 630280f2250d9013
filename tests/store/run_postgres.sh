#!/usr/bin/env bash
# The store on PostgreSQL: the conformance, random and kill tests against a server of this test's own, then those that
# drop its connections and restart it.
set -u
cd "$(dirname "$0")/../.."
build=$(dirname "$INPAINTD")
. tests/store/postgres_cluster.sh

failed=0
for test in ${INPAINT_TESTS:-store-life store-records store-fairness store-versions store-random store-wake crash-kill store-outage}; do
    program=$build/tests/$test
    echo "== $test"
    "$program" || failed=1
done
exit $failed
