"""PyPI replicate 1.0.7 against a running server."""
import base64
import http.server
import json
import os
import threading
import time

import httpx
import replicate
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks

MODEL = "andreasjansson/stable-diffusion-inpainting"
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
URL, IMAGE, MASK = os.environ["SERVICE_URL"], os.environ["IMAGE"], os.environ["MASK"]
client = Client(api_token="any", base_url=URL)
wrapped = Client(api_token="any", base_url=os.environ["DATA_URI_URL"])
uri = lambda path: "data:image/png;base64," + base64.b64encode(open(path, "rb").read()).decode()
SETTINGS = {"prompt": "a client", "num_inference_steps": 2, "seed": 5, "guidance_scale": 7.3}
PLAIN = {**SETTINGS, "image": uri(IMAGE), "mask": uri(MASK)}

# Minutes of work, seconds on the fastest machine: what must still be running when the test looks.
LONG = {"image": uri(os.environ["LARGE"]), "mask": uri(os.environ["LARGE_MASK"]), "num_inference_steps": 500, "num_outputs": 4}


def files():
    return {**SETTINGS, "image": open(IMAGE, "rb"), "mask": open(MASK, "rb")}


def test_run():
    for ref in (f"{MODEL}:{VERSION}", MODEL):
        output = client.run(ref, input=files())
        assert len(output) == 1 and httpx.get(str(output[0])).content[1:4] == b"PNG", output


def test_run_file_outputs():
    [output] = wrapped.run(f"{MODEL}:{VERSION}", input=files())
    assert output.read()[1:4] == b"PNG"


def test_run_base64():
    output = client.run(f"{MODEL}:{VERSION}", input=files(), file_encoding_strategy="base64", wait=5)
    assert len(output) == 1


def test_base_url_with_v1():
    assert Client(api_token="any", base_url=f"{URL}/v1").models.get(MODEL).name == MODEL.split("/")[1]


def test_create_and_wait():
    prediction = client.predictions.create(version=VERSION, input={**PLAIN, "width": 512, "seed": None})
    assert prediction.status == "starting" and prediction.input["guidance_scale"] == 7.3 and "width" not in prediction.input
    prediction.wait()
    assert prediction.status == "succeeded" and prediction.progress.percentage == 1 and prediction.error is None
    assert prediction.metrics["total_time"] > 0
    assert client.predictions.get(prediction.id).output == prediction.output


def test_model_predictions_and_deployments():
    assert client.models.predictions.create(MODEL, input=PLAIN).version == VERSION
    assert client.deployments.predictions.create("me/inpainting", input=PLAIN).model == MODEL


def test_cancel():
    prediction = client.predictions.create(version=VERSION, input=LONG)
    prediction.cancel()
    assert prediction.status == "canceled" or client.predictions.cancel(prediction.id).status == "canceled"
    prediction.reload()
    assert prediction.status == "canceled" and prediction.output is None and prediction.completed_at


def test_stream():
    events = list(client.stream(f"{MODEL}:{VERSION}", input=PLAIN))
    assert [event.event.value for event in events] == ["output", "done"], events
    prediction = client.predictions.create(version=VERSION, input=PLAIN, stream=True)
    assert [event.event.value for event in prediction.stream()] == ["output", "done"]


def test_paginate():
    pages = list(replicate.client.Client(api_token="any", base_url=URL).predictions.list() for _ in range(1))
    assert pages[0].results and pages[0].previous is None
    ids = [prediction.id for page in replicate.paginate(client.predictions.list) for prediction in page]
    assert len(ids) == len(set(ids))


def test_model_error():
    try:
        client.run(f"{MODEL}:{VERSION}", input={**PLAIN, "image": "data:image/png;base64,AAAA"})
    except ModelError as error:
        assert error.prediction.status == "failed" and error.prediction.logs is not None and str(error)
    else:
        raise AssertionError("no error")


def test_errors():
    for body, status, text in (({"input": {}}, 422, "image is required"), ({"input": {**PLAIN, "num_outputs": 9}}, 422, "less than or equal to 4")):
        try:
            client.predictions.create(version=VERSION, **body)
        except ReplicateError as error:
            assert error.status == status and text in error.detail and error.title == "Input validation failed", error
        else:
            raise AssertionError("no error")


def test_files():
    file = client.files.create(IMAGE, metadata={"a": "b"})
    assert file.size == os.path.getsize(IMAGE) and file.metadata == {"a": "b"} and file.urls["get"].startswith(URL)
    assert client.files.get(file.id).checksums == file.checksums
    assert any(other.id == file.id for other in client.files.list())
    client.files.delete(file.id)


def test_models_account_hardware():
    model = client.models.get(MODEL)
    assert model.latest_version.id == VERSION and len(model.versions.list().results) == 2
    schema = model.versions.get(VERSION).openapi_schema["components"]["schemas"]
    assert schema["Input"]["required"] == ["image", "mask"] and schema["Output"]["type"] == "array"
    assert client.accounts.current().username and client.hardware.list()[0].sku == "cpu"
    assert client.trainings.list().results == [] and client.collections.list().results == []


def test_webhook():
    heard = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client.predictions.create(version=VERSION, input=PLAIN, webhook=f"http://127.0.0.1:{server.server_port}/", webhook_events_filter=["completed"])
    for _ in range(1200):
        if heard:
            break
        time.sleep(0.05)
    headers, body = heard[0]
    Webhooks.validate(headers={name.lower(): value for name, value in headers.items()}, body=body, secret=client.webhooks.default.secret(), tolerance=60)
    assert json.loads(body)["status"] == "succeeded"


for name, test in list(globals().items()):
    if name.startswith("test_"):
        began = time.monotonic()
        test()
        print(f"ok   {name[5:]} ({time.monotonic() - began:.2f} s)", flush=True)
