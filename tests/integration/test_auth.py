"""§2.4: zone parameters, enrolment of edges, login of users."""
import secrets
import struct

import pytest
from ec import roles, trust
from ec.client import Client
from ec.cluster import AuthEdge

MINUTE_US = 60_000_000
SKEW_US = MINUTE_US + 5_000_000  # outside the window, whatever the machine is doing


@pytest.fixture
def user(cluster):
    """(name, password) of a user nobody else has."""
    name, password = "u" + secrets.token_hex(4), "pass-" + secrets.token_hex(8)
    added = cluster.auth.add_user(name, password)
    assert added.returncode == 0, added.stderr
    return name, password


class Enroller:
    """Asks for an edge credential as an edge does."""

    def __init__(self, client, auth, zone):
        self.client, self.secret, self.zone = client, auth.secret, zone
        self.id, self.key = "pyedge-" + secrets.token_hex(4), trust.Key()
        client.subscribe(f"auth/zone/{self.id}")

    def ask(self, secret=None, key=None, ts=None):
        request, self.request_hash = trust.enrolment(
            secret or self.secret, key or self.key, self.id, ts
        )
        return request, self.send(request)

    def send(self, request):
        return self.client.ask("auth/zone", request, f"auth/zone/{self.id}")


@pytest.fixture
def enroller(client, cluster):
    return Enroller(client, cluster.auth, cluster.zone)


def refused(reply, *codes):
    assert reply.get("status") == "error", reply
    assert reply.get("code") in codes, reply
    assert reply.get("message")


# --- parameters --------------------------------------------------------------


def test_params_are_signed_by_the_key_they_name(client):
    zone = roles.fetch_zone(client)
    assert zone["zone_id"]
    assert zone["issued"] <= trust.now_us()
    assert len(zone["links"]) <= 8


def test_params_are_the_same_for_everybody(client, cluster):
    assert roles.fetch_zone(client) == cluster.zone


@pytest.mark.parametrize("bad", ["", "a/b", "x" * 65, "é", 5, None, ["x"]])
def test_params_for_no_id_are_answered_to_nobody(client, bad):
    client.subscribe("auth/params/#")
    client.publish("auth/params", {"client_id": bad})
    roles.fetch_zone(client)  # asked later, answered first: the bad one was not
    assert not client.below("auth/params")


# --- enrolment ---------------------------------------------------------------


def test_edge_enrols(enroller):
    request, reply = enroller.ask()
    assert reply.get("status") == "ok", reply
    assert reply.get("ID") == enroller.id
    assert reply.get("nonce") == request["nonce"]
    params, credential = (trust.unb64(reply.get(k)) for k in ("parametre", "credential"))
    mac = trust.enrolment_reply_mac(
        enroller.secret, enroller.request_hash, params, credential, trust.unb64(request["nonce"])
    )
    assert trust.unb64(reply.get("proof")) == mac
    zone = trust.open_zone(params)
    assert zone["sign_pk"] == enroller.zone["sign_pk"]
    opened = trust.open_credential(credential, zone)
    assert opened["kind"] == trust.EDGE
    assert opened["subject"] == enroller.id
    assert opened["pk"] == enroller.key.pk


def test_edge_enrols_again_with_the_same_key(enroller):
    assert enroller.ask()[1].get("status") == "ok"
    assert enroller.ask()[1].get("status") == "ok"


def test_another_key_for_an_enrolled_id_is_a_conflict(enroller):
    assert enroller.ask()[1].get("status") == "ok"
    refused(enroller.ask(key=trust.Key())[1], "conflict")
    assert enroller.ask()[1].get("status") == "ok"


def test_enrolment_with_another_secret_is_refused(enroller):
    refused(enroller.ask(secret=bytes(32))[1], "unauthorized")


def test_enrolment_replayed_is_refused(enroller):
    request, reply = enroller.ask()
    assert reply.get("status") == "ok"
    refused(enroller.send(request), "unauthorized")


@pytest.mark.parametrize("skew_us", [-SKEW_US, SKEW_US])
def test_enrolment_out_of_time_is_refused(enroller, skew_us):
    refused(enroller.ask(ts=trust.now_us() + skew_us)[1], "unauthorized")


@pytest.mark.parametrize("skew_us", [-MINUTE_US + 10_000_000, MINUTE_US - 10_000_000])
def test_enrolment_within_the_window_is_granted(enroller, skew_us):
    assert enroller.ask(ts=trust.now_us() + skew_us)[1].get("status") == "ok"


@pytest.mark.parametrize("at", [0, 31, 32, 95])
def test_enrolment_with_a_flipped_bit_in_the_proof_is_refused(enroller, at):
    request, _ = trust.enrolment(enroller.secret, enroller.key, enroller.id)
    proof = bytearray(trust.unb64(request["proof"]))
    proof[at] ^= 1
    request["proof"] = trust.b64(bytes(proof))
    refused(enroller.send(request), "unauthorized" if at < 32 else "bad_signature", "unauthorized")


def test_enrolment_signed_by_another_key_is_refused(enroller):
    request, _ = trust.enrolment(enroller.secret, enroller.key, enroller.id)
    request["pk"] = trust.b64(trust.Key().pk)
    refused(enroller.send(request), "unauthorized", "bad_signature")


@pytest.mark.parametrize(
    "change",
    [
        {"pk": None}, {"pk": "!"}, {"pk": trust.b64(bytes(31))}, {"pk": 5},
        {"ts": "now"}, {"ts": -1}, {"ts": 1.5}, {"ts": None},
        {"nonce": trust.b64(bytes(15))}, {"nonce": ""},
        {"proof": None}, {"proof": ""}, {"proof": trust.b64(bytes(95))}, {"proof": {}},
    ],
    ids=repr,
)  # fmt: skip
def test_malformed_enrolment_is_refused(enroller, change):
    request, _ = trust.enrolment(enroller.secret, enroller.key, enroller.id)
    request = {k: v for k, v in {**request, **change}.items() if v is not None}
    refused(enroller.send(request), "bad_request", "unauthorized")


def test_the_originals_enrolment_without_trust_fields_is_unauthorized(enroller):
    refused(enroller.send({"ID": enroller.id}), "unauthorized", "bad_request")


@pytest.mark.parametrize("reserved", ["update", "sync"])
def test_reserved_edge_ids_are_refused(client, cluster, reserved):
    client.subscribe(f"auth/zone/{reserved}")
    request, _ = trust.enrolment(cluster.auth.secret, trust.Key(), reserved)
    client.publish("auth/zone", request)
    enroller = Enroller(client, cluster.auth, cluster.zone)
    assert enroller.ask()[1].get("status") == "ok"
    for reply in client.take_all(f"auth/zone/{reserved}"):
        assert reply.get("status") == "error", reply


# --- login -------------------------------------------------------------------


class Login:
    """A login that a test can bend."""

    def __init__(self, client, zone, user, password):
        self.client, self.zone = client, zone
        self.user, self.password = user, password
        self.key = trust.Key()
        client.subscribe(f"auth/user/{client.id}")

    def request(self, **sign):
        return roles.login_request(
            self.zone, self.key, self.client.id, self.user, self.password, **sign
        )

    def send(self, message):
        return self.client.ask("auth/user", message, f"auth/user/{self.client.id}")


@pytest.fixture
def attempt(client, cluster, user):
    return Login(client, cluster.zone, *user)


def test_login_gives_a_credential(attempt, cluster, user):
    inner, request = attempt.request()
    reply = attempt.send(roles.sealed(cluster.zone, inner))
    assert reply.get("status") == "ok", reply
    assert reply.get("request") == trust.b64(request)
    credential = trust.open_credential(trust.unb64(reply.get("ownerbase64")), cluster.zone)
    assert credential["kind"] == trust.STREAMER
    assert credential["pk"] == attempt.key.pk
    assert credential["display_name"] == user[0]


def test_the_same_user_is_the_same_subject_with_another_key(client, cluster, user):
    subjects = set()
    for _ in range(2):
        credential = roles.login(client, cluster.zone, trust.Key(), *user)
        subjects.add(trust.open_credential(credential, cluster.zone)["subject"])
    assert len(subjects) == 1


def test_two_users_are_two_subjects(cluster):
    subjects = [
        trust.open_credential(cluster.person(name)[1], cluster.zone)["subject"]
        for name in ("lea", "noe")
    ]
    assert subjects[0] != subjects[1]


@pytest.mark.parametrize("wrong", ["user", "password"])
def test_wrong_user_or_password_is_unauthorized(attempt, cluster, wrong):
    setattr(attempt, wrong, "nobody-or-nothing")
    inner, request = attempt.request()
    reply = attempt.send(roles.sealed(cluster.zone, inner))
    refused(reply, "unauthorized")
    assert reply.get("request") == trust.b64(request)
    assert "ownerbase64" not in reply.json


def test_unknown_user_and_wrong_password_look_the_same(attempt, cluster):
    attempt.password = "wrong"
    first = attempt.send(roles.sealed(cluster.zone, attempt.request()[0]))
    attempt.user = "nobody"
    second = attempt.send(roles.sealed(cluster.zone, attempt.request()[0]))
    assert first.get("message") == second.get("message")


def test_login_replayed_is_refused(attempt, cluster):
    inner, _ = attempt.request()
    assert attempt.send(roles.sealed(cluster.zone, inner)).get("status") == "ok"
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "unauthorized")


@pytest.mark.parametrize("skew_us", [-SKEW_US, SKEW_US])
def test_login_out_of_time_is_refused(attempt, cluster, skew_us):
    inner, _ = attempt.request(ts=trust.now_us() + skew_us)
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "unauthorized")


def test_login_for_a_key_that_one_does_not_have_is_refused(attempt, cluster):
    inner, _ = attempt.request()
    inner["pk"] = trust.b64(trust.Key().pk)
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "bad_signature", "unauthorized")


def test_login_signed_over_other_fields_is_refused(attempt, cluster):
    inner, _ = attempt.request()
    inner["extra"] = "1"
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "bad_signature", "unauthorized")


def test_login_signed_for_another_zone_is_refused(attempt, cluster):
    fields = {k: v for k, v in attempt.request()[0].items() if k != "auth"}
    inner, _ = trust.sign_request(attempt.key, "auth/user", "another-zone", fields)
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "bad_signature", "unauthorized")


def test_login_without_pk_is_a_bad_request(attempt, cluster):
    inner, _ = attempt.request()
    del inner["pk"]
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "bad_request")


def test_login_without_auth_is_refused(attempt, cluster):
    inner, _ = attempt.request()
    del inner["auth"]
    refused(attempt.send(roles.sealed(cluster.zone, inner)), "unauthorized", "bad_request")


@pytest.mark.parametrize("length", [256, 257])
def test_password_at_and_above_its_limit(attempt, cluster, length):
    attempt.password = "p" * length
    reply = attempt.send(roles.sealed(cluster.zone, attempt.request()[0]))
    refused(reply, "unauthorized" if length == 256 else "too_large")


def test_originals_login_without_pk_is_a_bad_request(client, attempt):
    reply = attempt.send({"ownerId": "a.b.c", "client_id": client.id})
    refused(reply, "bad_request")


def test_token_login_without_that_provider_is_refused(client, cluster, attempt):
    fields = {"ownerId": "a.b.c", "pk": trust.b64(attempt.key.pk), "client_id": client.id}
    inner, request = trust.sign_request(attempt.key, "auth/user", cluster.zone["zone_id"], fields)
    reply = attempt.send(inner)
    refused(reply, "unauthorized", "bad_request")
    assert reply.get("request") == trust.b64(request)


def test_garbage_is_survived(client, cluster, attempt):
    for message in [
        b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"{}", b'{"sealed":5}', b'{"sealed":"!"}',
        b'{"sealed":"' + trust.b64(bytes(20)).encode() + b'"}', b'{"sealed":"' + b"A" * 60_000,
        b"{" * 5_000, bytes(10_000_000),
    ]:  # fmt: skip
        for topic in ("auth/user", "auth/zone", "auth/params"):
            client.publish(topic, message)
    for inner in [b"", b"x", b"{}", b"[]", struct.pack("<Q", 1)]:
        client.publish("auth/user", roles.sealed(cluster.zone, inner))
    assert attempt.send(roles.sealed(cluster.zone, attempt.request()[0])).get("status") == "ok"


def test_login_to_no_id_is_answered_to_nobody(client, cluster, attempt):
    client.subscribe("auth/user/#")
    fields = {"user": attempt.user, "password": attempt.password, "pk": trust.b64(attempt.key.pk)}
    inner, _ = trust.sign_request(
        attempt.key, "auth/user", cluster.zone["zone_id"], {**fields, "client_id": "a/b"}
    )
    client.publish("auth/user", roles.sealed(cluster.zone, inner))
    assert attempt.send(roles.sealed(cluster.zone, attempt.request()[0])).get("status") == "ok"
    assert not client.take("auth/user/a/b")


@pytest.fixture
def own_auth(cluster, folder):
    """A second authority on the same broker, on topics of its own."""
    prefix = "t" + secrets.token_hex(4)
    started = []

    def start(*arguments):
        auth = AuthEdge(folder / "auth", cluster.broker, "--topic-prefix", prefix, *arguments)
        started.append(auth)
        return auth

    with Client(cluster.broker.port, prefix) as client:
        yield start, client
    for auth in started:
        auth.stop()


def test_what_an_authority_knows_survives_its_restart(own_auth):
    """The zone's keys, its users and the enrolled edges are on disk."""
    start, client = own_auth
    auth = start()
    zone = auth.start(client)
    assert auth.add_user("ada", "lovelace-1815").returncode == 0
    enroller = Enroller(client, auth, zone)
    assert enroller.ask()[1].get("status") == "ok"
    auth.stop()
    assert auth.start(client) == zone
    roles.login(client, zone, trust.Key(), "ada", "lovelace-1815")
    refused(enroller.ask(key=trust.Key())[1], "conflict")
    assert enroller.ask()[1].get("status") == "ok"


def test_a_request_cannot_be_replayed_after_a_restart(own_auth):
    start, client = own_auth
    auth = start()
    zone = auth.start(client)
    enroller = Enroller(client, auth, zone)
    request, reply = enroller.ask()
    assert reply.get("status") == "ok"
    auth.stop()
    auth.start(client)
    refused(enroller.send(request), "unauthorized", "busy")


def test_a_credential_ends_when_it_says(own_auth):
    start, client = own_auth
    auth = start("--streamer-credential-s", "3600")
    zone = auth.start(client)
    assert auth.add_user("ada", "lovelace-1815").returncode == 0
    credential = roles.login(client, zone, trust.Key(), "ada", "lovelace-1815")
    opened = trust.open_credential(credential, zone)
    assert abs(opened["not_after"] - trust.now_us() - 3_600_000_000) < 60_000_000
