#!/usr/bin/env python3
"""What was answered 201 ends exactly once, with its picture, whoever dies with SIGKILL meanwhile, and
the webhook of its end arrives.

    killed.py INPAINTD SAMPLES

INPAINT_SEED repeats a run; INPAINT_SOAK makes a long one."""

import base64, http.server, json, os, random, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request

VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
TERMINAL = ("succeeded", "failed", "canceled")
PATIENCE = 240  # seconds until all must have ended: leases of dead workers run out in between


class Webhooks(http.server.BaseHTTPRequestHandler):
    """Keeps the ids of the messages that told an end, by prediction; refuses now and then."""

    ends, lock, dice = {}, threading.Lock(), random.Random(1)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            refuse = self.dice.random() < 0.2
            if not refuse:
                self.ends.setdefault(body["id"], []).append((self.headers["webhook-id"], body["status"]))
        self.send_response(503 if refuse else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(folder, "log"), "ab")

    def start(self):
        command = [self.program, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", os.path.join(self.folder, "data")]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        until = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(self.url + "/healthz", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit("the server does not come up")
                time.sleep(0.05)

    def workers(self):
        """The worker processes on our own data folder."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if b"worker" in words and any(self.folder.encode() in word for word in words):
                found.append(int(entry))
        return found

    def kill_workers(self):
        for process in self.workers():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill_service(self):
        self.process.kill()
        self.process.wait()


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def data_uri(path):
    with open(path, "rb") as file:
        return "data:application/octet-stream;base64," + base64.b64encode(file.read()).decode()


def main(program, samples):
    seed = int(os.environ.get("INPAINT_SEED", random.SystemRandom().randrange(1 << 32)))
    rounds = 60 if os.environ.get("INPAINT_SOAK") else 4
    dice = random.Random(seed)
    print(f"INPAINT_SEED={seed}, {rounds} rounds", flush=True)
    folder = tempfile.mkdtemp(prefix="inpaintd-killed-")
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhooks)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    server = Server(program, folder)
    server.start()
    image, mask = data_uri(f"{samples}/cup-256.jpg"), data_uri(f"{samples}/cup-256-mask.png")
    accepted, unanswered = [], 0
    try:
        for round_number in range(rounds):
            for _ in range(2):
                body = {
                    "version": VERSION,
                    "input": {"image": image, "mask": mask, "prompt": "a red apple", "seed": 1, "num_inference_steps": 12},
                    "webhook": f"http://127.0.0.1:{receiver.server_port}/",
                    "webhook_events_filter": ["completed"],
                }
                try:
                    accepted.append(call(server.url + "/v1/predictions", body)["id"])
                except OSError:
                    unanswered += 1
            time.sleep(dice.random() * 2)
            victim = dice.choice(["worker", "service", "both"])
            print(f"round {round_number}: {victim}", flush=True)
            if victim != "worker":
                server.kill_service()
            if victim != "service":
                server.kill_workers()
            if victim != "worker":
                server.start()

        until, open_ones, ended = time.monotonic() + PATIENCE, set(accepted), {}
        while open_ones and time.monotonic() < until:
            for prediction in sorted(open_ones):
                found = call(f"{server.url}/v1/predictions/{prediction}")
                if found["status"] in TERMINAL:
                    ended[prediction] = found
                    open_ones.discard(prediction)
            time.sleep(0.3)
        assert not open_ones, f"never ended: {open_ones}"

        pictures = set()
        for prediction, found in ended.items():
            if found["status"] == "failed":  # its attempts were spent: every kill of a worker costs one
                assert "worker stopped unexpectedly" in found["error"], found["error"]
                continue
            assert found["status"] == "succeeded" and len(found["output"]) == 1, found
            with urllib.request.urlopen(found["output"][0], timeout=30) as answer:
                pictures.add(answer.read())
        assert len(pictures) == 1, "the same seed, but different pictures"
        assert next(iter(pictures)).startswith(b"\x89PNG")

        while set(ended) - set(Webhooks.ends) and time.monotonic() < until:
            time.sleep(0.3)
        for prediction, found in ended.items():
            messages = Webhooks.ends.get(prediction, [])
            assert messages, f"no webhook told the end of {prediction}"
            assert len({name for name, _ in messages}) == 1, f"{prediction} ended more than once"
            assert all(status == found["status"] for _, status in messages)
        outcomes = [found["status"] for found in ended.values()]
        print(f"{len(accepted)} accepted: {outcomes.count('succeeded')} succeeded, {outcomes.count('failed')} spent their attempts;"
              f" {unanswered} had no answer")
    except BaseException:
        server.log.flush()
        with open(os.path.join(folder, "log"), "rb") as file:
            sys.stderr.buffer.write(file.read()[-5000:])
        raise
    finally:
        server.kill_service()
        server.kill_workers()
        shutil.rmtree(folder)


main(sys.argv[1], sys.argv[2])
