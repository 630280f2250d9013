"""Every allocation, every call on a file, every call on a socket of the program fails once, and then for ever after.

    faults.py paint|service|worker SEED TRIES [STEP...]

TRIES: so many of each kind of failure, drawn by SEED; 0: every one. STEP: of what a service is asked, only this.

However it fails: no crash, nothing hangs, the answer is one of those that say so, what was promised is there
afterwards, the store's own checks pass, and neither memory nor descriptors leak. What fails is printed with its N."""

import errno, json, os, random, shutil, signal, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../soak"))
from control import ALLOCATIONS, FILES, SHORT, SOCKETS, Control, describe
from house import House, HEAVY_PHOTO, MASK, MODEL, NO_ANSWER, PHOTO, PROGRAM, PUBLIC, TERMINAL, VERSION, ask, decode_png, insist, uri

# What fails, how, and whether for ever after.
KINDS = [(ALLOCATIONS, errno.ENOMEM, False), (ALLOCATIONS, errno.ENOMEM, True)]
KINDS += [(FILES, number, lasting) for number in (errno.EIO, errno.ENOSPC) for lasting in (False, True)]
KINDS += [(FILES, errno.EINTR, False), (FILES, SHORT, False), (FILES, SHORT, True), (FILES, errno.EMFILE, False)]
# No short transfers and no EAGAIN: where there is more to be had, epoll's edges would not tell of it again (epoll(7)).
SOCKET_KINDS = [(SOCKETS, number, False) for number in (errno.ECONNRESET, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)]


def which(total, tries, dice):
    return range(1, total + 1) if tries == 0 else sorted(dice.sample(range(1, total + 1), min(tries, total)))


# ---- paint: decoders, weights, plans, encoders ----


def paint(tries, dice, folder):
    """The command line: an error that says what is wrong and no picture, or the picture."""
    control = Control(os.path.join(folder, "control"))
    for name, data in (("photo.png", PHOTO), ("mask.png", MASK)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    samples = os.path.join(HERE, "../../samples")
    ways = [(os.path.join(folder, "photo.png"), "out.png"), (os.path.join(samples, "cup-256.jpg"), "out.webp")]
    figures = []
    for photo, made in ways[:1] if tries else ways:
        out = os.path.join(folder, made)
        command = [PROGRAM, "paint", photo, "--mask", os.path.join(folder, "mask.png") if photo.endswith("photo.png") else os.path.join(samples, "cup-256-mask.png"),
                   "--model", MODEL, "--prompt", "an apple", "--steps", "1", "--seed", "1", "--threads", "1", "--no-safety", "-o", out]

        def run():
            control.reset()
            if os.path.exists(out):
                os.unlink(out)
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **control.environment}, timeout=120)
            hit = control.disarm()
            return done, hit

        control.arm(ALLOCATIONS, 1 << 40)
        done, _ = run()
        assert done.returncode == 0, done.stderr
        with open(out, "rb") as file:
            right = file.read()
        left = control.blocks
        count = 0
        for kind, number, lasting in KINDS:
            control.arm(kind, 1 << 40, number)
            run()
            for n in which(control.calls, tries, dice):
                control.arm(kind, n, number, lasting)
                done, hit = run()
                count += hit
                where = f"{made}, {describe(kind, number, n, lasting)}: exit code {done.returncode}, {done.stderr.strip()[-300:]}"
                assert done.returncode in (0, 1, 2, 3), where
                assert done.returncode == 0 or done.stderr.strip() or kind == ALLOCATIONS, f"silent: {where}"
                assert done.returncode != 0 or os.path.exists(out), f"no picture: {where}"
                if os.path.exists(out):  # also when it is there, but perhaps not for good
                    with open(out, "rb") as file:
                        assert file.read() == right, f"another picture: {where}"
                beside = [name for name in os.listdir(folder) if name.endswith(".part")]
                assert lasting or not beside, f"{beside} is left: {where}"
                for name in beside:
                    os.unlink(os.path.join(folder, name))
                assert control.blocks <= left + 8, f"{control.blocks - left} blocks leak: {where}"
        figures.append(f"{made}: {count} failures")
    return ", ".join(figures)


# ---- the service ----


class Script:
    """What is asked of a service. Each returns the answer's status and, when it promised something, a function that
    looks whether that is so."""

    def __init__(self, service, ended, file):
        self.service, self.ended, self.file, self.promised, self.troubles, self.calm = service, ended, file, [], [], lambda: None

    def look(self, *words, **more):
        """What is asked to see whether a promise holds must not fail itself."""
        self.calm()
        return insist(self.service.port, *words, **more)

    def ask(self, method, path, body=None, **headers):
        return ask(self.service.port, method, path, body, timeout=20, **headers)

    def _created(self, photo):
        answer = self.ask("POST", "/v1/predictions", {"version": VERSION, "input": {"image": photo, "mask": uri(MASK), "prompt": "x"}})
        if answer.status == 201:
            name = answer.json["id"]
            self.promised.append(name)
            found = self.look("GET", f"/v1/predictions/{name}")
            assert found.status == 200, f"{name} was promised and is {found.status}"
        return answer

    def create(self):
        return self._created(uri(PHOTO))

    def create_heavy(self):
        return self._created(uri(HEAVY_PHOTO))

    def create_from_file(self):
        return self._created(f"{PUBLIC}/v1/files/{self.file}")

    def upload(self):
        body = b'--limit\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\n' + HEAVY_PHOTO + b"\r\n--limit--\r\n"
        answer = self.ask("POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=limit")
        if answer.status == 201:
            found = self.look("GET", f"/v1/files/{answer.json['id']}/download")
            assert found.status == 200 and found.body == HEAVY_PHOTO, f"a file was promised and is {found.status}"
            self.look("DELETE", f"/v1/files/{answer.json['id']}")
        return answer

    def cancel(self):
        if not self.promised:
            self.create()
        name = self.promised[-1]
        answer = self.ask("POST", f"/v1/predictions/{name}/cancel")
        if answer.status == 200:
            assert self.look("GET", f"/v1/predictions/{name}").json["status"] == "canceled", f"{name} was canceled and is not"
        return answer

    def get(self):
        answer = self.ask("GET", f"/v1/predictions/{self.ended['id']}")
        assert answer.status != 200 or answer.json["status"] == "succeeded", answer.body
        return answer

    def picture(self):
        answer = self.ask("GET", self.ended["output"][0][len(PUBLIC) :])
        if answer.status == 200:
            decode_png(answer.body)
        return answer

    def stream(self):
        answer = self.ask("GET", self.ended["urls"]["stream"][len(PUBLIC) :])
        assert answer.status != 200 or b"event: done" in answer.body, answer.body
        return answer

    def __getattr__(self, name):
        paths = {"list_predictions": "/v1/predictions", "list_files": "/v1/files", "about_file": f"/v1/files/{self.file}", "page": "/", "description": "/openapi.json", "ready": "/readyz"}
        return lambda: self.ask("GET", paths[name])


STEPS = ["create", "create_heavy", "create_from_file", "upload", "cancel", "get", "picture", "stream", "list_predictions", "list_files", "about_file", "page", "description", "ready"]
WRITING = ("create", "create_heavy", "create_from_file", "upload", "cancel")
SAY_SO = (500, 503, 507)


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def settle(service, process):
    """Until what was under way is done: as many descriptors as when idle."""
    until, last = time.monotonic() + 20, None
    while True:
        insist(service.port, "GET", "/healthz", patience=30)
        now = descriptors(process)
        if now == last or time.monotonic() > until:
            return now
        last = now
        time.sleep(0.02)


def attempt(script, step, process, control, kind, number, n, lasting):
    """One request, in which something fails. Did it?"""
    where = f"{step}, {describe(kind, number, n, lasting)}"
    insist(script.service.port, "GET", "/healthz")
    script.calm = control.disarm
    control.arm(kind, n, number, lasting)
    try:
        answer = getattr(script, step)()
        status = answer.status
    except NO_ANSWER as reason:
        assert not isinstance(reason, TimeoutError), f"no answer: {where}"
        status = None
    except AssertionError as broken:
        raise AssertionError(f"{where}: {broken}") from None
    hit = control.disarm()
    assert process.poll() is None, f"the service is gone ({process.returncode}): {where}"
    fine = status in (200, 201, *SAY_SO) or (status is None and (kind != FILES or step == "picture"))  # its length was told before
    if not fine or (not hit and status not in (200, 201)):
        script.troubles.append(f"status {status}{'' if hit else ' though nothing failed'}: {where}: {answer.body[:200] if status else ''}")
    return hit


def service(tries, dice, folder):
    os.mkdir(os.path.join(folder, "house"))
    house = House(data=os.path.join(folder, "house"))
    control = Control(os.path.join(folder, "control"))
    try:
        first, worker = house.add_service(), house.add_worker()
        house.start()
        ended, file = finished(first)
        house.stop()
        house.services.clear(), house.workers.clear()
        served = house.add_service(environment=control.environment)
        house.start()
        script, process, count = Script(served, ended, file), served.process, 0
        for step in STEPS * 12:  # what is made once for each thread is made
            answer = getattr(script, step)()
            assert answer.status in (200, 201), f"{step}: {answer.status} {answer.body}"
        idle, figures = settle(served, process), []
        for step in sys.argv[4:] or STEPS:
            for kind, number, lasting in KINDS + SOCKET_KINDS:
                control.arm(kind, 1 << 40, number)
                getattr(script, step)()
                total = control.calls
                control.disarm()
                if total == 0:
                    continue
                chosen = which(total, tries, dice)
                for _ in range(4):  # caches fill up once, leaks go on
                    settle(served, process)
                    before = control.blocks
                    hits = sum(attempt(script, step, process, control, kind, number, n, lasting) for n in chosen)
                    open_now = settle(served, process)
                    assert open_now <= idle + 2, f"{open_now - idle} descriptors leak: {step}, {describe(kind, number, 0, lasting)}"
                    count += hits
                    # What is written grows SQLite's cache (up to 2 MB a connection); store-faults sees what it keeps when closed.
                    grown = control.blocks - before
                    leaks = hits >= 20 and grown > (hits * 2 + 400 if step in WRITING else hits * 0.5 + 60)
                    if not leaks:
                        break
                if leaks:
                    script.troubles.append(f"{grown} blocks leak in {hits} failures: {step}, {describe(kind, number, 0, lasting)}")
        assert not script.troubles, "\n".join(script.troubles[:20])
        for name in script.promised:
            assert insist(served.port, "GET", f"/v1/predictions/{name}").status == 200, f"{name} was promised and is gone"
        house.stop()
        return f"{count} failures, {len(script.promised)} promises kept, {house.check()}"
    except BaseException:
        print(house.tail(30), file=sys.stderr)
        raise
    finally:
        house.close()


def finished(service):
    """A prediction that has ended well, and a file."""
    body = b'--limit\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\n' + PHOTO + b"\r\n--limit--\r\n"
    file = ask(service.port, "POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=limit").json["id"]
    return painted(service, f"{PUBLIC}/v1/files/{file}"), file


def painted(service, image, patience=60):
    body = {"version": VERSION, "input": {"image": image, "mask": uri(MASK), "prompt": "an apple", "seed": 1, "num_inference_steps": 1}}
    found = ask(service.port, "POST", "/v1/predictions", body).json
    until = time.monotonic() + patience
    while found["status"] not in TERMINAL:
        assert time.monotonic() < until, f"{found['id']} does not end"
        time.sleep(0.01)
        found = insist(service.port, "GET", f"/v1/predictions/{found['id']}").json
    return found


# ---- a worker ----


def worker(tries, dice, folder):
    """A prediction in which something fails: painted all the same (perhaps by a second attempt), or failed with a
    sentence. One whose worker could not even say so is given to another when its lease is over."""
    os.mkdir(os.path.join(folder, "house"))
    house = House(data=os.path.join(folder, "house"))
    control = Control(os.path.join(folder, "control"))
    try:
        served, worker = house.add_service(), house.add_worker(environment=control.environment)
        house.start()
        for image in (PHOTO, HEAVY_PHOTO):
            right = painted(served, uri(image))
            assert right["status"] == "succeeded", right
        picture = decode_png(ask(served.port, "GET", right["output"][0][len(PUBLIC) :]).body)
        process, count, failed = worker.process, 0, 0
        idle = descriptors(process)
        for kind, number, lasting in KINDS:
            control.arm(kind, 1 << 40, number)
            painted(served, uri(HEAVY_PHOTO))
            total = control.calls
            control.disarm()
            before, hits = control.blocks, 0
            for n in which(total, tries, dice):
                where = describe(kind, number, n, lasting)
                control.arm(kind, n, number, lasting)
                name = insist(served.port, "POST", "/v1/predictions", body={"version": VERSION, "input": {"image": uri(HEAVY_PHOTO), "mask": uri(MASK), "prompt": "an apple", "seed": 1, "num_inference_steps": 1}}).json["id"]
                until = time.monotonic() + (0.5 if lasting else 60)
                while (found := insist(served.port, "GET", f"/v1/predictions/{name}").json)["status"] not in TERMINAL:
                    if time.monotonic() > until or (control.hit and not lasting and time.monotonic() > until - 59.5):
                        control.disarm()
                    assert process.poll() is None, f"the worker is gone ({process.returncode}): {where}"
                    assert time.monotonic() < until + 90, f"{name} does not end: {where}"
                    time.sleep(0.01)
                hits += control.disarm()
                assert process.poll() is None, f"the worker is gone ({process.returncode}): {where}"
                assert found["status"] in ("succeeded", "failed"), f"{found['status']}: {where}"
                if found["status"] == "succeeded":
                    assert decode_png(ask(served.port, "GET", found["output"][0][len(PUBLIC) :]).body) == picture, f"another picture: {where}"
                else:
                    failed += 1
                    assert found["error"], where
            assert descriptors(process) <= idle + 2, f"descriptors leak: {describe(kind, number, 0, lasting)}"
            grown = control.blocks - before
            if hits >= 20 and grown > hits * 0.8 + 100:
                raise AssertionError(f"{grown} blocks leak in {hits} failures: {describe(kind, number, 0, lasting)}")
            count += hits
        assert painted(served, uri(PHOTO))["status"] == "succeeded"
        house.stop()
        return f"{count} failures, {failed} predictions failed with a sentence, {house.check()}"
    except BaseException:
        print(house.tail(30), file=sys.stderr)
        raise
    finally:
        house.close()


if __name__ == "__main__":
    what, seed, tries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    folder = tempfile.mkdtemp(prefix="inpaintd-fault-", dir="/tmp")
    began = time.monotonic()
    try:
        figures = {"paint": paint, "service": service, "worker": worker}[what](tries, random.Random(seed), folder)
        print(f"{what}, seed {seed}: {figures}, {time.monotonic() - began:.0f} s", flush=True)
    except BaseException:
        print(f"{what}, seed {seed}, {tries} tries", file=sys.stderr)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
