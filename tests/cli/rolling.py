"""Three services and two workers, each with a data folder of its own, restarted one after the other behind HAProxy while clients create, wait, ask,
list, upload, download, cancel and follow streams. INPAINT_STORE, INPAINT_BLOBS: what they share. Every answer is counted."""
import base64, collections, http.client, json, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time

NEW, OLD = os.environ["INPAINTD"], os.environ.get("INPAINTD_OLD")
HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "../reference/tiny-checkpoint")
GOLDEN = os.path.join(HERE, "../reference/tiny")
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
work = tempfile.mkdtemp()
DRAIN = 2


def uri(name):
    with open(os.path.join(GOLDEN, name), "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


INPUT = {"prompt": "a cat", "image": uri("image-0.png"), "mask": uri("mask-0.png"), "num_inference_steps": 3, "seed": 7}


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machine:
    def __init__(self, kind, number):
        self.kind, self.name = kind, f"{kind}{number}"
        self.data, self.port = os.path.join(work, self.name), free_port()
        self.errors = open(os.path.join(work, self.name + ".err"), "ab")

    def start(self, program):
        service = ["serve", "--listen", f"127.0.0.1:{self.port}", "--workers", "0", "--drain", str(DRAIN), "--public-url", front]
        worker = ["worker", "--model", MODEL, "--no-safety", "--dtype", "f32", "--threads", "1"]
        self.process = subprocess.Popen([program, *(service if self.kind == "service" else worker), "--data", self.data], stdout=subprocess.DEVNULL, stderr=self.errors)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.name

    def ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


front_port = free_port()
front = f"http://127.0.0.1:{front_port}"
services, workers = [Machine("service", i) for i in range(3)], [Machine("worker", i) for i in range(2)]
balancer = None

# ---- clients: every request is one connection to the balancer, and must be answered as said ----

seen, troubles, made = collections.Counter(), [], []
over = threading.Event()
lock = threading.Lock()


def ask(method, path, body=None, expect=(200, 201), **headers):
    connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=120)
    try:
        connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}})
        answer = connection.getresponse()
        answer.body = answer.read()
    except (OSError, http.client.HTTPException) as reason:
        with lock:
            troubles.append(f"{time.strftime('%T')} {method} {path}: {reason!r}")
        return None
    finally:
        connection.close()
    with lock:
        seen[f"{method} {answer.status}"] += 1
        if answer.status not in expect:
            troubles.append(f"{time.strftime('%T')} {method} {path}: {answer.status} {answer.body[:200]}")
    return answer if answer.status in expect else None


def create(**headers):
    answer = ask("POST", "/v1/predictions", {"version": VERSION, "input": INPUT}, **headers)
    if answer is None:
        return None
    prediction = json.loads(answer.body)
    with lock:
        made.append(prediction["id"])
    return prediction


def creating():
    while not over.is_set():
        if (prediction := create()) is not None:
            ask("GET", f"/v1/predictions/{prediction['id']}")
        time.sleep(0.15)


def waiting():
    while not over.is_set():
        prediction = create(Prefer="wait=20")
        if prediction and prediction["output"]:
            answer = ask("GET", prediction["output"][0][len(front):])
            if answer is not None and answer.body[:4] != b"\x89PNG":
                with lock:
                    troubles.append("an output is no picture")


def listing():
    body = b'--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\nbytes\r\n--x--\r\n'
    while not over.is_set():
        ask("GET", "/v1/predictions")
        answer = ask("POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=x")
        if answer is not None:
            file = json.loads(answer.body)["id"]
            answer = ask("GET", f"/v1/files/{file}/download")
            if answer is not None and answer.body != b"bytes":
                with lock:
                    troubles.append("a file has changed")
            ask("DELETE", f"/v1/files/{file}", expect=(204,))
        if (prediction := create()) is not None:
            ask("POST", f"/v1/predictions/{prediction['id']}/cancel")
        time.sleep(0.1)


def streaming():
    """A stream that is cut goes on where it was, through the balancer, at another service."""
    while not over.is_set():
        prediction = create()
        if prediction is None:
            continue
        path, last, kinds, seen_ids = prediction["urls"]["stream"][len(front):], None, [], set()
        end = time.monotonic() + 120
        while "done" not in kinds and time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=60)
            try:
                connection.request("GET", path, headers={"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})})
                answer = connection.getresponse()
                if answer.status != 200:
                    with lock:
                        troubles.append(f"stream {answer.status} {answer.read()[:200]}")
                    break
                for line in answer:
                    name, _, value = line.decode().strip().partition(": ")
                    if name == "event":
                        kinds.append(value)
                    elif name == "id":
                        last = value
                        if value in seen_ids:
                            with lock:
                                troubles.append(f"event {value} twice")
                        seen_ids.add(value)
            except http.client.IncompleteRead:
                pass  # cut off: what EventSource takes for a reason to connect again
            except ConnectionResetError:
                pass
            finally:
                connection.close()
        with lock:
            seen["streams"] += 1
            if "done" not in kinds or kinds.count("output") != 1:
                troubles.append(f"stream of {prediction['id']} told {kinds}")


try:
    first = OLD or NEW
    token = subprocess.run([first, "token", "create", "alice", "--data", os.path.join(work, "nobody")], capture_output=True, text=True).stdout.strip()
    assert token
    with open(os.path.join(work, "haproxy.cfg"), "w") as file:
        servers = "\n".join(f"    server {service.name} 127.0.0.1:{service.port} check inter 200ms fall 1 rise 1" for service in services)
        file.write(f"""global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
frontend all
    bind 127.0.0.1:{front_port}
    default_backend services
backend services
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
{servers}
""")
    for machine in services + workers:
        machine.start(first)
    for service in services:
        until(service.ready)
    balancer = subprocess.Popen(["haproxy", "-f", os.path.join(work, "haproxy.cfg"), "-db"], stdout=subprocess.DEVNULL, stderr=open(os.path.join(work, "haproxy.err"), "wb"))

    def open_front():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=10)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    until(open_front)
    threads = [threading.Thread(target=target) for target in (creating, waiting, listing, streaming)]
    for thread in threads:
        thread.start()
    until(lambda: len(made) >= 10 or troubles)
    for machine in [services[0], workers[0], services[1], workers[1], services[2]]:
        machine.stop()
        machine.start(NEW)
        if machine.kind == "service":
            until(machine.ready)
            time.sleep(1)  # the balancer looks, too
        before = len(made)
        until(lambda: len(made) > before + 3 or troubles)
    over.set()
    for thread in threads:
        thread.join(150)
        assert not thread.is_alive()

    def left():
        return [id for id in made if json.loads(ask("GET", f"/v1/predictions/{id}").body)["status"] in ("starting", "processing")]

    until(lambda: not left(), 180)
    ends = collections.Counter(json.loads(ask("GET", f"/v1/predictions/{id}").body)["status"] for id in made)
    assert not troubles, "\n".join(troubles)
    assert set(ends) <= {"succeeded", "canceled"} and ends["succeeded"] > 0, ends
    assert seen["streams"] > 0 and not os.path.exists(os.path.join(services[0].data, "inpaintd.db"))
    print("rolling:", dict(seen), dict(ends), "old and new side by side" if OLD else "")
except BaseException:
    for name in sorted(os.listdir(work)):
        if name.endswith(".err"):
            print("==", name)
            lines = open(os.path.join(work, name), errors="replace").read().splitlines()
            print("\n".join([line for line in lines if " 200 " not in line and " 201 " not in line][-15:]))
    raise
finally:
    over.set()
    for process in [machine.process for machine in services + workers if hasattr(machine, "process")] + ([balancer] if balancer else []):
        process.kill()
        process.wait()
    shutil.rmtree(work, ignore_errors=True)
