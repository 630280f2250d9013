"""Three hosts that serve, three that paint, one with the database and one with S3, each a network of its own:
cut off from the others and joined again, with a slow way to the database, and clocks that differ by minutes.

    split.py SEED ROUNDS

Asserts the same as kills.py."""

import os, random, sys, time

from clients import Clients, verify, wait_for_ends
from house import House, Postgres, Receiver, S3, Skip, ask, insist, uri, MASK, PHOTO, VERSION
from network import BRIDGE, Delay, Network

WEED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/s3/bin/weed")
FAKE_TIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
CLOCKS = ("+0", "+4m", "-6m", "-3m", "+7m", "+0")  # of the services, then of the workers
LEASE = 15  # seconds: who is cut off for longer loses its work to another


def clock(offset):
    """What makes a program believe in another time of day."""
    if offset == "+0" or not os.path.exists(FAKE_TIME):
        return {}
    return {"LD_PRELOAD": FAKE_TIME, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}


class Site:
    def __init__(self):
        self.closing, self.house = [], None

    def open(self, seed, log):
        network = Network()
        self.postgres_host, self.s3_host = network.add_host("database"), network.add_host("s3")
        self.serving, self.painting = [network.add_host(f"serve{i}") for i in range(3)], [network.add_host(f"paint{i}") for i in range(3)]
        self.postgres = Postgres(self.postgres_host.address, self.postgres_host.prefix)
        self.closing.append(self.postgres)
        self.postgres.start()
        blobs = None
        if os.path.exists(WEED):
            s3 = S3(os.path.realpath(WEED), self.s3_host.address, self.s3_host.prefix)
            self.closing.append(s3)
            s3.start()
            blobs = f"s3://pictures/soak?endpoint=http://{self.s3_host.address}:8333"
        self.folder = os.path.dirname(log.name)
        self.way = Delay(self.postgres_host, 6432, (self.postgres_host.address, 5432), self.folder, log)
        self.closing.append(self.way)
        self.house = House(self.postgres, store=f"postgres://postgres@{self.way.address}/postgres", blobs=blobs)
        self.closing.append(self.house)
        self.receiver = Receiver(seed, BRIDGE)
        self.closing.append(self.receiver)
        self.house.make_token()
        for i, host in enumerate(self.serving):
            self.house.add_service(host=host.address, port=8080, prefix=host.prefix, environment=clock(CLOCKS[i]))
        for i, host in enumerate(self.painting):
            self.house.add_worker(prefix=host.prefix, environment=clock(CLOCKS[3 + i]))
        self.house.start()

    def heal(self):
        for host in [self.postgres_host, self.s3_host, *self.serving, *self.painting]:
            if host.cut_off:
                host.heal()
        self.way.set(0)

    def close(self):
        for part in reversed(self.closing):
            part.close()


def disturb(site, what, dice, seconds):
    """One disturbance, for so long; then all is well again."""
    if what == "worker":
        dice.choice(site.painting).cut()
    elif what == "service":
        dice.choice(site.serving).cut()
    elif what == "database":
        site.postgres_host.cut()
    elif what == "s3":
        site.s3_host.cut()
    elif what == "halves":  # one that serves and two that paint see only each other
        for host in [dice.choice(site.serving), *dice.sample(site.painting, 2)]:
            host.cut()
    elif what == "slow":
        site.way.set(dice.choice([20, 50, 100, 200]))
    elif what == "kill":
        dice.choice([*site.house.services, *site.house.workers]).kill()
    print(f"  {what} for {seconds:.0f} s", flush=True)
    time.sleep(seconds)
    site.heal()
    site.house.revive()


def check_lifetimes(site):
    """However wrong a service's clock is: who asks for two minutes gets them."""
    found = []
    for service in site.house.services:
        body = {"version": VERSION, "input": {"image": uri(PHOTO), "mask": uri(MASK), "prompt": "an apple", "seed": 1, "num_inference_steps": 1}}
        answer = ask(service.port, "POST", "/v1/predictions", body, host=service.host, Cancel_After="2m")
        assert answer.status == 201, answer.body
        found.append(answer.json["id"])
    for name in found:
        until = time.monotonic() + 60
        while True:
            answer = insist(site.house.services[0].port, "GET", f"/v1/predictions/{name}", host=site.house.services[0].host).json
            if answer["status"] in ("succeeded", "failed", "canceled"):
                break
            assert time.monotonic() < until, f"{name} is not painted"
            time.sleep(0.1)
        assert answer["status"] == "succeeded", f"a prediction that may take two minutes was {answer['status']} after seconds"


def run(seed, rounds):
    dice = random.Random(seed)
    log = open(f"/tmp/inpaintd-split-{os.getpid()}.log", "ab")
    if not os.path.exists(FAKE_TIME):
        print("clocks are all right here (Debian package: libfaketime)")
    if not os.path.exists(WEED):
        print("files are in a folder, not in S3 (tests/store/run_s3.sh installs a server)")
    site, clients, began = Site(), None, time.monotonic()
    try:
        site.open(seed, log)
        check_lifetimes(site)
        places = [lambda service=service: (service.host, service.port) for service in site.house.services]
        clients = Clients(seed, places, site.receiver, pace=0.5, steps=(1, 2, 40, 200))
        clients.start()
        quick = [("kill", 1), ("worker", LEASE + 2), ("service", 2), ("database", 3), ("slow", 3), ("s3", 2)]
        for number in range(rounds) if rounds else quick:
            if rounds:
                what = dice.choice(["worker", "worker", "service", "database", "s3", "halves", "slow", "kill"])
                disturb(site, what, dice, dice.choice([1, 3, 8, LEASE + 5, 40]))
                time.sleep(dice.uniform(0, 5))
            else:
                disturb(site, number[0], dice, number[1])
                time.sleep(0.5)
        clients.stop()
        site.house.wait_ready()
        wait_for_ends(clients, 180, site.house.revive)
        figures = verify(clients)
        site.house.stop()
        print(f"split, seed {seed}: {rounds or len(quick)} disturbances; {figures}; {site.house.check()}; {time.monotonic() - began:.0f} s in all", flush=True)
    except BaseException:
        if site.house:
            print(site.house.tail(), file=sys.stderr)
        print(f"split, seed {seed}", file=sys.stderr)
        raise
    finally:
        if clients:
            clients.given_up = True
            clients.stop()
        site.close()
        log.close()
        os.unlink(log.name)


if __name__ == "__main__":
    try:
        run(int(sys.argv[1]), int(sys.argv[2]))
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
