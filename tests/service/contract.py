"""The wire contract, clause by clause: what the hosted service promises and what its clients rely on."""
import base64, hashlib, hmac, http.server, json, os, re, socket, ssl, subprocess, tempfile, threading, time, urllib.parse

from server import HERE, INPUT, LONG, VERSION, Receiver, Server, case, run_cases, until

MODEL = "andreasjansson/stable-diffusion-inpainting"
OLDER = "8eb2da8345bee796efcd925573f077e36ed5fb4ea3ba240ef70c23cf33f0d848"
MILLIS, MICROS = (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{%d}Z" % digits) for digits in (3, 6))
FIRST = {"id", "model", "version", "input", "logs", "output", "data_removed", "error", "source", "status", "created_at", "urls"}
LAST = FIRST | {"started_at", "completed_at", "metrics"}
FORM = {"Content_Type": "multipart/form-data; boundary=X"}


def form(content, name="photo.png"):
    return f'--X\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n--X--"


def picture(name):
    with open(os.path.join(HERE, "../clients", name), "rb") as file:
        return file.read()


def ended(server, prediction):
    return until(lambda: (now := server.ask("GET", f"/predictions/{prediction['id']}").json)["status"] not in ("starting", "processing") and now)


def running(server, prediction):
    until(lambda: server.ask("GET", f"/predictions/{prediction['id']}").json["status"] == "processing")


def events(server, prediction, **headers):
    """The event stream, read to its end: (name, id, data) each."""
    text = server.ask("GET", urllib.parse.urlparse(prediction["urls"]["stream"]).path, **headers).body.decode()
    assert text.startswith(": hi\n\n") and "\r" not in text, text
    found = []
    for block in text[6:].replace(": hi\n", "").strip("\n").split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n")]
        assert [name for name, _ in lines[:2]] == ["event", "id"] and {name for name, _ in lines[2:]} == {"data"}, block
        found.append((lines[0][1], lines[1][1], "\n".join(value for _, value in lines[2:])))
    return found


@case
def the_prediction_field_by_field():
    with Server() as server:
        base = f"http://127.0.0.1:{server.port}"
        first = server.create({"input": {"seed": 7, "num_inference_steps": 5, "num_outputs": 2, "width": 512, "negative_prompt": None}})
        assert set(first) == FIRST, set(first) ^ FIRST
        assert re.fullmatch("[a-z0-9]{26}", first["id"]) and MILLIS.fullmatch(first["created_at"])
        assert (first["model"], first["version"], first["status"], first["logs"]) == (MODEL, VERSION, "starting", "")
        assert first["output"] is None and first["error"] is None and first["data_removed"] is False and first["source"] == "api"
        assert first["input"] == {**INPUT, "seed": 7, "num_inference_steps": 5, "num_outputs": 2}  # known keys with a value, as they were sent
        path = f"{base}/v1/predictions/{first['id']}"
        assert {name: first["urls"][name] for name in ("get", "cancel", "web")} == {"get": path, "cancel": path + "/cancel", "web": f"{base}/p/{first['id']}"}
        assert first["urls"]["stream"].startswith(f"{base}/v1/files/")
        last = ended(server, first)
        assert set(last) == LAST, set(last) ^ LAST
        assert last["status"] == "succeeded" and last["error"] is None and last["input"] == first["input"] and last["urls"] == first["urls"]
        assert MICROS.fullmatch(last["started_at"]) and MICROS.fullmatch(last["completed_at"])
        assert first["created_at"][:-1] <= last["started_at"] <= last["completed_at"]
        assert 0 < last["metrics"]["predict_time"] <= last["metrics"]["total_time"]
        assert [url.rsplit("/", 1)[1] for url in last["output"]] == ["out-0.png", "out-1.png"] and all(url.startswith(base) for url in last["output"])
        lines = last["logs"].split("\n")
        assert lines[0] == "Using seed: 7" and lines[1] == "  0%|          | 0/5 [00:00<?, ?it/s]" and lines[-1] == ""
        progress = [re.match(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)\/(\d+)", line) for line in lines[1:-1]]
        assert all(progress) and progress[-1].groups() == ("100", "5", "5")
        canceled = server.create({"input": LONG})
        running(server, canceled)
        answer = server.ask("POST", f"/v1/predictions/{canceled['id']}/cancel", b"").json
        assert set(answer) == LAST and answer["status"] == "canceled" and answer["output"] is None and answer["error"] is None
        again = server.ask("POST", f"/v1/predictions/{canceled['id']}/cancel", b"")
        assert again.status == 200 and {**again.json, "logs": 0} == {**answer, "logs": 0}
        assert server.ask("POST", f"/v1/predictions/{last['id']}/cancel", b"").json == last
        failed = ended(server, server.create({"input": {"image": "data:image/png;base64,AAAA"}}))
        assert set(failed) == LAST and failed["status"] == "failed" and failed["error"] and failed["output"] is None and isinstance(failed["logs"], str)


@case
def sizes_are_the_models():
    """Sides are cropped to multiples of 8, and a mask of another size is said to be resized, as the original does."""
    import struct, zlib
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    png = lambda w, h: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * w) * h)) + chunk(b"IEND", b"")
    data = lambda w, h: "data:application/octet-stream;base64," + base64.b64encode(png(w, h)).decode()
    with Server() as server:
        done = server.create({"input": {"image": data(77, 66), "mask": data(50, 40)}}, Prefer="wait=60")
        assert done["status"] == "succeeded", done["error"]
        assert "WARNING: Mask size (50, 40) is different to image size (72, 64). Mask will be resized to image size.\n" in done["logs"], done["logs"]
        out = server.ask("GET", urllib.parse.urlparse(done["output"][0]).path).body
        assert struct.unpack(">II", out[16:24]) == (72, 64)


@case
def every_path_with_and_without_v1():
    with Server("--workers", "0") as server:
        prediction = server.create()
        file = server.ask("POST", "/files", form(b"abc"), **FORM).json
        values = {"prediction_id": prediction["id"], "model_owner": MODEL.split("/")[0], "model_name": MODEL.split("/")[1], "version_id": VERSION, "file_id": file["id"],
                  "stream_token": prediction["urls"]["stream"].rsplit("/", 1)[1], "blob": "none.png", "name": "out-0.png", "deployment_owner": "me", "deployment_name": "mine"}
        document = server.ask("GET", "/openapi.json").json
        assert len(document["paths"]) >= 25
        for pattern, operations in document["paths"].items():
            path = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], pattern)
            methods = {name.upper() for name in operations if name in ("get", "post", "put", "delete", "patch")}
            methods |= {"HEAD"} if "GET" in methods else set()
            for prefix in ("", "/v1", "/v1/v1"):
                allowed = server.ask("OPTIONS", prefix + path)
                assert allowed.status == 204 and set(allowed.headers["Allow"].split(", ")) == methods | {"OPTIONS"}, (path, allowed.headers["Allow"], methods)
                other = server.ask("PATCH", prefix + path, b"{}")
                assert other.status == 405 and other.json["status"] == 405 and other.headers["Allow"] == allowed.headers["Allow"]
                assert other.headers["Content-Type"] == "application/problem+json" and other.reason == "Method Not Allowed"
            if "GET" in methods and pattern not in ("/files/stream/{stream_token}", "/metrics"):  # these change from one call to the next
                one, two, head = (server.ask(method, prefix + path) for method, prefix in (("GET", ""), ("GET", "/v1"), ("HEAD", "/v1")))
                assert (one.status, one.body) == (two.status, two.body), path
                assert head.status == two.status and head.body == b"" and head.headers["Content-Length"] == str(len(two.body)), path
                if two.json is not None and two.status == 200:
                    assert two.headers["Cache-Control"] == "no-store" and two.headers["Content-Type"] == "application/json; charset=utf-8", path
        # One client's broken pagination: the base URL with the next page's whole URL appended.
        assert server.ask("GET", f"/v1/http://127.0.0.1:{server.port}/v1/predictions").status == 200


@case
def problems_in_their_words():
    required = lambda *names: ([{"type": "required", "field": "input", "description": f"{name} is required"} for name in names], "".join(f"- input: {name} is required\n" for name in names))
    one = lambda kind, field, words: ([{"type": kind, "field": field, "description": words}], f"- {field}: {words}\n" if field else f"- {words}\n")
    with Server("--workers", "0") as server:
        good = {"version": VERSION, "input": INPUT}
        cases = [
            ({"version": VERSION, "input": {}}, required("image", "mask")),
            ({"input": INPUT}, one("required", "", "version is required")),
            ({"version": VERSION}, one("required", "", "input is required")),
            ({**good, "model": "x"}, one("additional_property_not_allowed", "", "Additional property model is not allowed")),
            ({**good, "webhook_events_filter": ["end"]}, one("enum", "webhook_events_filter.0", 'webhook_events_filter.0 must be one of the following: "start", "output", "logs", "completed"')),
            ({**good, "webhook": "no url"}, one("format", "webhook", "Does not match format 'uri'")),
            ({**good, "input": 3}, one("invalid_type", "input", "Invalid type. Expected: object, given: integer")),
        ]
        for name, value, kind, words in (("num_outputs", 5, "number_lte", "Must be less than or equal to 4"), ("num_inference_steps", 0, "number_gte", "Must be greater than or equal to 1"),
                                         ("num_inference_steps", 501, "number_lte", "Must be less than or equal to 500"), ("guidance_scale", 0.5, "number_gte", "Must be greater than or equal to 1"),
                                         ("guidance_scale", "7", "invalid_type", "Invalid type. Expected: number, given: string"), ("seed", 1.5, "invalid_type", "Invalid type. Expected: integer, given: number"),
                                         ("num_outputs", "1", "invalid_type", "Invalid type. Expected: integer, given: string"), ("invert_mask", 1, "invalid_type", "Invalid type. Expected: boolean, given: integer"),
                                         ("prompt", ["a"], "invalid_type", "Invalid type. Expected: string, given: array"), ("image", "photo.png", "format", "Does not match format 'uri'"),
                                         ("image", None, "invalid_type", "Invalid type. Expected: string, given: null")):
            cases.append(({"version": VERSION, "input": {**INPUT, name: value}}, one(kind, f"input.{name}", words)))
        for body, (fields, detail) in cases:
            answer = server.ask("POST", "/v1/predictions", body)
            assert answer.status == 422 and answer.headers["Content-Type"] == "application/problem+json", (body, answer.body)
            assert answer.json == {"title": "Input validation failed", "detail": detail, "status": 422, "invalid_fields": fields}, answer.json
        assert server.ask("GET", "/v1/predictions", ).json["results"] == []  # nothing was stored
        for version in (VERSION, OLDER, MODEL, f"{MODEL}:{OLDER}"):
            answer = server.ask("POST", "/v1/predictions", {**good, "version": version})
            assert answer.status == 201 and answer.json["version"] == (OLDER if OLDER in version else VERSION), version
        for version in ("", "c28b92a7", "someone/else", f"{MODEL}:latest", VERSION[:-1]):
            answer = server.ask("POST", "/v1/predictions", {**good, "version": version})
            assert answer.status == 422 and answer.json["title"] == "Invalid version or not permitted", version
            assert answer.json["detail"].startswith("The specified version does not exist (or perhaps you don't have permission to use it?)") and VERSION in answer.json["detail"]
        for filter, echoed in (("completed", ["completed"]), (["start", "logs"], ["start", "logs"]), (None, None), ([], None), (["start", "output", "logs", "completed"], None)):
            answer = server.ask("POST", "/v1/predictions", {**good, "webhook": "http://127.0.0.1:9/", "webhook_events_filter": filter, "stream": True, "webhook_completed": None})
            assert answer.status == 201 and answer.json["webhook"] == "http://127.0.0.1:9/" and answer.json.get("webhook_events_filter") == echoed, answer.json
        assert server.ask("GET", "/v1/predictions/nobody").json == {"detail": "The requested resource could not be found.", "status": 404}
        assert server.ask("GET", "/v1/files/nobody").json == {"detail": "File not found", "status": 404}
        assert server.ask("POST", "/v1/models/someone/else/predictions", {"input": INPUT}).status == 404
        assert server.ask("POST", "/v1/predictions", b'{"version": "').json["title"] == "Malformed request body"


@case
def one_clients_secret_is_not_kept():
    """npm replicate 1.4.0 with fileEncodingStrategy "data-uri" sends its own settings as the input."""
    with Server("--workers", "0") as server:
        body = {"version": VERSION, "input": {"auth": "r8_sEcReT", "userAgent": "replicate-javascript/1.4.0", "baseUrl": "http://x"}}
        assert "image is required" in server.ask("POST", "/v1/predictions", body).json["detail"]
        echoed = server.create({"input": {"auth": "r8_sEcReT"}})
        assert "auth" not in echoed["input"]
        for folder, _, names in os.walk(server.data):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    assert b"r8_sEcReT" not in file.read(), name


@case
def preferences_are_never_refused():
    with Server("--max-wait", "50") as server:
        for asked, applied in (("wait", "wait"), ("wait=7", "wait=7"), ("wait=300", "wait=50"), ("wait=2.3", "wait=3"), ("wait=0", "wait=1"), ("wait=-4", "wait=1"), ("wait=1e99", "wait=50"),
                               ("Wait = 5", None), ("respond-async, wait=9", "wait=9"), ("respond-async", None), ("wait=soon", "wait"), ("", None), (",;=,", None)):
            answer = server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Prefer=asked)
            assert answer.status == 201 and answer.json["status"] in ("starting", "succeeded"), (asked, answer.body)
            assert asked == "Wait = 5" or answer.headers["Preference-Applied"] == applied, (asked, answer.headers["Preference-Applied"])
            assert applied is None or asked in ("wait=0", "wait=-4") or answer.json["status"] == "succeeded", asked
            assert answer.headers["Location"] == answer.json["urls"]["get"] and answer.headers["ratelimit-remaining"].isdigit() and answer.headers["ratelimit-reset"].isdigit()
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8" and answer.reason == "Created"


@case
def a_wait_that_runs_out_says_starting():
    with Server() as server:
        prediction = server.create({"input": LONG}, Prefer="wait=1")
        assert prediction["status"] == "starting" and prediction["output"] is None and "started_at" not in prediction and "metrics" not in prediction
        running(server, prediction)
        leaving = socket.create_connection(("127.0.0.1", server.port), 60)  # a client that goes away cancels nothing
        body = json.dumps({"version": VERSION, "input": INPUT}).encode()
        leaving.sendall(f"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nPrefer: wait=50\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: len(server.ask("GET", "/predictions").json["results"]) == 2)
        leaving.close()
        server.ask("POST", f"/predictions/{prediction['id']}/cancel", b"")
        until(lambda: sorted(p["status"] for p in server.ask("GET", "/predictions").json["results"]) == ["canceled", "succeeded"])


@case
def deadlines_end_what_runs():
    with Server() as server:
        server.create(Prefer="wait=60")  # now the worker is there
        prediction = server.create({"input": LONG}, Replicate_Max_Lifetime="5")  # the header's former name
        assert MILLIS.fullmatch(prediction["deadline"])
        running(server, prediction)
        end = ended(server, prediction)
        assert end["status"] == "canceled" and end["output"] is None and end["metrics"]["predict_time"] > 0 and end["deadline"] == prediction["deadline"]
        assert events(server, prediction)[-1][::2] == ("done", '{"reason":"canceled"}')
        for text in ("30s", "5m", "1h30m45s", "90", " 6s "):
            assert server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Cancel_After=text).status == 201, text
        for text in ("4s", "4", "0", "-5s", "soon", "5x", "1s1h", "999999999999h"):
            assert server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Cancel_After=text).status == 422, text


@case
def streams_of_every_end():
    with Server() as server:
        done = server.create({"input": {"num_outputs": 3, "num_inference_steps": 3}})
        live, late = events(server, done), events(server, done)  # while it runs, and after
        assert live == late and [name for name, _, _ in live] == ["output"] * 3 + ["done"] and live[-1][2] == "{}"
        assert [data for name, _, data in live[:3]] == ended(server, done)["output"]
        assert len({number for _, number, _ in live}) == 4 and all(re.fullmatch(r"\d+:\d+", number) for _, number, _ in live)
        for i, (_, number, _) in enumerate(live[:3]):
            assert events(server, done, Last_Event_ID=number) == live[i + 1:], number
        for nonsense in ("x", "1:", ":1", "999999999999999999999:1", "1:2:3"):
            assert events(server, done, Last_Event_ID=nonsense) == live, nonsense
        failed = server.create({"input": {"image": "data:image/png;base64,AAAA"}})
        (error, _, detail), (last, _, reason) = events(server, failed)
        assert (error, last, reason) == ("error", "done", '{"reason":"error"}') and json.loads(detail) == {"detail": ended(server, failed)["error"]}
        path = urllib.parse.urlparse(done["urls"]["stream"]).path
        logs = server.ask("GET", path + "?logs=1").body.decode()
        told = "".join("\n".join(line[6:] for line in block.split("\n") if line.startswith("data: ")) + "\n" for block in logs.split("\n\n") if "event: logs" in block)
        assert told == ended(server, done)["logs"], told
        for agent, body, wanted in (("replicate-cli/0.21.0", {}, False), ("replicate-cli/0.21.0", {"stream": True}, True), ("replicate-go/0.21.0", {}, True)):
            answer = server.create(body, User_Agent=agent)
            assert ("stream" in answer["urls"]) == wanted, (agent, body)


@case
def outputs_as_data_uris_on_request():
    receiver = Receiver()
    with Server() as server:
        answer = server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT, "webhook": receiver.url, "webhook_events_filter": ["completed"]}, Prefer="wait=50, output=data-uri")
        assert answer.headers["Preference-Applied"] == "wait=50, output=data-uri"
        [output] = answer.json["output"]
        head = "data:image/png;base64,"
        assert output.startswith(head) and base64.b64decode(output[len(head):])[:4] == b"\x89PNG"
        assert server.ask("GET", f"/predictions/{answer.json['id']}").json["output"] == [output]
        assert events(server, answer.json)[0][2] == output
        until(lambda: receiver.heard)
        assert receiver.heard[0][1]["output"] == [output]
        again = server.create({"input": {"image": output}}, Prefer="wait=50")  # and an output is an input, in both forms
        assert again["status"] == "succeeded" and server.create({"input": {"image": again["output"][0]}}, Prefer="wait=50")["status"] == "succeeded"


@case
def inputs_from_the_network():
    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/loop":
                self.send_response(302)
                self.send_header("Location", "/loop")
                self.end_headers()
                return
            data = picture("mask.png" if self.path == "/mask" else "photo.png")
            self.send_response(200 if self.path in ("/photo", "/mask") else 404)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    pictures = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=pictures.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{pictures.server_port}"
    with Server("--private-inputs") as server:
        done = server.create({"input": {"image": f"{at}/photo", "mask": f"{at}/mask"}}, Prefer="wait=60")
        assert done["status"] == "succeeded" and done["input"]["image"] == f"{at}/photo", done["error"]
        for path in ("/missing", "/loop"):
            failed = server.create({"input": {"image": at + path}}, Prefer="wait=60")
            assert failed["status"] == "failed" and "image" in failed["error"], failed["error"]
        for url in ("ftp://127.0.0.1/x", "file:///etc/passwd"):
            assert server.create({"input": {"image": url}}, Prefer="wait=60")["status"] == "failed", url
    with Server() as server:  # addresses of the operator's own network are not for callers
        failed = server.create({"input": {"image": f"{at}/photo"}}, Prefer="wait=60")
        assert failed["status"] == "failed", failed


@case
def large_bodies():
    photo = picture("photo.png")
    with Server() as server:
        padding = (31 << 20) * 3 // 4 - len(photo)
        prediction = server.create({"input": {"image": "data:;base64," + base64.b64encode(photo + b"\0" * padding).decode()}}, Prefer="wait=60")
        assert prediction["status"] == "succeeded", prediction["error"]
        assert prediction["input"]["image"].startswith(f"http://127.0.0.1:{server.port}/v1/outputs/")  # not 31 MB in every answer
        answer = server.ask("POST", "/v1/predictions", b" " * (33 << 20))
        assert answer.status == 413 and answer.json["status"] == 413
        for deep in (b'{"input":' * 1000 + b"1" + b"}" * 1000, b"[" * (1 << 20), b'{"input":{"a":[' + b"0," * (1 << 20) + b"0]}}"):
            assert server.ask("POST", "/v1/predictions", deep).status == 400


@case
def pages_and_their_filters():
    with Server("--workers", "0") as server:
        made = [server.create({"input": {"seed": i}}) for i in range(205)]
        middle = made[100]["created_at"]
        for query, expected in (("", made), (f"created_after={middle}", [p for p in made if p["created_at"] >= middle]), (f"created_before={middle}", [p for p in made if p["created_at"] < middle]),
                                (f"created_after={middle[:-1]}0000%2B00:00&created_before=2999-01-01", [p for p in made if p["created_at"] >= middle]),
                                (f"created_after={middle[:-1]}+00:00", [p for p in made if p["created_at"] >= middle])):
            found, pages, path = [], [], f"/v1/predictions?{query}"
            while path:
                page = server.ask("GET", path)
                assert page.status == 200, (path, page.body)
                assert len(page.json["results"]) <= 100 and (page.json["previous"] is None) == (not pages)
                pages.append(page.json)
                found += [prediction["id"] for prediction in page.json["results"]]
                following = page.json["next"]
                assert following is None or following.startswith(f"http://127.0.0.1:{server.port}/v1/predictions?")
                path = following and following[len(f"http://127.0.0.1:{server.port}"):]
                if path and query:
                    path += "&" + query  # one client appends them again
            assert found == [p["id"] for p in sorted(expected, key=lambda p: (p["created_at"], p["id"]), reverse=True)], query
            if len(pages) > 1:
                back = server.ask("GET", pages[1]["previous"][len(f"http://127.0.0.1:{server.port}"):]).json
                assert [p["id"] for p in back["results"]] == [p["id"] for p in pages[0]["results"]]


@case
def files_as_the_clients_know_them():
    photo = picture("photo.png")
    with Server("--workers", "0") as server:
        answer = server.ask("POST", "/v1/files", form(photo), **FORM)
        file = answer.json
        assert answer.status == 201 and set(file) == {"id", "name", "content_type", "size", "etag", "checksums", "metadata", "created_at", "expires_at", "urls"}
        assert re.fullmatch(r"[0-9a-f-]{36}", base64.b64decode(file["id"]).decode()) and file["urls"] == {"get": f"http://127.0.0.1:{server.port}/v1/files/{file['id']}"}
        assert MILLIS.fullmatch(file["created_at"]) and file["metadata"] == {} and file["name"] == "photo.png" and file["size"] == len(photo)
        day = lambda text: time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
        assert time.mktime(day(file["expires_at"])) - time.mktime(day(file["created_at"])) == 86400
        for i in range(101):
            server.ask("POST", "/v1/files", form(b"%d" % i), **FORM)
        page = server.ask("GET", "/v1/files").json
        assert len(page["results"]) == 100 and page["previous"] is None
        rest = server.ask("GET", page["next"][len(f"http://127.0.0.1:{server.port}"):]).json
        assert [f["size"] for f in rest["results"]] == [1, len(photo)] and rest["next"] is None
        key = base64.b64decode(server.ask("GET", "/v1/webhooks/default/secret").json["key"][6:])
        expiry = str(int(time.time()) + 60)
        sign = lambda text: urllib.parse.quote(base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()))
        link = f"/v1/files/{file['id']}/download?owner=local&expiry={expiry}&signature="
        assert server.ask("GET", link + sign(f"local {file['id']} {expiry}")).body == photo
        assert server.ask("GET", link + sign(f"other {file['id']} {expiry}")).status == 401
        deleted = server.ask("DELETE", f"/v1/files/{file['id']}")
        assert deleted.status == 204 and deleted.body == b""
        prediction = server.create({"input": {"image": file["urls"]["get"]}})  # gone: the run will say so, not the create
        assert prediction["status"] == "starting"


@case
def models_as_the_clients_know_them():
    with Server("--workers", "0") as server:
        model = server.ask("GET", f"/v1/models/{MODEL}").json
        assert (model["owner"], model["name"]) == tuple(MODEL.split("/")) and model["default_example"] is None
        for name, kind in (("url", str), ("visibility", str), ("run_count", int), ("description", str)):
            assert isinstance(model[name], kind), name
        assert model["latest_version"]["id"] == VERSION
        page = server.ask("GET", f"/v1/models/{MODEL}/versions").json
        assert [version["id"] for version in page["results"]] == [VERSION, OLDER] and page["next"] is None and page["previous"] is None
        for version in page["results"]:
            assert server.ask("GET", f"/v1/models/{MODEL}/versions/{version['id']}").json == version
            assert tuple(map(int, version["cog_version"].split("."))) >= (0, 3, 9) and MICROS.fullmatch(version["created_at"])
            schema = version["openapi_schema"]
            assert schema["openapi"].startswith("3.0") and schema["info"]["title"] and schema["info"]["version"] and "/predictions" in schema["paths"]
            schemas = schema["components"]["schemas"]
            assert schemas["Output"] == {"type": "array", "title": "Output", "items": {"type": "string", "format": "uri"}}
            inputs = schemas["Input"]["properties"]
            assert schemas["Input"]["required"] == ["image", "mask"] and [inputs[name]["x-order"] for name in inputs] == list(range(len(inputs)))
            assert [name for name in inputs] == ["prompt", "negative_prompt", "image", "mask", "invert_mask", "num_outputs", "num_inference_steps", "guidance_scale", "seed"]
            for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(schema)):
                assert reference in schemas, reference
        for path in ("/models/someone/else", f"/models/{MODEL}/versions/abc"):
            assert server.ask("GET", "/v1" + path).status == 404
        assert [m["name"] for m in server.ask("GET", "/v1/models").json["results"]] == [model["name"]]
        assert server.ask("GET", "/v1/account").json == {"type": "user", "username": "local", "name": "local", "github_url": None}
        assert server.ask("GET", "/v1/hardware").json == [{"name": "CPU", "sku": "cpu"}]
        assert server.ask("GET", "/health-check").json["status"] == "READY"
        answer = server.ask("POST", "/v1/deployments/me/mine/predictions", {"input": INPUT})
        assert answer.status == 201 and answer.json["model"] == MODEL


@case
def rate_limits():
    with Server("--workers", "0", "--creates-per-minute", "3", "--requests-per-minute", "20") as server:
        answers = [server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}) for _ in range(4)]
        assert [answer.status for answer in answers] == [201, 201, 201, 429] and [answer.headers["ratelimit-remaining"] for answer in answers[:3]] == ["2", "1", "0"]
        refused = answers[3]
        seconds = int(refused.headers["Retry-After"])
        assert 1 <= seconds <= 21 and refused.headers["x-should-retry"] == "false" and refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json == {"detail": f"Request was throttled. Your rate limit resets in ~{seconds}s.", "status": 429, "retry_after": seconds}
        statuses = [server.ask("GET", "/v1/predictions") for _ in range(30)]
        assert {answer.status for answer in statuses} == {200, 429} and statuses[0].status == 200
        assert statuses[-1].headers["x-should-retry"] == "true" and server.ask("GET", "/healthz").status == 200
    with Server("--workers", "0") as server:  # unless configured there is none, and the queue takes all
        assert {server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}).status for _ in range(50)} == {201}


@case
def its_own_tls():
    folder = tempfile.mkdtemp()
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with Server("--tls-certificate", certificate, "--tls-key", key) as server:
        server.tls = ssl.create_default_context(cafile=certificate)
        done = server.create(Prefer="wait=60")
        assert done["status"] == "succeeded" and done["output"][0].startswith(f"https://127.0.0.1:{server.port}/v1/outputs/"), done
        assert server.ask("GET", urllib.parse.urlparse(done["output"][0]).path).body[:4] == b"\x89PNG"
        assert [name for name, _, _ in events(server, done)] == ["output", "done"]
        with socket.create_connection(("127.0.0.1", server.port), 60) as plain:  # and nothing in the clear
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200" not in plain.recv(65536)


@case
def webhooks_are_throttled_and_signed():
    receiver = Receiver()
    with Server() as server:
        began = time.monotonic()
        prediction = server.create({"webhook": receiver.url, "input": {**LONG, "num_outputs": 1, "num_inference_steps": 25}})
        end = ended(server, prediction)
        took = time.monotonic() - began
        until(lambda: receiver.heard and receiver.heard[-1][1].get("completed_at"))
        bodies = [body for _, body, _ in receiver.heard]
        logs = [body for body in bodies[1:-1] if body["output"] is None]
        assert bodies[0]["status"] == "processing" and bodies[-1] == end
        assert len(logs) <= took / 0.5 + 2, (len(logs), took)  # one at once, one every half second, one before the end
        assert all(body["status"] == "processing" for body in bodies[:-1])
        secret = base64.b64decode(server.ask("GET", "/v1/webhooks/default/secret").json["key"].split("_")[1])
        for headers, body, _ in receiver.heard:
            headers = {name.lower(): value for name, value in headers.items()}
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{text}".encode()
            expected = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == expected and headers["content-type"] == "application/json", (headers, text[:200])
            assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300


@case
def the_end_is_told_again_and_again():
    """The terminal event is tried again with growing pauses, as the same message, signed anew each time."""
    times = []
    receiver = Receiver(lambda n: times.append(time.monotonic()) or (503, 500, 404, 200)[min(n, 3)])
    with Server() as server:
        prediction = server.create({"webhook": receiver.url, "webhook_events_filter": ["completed"]})
        until(lambda: len(receiver.heard) == 4)
        assert len({headers["webhook-id"] for headers, _, _ in receiver.heard}) == 1
        assert len({headers["webhook-timestamp"] for headers, _, _ in receiver.heard}) >= 3
        assert all(body == receiver.heard[0][1] and body["id"] == prediction["id"] for _, body, _ in receiver.heard)
        pauses = [after - before for before, after in zip(times, times[1:])]
        assert pauses[0] > 0.4 and pauses[1] > 0.9 and pauses[2] > 1.9, pauses


run_cases()
