"""The figures of a server that painted, failed, canceled, refused: each family is read by Prometheus' own parser and compared with what was done."""
import http.client, json, os, re, shutil, signal, subprocess, sys, tempfile, time
from prometheus_client.parser import text_string_to_metric_families

PROGRAM = os.environ["INPAINTD"]
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
data = tempfile.mkdtemp()


def uri(name):
    import base64
    with open(os.path.join(HERE, "../clients", name), "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, json.dumps(body) if body else None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def figures(port, **headers):
    """{(name, labels): value}, after the parser and some rules that it does not check."""
    answer = ask(port, "GET", "/metrics", **headers)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), (answer.status, answer.body)
    text, found, names = answer.body.decode(), {}, set()
    assert text.endswith("\n")
    for family in text_string_to_metric_families(text):
        assert family.name not in names and family.documentation and family.type != "unknown", family
        names.add(family.name)
        assert re.fullmatch("(inpaintd|process)_[a-z0-9_]+", family.name), family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
        if family.type == "histogram":
            lines = {}
            for sample in family.samples:
                labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
                if sample.name.endswith("_bucket"):
                    lines.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
            for labels, buckets in lines.items():
                assert buckets == sorted(buckets) and [value for _, value in buckets] == sorted(value for _, value in buckets), buckets
                assert buckets[-1][0] == float("inf") and buckets[-1][1] == found[(family.name + "_count", labels)]
    return found


def value(found, name, **labels):
    return found.get((name, tuple(sorted(labels.items()))), 0)


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return result


log = open(os.path.join(data, "log"), "ab")
process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data", data, "--threads", "1"], stdout=subprocess.PIPE, stderr=log, text=True)
try:
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    inner = int(until(lambda: re.search(r"metrics at port (\d+)", open(log.name).read())).group(1))
    found = figures(port)
    assert value(found, "inpaintd_build_info", version=re.search("VERSION ([0-9.]+)", open(os.path.join(HERE, "../../CMakeLists.txt")).read().split("project(")[1]).group(1)) == 1
    assert value(found, "inpaintd_predictions_ended_total", status="succeeded") == 0
    until(lambda: value(figures(port), "inpaintd_workers") == 1)

    def create(**more):
        answer = ask(port, "POST", "/v1/predictions", {"version": VERSION, "webhook": "http://127.0.0.1:9/", "webhook_events_filter": ["completed"],
                                                       "input": {"prompt": "figures", "image": uri("photo.png"), "mask": uri("mask.png"), "num_inference_steps": 1, **more}})
        assert answer.status == 201, answer.body
        return json.loads(answer.body)["id"]

    def ended(id):
        return json.loads(ask(port, "GET", f"/v1/predictions/{id}").body)["status"] in ("succeeded", "failed", "canceled")

    good, bad = create(), create(image="data:image/png;base64,AAAA")
    until(lambda: ended(good) and ended(bad))
    long = create(num_inference_steps=500)
    until(lambda: value(figures(port), "inpaintd_queue_predictions", status="processing") == 1)
    waiting = create()
    found = until(lambda: (now := figures(port)) and value(now, "inpaintd_queue_predictions", status="starting") == 1 and value(now, "inpaintd_queue_oldest_seconds") > 0 and now)
    assert value(found, "inpaintd_workers") == 1 and value(found, "inpaintd_claims_total") == 3
    for id in (waiting, long):
        assert ask(port, "POST", f"/v1/predictions/{id}/cancel").status == 200
    assert ask(port, "GET", "/nowhere").status == 404
    found = figures(port)
    assert [value(found, "inpaintd_predictions_ended_total", status=status) for status in ("succeeded", "failed", "canceled")] == [1, 1, 2], found
    assert value(found, "inpaintd_prediction_total_seconds_count") == 4 and value(found, "inpaintd_prediction_run_seconds_count") == 3
    assert value(found, "inpaintd_prediction_wait_seconds_sum") > 0
    assert value(found, "inpaintd_http_requests_total", method="POST", route="/predictions", status="201") == 4
    assert value(found, "inpaintd_http_requests_total", method="", route="", status="404") == 1
    assert value(found, "inpaintd_http_request_seconds_count", method="POST", route="/predictions") == 4
    assert value(found, "inpaintd_webhooks_waiting") == 4
    until(lambda: value(figures(port), "inpaintd_webhook_deliveries_total", outcome="retried") >= 4)
    until(lambda: value(figures(port), "inpaintd_webhooks_failing") > 0)
    assert value(found, "process_resident_memory_bytes") > 1e6 and value(found, "inpaintd_disk_free_bytes") > 0

    # The operators' door answers probes and figures, and nothing else.
    assert figures(inner).keys() >= {key for key in found if not key[0].startswith("inpaintd_http")}
    assert [ask(inner, "GET", path).status for path in ("/healthz", "/readyz", "/v1/predictions", "/")] == [200, 200, 404, 404]
    # With tokens: at the main door from this machine without one, but not through a proxy on it.
    token = subprocess.run([PROGRAM, "token", "create", "alice", "--data", data], capture_output=True, text=True).stdout.strip()
    until(lambda: ask(port, "GET", "/v1/predictions").status == 401)
    assert ask(port, "GET", "/metrics").status == 200
    for header in ("X_Forwarded_For", "Forwarded"):
        assert ask(port, "GET", "/metrics", **{header: "for=192.0.2.1"}).status == 401
        assert ask(port, "GET", "/metrics", **{header: "for=192.0.2.1", "Authorization": f"Bearer {token}"}).status == 200
    assert ask(port, "GET", "/metrics", Host="evil.example", Origin="http://evil.example").status == 401
    assert ask(inner, "GET", "/metrics", X_Forwarded_For="192.0.2.1").status == 200

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    # Pictures are counted at the start; the worker that went is no longer there.
    process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", data, "--workers", "0"], stdout=subprocess.PIPE, stderr=log, text=True)
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    found = until(lambda: (now := figures(port)) and value(now, "inpaintd_blobs") and now)
    bytes_there = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(os.path.join(data, "blobs")) for name in names)
    assert value(found, "inpaintd_blobs") == 1 and value(found, "inpaintd_blob_bytes") == bytes_there, (found, bytes_there)
    assert value(found, "inpaintd_workers") == 0 and value(found, "inpaintd_claims_total") == 3
    print("metrics: ok,", len(found), "samples")
finally:
    process.kill()
    process.wait()
    shutil.rmtree(data, ignore_errors=True)
