"""What the operator's commands do to a zone that is being served: keys, secrets, who is in it."""
import contextlib
import random
import secrets
import signal
import sqlite3
import stat
import subprocess
import threading

import pytest
from conftest import RUNNING
from ec import roles, trust
from ec.client import Client, eventually
from ec.cluster import BUILD, AuthEdge, Broker, clean_environment

PASSWORD = "lovelace-1815"
LIST = "auth/revocations"
LINKS_MAX = 8


@pytest.fixture(scope="module")
def broker(workplace):
    broker = Broker(workplace / "operator-broker")
    yield broker
    broker.close()


class Door:
    """An authority on topics of its own, one user, and somebody who asks."""

    def __init__(self, broker, folder):
        self.broker, self.folder = broker, folder
        self.prefix = "t" + secrets.token_hex(4)
        self.client = Client(broker.port, self.prefix)
        self.client.subscribe(LIST)
        self.key = trust.Key()
        self.auth = None

    def open(self, *arguments):
        self.auth = AuthEdge(self.folder, self.broker, "--topic-prefix", self.prefix, *arguments)
        RUNNING.append(self.auth)
        self.zone = self.auth.start(self.client)
        if "ada" not in self.auth.must_run("user", "list"):
            assert self.auth.add_user("ada", PASSWORD).returncode == 0
        return self

    def restart(self):
        self.auth.stop()
        return self.auth.start(self.client)

    def log_in(self, key=None):
        """The reply, whatever it is."""
        topic = f"auth/user/{self.client.id}"
        self.client.subscribe(topic)
        inner, _ = roles.login_request(self.zone, key or self.key, self.client.id, "ada", PASSWORD)
        return self.client.ask("auth/user", roles.sealed(self.zone, inner), topic)

    def credential(self, key=None):
        return trust.unb64(self.log_in(key).json["ownerbase64"])

    def renew(self, credential, key=None, seal=False):
        topic = f"auth/user/{self.client.id}"
        self.client.subscribe(topic)
        inner, request = roles.renewal_request(
            self.zone, key or self.key, self.client.id, credential
        )
        reply = self.client.ask("auth/user", roles.sealed(self.zone, inner) if seal else inner, topic)
        assert reply.get("request") == trust.b64(request)
        return reply

    def enrol(self, edge, key, secret=None):
        self.client.subscribe(f"auth/zone/{edge}")
        request, _ = trust.enrolment(secret or self.auth.secret, key, edge)
        return self.client.ask("auth/zone", request, f"auth/zone/{edge}")

    def rotate(self):
        """`key rotate`, and the zone once it is served."""
        self.auth.must_run("key", "rotate")
        before = self.zone
        self.zone = eventually(lambda: self.zone_after(before["key_epoch"]))
        assert trust.zone_follows(before, self.zone)
        return self.zone

    def zone_after(self, epoch):
        zone = roles.fetch_zone(self.client)
        return zone if zone["key_epoch"] > epoch else None

    def list(self, holds=lambda _: True):
        """The next published list for which that holds."""

        def fits(message):
            try:
                return holds(self.read(message))
            except trust.Bad:
                return False

        return self.read(self.client.expect(LIST, fits))

    def read(self, message):
        return trust.open_revocations(trust.unb64(message.get("revocations")), self.zone)

    def in_database(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.folder / "auth_edge.db", timeout=20)) as db:
            db.execute(sql, values)
            db.commit()

    def close(self):
        try:
            if self.auth.process.alive:
                self.auth.stop()
        finally:
            self.auth.reap()
            RUNNING.remove(self.auth)
            self.client.close()


@pytest.fixture
def door(broker, folder):
    door = Door(broker, folder / "auth")
    yield door
    door.close()


def refused(reply, code="unauthorized", word=""):
    assert reply.get("status") == "error" and reply.get("code") == code, reply
    assert word in reply.get("message"), reply


def subject_of(credential, zone):
    return trust.open_credential(credential, zone)["subject"]


def serial_of(credential, zone):
    return trust.open_credential(credential, zone)["serial"]


# --- rotation ----------------------------------------------------------------


def test_a_key_is_rotated_while_it_serves(door):
    door.open()
    edge = trust.Key()
    first = trust.unb64(door.enrol("e1", edge).json["credential"])
    login = door.credential()
    old_pk = door.zone["sign_pk"]
    zone = door.rotate()
    assert zone["key_epoch"] == 2 and len(zone["links"]) == 1
    assert zone["sign_pk"] != old_pk and zone["box_pk"]
    # What was issued before is good; what is issued now is of the new epoch, and another serial.
    assert trust.open_credential(first, zone)["key_epoch"] == 1
    reply = door.enrol("e1", edge)
    second = trust.unb64(reply.json["credential"])
    assert trust.open_zone(trust.unb64(reply.json["parametre"])) == zone
    assert trust.open_credential(second, zone)["key_epoch"] == 2
    assert serial_of(second, zone) > serial_of(first, zone)
    again = door.credential()
    assert trust.open_credential(again, zone)["key_epoch"] == 2
    assert subject_of(again, zone) == subject_of(login, zone)
    assert serial_of(trust.unb64(door.renew(login).json["ownerbase64"]), zone) > 0
    assert door.list()["key_epoch"] == 2
    assert "key-epoch    2" in door.auth.must_run("show")
    assert door.restart() == zone


def test_keys_stay_secret_and_out_of_the_log(door):
    door.open()
    key_file, secret_file = door.folder / "zone.key", door.auth.secret_file
    told = [key_file.read_text().strip(), door.auth.secret.hex(), PASSWORD]
    door.credential()
    output = door.auth.must_run("secret", "rotate") + door.auth.must_run("key", "rotate")
    door.zone = eventually(lambda: door.zone_after(1))
    told += [key_file.read_text().strip(), door.auth.secret.hex()]
    assert door.log_in().get("status") == "ok"
    for path in door.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    output += door.auth.process.output + door.auth.must_run("show")
    for text in told:
        assert text not in output
    assert not (door.folder / "zone.key.new").exists()
    assert secret_file.stat().st_size == 65


def test_the_ninth_rotation_is_refused(door):
    door.open()
    first = door.zone
    for _ in range(LINKS_MAX):
        door.auth.must_run("key", "rotate")
    refusal = door.auth.run("key", "rotate")
    assert refusal.returncode == 1 and "8 times" in refusal.stderr
    zone = eventually(lambda: door.zone_after(LINKS_MAX))
    assert zone["key_epoch"] == LINKS_MAX + 1
    assert trust.zone_follows(first, zone)


def test_a_rotation_that_is_killed_leaves_a_zone(door):
    """At whatever moment: the folder opens, is served, and follows from what was pinned."""
    door.open()
    first = door.zone
    door.auth.stop()
    for _ in range(LINKS_MAX):
        process = subprocess.Popen(
            [BUILD / "auth_edge", "key", "rotate", "--data", door.folder],
            env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Event().wait(random.uniform(0, 0.05))  # any moment is as good as another
        process.kill()
        process.wait()
        assert "zone-key" in door.auth.must_run("show")
    zone = door.auth.start(door.client)
    assert trust.zone_follows(first, zone)


def test_the_old_secret_is_worth_nothing_after_its_rotation(door):
    door.open()
    old, key = door.auth.secret, trust.Key()
    assert door.enrol("e1", key).get("status") == "ok"
    door.auth.must_run("secret", "rotate")
    assert door.auth.secret != old
    eventually(lambda: door.enrol("e1", key).get("status") == "ok")
    refused(door.enrol("e1", key, secret=old))
    refused(door.enrol("e2", trust.Key(), secret=old))


def test_replays_are_refused_also_after_a_rotation(door):
    door.open()
    edge, topic = "e1", f"auth/user/{door.client.id}"
    door.client.subscribe(f"auth/zone/{edge}", topic)
    enrolment, _ = trust.enrolment(door.auth.secret, trust.Key(), edge)
    login = roles.sealed(
        door.zone, roles.login_request(door.zone, door.key, door.client.id, "ada", PASSWORD)[0]
    )
    renewal = roles.renewal_request(door.zone, door.key, door.client.id, door.credential())[0]

    def ask_all():
        return [
            door.client.ask("auth/zone", enrolment, f"auth/zone/{edge}"),
            door.client.ask("auth/user", login, topic),
            door.client.ask("auth/user", renewal, topic),
        ]

    for reply in ask_all():
        assert reply.get("status") == "ok", reply
    for reply in ask_all():
        refused(reply)
    door.rotate()
    for reply in ask_all():
        refused(reply)


def test_a_file_in_disorder_holds_up_no_revocation(door):
    """What cannot be read is said once, and the keys stay those that are in force."""
    door.open()
    secret, key = door.auth.secret, trust.Key()
    serial = serial_of(trust.unb64(door.enrol("e1", key).json["credential"]), door.zone)
    door.enrol("e2", trust.Key())
    with contextlib.closing(sqlite3.connect(door.folder / "auth_edge.db", timeout=20)) as db:
        door.auth.secret_file.write_text("what is this?\n")
        db.execute("INSERT INTO revocations VALUES (?, ?)", (serial, trust.now_us()))
        db.execute("UPDATE zone SET list_number = list_number + 1")
        db.commit()
    door.list(lambda fields: serial in [entry["serial"] for entry in fields["revoked"]])
    door.auth.process.wait_line("cannot be taken over.*zone.secret")
    assert door.enrol("e3", trust.Key(), secret=secret).get("status") == "ok"
    door.auth.secret_file.write_text(secret.hex() + "\n")
    door.rotate()
    assert door.auth.process.output.count("cannot be taken over") == 1


# --- revocation --------------------------------------------------------------


def test_the_list_is_there_for_who_comes_later(door):
    door.open()
    number = door.list()["number"]
    with Client(door.broker.port, door.prefix) as late:
        late.subscribe(LIST)
        kept = door.read(late.expect(LIST))
    assert kept["number"] == number and kept["revoked"] == []
    assert kept["next"] - kept["issued"] == 30_000_000


def test_it_is_signed_anew_again_and_again(door):
    door.open()
    first = door.list()
    second = door.list(lambda fields: fields["issued"] > first["issued"])
    assert second["number"] == first["number"]


def test_a_revoked_streamer(door):
    door.open()
    credential, other = door.credential(), door.credential(trust.Key())
    before = door.list()
    subject = subject_of(credential, door.zone)
    started = trust.now_us()
    door.auth.must_run("streamer", "revoke", subject)
    after = door.list(lambda fields: fields["number"] > before["number"])
    serials = [serial_of(c, door.zone) for c in (credential, other)]
    assert [entry["serial"] for entry in after["revoked"]] == sorted(serials)
    for entry in after["revoked"]:
        assert started <= entry["since"] <= trust.now_us()
    with pytest.raises(trust.Bad):
        trust.open_credential(credential, door.zone, revoked=after)
    refused(door.log_in(), word="revoked")
    refused(door.renew(credential), word="revoked")
    row = door.auth.must_run("streamer", "list").rstrip("\n").split("\t")
    assert row[:3] == [subject, "revoked", str(max(serials))] and row[-1] == "ada"
    assert "2 of 2900 serials" in door.auth.must_run("show")

    # Admitted again: a serial of its own; what was revoked stays so.
    door.auth.must_run("streamer", "admit", subject)
    again = door.credential()
    assert serial_of(again, door.zone) > max(serials)
    trust.open_credential(again, door.zone, revoked=after)
    refused(door.renew(credential), word="revoked")
    assert door.renew(again).get("status") == "ok"
    assert door.auth.run("streamer", "revoke", "nobody").returncode == 1
    assert door.auth.run("streamer", "revoke", "no/id").returncode == 2


def test_a_revoked_edge_and_its_next_key(door):
    door.open()
    key, next_key = trust.Key(), trust.Key()
    credential = trust.unb64(door.enrol("e1", key).json["credential"])
    serial = serial_of(credential, door.zone)
    door.auth.must_run("edge", "revoke", "e1")
    door.list(lambda fields: serial in [entry["serial"] for entry in fields["revoked"]])
    refused(door.enrol("e1", key), word="revoked")
    refused(door.enrol("e1", next_key), word="revoked")
    assert door.auth.must_run("edge", "list").split("\t")[:2] == ["e1", "revoked"]
    door.auth.must_run("edge", "rekey", "e1")
    assert door.auth.must_run("edge", "list").split("\t")[:2] == ["e1", "unbound"]
    assert door.enrol("e1", next_key).get("status") == "ok"
    refused(door.enrol("e1", key), "conflict")
    assert door.auth.must_run("edge", "list").split("\t")[:2] == ["e1", "admitted"]
    assert door.auth.run("edge", "rekey", "e9").returncode == 1


def test_numbers_never_go_back(door):
    door.open()
    people = [trust.Key() for _ in range(3)]
    numbers = [door.list()["number"]]
    for i, key in enumerate(people):
        door.enrol(f"e{i}", key)
        door.auth.must_run("edge", "revoke", f"e{i}")
        numbers.append(door.list(lambda fields: len(fields["revoked"]) == i + 1)["number"])  # noqa: B023
        stopped = trust.now_us()
        door.restart()
        again = door.list(lambda fields: fields["issued"] > stopped)  # noqa: B023
        assert again["number"] == numbers[-1] and len(again["revoked"]) == i + 1
    assert numbers == sorted(set(numbers))


def test_an_id_is_an_edges_or_a_streamers(door):
    door.open()
    refused(door.enrol(subject_of(door.credential(), door.zone), trust.Key()), "conflict")


# --- renewal -----------------------------------------------------------------


@pytest.mark.parametrize("seal", [False, True])
def test_a_credential_is_renewed(door, seal):
    door.open("--require-sealed-login")
    credential = door.credential()
    reply = door.renew(credential, seal=seal)
    assert reply.get("status") == "ok", reply
    renewed = trust.open_credential(trust.unb64(reply.json["ownerbase64"]), door.zone)
    shown = trust.open_credential(credential, door.zone)
    assert renewed["serial"] == shown["serial"]  # more than half of its life is left
    door.rotate()
    reply = door.renew(credential, seal=seal)
    renewed = trust.open_credential(trust.unb64(reply.json["ownerbase64"]), door.zone)
    assert renewed["key_epoch"] == 2 and renewed["serial"] > shown["serial"]
    assert (renewed["subject"], renewed["pk"]) == (shown["subject"], door.key.pk)


def test_what_is_not_renewed(door):
    door.open()
    credential = door.credential()
    refused(door.renew(credential, key=trust.Key()))
    flipped = bytearray(credential)
    flipped[-1] ^= 1
    refused(door.renew(bytes(flipped)))
    edge = trust.unb64(door.enrol("e1", door.key).json["credential"])
    refused(door.renew(edge))
    door.in_database("DELETE FROM users")
    refused(door.renew(credential), word="log in")


def test_a_credential_out_of_date_is_not_renewed(door):
    door.open("--streamer-credential-s", "1")
    credential = door.credential()
    reply = eventually(
        lambda: r if (r := door.renew(credential)).get("status") == "error" else None
    )
    refused(reply, word="out of date")


# --- a flood -----------------------------------------------------------------


def test_a_flood_of_logins_is_throttled_and_edges_enrol_through_it(door):
    """Every login is answered, ok or busy; every enrolment in between is granted."""
    logins, edges = 600, 20
    door.open()
    with Client(door.broker.port, door.prefix) as crowd:
        topic = f"auth/user/{crowd.id}"
        crowd.subscribe(topic)
        requests = [
            roles.sealed(
                door.zone,
                roles.login_request(door.zone, door.key, crowd.id, "ada", PASSWORD)[0],
            )
            for _ in range(logins)
        ]
        names = [f"e{i}" for i in range(edges)]
        door.client.subscribe(*[f"auth/zone/{name}" for name in names])
        enrolments = [trust.enrolment(door.auth.secret, trust.Key(), name)[0] for name in names]
        for i, request in enumerate(requests):
            crowd.publish("auth/user", request)
            if i % (logins // edges) == 0:
                door.client.publish("auth/zone", enrolments[i // (logins // edges)])
        for name in names:
            assert door.client.expect(f"auth/zone/{name}").get("status") == "ok"
        replies = [crowd.expect(topic) for _ in range(logins)]
    granted = [r for r in replies if r.get("status") == "ok"]
    busy = [r for r in replies if r.get("code") == "busy"]
    assert len(granted) + len(busy) == logins
    assert granted and len(busy) > logins // 4
    assert len({r.json["ownerbase64"] for r in granted}) == 1  # one key, one credential
    assert door.log_in().get("status") == "ok"
    door.auth.process.kill(signal.SIGUSR1)
    line = door.auth.process.wait_line(r"counters:.* login_busy=")
    assert f"login_busy={len(busy)} " in line and f"edges_enrolled={edges} " in line


def test_nobody_holds_more_credentials_than_can_be_revoked(door):
    door.open()
    most = 128
    key = trust.Key()
    subject = subject_of(door.credential(key), door.zone)
    door.in_database(
        "WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < ?)"
        " INSERT INTO credentials (kind, subject, name, pk, key_epoch, not_before_us, not_after_us)"
        " SELECT 'streamer', ?, '', 'key ' || x, 1, 0, ? FROM i",
        most - 1, subject, trust.now_us() + 3_600_000_000,
    )  # fmt: skip
    refused(door.log_in(trust.Key()), "quota")
    assert door.log_in(key).get("status") == "ok"
    door.auth.must_run("streamer", "revoke", subject)
    assert len(door.list(lambda fields: fields["revoked"])["revoked"]) == most
