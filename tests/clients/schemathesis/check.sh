#!/bin/bash
# A property-based run of /openapi.json: no 5xx, no answer that is not in the document, nothing
# valid refused, nothing invalid taken. $1: folder with `st`.
set -eu
"$1/python" - "$IDLE_URL" <<'PYTHON'
import json, sys, urllib.request
from openapi_spec_validator import validate
get = lambda path: json.load(urllib.request.urlopen(sys.argv[1] + path))
validate(get("/openapi.json"))
for version in get("/v1/models/andreasjansson/stable-diffusion-inpainting/versions")["results"]:
    validate(version["openapi_schema"])
print("ok   the service's and the model's documents are valid OpenAPI")
PYTHON
cd "$1/.." # for what st leaves behind
# Streams stay open on a server that paints nothing; a preview is rightly missing at first.
exec bin/st run "$IDLE_URL/openapi.json" --no-color --seed 1 --max-examples "${EXAMPLES:-15}" --request-timeout 60 --warnings off \
    --exclude-operation-id predictions.stream --exclude-checks ensure_resource_availability --continue-on-failure
