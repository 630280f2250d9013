"""kill -9 of services, workers and the database at random instants.

    kills.py sqlite|postgres SEED KILLS

What was answered 201 ends exactly once, with its files; its events tell one story; each webhook of an end
arrives; and when all is quiet, the store is sound and no file is left without an owner."""

import random, signal, sys, time

from clients import Clients, verify, wait_for_ends
from house import House, Postgres, Receiver, Skip


def disturb(house, postgres, dice):
    """One kill, or several at the same instant; how many."""
    what = dice.choices(["worker", "service", "services", "everything", "database"], [5, 3, 1, 1, 3 if postgres else 0])[0]
    if what == "worker":
        victims = dice.sample(house.workers, dice.choice([1, 1, 2]))
    elif what == "service":
        victims = [dice.choice(house.services)]
    elif what == "services":
        victims = house.services
    elif what == "everything":
        victims = [*house.services, *house.workers]
    else:
        victims = []
    if what == "database" or (what == "everything" and postgres and dice.random() < 0.5):
        how = dice.choice(["backend", "backend", "first", "all"])
        if how == "backend":
            postgres.kill_backend(dice)
        else:
            postgres.kill(how == "all")
            postgres.start()
    victims = [victim for victim in victims if victim.running()]
    for victim in victims:
        victim.signal(signal.SIGKILL)
    for victim in victims:
        victim.process.wait()
    return len(victims) + (what == "database")


def run(kind, seed, kills):
    dice = random.Random(seed)
    postgres = Postgres() if kind == "postgres" else None
    house = receiver = clients = None
    try:
        if postgres:
            postgres.start()
        house, receiver = House(postgres), Receiver(seed)
        for _ in range(2):
            house.add_service()
        for _ in range(3):
            house.add_worker()
        house.start()
        clients = Clients(seed, [lambda service=service: (service.host, service.port) for service in house.services], receiver)
        clients.start()
        began, done = time.monotonic(), 0
        while done < kills:
            time.sleep(min(dice.expovariate(2), 2))
            done += disturb(house, postgres, dice)
            house.revive()
        killing = time.monotonic() - began
        clients.stop()
        house.revive()
        house.wait_ready()
        wait_for_ends(clients, 120, house.revive)
        figures = verify(clients)
        house.stop()
        checked = house.check()
        house.start()
        verify(clients)
        print(f"{kind}, seed {seed}: {done} kills in {killing:.0f} s; {figures}; {checked}; {time.monotonic() - began:.0f} s in all", flush=True)
    except BaseException:
        if house:
            print(house.tail(), file=sys.stderr)
        print(f"{kind}, seed {seed}", file=sys.stderr)
        raise
    finally:
        if clients:
            clients.given_up = True
            clients.stop()
        if house:
            house.close()
        if receiver:
            receiver.close()
        if postgres:
            postgres.close()


if __name__ == "__main__":
    try:
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
