"""Servers with settings of their own."""
import json, os, signal, socket, tempfile, threading, time

from server import INPUT, LONG, VERSION, Receiver, Server, case, program, run_cases, until


@case
def tokens():
    with Server("--workers", "0") as server:
        token = lambda *arguments: program("token", *arguments, "--data", server.data).stdout.strip()
        before = server.create()
        alice = {"Authorization": "Bearer " + token("create", "alice")}
        bob = {"Authorization": "Token " + token("create", "bob")}
        until(lambda: server.ask("GET", "/v1/predictions").status == 401)  # from the first token on
        answer = server.ask("GET", "/predictions")
        assert answer.json == {"title": "Unauthenticated", "detail": "You did not pass an authentication token", "status": 401}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        for wrong in ("Bearer wrong", "Token ", "Basic abc"):
            answer = server.ask("GET", "/predictions", Authorization=wrong)
            assert answer.status == 401
        assert server.ask("GET", "/predictions", Authorization="Bearer wrong").json["detail"] == "You did not pass a valid authentication token"
        assert server.ask("POST", "/v1/files", b"x" * 1000000).status == 401
        mine = server.create(**alice)
        assert server.ask("GET", "/v1/account", **alice).json["username"] == "alice"
        for path in ("", "/cancel"):
            method = "POST" if path else "GET"
            answer = server.ask(method, f"/v1/predictions/{mine['id']}{path}", **bob)
            assert answer.status == 404, (answer.status, answer.body)
            assert server.ask(method, f"/v1/predictions/{mine['id']}{path}", **alice).status == 200
        assert [p["id"] for p in server.ask("GET", "/predictions", **alice).json["results"]] == [mine["id"]]
        assert server.ask("GET", "/predictions", **bob).json["results"] == []
        assert server.ask("GET", f"/predictions/{before['id']}", **bob).status == 404
        multipart = {"Content_Type": "multipart/form-data; boundary=X"}
        file = server.ask("POST", "/files", b'--X\r\nContent-Disposition: form-data; name="content"\r\n\r\nabc\r\n--X--', **alice, **multipart).json
        for method in ("GET", "DELETE"):
            assert server.ask(method, f"/files/{file['id']}", **bob).status == 404
        assert server.ask("GET", f"/files/{file['id']}/download").status == 401
        assert server.ask("GET", f"/files/{file['id']}/download", **bob).status == 404
        assert server.ask("GET", f"/files/{file['id']}/download", **alice).body == b"abc"
        # a signed link
        import base64, hashlib, hmac, urllib.parse
        key = base64.b64decode(server.ask("GET", "/webhooks/default/secret", **alice).json["key"][6:])
        link = lambda owner, expiry: f"/files/{file['id']}/download?owner={owner}&expiry={expiry}&signature=" + urllib.parse.quote(
            base64.b64encode(hmac.new(key, f"{owner} {file['id']} {expiry}".encode(), hashlib.sha256).digest()))
        assert server.ask("GET", link("alice", int(time.time()) + 60)).body == b"abc"
        assert server.ask("GET", link("alice", int(time.time()) - 60)).status == 401
        assert server.ask("GET", link("alice", int(time.time()) + 60).replace("owner=alice", "owner=bob")).status == 401
        # signed by bob, in nobody's name but his own, and then it is not his file
        assert server.ask("GET", "/webhooks/default/secret", **bob).json["key"] != server.ask("GET", "/webhooks/default/secret", **alice).json["key"]
        key = base64.b64decode(server.ask("GET", "/webhooks/default/secret", **bob).json["key"][6:])
        assert server.ask("GET", link("alice", int(time.time()) + 60)).status == 401
        assert server.ask("GET", link("bob", int(time.time()) + 60)).status == 404
        # what needs none
        for path in ("/healthz", "/openapi.json", "/", "/v1/files/stream/" + mine["urls"]["stream"].rsplit("/", 1)[1]):
            assert server.ask("GET", path).status == 200, path
        token("revoke", "bob")
        until(lambda: server.ask("GET", "/predictions", **bob).status == 401)
        token("revoke", "alice")  # the last one gone does not open the door again
        until(lambda: server.ask("GET", "/predictions", **alice).status == 401)
        assert server.ask("GET", "/predictions").status == 401


@case
def other_addresses_need_a_token():
    data = tempfile.mkdtemp()
    result = program("serve", "--listen", "0.0.0.0:0", "--data", data, "--workers", "0")
    assert result.returncode != 0 and "token" in result.stderr, result
    token = program("token", "create", "someone", "--data", data).stdout.strip()
    with Server("--workers", "0", data=data, host="0.0.0.0") as server:
        assert server.ask("GET", "/predictions").status == 401
        assert server.ask("GET", "/predictions", Authorization=f"Bearer {token}").status == 200


@case
def a_stop_wakes_everybody():
    with Server("--workers", "0") as server:
        prediction = server.create()
        stream = socket.create_connection(("127.0.0.1", server.port), 60)
        stream.sendall(f"GET {prediction['urls']['stream'].split(str(server.port))[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while b": hi" not in stream.recv(65536):
            pass
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(server.create(Prefer="wait=50")))
        waiting.start()
        until(lambda: len(server.ask("GET", "/predictions").json["results"]) == 2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 40  # well before the waiting one's time
        waiting.join(60)
        assert answers[0]["status"] == "starting"
        while stream.recv(65536):
            pass


@case
def nothing_is_lost_by_a_kill():
    receiver = Receiver(lambda n: 503 if n == 0 else 200)
    first = Server("--workers", "0")
    waiting = first.create({"webhook": receiver.url, "webhook_events_filter": ["completed"]})
    file = first.ask("POST", "/files", b'--X\r\nContent-Disposition: form-data; name="content"\r\n\r\nabc\r\n--X--', Content_Type="multipart/form-data; boundary=X").json
    secret = first.ask("GET", "/webhooks/default/secret").json
    first.stop(signal.SIGKILL)
    with Server(data=first.data) as second:
        assert second.ask("GET", "/webhooks/default/secret").json == secret
        assert second.ask("GET", f"/files/{file['id']}").json["etag"] == file["etag"]
        until(lambda: len(receiver.heard) == 2)
        (one, _, _), (two, body, _) = receiver.heard
        assert body["id"] == waiting["id"] and body["status"] == "succeeded"
        assert one["webhook-id"] == two["webhook-id"]


@case
def webhooks():
    receiver, redirecting, refusing = Receiver(), Receiver(lambda n: 302), Receiver(lambda n: 500)
    with Server() as server:
        done = server.create({"webhook": receiver.url, "input": {"num_inference_steps": 30}}, Prefer="wait=60")
        until(lambda: receiver.heard and receiver.heard[-1][1]["status"] == "succeeded")
        bodies = [body for _, body, _ in receiver.heard]
        assert bodies[0]["status"] == "processing" and bodies[0]["output"] is None
        assert [body["status"] for body in bodies[:-1]] == ["processing"] * (len(bodies) - 1)
        assert len({headers["webhook-id"] for headers, _, _ in receiver.heard}) == len(bodies)
        outputs = [body for body in bodies[:-1] if body["output"]]
        assert len(outputs) == 1 and "completed_at" not in outputs[0]
        assert bodies[-1] == server.ask("GET", f"/predictions/{done['id']}").json
        assert receiver.heard[0][0]["Content-Type"] == "application/json"
        server.create({"webhook": redirecting.url, "webhook_events_filter": ["completed"]}, Prefer="wait=60")
        server.create({"webhook": refusing.url, "webhook_events_filter": ["start"]}, Prefer="wait=60")
        until(lambda: redirecting.heard and refusing.heard)
        time.sleep(1.5)
        assert len(redirecting.heard) == 1 and len(refusing.heard) == 1  # neither followed nor repeated
        canceled = server.create({"webhook": receiver.url, "webhook_events_filter": ["completed"], "input": LONG})
        server.ask("POST", f"/predictions/{canceled['id']}/cancel")
        until(lambda: receiver.heard[-1][1]["id"] == canceled["id"])
        assert receiver.heard[-1][1]["status"] == "canceled"


@case
def lifetimes():
    with Server("--retention", "5", "--file-lifetime", "1") as server:
        prediction = server.create(Prefer="wait=60")
        assert prediction["status"] == "succeeded", prediction
        path = "/v1/" + prediction["output"][0].split("/v1/")[1]
        assert server.ask("GET", path).status == 200
        file = server.ask("POST", "/files", b'--X\r\nContent-Disposition: form-data; name="content"\r\n\r\nabc\r\n--X--', Content_Type="multipart/form-data; boundary=X").json
        assert file["expires_at"] > file["created_at"]
        removed = lambda: server.ask("GET", f"/predictions/{prediction['id']}").json["data_removed"]
        until(removed)
        after = server.ask("GET", f"/predictions/{prediction['id']}").json
        assert after["status"] == "succeeded" and after["output"] is None and after["input"] == {} and after["logs"] == ""
        until(lambda: server.ask("GET", path).status == 404)
        until(lambda: server.ask("GET", f"/files/{file['id']}").status == 404)
        stream = server.ask("GET", "/v1/" + prediction["urls"]["stream"].split("/v1/")[1]).body.decode()
        assert "event: done" in stream and "event: output" not in stream


@case
def the_past_is_forgotten():
    with Server("--forget", "3") as server:  # what is forgotten is emptied first, without a word of --retention
        prediction = server.create(Prefer="wait=60")
        assert prediction["status"] == "succeeded", prediction
        until(lambda: server.ask("GET", f"/predictions/{prediction['id']}").status == 404, 60)
        assert server.ask("GET", "/predictions").json["results"] == []
        until(lambda: server.ask("GET", "/v1/" + prediction["output"][0].split("/v1/")[1]).status == 404)


@case
def deadlines_are_kept():
    with Server("--workers", "0") as server:
        prediction = server.create(Cancel_After="5s")
        assert prediction["deadline"] > prediction["created_at"]
        ended = until(lambda: (now := server.ask("GET", f"/predictions/{prediction['id']}").json)["status"] != "starting" and now)
        assert ended["status"] == "canceled" and ended["completed_at"] >= prediction["deadline"][:-2]


@case
def not_ready_before_the_end():
    with Server("--workers", "0", "--drain", "5") as server:
        assert server.ask("GET", "/readyz").status == 200
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("GET", "/readyz").status == 503)
        assert server.ask("GET", "/healthz").status == 200 and server.create()["status"] == "starting"
        assert server.process.wait(60) == 0


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@case
def traces():
    hook = Receiver()
    with Server("--log-format", "json", "--threads", "1") as server:
        prediction = server.create({"webhook": hook.url, "webhook_events_filter": ["completed"]}, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        other = server.create({"webhook": hook.url, "webhook_events_filter": ["completed"]})
        until(lambda: len(hook.heard) == 2, 60)
        traceparents = {body["id"]: {name.lower(): value for name, value in headers.items()}["traceparent"] for headers, body, _ in hook.heard}
        _, trace, span, flags = traceparents[prediction["id"]].split("-")
        assert trace == TRACE and span != "00f067aa0ba902b7" and flags == "01", traceparents
        assert traceparents[other["id"]].split("-")[1] != TRACE
        server.ask("GET", f"/v1/predictions/{prediction['id']}")
        server.stop()
        lines = [json.loads(line) for line in open(os.path.join(server.data, "log"))]
        assert all({"time", "level", "message"} <= line.keys() for line in lines), lines
        about = [line for line in lines if line.get("prediction") == prediction["id"]]
        assert all(line["trace"] == TRACE for line in about), about
        messages = " ".join(line["message"] for line in about)
        assert "begins" in messages and "succeeded" in messages and "POST /predictions" in messages and "GET /predictions/" in messages, messages
        requests = [line for line in about if line.get("route") == "/predictions/{prediction_id}"]
        assert requests and requests[0]["method"] == "GET" and requests[0]["status"] == 200 and requests[0]["milliseconds"] >= 0, requests
        assert all(line.get("prediction") for line in lines if prediction["id"] in line["message"]), lines
    with Server("--workers", "0") as server:
        prediction = server.create(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        assert server.ask("GET", "/v1/predictions/" + prediction["id"]).status == 200
        server.stop()
        assert f"{prediction['id']} 201" in open(os.path.join(server.data, "log")).read()
        assert f"trace={TRACE}" in open(os.path.join(server.data, "log")).read()


@case
def a_line_has_an_end():
    with Server("--workers", "0", "--queue", "3") as server:
        tokens = [program("token", "create", name, "--data", server.data).stdout.strip() for name in ("alice", "bob")]
        ask = lambda token: server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Authorization=f"Bearer {token}")
        made = [ask(tokens[0]) for _ in range(3)]
        assert [answer.status for answer in made] == [201] * 3
        full = ask(tokens[0])
        assert full.status == 429 and int(full.headers["Retry-After"]) == full.json["retry_after"] > 0, full.body
        assert full.headers["x-should-retry"] == "false" and "3 of your predictions" in full.json["detail"]
        assert ask(tokens[1]).status == 201  # another's line is another's
        server.ask("POST", f"/v1/predictions/{made[1].json['id']}/cancel", Authorization=f"Bearer {tokens[0]}")
        until(lambda: ask(tokens[0]).status == 201)


@case
def priorities():
    with Server("--workers", "0") as server:
        assert program("token", "create", "alice", "--data", server.data).returncode == 0
        assert program("token", "create", "bob", "--priority", "7", "--data", server.data).returncode == 0
        assert program("token", "set", "alice", "--priority", "-3", "--data", server.data).returncode == 0
        assert program("token", "set", "nobody", "--priority", "1", "--data", server.data).returncode == 3
        assert program("token", "set", "alice", "--priority", "101", "--data", server.data).returncode == 2
        lines = program("token", "list", "--data", server.data).stdout.splitlines()
        assert "priority -3" in lines[0] and "priority 7" in lines[1], lines


@case
def running_for_too_long():
    with Server("--run-limit", "2") as server:
        prediction = server.create({"input": LONG})
        ended = until(lambda: (now := server.ask("GET", f"/predictions/{prediction['id']}").json)["status"] in ("failed", "succeeded") and now)
        assert ended["status"] == "failed" and "2 seconds" in ended["error"], ended


@case
def aborted_where_asked_for():
    with Server("--workers", "0", "--say-aborted") as server:
        prediction = server.create(Cancel_After="5s")
        ended = until(lambda: (now := server.ask("GET", f"/v1/predictions/{prediction['id']}").json)["status"] != "starting" and now)
        assert ended["status"] == "aborted", ended
        assert server.ask("POST", f"/v1/predictions/{server.create()['id']}/cancel").json["status"] == "canceled"


@case
def origins():
    with Server("--workers", "0", "--cors", "https://app.example, http://localhost:3000") as server:
        answer = server.ask("OPTIONS", "/v1/predictions", Origin="https://app.example", Access_Control_Request_Method="POST")
        assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        for header in ("Authorization", "Content-Type", "Prefer", "Cancel-After", "Last-Event-ID"):
            assert header in answer.headers["Access-Control-Allow-Headers"]
        answer = server.ask("GET", "/v1/predictions", Origin="http://localhost:3000")
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000" and answer.headers["Vary"] == "Origin"
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Origin="https://app.example").status == 201
        answer = server.ask("OPTIONS", "/v1/predictions", Origin="https://other.example", Access_Control_Request_Method="POST")
        assert answer.headers["Access-Control-Allow-Origin"] is None
        assert server.ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, Origin="https://other.example").status == 403


@case
def public_urls():
    with Server("--workers", "0", "--public-url", "https://paint.example/here/") as server:
        prediction = server.create(X_Forwarded_Host="elsewhere")
        assert prediction["urls"]["get"] == f"https://paint.example/here/v1/predictions/{prediction['id']}"


@case
def thumbnails():
    import base64, random, struct, zlib
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    def png(width, height):
        noise = random.Random(1)
        rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    form = lambda content: b'--X\r\nContent-Disposition: form-data; name="content"\r\n\r\n' + content + b"\r\n--X--"
    multipart = {"Content_Type": "multipart/form-data; boundary=X"}
    with Server("--workers", "0") as server:
        tokens = {name: {"Authorization": "Bearer " + program("token", "create", name, "--data", server.data).stdout.strip()} for name in ("alice", "bob")}
        until(lambda: server.ask("GET", "/v1/account").status == 401)
        file = server.ask("POST", "/v1/files", form(png(600, 400)), **tokens["alice"], **multipart).json
        path = f"/v1/files/{file['id']}/thumbnail"
        small = server.ask("GET", path, **tokens["alice"])
        assert small.status == 200 and small.getheader("Content-Type") == "image/jpeg" and small.body[:2] == b"\xff\xd8", small.body
        assert len(server.ask("GET", path + "?size=32", **tokens["alice"]).body) < len(small.body)
        assert server.ask("GET", path, If_None_Match=small.getheader("ETag"), **tokens["alice"]).status == 304
        assert server.ask("GET", path + "?size=32", If_None_Match=small.getheader("ETag"), **tokens["alice"]).status == 200
        assert server.ask("GET", path).status == 401 and server.ask("GET", path, **tokens["bob"]).status == 404
        for size in ("15", "513", "x", "", "-1", "1e2", "99999999999999999999"):
            assert server.ask("GET", f"{path}?size={size}", **tokens["alice"]).status == 422, size
        text = server.ask("POST", "/v1/files", form(b"words"), **tokens["alice"], **multipart).json
        assert server.ask("GET", f"/v1/files/{text['id']}/thumbnail", **tokens["alice"]).status == 404
        assert server.ask("DELETE", f"/v1/files/{file['id']}", **tokens["alice"]).status == 204
        assert server.ask("GET", path, **tokens["alice"]).status == 404
        # A picture at a path that is the permission itself.
        image = "data:image/png;base64," + base64.b64encode(png(400, 300)).decode()
        url = server.create({"input": {"image": image}}, **tokens["alice"])["input"]["image"]
        path = url.split(str(server.port), 1)[1] + "/thumbnail"
        small = server.ask("GET", path)
        assert small.status == 200 and small.body[:2] == b"\xff\xd8" and len(small.body) < len(image) / 4, small.body
        assert server.ask("HEAD", path).getheader("Content-Length") == str(len(small.body))
        assert server.ask("GET", "/v1/outputs/0123456789abcdef.png/out.png/thumbnail").status == 404


@case
def the_document_is_packed():
    import gzip
    with Server("--workers", "0") as server:
        plain, packed = server.ask("GET", "/openapi.json"), server.ask("GET", "/openapi.json", Accept_Encoding="br, gzip;q=0.8")
        assert plain.getheader("Content-Encoding") is None and packed.getheader("Content-Encoding") == "gzip"
        assert "Accept-Encoding" in plain.getheader("Vary") and "Accept-Encoding" in packed.getheader("Vary")
        assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 4


@case
def streams_are_kept_alive():
    with Server("--workers", "0") as server:
        prediction = server.create()
        stream = socket.create_connection(("127.0.0.1", server.port), 60)
        stream.sendall(f"GET {prediction['urls']['stream'].split(str(server.port))[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        text = b""
        while b": hi\n\n" not in text:
            text += stream.recv(65536)
        began = time.monotonic()
        more = stream.recv(65536)
        # Every 10 seconds; clients give up after 30.
        assert 1 < time.monotonic() - began < 25 and b": hi\n" in more and b": hi\n\n" not in more, more


run_cases()
