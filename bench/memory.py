#!/usr/bin/env python3
"""Does the memory of a service and a worker stay as it is?

    INPAINTD=build/release/inpaintd bench/memory.py [MINUTES] [--store sqlite|postgres]

Clients create, look, list, upload, cancel and follow streams without a pause while a worker paints; what is older than
a minute is removed. Prints the resident memory of both every minute, and how fast it grew over the second half."""
import argparse, os, random, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/soak"))
from clients import Clients
from house import House, Postgres, Receiver

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("minutes", type=float, nargs="?", default=60)
arguments.add_argument("--store", default="sqlite")
options = arguments.parse_args()


def resident(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


postgres = Postgres() if options.store == "postgres" else None
if postgres:
    postgres.start()
house, receiver = House(postgres, tempfile.mkdtemp(prefix="inpaintd-memory-", dir="/tmp")), Receiver(1)
try:
    service, worker = house.add_service("--retention", "60", "--file-lifetime", "60"), house.add_worker()
    house.start()
    clients = Clients(1, [lambda: (service.host, service.port)], receiver, pace=0.02, steps=(1, 2))
    clients.start()
    began, seen = time.monotonic(), []
    while time.monotonic() < began + options.minutes * 60:
        time.sleep(min(60, options.minutes * 60 / 10))
        with clients.lock:
            made = len(clients.promises)
            clients.files.clear()
        seen.append((time.monotonic() - began, resident(service.process), resident(worker.process)))
        print(f"{seen[-1][0] / 60:5.1f} min: service {seen[-1][1]:.1f} MB, worker {seen[-1][2]:.1f} MB, {made} predictions", flush=True)
    clients.given_up = True
    clients.stop()
    half = seen[len(seen) // 2 :]
    hours = (half[-1][0] - half[0][0]) / 3600
    print(f"{options.store}: over the second half ({hours * 60:.0f} min) the service grew by {half[-1][1] - half[0][1]:.1f} MB, the worker by {half[-1][2] - half[0][2]:.1f} MB")
    assert service.running() and worker.running()
finally:
    house.close()
    receiver.close()
    if postgres:
        postgres.close()
