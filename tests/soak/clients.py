"""Clients that create predictions without end and remember what they were promised, and what must hold of it
when all is quiet again."""

import hashlib, http.client, json, random, threading, time

from house import HEAVY_PHOTO, MASK, NO_ANSWER, PHOTO, PUBLIC, TERMINAL, VERSION, ask, decode_png, insist, uri

SPENT = "worker stopped unexpectedly"


def path_of(url):
    assert url.startswith(PUBLIC + "/"), url
    return url[len(PUBLIC) :]


class Promise:
    """A prediction that was answered 201."""

    def __init__(self, answer, steps, hook):
        self.id, self.stream, self.steps, self.hook = answer["id"], answer["urls"]["stream"], steps, hook
        self.canceled = False  # a cancel was answered so
        self.ended = None  # the first answer that showed an end
        self.watched = None  # the events that a client saw, who came back whenever it was cut off
        self.watcher = None


class Clients:
    """places: functions that each give (host, port) of a service."""

    def __init__(self, seed, places, receiver, pace=0.15, steps=(1, 2, 3, 40)):
        self.dice, self.places, self.receiver, self.pace, self.steps = random.Random(seed), places, receiver, pace, steps
        self.promises, self.files, self.unanswered, self.refused = [], [], 0, {}
        self.stopping, self.lock, self.given_up = threading.Event(), threading.Lock(), False
        self.threads = [threading.Thread(target=self._create_for_ever, args=(self.dice.randrange(1 << 32),)) for _ in range(2)]
        self.troubles = []

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _place(self, dice):
        return dice.choice(self.places)()

    def _note(self, answer):
        with self.lock:
            self.refused[answer.status] = self.refused.get(answer.status, 0) + 1

    def _create_for_ever(self, seed):
        dice = random.Random(seed)
        while not self.stopping.wait(dice.expovariate(1 / self.pace)):
            host, port = self._place(dice)
            try:
                kind = dice.random()
                if kind < 0.05:
                    self._upload(host, port, dice)
                elif kind < 0.1 and self.promises:
                    self._cancel(host, port, dice.choice(self.promises))
                elif kind < 0.2 and self.promises:
                    self._get(host, port, dice.choice(self.promises))
                else:
                    self._create(host, port, dice)
            except NO_ANSWER:
                with self.lock:
                    self.unanswered += 1

    def _create(self, host, port, dice):
        steps, hook, watched = dice.choice(self.steps), dice.random() < 0.5, dice.random() < 0.25
        photo = uri(HEAVY_PHOTO if dice.random() < 0.1 else PHOTO)
        if self.files and dice.random() < 0.1:
            photo = f"{PUBLIC}/v1/files/{dice.choice(self.files)[0]}"
        body = {"version": VERSION, "input": {"image": photo, "mask": uri(MASK), "prompt": "an apple", "seed": 1, "num_inference_steps": steps}}
        if hook:
            body["webhook"] = self.receiver.url
            body["webhook_events_filter"] = ["completed"] if dice.random() < 0.5 else ["start", "output", "logs", "completed"]
        waiting = {"Prefer": f"wait={dice.randrange(1, 4)}"} if dice.random() < 0.1 else {}
        answer = ask(port, "POST", "/v1/predictions", body, host=host, **waiting)
        if answer.status != 201:
            return self._note(answer)
        promise = Promise(answer.json, steps, hook)
        if answer.json["status"] in TERMINAL:
            promise.ended = answer.json
        with self.lock:
            self.promises.append(promise)
        if watched:
            promise.watcher = threading.Thread(target=self._watch, args=(promise, dice.randrange(1 << 32)), daemon=True)
            promise.watcher.start()

    def _upload(self, host, port, dice):
        content = PHOTO + dice.randbytes(dice.randrange(1, 100000))
        body = b'--limit\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\n' + content + b"\r\n--limit--\r\n"
        answer = ask(port, "POST", "/v1/files", body, host=host, Content_Type="multipart/form-data; boundary=limit")
        if answer.status != 201:
            return self._note(answer)
        with self.lock:
            self.files.append((answer.json["id"], hashlib.sha256(content).hexdigest()))

    def _cancel(self, host, port, promise):
        answer = ask(port, "POST", f"/v1/predictions/{promise.id}/cancel", host=host)
        if answer.status != 200:
            return self._note(answer)
        promise.canceled = promise.canceled or answer.json["status"] == "canceled"
        self._saw(promise, answer.json)

    def _get(self, host, port, promise):
        answer = ask(port, "GET", f"/v1/predictions/{promise.id}", host=host)
        if answer.status == 200:
            self._saw(promise, answer.json)
        elif answer.status == 404:
            self.troubles.append(f"{promise.id} was answered 201 and then 404")
        else:
            self._note(answer)

    def _saw(self, promise, answer):
        """What has once ended stays as it was."""
        if promise.ended is None:
            promise.ended = answer if answer["status"] in TERMINAL else None
            return
        for key in ("status", "output", "error", "completed_at", "started_at"):  # the last is absent when it never started
            was, now = promise.ended.get(key), answer.get(key)
            if was != now:
                self.troubles.append(f"{promise.id} ended twice: {key} was {was} and is {now}")

    def _watch(self, promise, seed):
        """As a browser's EventSource: whenever it is cut off, it goes on after the last event it saw."""
        dice, seen, path = random.Random(seed), [], path_of(promise.stream) + "?logs=1"
        while not self.given_up and not (seen and seen[-1][1] == "done"):
            host, port = self._place(dice)
            try:
                read_stream(host, port, path, seen)
            except NO_ANSWER:
                pass
            time.sleep(0.1)
        promise.watched = seen


def read_stream(host, port, path, seen, timeout=30):
    """Add (id, event, data) to `seen` until the stream ends."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    event = {}
    try:
        connection.request("GET", path, headers={"Last-Event-ID": seen[-1][0]} if seen else {})
        answer = connection.getresponse()
        if answer.status != 200:
            return answer.read() and None
        for line in answer:
            line = line.decode().rstrip("\n")
            if line == "":
                if "id" in event:
                    seen.append((event["id"], event["event"], event.get("data", "")))
                event = {}
            elif not line.startswith(":"):
                key, value = line.split(": ", 1)
                event[key] = event[key] + "\n" + value if key == "data" and key in event else value
    finally:
        connection.close()


def read_all(host, port, path, tries=5):
    """The stream of a prediction that has ended, from its beginning and in one piece."""
    while True:
        seen = []
        try:
            read_stream(host, port, path, seen)
            return seen
        except NO_ANSWER:
            tries -= 1
            if tries == 0:
                raise


# ---- when all is quiet ----


def wait_for_ends(clients, patience, revive=lambda: None):
    """Until every promise has ended, every watcher is at its end, and every end was told to who wanted to know.
    patience: seconds without any of these (a slow machine may need long for all of them)."""
    until, dice, left = time.monotonic() + patience, random.Random(1), None
    waiting = list(clients.promises)
    while True:
        revive()
        still = []
        for promise in waiting:
            host, port = clients._place(dice)
            try:
                answer = ask(port, "GET", f"/v1/predictions/{promise.id}", host=host)
            except NO_ANSWER:
                still.append(promise)
                continue
            if answer.status == 503:  # the database has not quite come back
                still.append(promise)
                continue
            assert answer.status == 200, f"{promise.id}: {answer.status} {answer.body}"
            clients._saw(promise, answer.json)
            if promise.ended is None:
                still.append(promise)
        waiting = still
        untold = [promise.id for promise in clients.promises if promise.hook and promise.id not in clients.receiver.ends]
        watching = [promise.id for promise in clients.promises if promise.watcher and promise.watcher.is_alive()]
        if not waiting and not untold and not watching:
            return
        if (len(waiting), len(untold), len(watching)) != left:
            until, left = time.monotonic() + patience, (len(waiting), len(untold), len(watching))
        clients.given_up = time.monotonic() >= until
        assert not clients.given_up, f"never ended: {[p.id for p in waiting]}; not told: {untold}; streams without end: {watching}"
        time.sleep(0.3)


def verify_events(promise, found, host, port):
    """The whole replay tells the same story as the prediction, and as the client saw it while processes died."""
    replay = read_all(host, port, path_of(promise.stream) + "?logs=1")
    kinds = [kind for _, kind, _ in replay]
    numbers = [int(name.split(":")[1]) for name, _, _ in replay]
    assert numbers == sorted(set(numbers)), f"{promise.id}: events out of order: {replay}"
    assert kinds.count("done") == 1 and kinds[-1] == "done", f"{promise.id} ended not once: {replay}"
    outputs = found["output"] or []
    assert kinds.count("output") == len(outputs), f"{promise.id}: {replay} does not fit {outputs}"
    reason = {"succeeded": "{}", "failed": '{"reason":"error"}', "canceled": '{"reason":"canceled"}'}[found["status"]]
    assert replay[-1][2] == reason, f"{promise.id} is {found['status']}, but its last event says {replay[-1]}"
    logs = "".join(data + "\n" for _, kind, data in replay if kind == "logs")
    assert logs.rstrip("\n") == (found["logs"] or "").rstrip("\n"), f"{promise.id}: the events' logs are not its logs"
    if promise.watched is not None:
        saw = [(name, kind, data.split("/outputs/")[-1]) for name, kind, data in promise.watched]
        told = [(name, kind, data.split("/outputs/")[-1]) for name, kind, data in replay]
        assert saw == told, f"{promise.id}: the stream said {saw}, the store {told}"


def verify(clients, place=None):
    """Everything that was promised is kept. Returns a sentence of figures."""
    assert not clients.troubles, "\n".join(clients.troubles)
    assert 500 not in clients.refused, "a service failed with an error of its own: see the log"
    host, port = (place or clients.places[0])()
    outcomes, pictures = {}, {}
    for promise in clients.promises:
        found = insist(port, "GET", f"/v1/predictions/{promise.id}", host=host).json
        clients._saw(promise, found)
        status = found["status"]
        outcomes[status] = outcomes.get(status, 0) + 1
        if promise.canceled:
            assert status == "canceled", f"{promise.id} was canceled, and is {status}"
        elif status == "canceled":
            # The answer to a cancel may have been lost with the service that gave it.
            outcomes["canceled without an answer"] = outcomes.get("canceled without an answer", 0) + 1
        if status == "failed":
            assert SPENT in found["error"], f"{promise.id}: {found['error']}"
        if status == "succeeded":
            assert len(found["output"]) == 1, found
            answer = insist(port, "GET", path_of(found["output"][0]), host=host)
            assert answer.status == 200, f"{promise.id} succeeded, but its picture is {answer.status}"
            pictures.setdefault(promise.steps, set()).add(decode_png(answer.body))
        for key in ("image", "mask"):
            if "/outputs/" in found["input"][key]:
                assert insist(port, "GET", path_of(found["input"][key]), host=host).status == 200, f"{promise.id}: its {key} is gone"
        verify_events(promise, found, host, port)
        if promise.hook:
            told = clients.receiver.ends[promise.id]
            assert len({name for name, _ in told}) == 1, f"{promise.id} was told to have ended more than once: {told}"
            assert all(said == status for _, said in told), f"{promise.id} is {status}, its webhook said {told}"
    for steps, different in pictures.items():
        assert len(different) == 1, f"the same seed with {steps} steps made {len(different)} different pictures"
    for name, digest in clients.files:
        answer = insist(port, "GET", f"/v1/files/{name}/download", host=host)
        assert answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == digest, f"the file {name} is {answer.status}"
    assert not clients.troubles, "\n".join(clients.troubles)
    words = ", ".join(f"{number} {status}" for status, number in sorted(outcomes.items()))
    return (f"{len(clients.promises)} promised ({words}), {len(clients.files)} files, {clients.receiver.count} webhooks, "
            f"{sum(p.watched is not None for p in clients.promises)} streams; {clients.unanswered} requests without an answer, refused {clients.refused}")
