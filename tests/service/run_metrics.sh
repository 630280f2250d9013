#!/usr/bin/env bash
# /metrics as Prometheus' own Python client reads it, and who may read it. $INPAINTD: the program.
set -u
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
environment=${CLIENTS_CACHE:-$here/../../build/clients}/prometheus
[ -x "$environment/bin/pip" ] || python3 -m venv "$environment" || { echo "python3-venv is missing"; exit 77; }
"$environment/bin/python" -c 'import prometheus_client' 2>/dev/null ||
    "$environment/bin/pip" install -q --disable-pip-version-check prometheus_client==0.21.1 || { echo "prometheus_client can't be installed"; exit 77; }
exec "$environment/bin/python" "$here/metrics.py"
