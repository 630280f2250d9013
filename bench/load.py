#!/usr/bin/env python3
"""What the service does under load, over HTTP and with fsync on.

    INPAINTD=build/release/inpaintd bench/load.py [--stores sqlite,postgres] [--finished 1000,1000000] [--queued 100000]

For each store, on a folder of its own (--data: where; a disk with the fsync that you mean):
  creates     POST /v1/predictions, kept-alive connections, one thread each: per second, and the latency of one
  claim       from a create to its "started_at" with an idle worker, one after the other
  finished    GET one, the newest page, a page far back, beside so many finished predictions (copied by SQL from one
              that was painted, its events and uses of blobs too; the store's own checks hold afterwards)
  queued      the same with so many waiting, and how long a create, a claim and /readyz take then
fsync of a page on the same disk is measured first, for comparison."""
import argparse, http.client, json, os, shutil, sqlite3, statistics, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/soak"))
from house import House, Postgres, MASK, PHOTO, PUBLIC, VERSION, uri

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--stores", default="sqlite,postgres")
arguments.add_argument("--finished", default="1000,1000000")
arguments.add_argument("--queued", type=int, default=100000)
arguments.add_argument("--seconds", type=float, default=5)
arguments.add_argument("--data", default="/tmp")
options = arguments.parse_args()
tempfile.tempdir = options.data

SMALL = {"version": VERSION, "input": {"prompt": "a bench", "image": "https://example.com/i.png", "mask": "https://example.com/m.png"}}
REAL = {"version": VERSION, "input": {"mask": uri(MASK), "prompt": "an apple", "seed": 1, "num_inference_steps": 1}}
SPREAD = 1000  # microseconds between the times of creation of two copies


class Line:
    """A kept-alive connection."""

    def __init__(self, service):
        self.connection = http.client.HTTPConnection(service.host, service.port, timeout=120)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), (answer.status, text)
        return json.loads(text) if text[:1] == b"{" else text


def timed(function, times):
    """Milliseconds: median and 99th percentile."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return f"p50 {statistics.median(taken):.2f} ms, p99 {taken[min(len(taken) - 1, int(len(taken) * 0.99))]:.2f} ms"


def fsyncs():
    with tempfile.NamedTemporaryFile() as file:
        def once():
            os.pwrite(file.fileno(), b"x" * 4096, 0)
            os.fdatasync(file.fileno())
        return timed(once, 200)


def creates(service, clients):
    until, counts = time.monotonic() + options.seconds, [0] * clients

    def create(i):
        line = Line(service)
        while time.monotonic() < until:
            line.ask("POST", "/v1/predictions", SMALL)
            counts[i] += 1

    threads = [threading.Thread(target=create, args=(i,)) for i in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def seconds_of(stamp):
    whole, part = stamp.rstrip("Z").split(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + part)


def upload(line):
    """As clients send their photos: the input is a short URL then."""
    body = b'--limit\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\n' + PHOTO + b"\r\n--limit--\r\n"
    line.connection.request("POST", "/v1/files", body, {"Content-Type": "multipart/form-data; boundary=limit"})
    answer = line.connection.getresponse()
    REAL["input"]["image"] = f"{PUBLIC}/v1/files/{json.loads(answer.read())['id']}"


def painted(line):
    found = line.ask("POST", "/v1/predictions", REAL)
    while found["status"] in ("starting", "processing"):
        time.sleep(0.005)
        found = line.ask("GET", f"/v1/predictions/{found['id']}")
    assert found["status"] == "succeeded", found
    return found


def claims(service, times=100):
    """created_at is cut to milliseconds."""
    line, taken = Line(service), []
    for _ in range(times):
        found = painted(line)
        taken.append((seconds_of(found["started_at"]) - seconds_of(found["created_at"])) * 1000)
    taken.sort()
    return f"p50 {statistics.median(taken):.1f} ms, p99 {taken[int(times * 0.99)]:.1f} ms"


# ---- many, by SQL ----

DIALECT = {
    "sqlite": {"series": "WITH RECURSIVE series(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM series WHERE n < {count})", "from": "series", "text": "printf('%024d', n + {start})",
               "user": "user", "columns": "SELECT name FROM pragma_table_info('{table}')"},
    "postgres": {"series": "", "from": "generate_series(1, {count}) AS series(n)", "text": "lpad((n + {start})::text, 24, '0')",
                 "user": "holder", "columns": "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' AND table_schema = current_schema()"},
}


def copies(kind, run, template, letter, start, count):
    """Copy the prediction `template` with all that belongs to it; the copies' ids are LETTER x 000...n."""
    words = {key: value.format(count=count, start=start, table="{table}") for key, value in DIALECT[kind].items()}
    new = f"'{letter}x' || {words['text']}"
    for table, key, fresh in (("predictions", "id", {"number"}), ("events", "prediction", {"sequence"}), ("blob_uses", words["user"], set())):
        columns = [row[0] for row in run(words["columns"].format(table=table))]
        columns = [column for column in columns if column not in fresh]
        made = {key: new}
        if table == "predictions":
            made["stream_token"] = f"'s' || {new}"
            made.update({column: f"CASE WHEN t.{column} = 0 THEN 0 ELSE t.{column} - {SPREAD} * (n + {start}) END" for column in ("created", "started", "completed", "claimed")})
        if table == "events":
            columns, last = ["sequence", *columns], "(SELECT max(sequence) FROM events)"
            made["sequence"] = f"(n - 1) * 10 + row_number() OVER (PARTITION BY n ORDER BY t.sequence) + {run('SELECT coalesce(max(sequence), 0) FROM events')[0][0]}"
        values = ", ".join(made.get(column, f"t.{column}") for column in columns)
        quoted = ", ".join(f'"{column}"' for column in columns)
        run(f"{words['series']} INSERT INTO {table} ({quoted}) SELECT {values} FROM {words['from']} CROSS JOIN (SELECT * FROM {table} WHERE {key} = '{template}') t")
    if kind == "postgres":
        run("UPDATE event_counter SET last = (SELECT coalesce(max(sequence), 0) FROM events)")


def runner(kind, house):
    if kind == "sqlite":
        database = sqlite3.connect(house.store, isolation_level=None, timeout=60)
        return lambda sql: database.execute(sql).fetchall()

    def run(sql):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", house.store, "-c", sql], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines()]

    return run


def looks(service, some_id):
    """What people and programs ask for, each on one connection."""
    line = Line(service)
    far = line.ask("GET", "/v1/predictions")
    for _ in range(100):
        if not far["next"]:
            break
        far = line.ask("GET", "/v1/" + far["next"].split("/v1/")[1])
    cursor = "/v1/" + (far["previous"] or "/v1/predictions").split("/v1/")[1]
    for name, path in (("one", f"/v1/predictions/{some_id}"), ("newest page", "/v1/predictions"), ("page 100", cursor), ("/readyz", "/readyz")):
        print(f"    {name}: {timed(lambda: line.ask('GET', path), 200)}", flush=True)


def measure(kind):
    postgres = Postgres() if kind == "postgres" else None
    house = None
    try:
        if postgres:
            postgres.start()
        house = House(postgres, tempfile.mkdtemp(prefix="inpaintd-load-"))
        service = house.add_service()
        house.start()
        print(f"{kind} (fdatasync of a page: {fsyncs()})", flush=True)
        for clients in (1, 8, 32):
            print(f"  creates, {clients} clients: {creates(service, clients):.0f} a second", flush=True)
        line = Line(service)
        print(f"  one create: {timed(lambda: line.ask('POST', '/v1/predictions', SMALL), 200)}", flush=True)
        run = runner(kind, house)
        for table in ("predictions", "events", "blob_uses"):
            run(f"DELETE FROM {table}")
        worker = house.add_worker()
        worker.start()
        upload(Line(service))
        template = painted(Line(service))["id"]
        print(f"  create to claim: {claims(service)}", flush=True)
        worker.stop()
        there = 0
        for count in map(int, options.finished.split(",")):
            began = time.monotonic()
            copies(kind, run, template, "f", there, count - there)
            there = count
            if kind == "postgres":
                run("ANALYZE")
            print(f"  {count} finished (copied in {time.monotonic() - began:.0f} s):", flush=True)
            looks(service, f"fx{count // 2:024d}")
        if options.queued:
            waiting = Line(service).ask("POST", "/v1/predictions", SMALL)["id"]
            copies(kind, run, waiting, "q", 0, options.queued)
            if kind == "postgres":
                run("VACUUM ANALYZE")
            print(f"  {options.queued} queued:", flush=True)
            looks(service, f"qx{options.queued // 2:024d}")
            line = Line(service)
            print(f"    a create: {timed(lambda: line.ask('POST', '/v1/predictions', SMALL), 200)}", flush=True)
            run(f"DELETE FROM predictions WHERE id = '{waiting}'")
            run(f"UPDATE predictions SET input = (SELECT input FROM predictions WHERE id = '{template}') WHERE id LIKE 'qx{'0' * 20}%'")
            worker.start()
            time.sleep(2)
            ended = "SELECT count(*) FROM predictions WHERE id LIKE 'qx%' AND status = 2"
            began, before = time.monotonic(), int(run(ended)[0][0])
            time.sleep(5)
            painting = (int(run(ended)[0][0]) - before) / (time.monotonic() - began)
            print(f"    a worker paints {painting:.1f} a second (64 x 64 pixels, one step)", flush=True)
            worker.stop()
        with open(f"/proc/{service.process.pid}/status") as status:
            print("  memory of the service: " + next(line for line in status if line.startswith("VmRSS")).split(":")[1].strip())
        house.stop()
        if kind == "sqlite" or there <= 100000:  # PostgreSQL stops a statement after a minute
            began = time.monotonic()
            print(f"  checked: {house.check()} ({time.monotonic() - began:.0f} s)", flush=True)
    except BaseException:
        if house:
            print(house.tail(20), file=sys.stderr)
        raise
    finally:
        if house:
            house.close()
        if postgres:
            postgres.close()


os.environ["TZ"] = "UTC"
time.tzset()
for store in options.stores.split(","):
    measure(store)
