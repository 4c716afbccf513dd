"""A flood of logins, and what an edge that enrols meanwhile has to wait.

    EDGE_BUILD=build /usr/bin/python3 bench/auth_flood.py [LOGINS] [SECONDS]

A broker and an auth_edge of its own, embedded users. One client logs in with user
and password LOGINS times in SECONDS, evenly; another enrols an edge every 100 ms.
Prints what became of the logins and how long the enrolments took.
"""

import collections
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "integration"))

from ec import roles, trust  # noqa: E402
from ec.client import Client  # noqa: E402
from ec.cluster import AuthEdge, Broker  # noqa: E402

ENROL_EVERY_S = 0.1
LAST_ANSWERS_S = 5


def prepare(zone, client, logins):
    """Requests are signed and sealed before the clock starts, within the window of 60 s."""
    key = trust.Key()
    topic = f"auth/user/{client.id}"
    client.subscribe(topic)
    now = trust.now_us()
    return [
        json.dumps(roles.sealed(zone, roles.login_request(
            zone, key, client.id, "ada", "a password", ts=now + 55_000_000)[0]))
        for _ in range(logins)
    ]


def flood(client, requests, seconds):
    begun = time.monotonic()
    for i, request in enumerate(requests):
        wait = begun + i * seconds / len(requests) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        client.publish("auth/user", request)


def enrol(client, auth, over, waits):
    key = trust.Key()
    client.subscribe("auth/zone/e1")
    while not over.is_set():
        request, _ = trust.enrolment(auth.secret, key, "e1")
        begun = time.monotonic()
        reply = client.ask("auth/zone", request, "auth/zone/e1")
        waits.append(time.monotonic() - begun)
        assert reply.get("status") == "ok", reply
        over.wait(ENROL_EVERY_S)


def ms(seconds):
    return f"{1000 * seconds:.1f} ms"


def main(logins=10_000, seconds=60):
    waits, over = [], threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        auth = AuthEdge(Path(folder) / "auth", broker)
        with Client(broker.port) as crowd, Client(broker.port) as edge:
            zone = auth.start(edge)
            assert auth.add_user("ada", "a password").returncode == 0
            requests = prepare(zone, crowd, logins)
            asker = threading.Thread(target=enrol, args=(edge, auth, over, waits))
            asker.start()
            begun = time.monotonic()
            flood(crowd, requests, seconds)
            took = time.monotonic() - begun
            time.sleep(LAST_ANSWERS_S)
            over.set()
            asker.join()
            answers = collections.Counter(
                m.get("code") or m.get("status") for m in crowd.take_all(f"auth/user/{crowd.id}"))
        auth.stop()
        broker.close()
    waits.sort()
    print(f"{logins} logins in {took:.0f} s: {dict(answers)}, "
          f"{logins - sum(answers.values())} unanswered")
    print(f"{len(waits)} enrolments meanwhile: median {ms(statistics.median(waits))}, "
          f"99 % {ms(waits[int(len(waits) * 0.99)])}, longest {ms(waits[-1])}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
