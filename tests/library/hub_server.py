"""A Hub on loopback: the two routes that a pull uses, over a folder OWNER/NAME/FILES, well-behaved or not.

hub_server.py ROOT LOG    prints the address; the endpoint is ADDRESS/MODE, and MODE says how it behaves (below).
Large files (as on the real one) are redirected, first by a relative Location, then to a signed URL of another
host (127.0.0.2), which refuses tokens. LOG gets one line of JSON for each answer: host, mode, path, range, token, status, bytes."""
import hashlib, http.server, json, os, sys, threading, time, urllib.parse

ROOT, LOG = sys.argv[1], open(sys.argv[2], "a", buffering=1)
LARGE = 100_000
REVISION = "8a4288a76071f7280aedbdb3253bdb9e9d5d84bb"
lock = threading.Lock()
seen = {}  # (mode, path): how many answers with content were begun


def count(*key):
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key]


def listing(mode, name):
    folder = os.path.join(ROOT, name)
    files = []
    for base, _, names in sorted(os.walk(folder)):
        for leaf in sorted(names):
            path = os.path.relpath(os.path.join(base, leaf), folder)
            data = open(os.path.join(base, leaf), "rb").read()
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            file = {"rfilename": path, "size": len(data), "blobId": git}
            if len(data) >= LARGE:
                file["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            files.append(file)
    if mode == "dots":
        files.append({"rfilename": "../../escaped.txt", "size": 3, "blobId": "0" * 40})
    if mode == "negative":
        files[0]["size"] = -5
        files[0].pop("lfs", None)
    if mode == "huge":
        for file in files:
            if "lfs" in file:
                file["lfs"]["size"] = file["size"] = 10**11
    if mode == "absurd":
        files[-1]["size"] = 2**62
        files[-1].pop("lfs", None)
    return {"id": name, "sha": REVISION, "tags": ["license:creativeml-openrail-m"], "cardData": {"license": "creativeml-openrail-m"}, "siblings": files}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, status, sent):
        LOG.write(json.dumps({"host": self.server.server_address[0], "mode": self.mode, "path": self.rest, "range": self.headers.get("Range"),
                              "token": self.headers.get("Authorization"), "status": status, "bytes": sent}) + "\n")

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.note(status, len(body))

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        _, self.mode, self.rest = url.path.split("/", 2)
        self.rest = urllib.parse.unquote(self.rest)
        try:
            if self.server.server_address[0] == "127.0.0.2":
                self.content(url.query)
            elif self.rest.startswith("api/models/"):
                self.api(self.rest[len("api/models/"):].split("/revision/")[0])
            elif self.rest.startswith("api/resolve-cache/"):
                self.redirect("http://127.0.0.2:%d/%s/%s?X-Signature=%d" % (CDN.server_address[1], self.mode, urllib.parse.quote(self.rest[18:]), time.time_ns()))
            else:
                self.resolve()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def redirect(self, to):
        self.answer(302, Location=to, X_Linked_Size="1", X_Linked_Etag='"x"')

    def api(self, name):
        if self.mode == "gated":
            return self.answer(401, b'{"error":"Access to model is restricted."}')
        if self.mode == "trouble" and count("trouble", name) < 3:
            return self.answer(503, b"later")
        if self.mode == "garbage":
            return self.answer(200, b"<html>hello</html>")
        if self.mode == "loop":
            return self.redirect("/loop/api/models/" + name)
        if self.mode == "endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b"[" * 65536)
            finally:
                self.note(200, -1)
        if not os.path.isdir(os.path.join(ROOT, name)):
            return self.answer(404, b'{"error":"Repository not found"}')
        self.answer(200, json.dumps(listing(self.mode, name)).encode())

    def resolve(self):
        owner, name, _, _, path = self.rest.split("/", 4)
        file = os.path.join(ROOT, owner, name, path)
        if not os.path.isfile(file):
            return self.answer(404, b"Entry not found")
        if os.path.getsize(file) >= LARGE:
            return self.redirect("/%s/api/resolve-cache/%s" % (self.mode, urllib.parse.quote("%s/%s/%s" % (owner, name, path))))
        self.rest = "%s/%s/%s" % (owner, name, path)
        self.content("")

    def content(self, query):
        if self.headers.get("Authorization") and self.server.server_address[0] == "127.0.0.2":
            return self.answer(400, b"only one authentication mechanism allowed")
        times = count(self.mode, self.rest)
        if self.mode == "expired" and times % 3 == 2:
            return self.answer(403, b"Request has expired")
        data = open(os.path.join(ROOT, self.rest), "rb").read()
        size, first, end, status = len(data), 0, len(data), 200
        etag = '"%s"' % hashlib.md5(data).hexdigest()
        if self.mode == "moving" and times > 2:
            etag = '"another"'
        wanted = self.headers.get("Range")
        if self.headers.get("If-Range", etag) != etag:
            wanted = None
        if wanted and self.mode != "noranges":
            first, last = wanted.split("=")[1].split("-")
            first, end, status = int(first), min(int(last or size - 1), size - 1) + 1, 206
        if (self.mode == "damaged" or self.mode == "damaged-once" and times == 1) and size >= LARGE:
            data = data[:first] + bytes([data[first] ^ 1]) + data[first + 1:]
        body = data[first:end]
        if self.mode == "longer":
            body += b"x" * 100_000
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first + (self.mode == "shifted"), end - 1, size))
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.mode == "dropping" and len(body) > 150_000:
            body = body[:150_000]
            self.close_connection = True
        sent = 0
        try:
            while sent < len(body):
                piece = body[sent:sent + 16384]
                self.wfile.write(piece)
                sent += len(piece)
                if self.mode == "slow":
                    time.sleep(0.02)
        finally:
            self.note(status, sent)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that leave are what this is about


CDN = Server(("127.0.0.2", 0), Handler)
HUB = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=CDN.serve_forever, daemon=True).start()
print("http://127.0.0.1:%d" % HUB.server_address[1], flush=True)
HUB.serve_forever()
