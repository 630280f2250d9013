"""PyPI replicate 2.0.0b4, which checks every answer strictly against its own types."""
import base64
import os
import time

import httpx

os.environ.update(REPLICATE_BASE_URL=os.environ["SERVICE_URL"] + "/v1", REPLICATE_API_TOKEN="any")
import replicate
from replicate import APIStatusError, Replicate
from replicate.exceptions import ModelError

MODEL = "andreasjansson/stable-diffusion-inpainting"
OWNER, NAME = MODEL.split("/")
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
URL, IMAGE, MASK = os.environ["SERVICE_URL"], os.environ["IMAGE"], os.environ["MASK"]
client = Replicate(bearer_token="any", base_url=f"{URL}/v1", _strict_response_validation=True)
wrapped = Replicate(bearer_token="any", base_url=f"{os.environ['DATA_URI_URL']}/v1", _strict_response_validation=True)
uri = lambda path: "data:image/png;base64," + base64.b64encode(open(path, "rb").read()).decode()
PLAIN = {"prompt": "a client", "num_inference_steps": 2, "seed": 5, "image": uri(IMAGE), "mask": uri(MASK)}

# Minutes of work, seconds on the fastest machine: what must still be running when the test looks.
LONG = {"image": uri(os.environ["LARGE"]), "mask": uri(os.environ["LARGE_MASK"]), "num_inference_steps": 500, "num_outputs": 4}


def test_run():
    for ref in (f"{MODEL}:{VERSION}", MODEL):
        [output] = client.run(ref, input={**PLAIN, "image": open(IMAGE, "rb"), "mask": open(MASK, "rb")})
        assert httpx.get(str(output)).content[1:4] == b"PNG"
    [output] = wrapped.run(f"{MODEL}:{VERSION}", input=PLAIN)
    assert output.read()[1:4] == b"PNG"


def test_use():
    for ref in (f"{MODEL}:{VERSION}", MODEL):
        assert len(replicate.use(ref)(**PLAIN)) == 1


def test_predictions():
    prediction = client.predictions.create(version=VERSION, input=PLAIN, cancel_after="1h")
    prediction = client.predictions.wait(prediction.id) if hasattr(client.predictions, "wait") else prediction
    assert prediction.status in ("succeeded", "starting", "processing") and prediction.deadline
    while prediction.status in ("starting", "processing"):
        time.sleep(0.1)
        prediction = client.predictions.get(prediction_id=prediction.id)
    assert prediction.status == "succeeded" and prediction.error is None and prediction.metrics.total_time > 0
    waited = client.predictions.create(version=VERSION, input=PLAIN, prefer="wait=55")
    assert waited.status == "succeeded"
    slow = client.predictions.create(version=VERSION, input=LONG)
    assert client.predictions.cancel(prediction_id=slow.id).status == "canceled"
    ids = [item.id for item, _ in zip(client.predictions.list(created_after="2020-01-01T00:00:00Z"), range(150))]
    assert prediction.id in ids and len(set(ids)) == len(ids)


def test_errors():
    try:
        client.predictions.create(version=VERSION, input={})
    except APIStatusError as error:
        assert error.status_code == 422 and "image is required" in str(error.body)
    else:
        raise AssertionError("no error")
    try:
        client.run(MODEL, input={**PLAIN, "image": "data:image/png;base64,AAAA"})
    except ModelError as error:
        assert error.prediction.status == "failed"
    else:
        raise AssertionError("no error")


def test_the_rest():
    assert client.models.get(model_owner=OWNER, model_name=NAME).latest_version
    client.models.versions.list(model_owner=OWNER, model_name=NAME)
    assert client.models.versions.get(model_owner=OWNER, model_name=NAME, version_id=VERSION).id == VERSION
    assert client.account.get().username
    assert client.hardware.list()[0].sku == "cpu"
    assert client.webhooks.default.secret.get().key.startswith("whsec_")
    file = client.files.create(content=open(IMAGE, "rb"))
    again = client.files.get(file_id=file.id)
    assert again.checksums.md5 == file.checksums.md5 and again.size == os.path.getsize(IMAGE)
    assert any(other.id == file.id for other in client.files.list())
    client.files.delete(file_id=file.id)


for name, test in list(globals().items()):
    if name.startswith("test_"):
        began = time.monotonic()
        test()
        print(f"ok   {name[5:]} ({time.monotonic() - began:.2f} s)", flush=True)
