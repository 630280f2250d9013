"""Raw-socket cases. Usage: raw.py http://HOST:PORT"""
import base64, json, socket, sys, threading, time
from urllib.parse import urlparse

HOST, PORT = urlparse(sys.argv[1]).hostname, urlparse(sys.argv[1]).port
NAME = f"{HOST}:{PORT}"
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
# A grey picture of 64 x 64 pixels and a mask whose right half is white, both PNG.
import struct, zlib


def png(pixel, side=64):
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


IMAGE, MASK = png(lambda x, y: (x * 4) & 255), png(lambda x, y: 255 if x >= 32 else 0)
uri = lambda data: "data:image/png;base64," + base64.b64encode(data).decode()
INPUT = {"image": uri(IMAGE), "mask": uri(MASK), "num_inference_steps": 1, "prompt": "raw"}
BODY = json.dumps({"version": VERSION, "input": INPUT}).encode()
# Minutes of work, seconds on the fastest machine: what must still be running when the test looks.
LONG_INPUT = {"image": uri(png(lambda x, y: x, 256)), "mask": uri(png(lambda x, y: 255 if x >= 128 else 0, 256)), "num_inference_steps": 500, "num_outputs": 4}
LONG = json.dumps({"version": VERSION, "input": LONG_INPUT}).encode()


class Answer:
    def __init__(self, status, headers, body, interim):
        self.status, self.headers, self.body, self.interim = status, headers, body, interim

    def json(self):
        return json.loads(self.body)


class Wire:
    """A connection, and one HTTP answer at a time from it."""

    def __init__(self, timeout=90):
        self.socket = socket.create_connection((HOST, PORT), timeout)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece if isinstance(piece, bytes) else piece.encode())

    def request(self, line, headers=(), body=None, host=NAME):
        lines = [f"{line} HTTP/1.1", f"Host: {host}", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n", body or b"")

    def more(self):
        data = self.socket.recv(65536)
        self.rest += data
        return data != b""

    def until(self, mark):
        while mark not in self.rest:
            if not self.more():
                raise EOFError(f"closed before {mark!r}; had {self.rest[:200]!r}")
        before, self.rest = self.rest.split(mark, 1)
        return before

    def exactly(self, count):
        while len(self.rest) < count:
            if not self.more():
                raise EOFError("closed within a body")
        before, self.rest = self.rest[:count], self.rest[count:]
        return before

    def answer(self, head=False):
        interim = []
        while True:
            lines = self.until(b"\r\n\r\n").decode("latin1").split("\r\n")
            version, status, *reason = lines[0].split(" ", 2)
            assert version.startswith("HTTP/1.") and reason and reason[0], lines[0]
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
            if status != "100":
                break
            interim.append(100)
        body = b""
        if head or status in ("204", "304"):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.until(b"\r\n")
            self.until(b"\r\n")
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        else:
            while self.more():
                pass
            body, self.rest = self.rest, b""
        return Answer(int(status), headers, body, interim)

    def closed(self):
        try:
            return not self.more()
        except ConnectionResetError:
            return True


def ask(line, headers=(), body=None, **more):
    with Wire() as wire:
        wire.request(line, headers, body, **more)
        return wire.answer(head=line.startswith("HEAD"))


def is_problem(answer, status):
    assert answer.status == status, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json", answer.headers
    problem = answer.json()
    assert problem["status"] == status and problem["detail"], problem


CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def keep_alive_and_pipelining():
    with Wire() as wire:
        one = f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
        post = f"POST /v1/predictions HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        wire.send(one, one, post, f"GET /nowhere HTTP/1.1\r\nHost: {NAME}\r\n\r\n", one)
        assert [wire.answer().status for _ in range(5)] == [200, 200, 201, 404, 200]


@case
def created_answer_has_its_headers():
    answer = ask("POST /v1/predictions", ["Prefer: wait=1"], BODY)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == answer.json()["urls"]["get"] == f"http://{NAME}/v1/predictions/{answer.json()['id']}"
    assert answer.json()["status"] in ("starting", "succeeded", "failed"), answer.json()["status"]


@case
def chunked_body_in_tiny_pieces():
    with Wire() as wire:
        wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(BODY), 7):
            piece = BODY[i : i + 7]
            wire.send(f"{len(piece):X};note=1\r\n", piece, "\r\n")
        wire.send("0\r\nTrailer: yes\r\n\r\n")
        assert wire.answer().status == 201


@case
def broken_chunks():
    for broken in ("zz\r\nabc\r\n", "-5\r\nabc\r\n", "FFFFFFFFFFFFFFFFF\r\nabc\r\n", "3\r\nabcdef\r\n"):
        with Wire() as wire:
            wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n{broken}")
            try:
                assert wire.answer().status in (400, 413)
            except (EOFError, ConnectionResetError):
                pass


@case
def expect_continue():
    with Wire() as wire:
        wire.send(f"POST /v1/predictions HTTP/1.1\r\nHost: {NAME}\r\nExpect: 100-continue\r\nContent-Length: {len(BODY)}\r\n\r\n")
        assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        wire.send(BODY)
        assert wire.answer().status == 201
    with Wire() as wire:  # refused before anything was sent
        wire.send(f"POST /v1/predictions HTTP/1.1\r\nHost: {NAME}\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n")
        answer = wire.answer()
        is_problem(answer, 413)
        assert not answer.interim


@case
def oversized_heads():
    with Wire() as wire:
        try:
            wire.send(f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nX-Large: ", "y" * 200000, "\r\n\r\n")
            assert wire.answer().status == 431
        except (BrokenPipeError, ConnectionResetError):
            pass
    with Wire() as wire:
        try:
            wire.send("GET /", "y" * 200000, f" HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
            assert wire.answer().status in (414, 431)
        except (BrokenPipeError, ConnectionResetError):
            pass
    is_problem(ask("GET /healthz", ["X-Large: " + "y" * 25000]), 431)
    is_problem(ask("GET /healthz?" + "y" * 9000), 414)
    assert ask("GET /healthz", ["X-Fine: " + "y" * 20000]).status == 200


@case
def half_closed_sockets():
    for line, headers, body in (("GET /v1/predictions", [], None), ("POST /predictions", ["Prefer: wait=1"], BODY)):
        with Wire() as wire:
            wire.request(line, [*headers, "Connection: close"], body)
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.answer().status in (200, 201)


@case
def slow_bodies_hold_nobody_up():
    slow = [Wire() for _ in range(50)]
    for wire in slow:
        wire.send(f"POST /v1/predictions HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(BODY)}\r\n\r\n", BODY[:10])
    assert ask("GET /healthz").status == 200
    for wire in slow[1:]:
        wire.socket.close()
    for i in range(10, len(BODY), 100):
        slow[0].send(BODY[i : i + 100])
    assert slow[0].answer().status == 201


@case
def clients_that_leave():
    with Wire() as wire:
        wire.request("POST /v1/predictions", ["Prefer: wait=2"], BODY)
    with Wire() as wire:
        wire.send(f"POST /v1/files HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: 1000\r\n\r\n")
        wire.send('--X\r\nContent-Disposition: form-data; name="content"\r\n\r\nabc')
    time.sleep(0.2)
    assert ask("GET /healthz").status == 200


@case
def ambiguous_lengths():
    with Wire() as wire:
        wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert wire.answer().status == 400
        assert wire.closed()
    with Wire() as wire:
        wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: -5\r\n\r\n")
        assert wire.answer().status in (400, 413)


@case
def smuggled_requests():
    """Heads whose end, length or owner two programs could see differently are refused, and the connection with them."""
    post, inner = f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\n", f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
    for status, head in ((400, post + "Content-Length: 0\r\nContent-Length: 50\r\n"), (400, post + "Content-Length: 5\r\nContent-Length: 5\r\n"),
                         (400, post + "Content-Length : 50\r\n"), (400, post + "Bad Name: 1\r\n"), (400, f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nHost: evil.example\r\n"),
                         (400, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                         (501, post + "Transfer-Encoding: gzip\r\n"), (501, post + "Transfer-Encoding: gzip, chunked\r\n"), (501, post + "Transfer-Encoding: \x0bchunked\r\n")):
        with Wire() as wire:
            wire.send(head, "\r\n", inner)
            is_problem(wire.answer(), status)
            assert wire.rest == b"" and wire.closed(), (head, wire.rest)


@case
def hosts():
    with Wire() as wire:
        wire.send("GET /v1/predictions HTTP/1.1\r\n\r\n")
        is_problem(wire.answer(), 400)
    with Wire() as wire:
        wire.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.closed()
    for host in ("a b", "a/b", "a@b", "a:99999999", "<script>"):
        is_problem(ask("GET /healthz", host=host), 400)
    answer = ask("POST /predictions", ["X-Forwarded-Proto: https", "X-Forwarded-Host: paint.example"], BODY)
    assert answer.json()["urls"]["get"].startswith("https://paint.example/v1/predictions/"), answer.json()["urls"]
    answer = ask("POST /predictions", ["X-Forwarded-Host: evil\" onload=x", "X-Forwarded-Proto: javascript"], BODY)
    assert answer.json()["urls"]["get"].startswith(f"http://{NAME}/"), answer.json()["urls"]


@case
def methods():
    answer = ask("QUERY /v1/models", ["Content-Type: text/plain"], b'"inpainting"')
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    is_problem(ask("PUT /v1/predictions/abc", body=b"{}"), 405)
    is_problem(ask("BREW /nowhere"), 404)
    is_problem(ask("get /healthz"), 405)
    is_problem(ask("A_VERY_LONG_METHOD_NAME_INDEED /healthz"), 405)
    answer = ask("OPTIONS /v1/predictions")
    assert answer.status == 204 and answer.headers["allow"] == "POST, GET, HEAD, OPTIONS"
    assert "access-control-allow-origin" not in answer.headers
    full, head = ask("GET /v1/account"), ask("HEAD /v1/account")
    assert head.status == 200 and head.headers["content-length"] == str(len(full.body))


@case
def paths():
    for path in ("/predictions/%zz", "/%", "/predictions/%f"):
        is_problem(ask(f"GET {path}"), 400)
    for path in ("/v2/predictions", "/predictions/../healthz", "/%2e%2e/etc/passwd", "//healthz", "/outputs/../../db", "/outputs/..%2f..%2fdb/x",
                 "/a/b/c/d/e/f/g/h/i/j", "/predictions/nobody", "/v1", "/%00", "/predictions/%0d%0a", "/healthz%00"):
        is_problem(ask(f"GET {path}"), 404)
    for path in ("/healthz", "/v1/healthz", "/v1/v1/healthz", "/healthz/", f"http://{NAME}/v1/healthz", f"/v1/http://{NAME}/v1/healthz?x=1", "/healthz?a=%zz"):
        assert ask(f"GET {path}").status == 200, path


def part(name, data, more="", kind=None):
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n'
    return (head + (f"Content-Type: {kind}\r\n" if kind else "") + "\r\n").encode() + data + b"\r\n"


MULTIPART = ["Content-Type: multipart/form-data; boundary=XX"]


@case
def uploads():
    body = part("metadata", b'{"a":1}', '; filename="blob"', "application/json") + part("content", IMAGE, '; filename="../x/p\\"q.png"', "image/png") + b"--XX--\r\n"
    answer = ask("POST /v1/files", MULTIPART, body)
    assert answer.status == 201, answer.body
    file = answer.json()
    import hashlib
    assert file["size"] == len(IMAGE) and file["etag"] == file["checksums"]["md5"] == hashlib.md5(IMAGE).hexdigest()
    assert file["checksums"]["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert file["name"] == 'p"q.png' and file["metadata"] == {"a": 1} and file["content_type"] == "image/png"
    assert ask(f"GET /v1/files/{file['id']}").json() == file
    assert ask(f"GET /v1/files/{file['id']}/download").body == IMAGE
    # the file's URL as an input, resolved inside; echoed as it was sent
    create = json.dumps({"version": VERSION, "input": {**INPUT, "image": file["urls"]["get"]}}).encode()
    answer = ask("POST /predictions", ["Prefer: wait=60"], create)
    assert answer.json()["input"]["image"] == file["urls"]["get"] and "_image" not in answer.json()["input"]
    assert answer.json()["status"] == "succeeded", answer.json()
    assert ask(f"DELETE /v1/files/{file['id']}").status == 204
    is_problem(ask(f"GET /v1/files/{file['id']}"), 404)
    is_problem(ask(f"DELETE /v1/files/{file['id']}"), 404)
    empty = ask("POST /files", MULTIPART, part("content", b"", '; filename="e"') + b"--XX--")
    assert empty.status == 201 and empty.json()["size"] == 0
    assert empty.json()["etag"] == "d41d8cd98f00b204e9800998ecf8427e"
    with Wire() as wire:
        wire.send(f"POST /files HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n{MULTIPART[0]}\r\n\r\n")
        for i in range(0, len(body), 11):
            wire.send(f"{len(body[i:i + 11]):x}\r\n", body[i : i + 11], "\r\n")
        wire.send("0\r\n\r\n")
        assert wire.answer().json()["etag"] == file["etag"]


@case
def broken_uploads():
    good = part("content", b"abc", '; filename="x"')
    for body in (b"", good, b"--XX", b"--XXjunk", b"nothing at all", part("content", b"a") + part("content", b"b") + b"--XX--", part("other", b"x") + b"--XX--",
                 part("metadata", b"[1]") + good + b"--XX--", part("metadata", b"{oops") + good + b"--XX--", b"--XX\r\n" + b"X: y\r\n" * 5000 + b"\r\n\r\n--XX--"):
        is_problem(ask("POST /v1/files", MULTIPART, body), 400)
    for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary="):
        is_problem(ask("POST /v1/files", [f"Content-Type: {kind}"], good), 400)
    is_problem(ask("POST /v1/files", [], good), 400)


@case
def too_large():
    with Wire() as wire:
        wire.send(f"POST /v1/files HTTP/1.1\r\nHost: {NAME}\r\n{MULTIPART[0]}\r\nContent-Length: 105000000\r\n\r\n", part("content", b"")[:-2])
        piece = b"\0" * 1000000
        for _ in range(104):
            wire.send(piece)
        wire.send(b"\0" * (105000000 - 104000000 - len(part("content", b"")[:-2])))
        answer = wire.answer()
        is_problem(answer, 413)
        assert answer.json()["detail"] == "Files must be less than 100MB in size"
    with Wire() as wire:
        wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 40000000\r\n\r\n")
        for _ in range(40):
            wire.send(piece)
        is_problem(wire.answer(), 413)
    with Wire() as wire:  # nobody said how much it would be
        wire.send(f"POST /predictions HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            wire.send(f"{len(piece):x}\r\n", piece, "\r\n")
        wire.send("0\r\n\r\n")
        is_problem(wire.answer(), 413)


@case
def json_bodies():
    for body in (b"", b"{", b"nonsense", b'{"a":"\xff"}', b"[" * 100000, b"[" + b"0," * 100000 + b"0]", b'{"version": 1e999999}'):
        is_problem(ask("POST /predictions", ["Content-Type: application/json"], body), 400)
    for body in (b"[]", b"null", b"3", b'{"input":{}}', b'{"version":"x","input":{}}', b'{"version":"x","input":{},"extra":1}', BODY.replace(b'"prompt"', b'"seed": 99999999999999999999999, "prompt"')):
        is_problem(ask("POST /predictions", [], body), 422)
    large = {**INPUT, "image": "data:image/png;base64," + base64.b64encode(IMAGE + b"\0" * 900000).decode()}
    answer = ask("POST /predictions", ["Prefer: wait=60"], json.dumps({"version": VERSION, "input": large}).encode())
    assert answer.status == 201 and answer.json()["status"] == "succeeded", answer.body[-300:]
    held = answer.json()["input"]["image"]
    assert held.startswith(f"http://{NAME}/v1/outputs/"), held[:80]
    assert ask("GET " + held[len(f"http://{NAME}") :]).body == IMAGE + b"\0" * 900000


@case
def cancel_with_a_body_nobody_reads():
    prediction = ask("POST /predictions", [], LONG).json()
    path = f"/v1/predictions/{prediction['id']}"
    for body in (b"", b"{broken"):
        answer = ask(f"POST {path}/cancel", ["Content-Type: application/json"], body)
        assert answer.status == 200 and answer.json()["status"] == "canceled", answer.body
        assert answer.json()["output"] is None and answer.json()["logs"] is not None and answer.json()["completed_at"] and answer.json()["metrics"]
    assert ask(f"GET {path}").json()["status"] == "canceled"


@case
def outputs():
    prediction = ask("POST /predictions", ["Prefer: wait=60"], BODY).json()
    assert prediction["status"] == "succeeded", prediction
    path = urlparse(prediction["output"][0]).path
    whole = ask(f"GET {path}")
    assert whole.status == 200 and whole.headers["content-type"] == "image/png" and path.endswith("/out-0.png")
    assert whole.headers["access-control-allow-origin"] == "*" and whole.headers["accept-ranges"] == "bytes"
    length = len(whole.body)
    head = ask(f"HEAD {path}")
    assert head.headers["content-length"] == str(length) and head.headers["etag"] == whole.headers["etag"]
    for text, status, data in (("bytes=0-3", 206, whole.body[:4]), ("bytes=5-", 206, whole.body[5:]), ("bytes=-4", 206, whole.body[-4:]), ("bytes=0-99999999", 206, whole.body),
                               ("bytes=3-1", 200, whole.body), ("bytes=0-1,3-4", 200, whole.body), ("lines=1-2", 200, whole.body), ("bytes=x-y", 200, whole.body)):
        answer = ask(f"GET {path}", [f"Range: {text}"])
        assert (answer.status, answer.body) == (status, data), (text, answer.status)
    answer = ask(f"GET {path}", ["Range: bytes=99999999-"])
    is_problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{length}"
    assert ask(f"GET {path}", ["If-None-Match: " + whole.headers["etag"]]).status == 304
    is_problem(ask("GET /v1/outputs/unknown.png/out-0.png"), 404)


@case
def streams():
    prediction = ask("POST /predictions", [], BODY).json()
    path = urlparse(prediction["urls"]["stream"]).path
    assert path.startswith("/v1/files/stream/")
    answer = ask(f"GET {path}", ["Accept: text/event-stream"])
    assert answer.status == 200 and answer.headers["content-type"] == "text/event-stream" and answer.headers["cache-control"] == "no-store"
    text = answer.body.decode()
    assert text.startswith(": hi\n\n") and "\r" not in text
    events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text[6:].replace(": hi\n", "").strip().split("\n\n")]
    assert [event["event"] for event in events] == ["output", "done"], events
    assert events[1]["data"] == "{}" and events[0]["data"].endswith("/out-0.png")
    again = ask(f"GET {path}", ["Last-Event-ID: " + events[0]["id"]]).body.decode()
    assert "event: output" not in again and "event: done" in again
    assert ask(f"GET {path}?logs=1").body.decode().count("event: logs\n") >= 1
    assert ask(f"HEAD {path}").status == 200
    is_problem(ask("GET /v1/files/stream/unknown"), 404)


@case
def many_streams_at_once():
    slow = ask("POST /predictions", [], LONG).json()
    path = urlparse(slow["urls"]["stream"]).path
    wires = [Wire() for _ in range(200)]
    for wire in wires:
        wire.request(f"GET {path}")
    for wire in wires:
        wire.until(b": hi\n\n")
    for wire in wires[::2]:
        wire.socket.close()
    ask(f"POST /predictions/{slow['id']}/cancel")
    for wire in wires[1::2]:
        assert b'{"reason":"canceled"}' in wire.until(b"0\r\n\r\n")
        wire.socket.close()


@case
def waiting():
    began = time.monotonic()
    answer = ask("POST /predictions", ["Prefer: wait=1"], LONG)
    assert time.monotonic() - began > 0.9
    assert answer.json()["status"] == "starting" and answer.json()["output"] is None
    # canceled while somebody waits: the waiter hears of it
    result = {}
    def wait():
        result["answer"] = ask("POST /predictions", ["Prefer: wait=60"], LONG)
    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive():
        for prediction in ask("GET /predictions").json()["results"]:
            if prediction["status"] in ("starting", "processing"):
                ask(f"POST /predictions/{prediction['id']}/cancel")
        thread.join(0.2)
    assert result["answer"].json()["status"] == "canceled"


@case
def lists():
    first = ask("GET /predictions").json()
    assert first["previous"] is None and first["results"]
    ids = [prediction["id"] for prediction in first["results"]]
    assert len(set(ids)) == len(ids)
    created = first["results"][0]["created_at"].replace("Z", "+00:00")
    newest = ask(f"GET /predictions?created_after={created}").json()["results"]
    assert [prediction["id"] for prediction in newest][:1] == ids[:1]
    older = ask(f"GET /predictions?created_before={created}").json()["results"]
    assert ids[0] not in [prediction["id"] for prediction in older]
    for query in ("created_after=yesterday", "source=api"):
        is_problem(ask(f"GET /predictions?{query}"), 422)
    is_problem(ask("GET /predictions?cursor=oops"), 404)
    assert ask("GET /predictions?source=web").json()["results"] == []


@case
def deadlines():
    answer = ask("POST /predictions", ["Cancel-After: 1m"], BODY).json()
    assert answer["deadline"] > answer["created_at"]
    is_problem(ask("POST /predictions", ["Cancel-After: 4s"], BODY), 422)
    is_problem(ask("POST /predictions", ["Cancel-After: soon"], BODY), 422)


@case
def pages_of_others():
    is_problem(ask("POST /predictions", ["Origin: https://evil.example"], BODY), 403)
    is_problem(ask("POST /predictions", ["Origin: null"], BODY), 403)
    is_problem(ask("GET /predictions", ["User-Agent: Mozilla/5.0"], host="evil.example"), 403)
    answer = ask("POST /predictions", [f"Origin: http://{NAME}"], BODY)
    assert answer.status == 201 and answer.json()["source"] == "web"
    page = ask("GET /")
    assert page.status == 200 and "script-src 'self'" in page.headers["content-security-policy"]
    assert ask("GET /", ["If-None-Match: " + page.headers["etag"]]).status == 304


failures = 0
for function in CASES:
    if sys.argv[2:] and function.__name__ not in sys.argv[2:]:
        continue
    began = time.monotonic()
    try:
        function()
        print(f"ok   {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    except Exception:
        import traceback
        failures += 1
        print(f"FAIL {function.__name__}", flush=True)
        traceback.print_exc()
sys.exit(failures != 0)
