"""The parts that soak tests put together: a database, services, workers, whoever receives webhooks. All of
them are real processes, each killed and started again as a test likes."""

import base64, http.client, http.server, json, os, random, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ["INPAINTD"]
MODEL = os.path.join(HERE, "../reference/tiny-checkpoint")
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
PUBLIC = "http://paint.example"
TERMINAL = ("succeeded", "failed", "canceled")
TOKEN = []  # of the clients, where services listen to more than this machine


class Skip(Exception):
    pass


def free_port(host="127.0.0.1"):
    """Below those that the kernel gives to outgoing connections: one of these could take it while a service is dead."""
    while True:
        with socket.socket() as probe:
            port = random.SystemRandom().randrange(20000, 32000)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return port
            except OSError:
                pass


def wait_for_port(host, port, patience=60):
    until = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection((host, port), 5).close()
        except OSError:
            assert time.monotonic() < until, f"nobody listens to {host}:{port}"
        time.sleep(0.05)


# ---- pictures ----


def png(width, height, pixel, ballast=b""):
    """ballast: bytes in a chunk of their own, which mean nothing."""
    rows = b"".join(b"\0" + bytes(channel for x in range(width) for channel in pixel(x, y)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + (chunk(b"blSt", ballast) if ballast else b"") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def decode_png(data):
    """Check the signature, every checksum and the pixels' length; the pixels."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG"
    at, pixels, kinds = 8, b"", []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0], "a chunk is broken"
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
            channels = {0: 1, 2: 3, 4: 2, 6: 4}[body[9]]
        if kind == b"IDAT":
            pixels += body
        kinds.append(kind)
        at += length + 12
    assert kinds[-1] == b"IEND", "the picture is cut off"
    pixels = zlib.decompress(pixels)
    assert len(pixels) == height * (1 + width * channels), "pixels are missing"
    return pixels


def uri(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


PHOTO = png(64, 64, lambda x, y: (3 * x, 3 * y, 255 - x - y))
HEAVY_PHOTO = png(64, 64, lambda x, y: (3 * x, 3 * y, 255 - x - y), bytes(200000))  # too large to stay inside the row: it becomes a file
MASK = png(64, 64, lambda x, y: (255,) * 3 if 16 <= x < 48 else (0,) * 3)


# ---- HTTP ----


def ask(port, method, path, body=None, timeout=30, host="127.0.0.1", **headers):
    """The answer, its body in .body and parsed in .json. OSError or HTTPException when there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if TOKEN:
            headers["Authorization"] = f"Bearer {TOKEN[0]}"
        connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.body = answer.read()
        answer.json = json.loads(answer.body) if answer.body[:1] in (b"{", b"[") else None
        return answer
    finally:
        connection.close()


NO_ANSWER = (OSError, http.client.HTTPException)


def insist(port, method, path, patience=120, **more):
    """ask() until there is an answer: a machine under load may take its time."""
    until = time.monotonic() + patience
    while True:
        try:
            return ask(port, method, path, **more)
        except NO_ANSWER:
            if time.monotonic() > until:
                raise
        time.sleep(0.2)


class Receiver:
    """Takes webhooks; refuses every fifth, by a seed. ends: by prediction, (message id, status) of what told an end."""

    def __init__(self, seed, host="127.0.0.1", port=0):
        self.ends, self.count = {}, 0
        dice, lock, receiver = random.Random(seed), threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    refuse = dice.random() < 0.2
                    receiver.count += 1
                    if not refuse and body["status"] in TERMINAL:
                        receiver.ends.setdefault(body["id"], []).append((self.headers["webhook-id"], body["status"]))
                self.send_response(503 if refuse else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 100
            daemon_threads = True

        self.server = Server((host, port), Handler)
        self.url = f"http://{host}:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---- processes ----


class Process:
    """Something that is started, killed and started again."""

    def __init__(self, name, command, log, environment=None, prefix=()):
        self.name, self.command, self.prefix = name, command, list(prefix)
        self.log, self.environment, self.process = log, environment, None

    def start(self):
        self.process = subprocess.Popen([*self.prefix, *self.command], stdout=self.log, stderr=self.log, env=self.environment)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def ready_to_stop(self):
        """Does it catch SIGTERM yet?"""
        try:
            with open(f"/proc/{self.process.pid}/status") as file:
                caught = next(line for line in file if line.startswith("SigCgt:"))
            return self.running() and int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1 == 1
        except OSError:
            return False

    def stop(self, patience=120):
        """Politely; the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(patience)


class Postgres:
    """A server of the test's own, with fsync on; by TCP when an address is given, else by a socket in its folder."""

    def __init__(self, address=None, prefix=()):
        found = [f"/usr/lib/postgresql/{name}/bin" for name in os.listdir("/usr/lib/postgresql")] if os.path.isdir("/usr/lib/postgresql") else []
        if not found:
            raise Skip("no PostgreSQL server here (Debian package: postgresql)")
        self.programs = max(found, key=lambda path: float(path.split("/")[-2]))
        self.owner = []
        if os.getuid() == 0:
            if subprocess.run(["id", "postgres"], capture_output=True).returncode != 0:
                raise Skip("PostgreSQL does not run as root, and there is no user postgres")
            self.owner = ["runuser", "-u", "postgres", "--"]
        self.folder, self.prefix, self.process = tempfile.mkdtemp(prefix="inpaintd-pg-", dir="/tmp"), list(prefix), None
        os.chmod(self.folder, 0o711)
        if self.owner:
            shutil.chown(self.folder, "postgres")
        done = subprocess.run([*self.owner, f"{self.programs}/initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"], capture_output=True, text=True, cwd="/tmp")
        assert done.returncode == 0, done.stderr
        if address:
            with open(f"{self.folder}/data/pg_hba.conf", "a") as file:
                file.write("host all all 0.0.0.0/0 trust\n")
        self.options = ["-c", f"listen_addresses={address or ''}", "-c", f"unix_socket_directories={self.folder}", "-c", "max_connections=80", "-c", "fsync=on"]
        self.url = f"postgres://postgres@{address}/postgres" if address else f"postgres://postgres@/postgres?host={self.folder}"
        self.log = open(f"{self.folder}/log", "ab")

    def start(self):
        """Until it answers: what a killed one left has to end first."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                command = [*self.prefix, *self.owner, f"{self.programs}/postgres", "-D", f"{self.folder}/data", *self.options]
                self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd="/tmp", start_new_session=True)
            ready = subprocess.run([*self.owner, f"{self.programs}/pg_isready", "-q", "-h", self.folder], capture_output=True, cwd="/tmp")
            if ready.returncode == 0 and self.process.poll() is None:
                return
            time.sleep(0.05)
        raise AssertionError("the database does not come up")

    def _children(self, first):
        """By number, the name of each process that the first one started."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline", "rb") as line:
                    if int(stat.read().rsplit(")", 1)[1].split()[1]) == first:
                        found[int(entry)] = line.read().decode(errors="replace")
            except OSError:
                pass
        return found

    def _postmaster(self):
        try:
            with open(f"{self.folder}/data/postmaster.pid") as file:
                return int(file.readline())
        except (OSError, ValueError):
            return None

    @staticmethod
    def _kill(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill(self, all_of_it=True):
        """kill -9: of everything, or of the first process alone."""
        first = self._postmaster()
        if first:
            self._kill([first, *(self._children(first) if all_of_it else ())])
        self.process.wait()

    def kill_backend(self, dice):
        """kill -9 of one connection's process: the server drops all the others and recovers by itself."""
        backends = sorted(pid for pid, line in self._children(self._postmaster()).items() if line.startswith("postgres: postgres "))
        if backends:
            self._kill([dice.choice(backends)])

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class S3:
    """SeaweedFS, as tests/store/s3_server.sh installs it."""

    KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "s3hunter2s3hunter2"}

    def __init__(self, program, host, prefix=()):
        self.folder, self.host = tempfile.mkdtemp(prefix="inpaintd-s3-", dir="/tmp"), host
        identity = {"name": "test", "credentials": [{"accessKey": self.KEYS["AWS_ACCESS_KEY_ID"], "secretKey": self.KEYS["AWS_SECRET_ACCESS_KEY"]}], "actions": ["Admin"]}
        with open(f"{self.folder}/s3.json", "w") as file:
            json.dump({"identities": [identity]}, file)
        os.mkdir(f"{self.folder}/data")
        self.log = open(f"{self.folder}/log", "ab")
        command = [program, "server", f"-dir={self.folder}/data", f"-ip={host}", f"-ip.bind={host}", "-s3", f"-s3.config={self.folder}/s3.json", "-s3.port=8333",
                   "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=8", "-master.volumeSizeLimitMB=128", "-master.telemetry=false"]
        self.process = Process("S3", command, self.log, prefix=prefix)

    def start(self, patience=120):
        self.process.start()
        until = time.monotonic() + patience
        while not self._ready():
            assert time.monotonic() < until, "the S3 server does not come up"
            time.sleep(0.2)

    def _ready(self):
        """Is there a bucket into which things can be put?"""
        signed = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", ":".join(self.KEYS.values()),
                  "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-X", "PUT"]
        place = f"http://{self.host}:8333/pictures"
        return all(subprocess.run([*signed, *more], capture_output=True, text=True).stdout in good for more, good in (([place], ("200", "409")), (["-d", "x", f"{place}/ready"], ("200",))))

    def close(self):
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class House:
    """Services and workers on one store. store: its URL where that is not the database's own."""

    def __init__(self, postgres=None, data=None, store=None, blobs=None):
        self.folder = data or tempfile.mkdtemp(prefix="inpaintd-soak-", dir="/tmp")
        self.data, self.postgres = os.path.join(self.folder, "data"), postgres
        self.store = store or (postgres.url if postgres else os.path.join(self.data, "inpaintd.db"))
        self.blobs = blobs or os.path.join(self.data, "blobs")
        self.shared = {**({"INPAINT_STORE": self.store} if postgres else {}), **({"INPAINT_BLOBS": blobs, **S3.KEYS} if blobs else {})}
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.services, self.workers = [], []

    def _add(self, group, kind, arguments, prefix=(), environment=None):
        process = Process(f"{kind} {len(group)}", [PROGRAM, kind, "--data", self.data, *arguments], self.log,
                          {**os.environ, **self.shared, **(environment or {})}, prefix)
        group.append(process)
        return process

    def add_service(self, *arguments, host="127.0.0.1", port=None, model=MODEL, **more):
        port = port or free_port()
        process = self._add(self.services, "serve", ["--listen", f"{host}:{port}", "--model", model, "--workers", "0", "--public-url", PUBLIC, *arguments], **more)
        process.host, process.port = host, port
        return process

    def add_worker(self, *arguments, model=MODEL, **more):
        return self._add(self.workers, "worker", ["--threads", "1", "--model", model, *arguments], **more)

    def start(self):
        for process in [*self.services, *self.workers]:
            process.start()
        self.wait_ready()

    def wait_ready(self, patience=120):
        until = time.monotonic() + patience
        for service in self.services:
            while True:
                try:
                    if ask(service.port, "GET", "/readyz", host=service.host, timeout=5).status == 200:
                        break
                except NO_ANSWER:
                    pass
                assert time.monotonic() < until, f"{service.name} does not come up"
                if not service.running():
                    service.start()
                time.sleep(0.05)

    def make_token(self):
        done = subprocess.run([PROGRAM, "token", "create", "soak", "--data", self.data], capture_output=True, text=True, env={**os.environ, **self.shared})
        assert done.returncode == 0, done.stderr
        TOKEN[:] = [done.stdout.split()[-1]]

    def revive(self):
        for process in [*self.services, *self.workers]:
            if not process.running():
                process.start()

    def stop(self, patience=120):
        """Politely, all of them, once they know what SIGTERM means. One that was started while the database came up
        again may have left at once, as it should; whoever started it starts it again."""
        until = time.monotonic() + patience
        while not all(process.ready_to_stop() for process in [*self.services, *self.workers]):
            assert time.monotonic() < until, "not all come up"
            self.revive()
            time.sleep(0.05)
        for process in [*self.services, *self.workers]:
            code = process.stop()
            assert code == 0, f"{process.name} ended with {code}"

    def kill(self):
        for process in [*self.services, *self.workers]:
            process.kill()

    def check(self):
        """The store's own checks, then the sweep of everything without an owner; how many files that were."""
        checker = os.path.join(os.path.dirname(PROGRAM), "tests", "soak-check")
        done = subprocess.run([checker, self.store, self.blobs], capture_output=True, text=True, env={**os.environ, **self.shared})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def tail(self, lines=60):
        self.log.flush()
        with open(os.path.join(self.folder, "log"), "rb") as file:
            text = file.read().decode(errors="replace").splitlines()
        wanted = [line for line in text if " info GET " not in line and " info POST " not in line]
        return "\n".join(wanted[-lines:])

    def close(self):
        self.kill()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
