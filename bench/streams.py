#!/usr/bin/env python3
"""Creates per second and their latency while thousands of event streams are open.

    INPAINTD=build/release/inpaintd bench/streams.py [--streams 0,1000,5000] [--creates 2000] [--clients 8] [--json]

Starts a server without workers on a data folder of its own (--data: where; a disk with the fsync that
you mean), opens the streams on one prediction, then creates predictions over kept-alive connections,
one thread a client. processor_us is what one create costs the server, whatever else the machine does. Afterwards every stream must still be alive and hear of the prediction's end."""
import argparse, json, os, resource, selectors, shutil, socket, subprocess, sys, tempfile, threading, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--streams", default="0,1000,5000")
arguments.add_argument("--creates", type=int, default=2000)
arguments.add_argument("--clients", type=int, default=8)
arguments.add_argument("--data")
arguments.add_argument("--json", action="store_true")
options = arguments.parse_args()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
BODY = json.dumps({"version": VERSION, "input": {"prompt": "a bench", "image": "https://example.com/i.png", "mask": "https://example.com/m.png"}}).encode()


def receive(connection, rest=b""):
    """One answer with a Content-Length: (status, body)."""
    while b"\r\n\r\n" not in rest:
        rest += connection.recv(65536)
    head, rest = rest.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(rest) < length:
        rest += connection.recv(65536)
    return int(head[9:12]), rest


def request(connection, line, body=b""):
    connection.sendall(f"{line} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return receive(connection)


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(count, folder):
    server = subprocess.Popen([os.environ["INPAINTD"], "serve", "--listen", "127.0.0.1:0", "--data", folder, "--workers", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        with connect(port) as first:
            prediction = json.loads(request(first, "POST /v1/predictions", BODY)[1])
        path = "/v1/" + prediction["urls"]["stream"].split("/v1/")[1]
        streams = []
        for _ in range(count):
            stream = connect(port)
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            streams.append(stream)
        for stream in streams:
            text = b""
            while b": hi" not in text:
                text += stream.recv(65536)

        latencies = [[] for _ in range(options.clients)]

        def create(mine):
            with connect(port) as connection:
                for _ in range(options.creates // options.clients):
                    began = time.perf_counter()
                    status, _ = request(connection, "POST /v1/predictions", BODY)
                    mine.append(time.perf_counter() - began)
                    assert status == 201

        threads = [threading.Thread(target=create, args=(mine,)) for mine in latencies]
        worked = processor_seconds(server.pid)
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        worked = processor_seconds(server.pid) - worked
        every = sorted(value for mine in latencies for value in mine)

        with connect(port) as last:
            began = time.perf_counter()
            request(last, f"POST /v1/predictions/{prediction['id']}/cancel")
        heard = 0
        selector = selectors.DefaultSelector()
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, bytearray())
        while heard < count and (ready := selector.select(10)):
            for key, _ in ready:
                key.data.extend(key.fileobj.recv(65536) or b"event: done")
                if b"event: done" in key.data:
                    heard += 1
                    selector.unregister(key.fileobj)
        told = time.perf_counter() - began
        for stream in streams:
            stream.close()
        with open(f"/proc/{server.pid}/status") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        at = lambda share: every[min(len(every) - 1, int(len(every) * share))] * 1000
        return {"streams": count, "creates_per_s": len(every) / seconds, "processor_us": worked / len(every) * 1e6, "p50_ms": at(0.5), "p99_ms": at(0.99), "heard": heard, "told_ms": told * 1000, "rss_mb": memory / 1024}
    finally:
        server.terminate()
        server.wait()


rows = []
for count in map(int, options.streams.split(",")):
    folder = tempfile.mkdtemp(dir=options.data)
    try:
        row = measure(count, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows.append(row)
    if not options.json:
        print("  ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()), flush=True)
    if row["heard"] != count:
        sys.exit(f"only {row['heard']} of {count} streams heard of the end")
if options.json:
    print(json.dumps(rows))
