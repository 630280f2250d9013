"""What the tests of the service share: servers of their own, a receiver of webhooks, cases."""
import base64, concurrent.futures, http.client, http.server, json, os, shutil, signal, subprocess, sys, tempfile, threading, time, traceback

PROGRAM = os.environ["INPAINTD"]
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"


def uri(name):
    with open(os.path.join(HERE, "../clients", name), "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


INPUT = {"prompt": "settings", "image": uri("photo.png"), "mask": uri("mask.png"), "num_inference_steps": 1}
# Minutes of work, seconds on the fastest machine: what must still be running when the test looks.
LONG = {"image": uri("large.png"), "mask": uri("large-mask.png"), "num_inference_steps": 500, "num_outputs": 4}


class Server:
    def __init__(self, *options, data=None, port=0, host="127.0.0.1"):
        self.data = data or tempfile.mkdtemp()
        self.tls = None  # an ssl.SSLContext, for a server that speaks https
        self.log = open(os.path.join(self.data, "log"), "ab")
        self.process = subprocess.Popen([PROGRAM, "serve", "--listen", f"{host}:{port}", "--data", self.data, *options], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), open(os.path.join(self.data, "log")).read()
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        code = self.stop()
        with open(os.path.join(self.data, "log"), errors="replace") as log:
            text = log.read()
        os.environ.get("KEEP") or shutil.rmtree(self.data, ignore_errors=True)
        if failure is None:  # else it says more
            assert code in (0, -signal.SIGKILL) and "Sanitizer" not in text and "runtime error:" not in text, (code, text[-4000:])

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(60)

    def ask(self, method, path, body=None, **headers):
        secure = {"context": self.tls} if self.tls else {}
        connection = (http.client.HTTPSConnection if self.tls else http.client.HTTPConnection)("127.0.0.1", self.port, timeout=90, **secure)
        data = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        answer.json = json.loads(text) if text[:1] in (b"{", b"[") else None
        answer.body = text
        return answer

    def create(self, more={}, **headers):
        body = {"version": VERSION, "input": {**INPUT, **more.get("input", {})}, **{key: value for key, value in more.items() if key != "input"}}
        answer = self.ask("POST", "/v1/predictions", body, **headers)
        assert answer.status == 201, answer.body
        return answer.json


def program(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120)


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return result


class Receiver:
    """An HTTP server that notes what is posted; answers(n) is the n-th status."""

    def __init__(self, answers=lambda n: 200):
        heard = self.heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = answers(len(heard))
                heard.append((dict(self.headers), body, status))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


CASES = []


def case(function):
    CASES.append(function)
    return function


def run(function):
    began = time.monotonic()
    try:
        function()
    except Exception:
        print(f"FAIL {function.__name__}\n{traceback.format_exc()}", flush=True)
        return False
    print(f"ok   {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    return True


def run_cases():
    """All cases, or those named on the command line; several at once, because they mostly wait for clocks."""
    wanted = [function for function in CASES if not sys.argv[1:] or function.__name__ in sys.argv[1:]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        fine = all(list(pool.map(run, wanted)))
    sys.exit(not fine)
