"""A server whose data folder is a file system of 40 MB, filled by a file of ours. argv[1]: where it is mounted."""
import base64, http.client, json, os, signal, subprocess, sys, time

PROGRAM, PLACE = os.environ["INPAINTD"], sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
FILLER, LOG = os.path.join(PLACE, "filler"), "/tmp/full-disk-%d.log" % os.getpid()
FLOOR = 12  # MB


def uri(name):
    with open(os.path.join(HERE, "../clients", name), "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def create(steps=1):
    return ask("POST", "/v1/predictions", {"version": VERSION, "input": {"prompt": "full", "image": uri("photo.png"), "mask": uri("mask.png"), "num_inference_steps": steps}})


def upload(size):
    body = b'--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n' + bytes(size) + b"\r\n--x--\r\n"
    return ask("POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=x")


def status(id):
    return json.loads(ask("GET", f"/v1/predictions/{id}").body)["status"]


def until(what, seconds=90):
    end = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return result


def fill(leave):
    """Leave so many bytes, or (0) none at all."""
    with open(FILLER, "ab", buffering=0) as file:
        try:
            while (free := (s := os.statvfs(PLACE)).f_bavail * s.f_frsize) > leave:
                file.write(bytes(min(free - leave, 1 << 16)))
        except OSError as reason:
            assert leave == 0, reason


def refused(answer):
    problem = json.loads(answer.body)
    assert answer.status == 507 and answer.headers["Content-Type"] == "application/problem+json" and problem["title"] == "Insufficient storage" and "disk" in problem["detail"], answer.body
    return True


def start(*options):
    global process, port
    process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", PLACE, "--threads", "1", *options], stdout=subprocess.PIPE, stderr=open(LOG, "ab"), text=True)
    port = int(process.stdout.readline().rsplit(":", 1)[1])


try:
    # Below the floor: what waits is painted, nothing more is taken.
    start("--free-space", str(FLOOR))
    assert ask("GET", "/readyz").status == 200
    accepted = [json.loads(create(steps).body)["id"] for steps in (120, 1, 1)]
    until(lambda: status(accepted[0]) == "processing")
    fill(FLOOR * 1000000 - 1000000)
    assert refused(create()) and refused(upload(10))
    assert ask("GET", "/readyz").status == 503 and ask("GET", "/healthz").status == 200
    until(lambda: all(status(id) == "succeeded" for id in accepted))
    os.remove(FILLER)
    assert create().status == 201 and upload(10).status == 201 and ask("GET", "/readyz").status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0

    # Without a floor, until nothing is left: refused by the disk itself. A picture waits for room.
    start("--free-space", "0")
    running = json.loads(create(200).body)["id"]
    until(lambda: status(running) == "processing")
    fill(0)
    assert refused(until(lambda: (answer := upload(1 << 20)).status != 201 and answer))
    until(lambda: (answer := create()).status != 201 and refused(answer))
    assert ask("GET", "/v1/predictions").status == 200  # reading goes on
    time.sleep(3)  # the worker comes to its end, or to where it can't go on
    assert status(running) in ("processing", "starting"), status(running)
    os.remove(FILLER)
    until(lambda: status(running) == "succeeded")
    output = json.loads(ask("GET", f"/v1/predictions/{running}").body)["output"][0]
    assert ask("GET", "/" + output.split("/", 3)[3]).body[:4] == b"\x89PNG"
    last = json.loads(create().body)["id"]
    until(lambda: status(last) == "succeeded")
    print("full disk: ok")
except BaseException:
    sys.stderr.write(open(LOG).read()[-6000:])
    raise
finally:
    process.terminate()
    process.wait()
    os.remove(LOG)
