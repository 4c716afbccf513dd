"""Logins with the tokens of a Supabase project."""
import json
import secrets
import subprocess
import threading
import time
import uuid

import pytest
from ec import roles, trust
from ec.client import TIMEOUT_S, Client
from ec.cluster import BUILD, SANITIZER, AuthEdge, clean_environment, free_port
from ec.supabase import KEYS_PATH, USER_PATH, EcKey, Nothing, RsaKey, Secret, Supabase, certificate

SLOW_LOGINS = 200
SLOW_S = 2.0
UNDER_WAY = 100  # of them, at the least, when the zone is asked


class Door:
    """An authority whose tokens are a project's, on topics of its own, and who knocks there."""

    def __init__(self, cluster, folder, project):
        self.project, self.port = project, cluster.broker.port
        self.prefix = "t" + secrets.token_hex(4)
        self.folder, self.broker = folder, cluster.broker
        self.client = Client(self.port, self.prefix)
        self.auth = None

    def open(self, *arguments, url=None, key=None):
        key_file = self.folder / "supabase.key"
        key_file.write_text((key or self.project.api_key) + "\n")
        key_file.chmod(0o600)
        arguments = (
            *("--topic-prefix", self.prefix, "--supabase-url", url or self.project.url),
            *("--supabase-key-file", key_file, *arguments),
        )
        self.auth = AuthEdge(self.folder / "auth", self.broker, *arguments)
        self.zone = self.auth.start(self.client)
        self.topic = f"auth/user/{self.client.id}"
        self.client.subscribe(self.topic)
        return self

    def send(self, token, seal=True):
        """Knock; (key, what the answer echoes)."""
        key = trust.Key()
        fields = {"ownerId": token, "pk": trust.b64(key.pk), "client_id": self.client.id}
        inner, request = trust.sign_request(key, "auth/user", self.zone["zone_id"], fields)
        self.client.publish("auth/user", roles.sealed(self.zone, inner) if seal else inner)
        return key, trust.b64(request)

    def answer(self, request):
        return self.client.expect(self.topic, lambda m: m.get("request") == request)

    def login(self, token, seal=True):
        key, request = self.send(token, seal)
        reply = self.answer(request)
        if reply.get("status") != "ok":
            return reply
        credential = trust.open_credential(trust.unb64(reply.get("ownerbase64")), self.zone)
        assert credential["pk"] == key.pk
        return credential

    def refused(self, token, code="unauthorized"):
        reply = self.login(token)
        assert not isinstance(reply, dict), f"let in: {reply}"
        assert reply.get("code") == code, reply
        assert reply.get("message")
        return reply

    def accepted(self, token, sub):
        credential = self.login(token)
        assert isinstance(credential, dict), credential
        assert credential["kind"] == trust.STREAMER
        assert credential["subject"] == sub
        return credential

    def close(self):
        self.client.close()
        if self.auth and self.auth.process and self.auth.process.alive:
            output = self.auth.process.output
            print(output)  # shown when the test fails
            self.auth.stop()
            assert self.project.api_key not in output
            assert "eyJ" not in output, "a token in the log"
        elif self.auth:
            self.auth.reap()


@pytest.fixture
def project():
    project = Supabase()
    yield project
    project.close()


@pytest.fixture
def door(cluster, folder, project):
    door = Door(cluster, folder, project)
    yield door
    door.close()


@pytest.fixture
def lea(project):
    return project.add_user(user_metadata={"full_name": "Léa"})


# --- what is accepted ----------------------------------------------------------------


@pytest.mark.parametrize("which", ["ec", "rsa", "secret"])
def test_a_token_of_each_kind_is_accepted(door, project, lea, which):
    credential = door.open().accepted(project.token(lea, getattr(project, which)), lea)
    assert credential["display_name"] == "Léa"
    assert project.count(USER_PATH) == 1


def test_a_project_with_a_secret_alone_has_no_keys_and_works(door, project, lea):
    project.keys = []
    door.open().accepted(project.token(lea, project.secret), lea)
    door.refused(project.token(lea, Secret()))  # signed with another secret: Supabase says so
    door.refused(project.token(lea, project.ec))


def test_the_audience_may_be_a_list(door, project, lea):
    door.open().accepted(project.token(lea, aud=["x", "authenticated"]), lea)


def test_no_mail_address_gets_into_a_credential(door, project):
    sub = project.add_user(email="lea@example.org")
    assert door.open().accepted(project.token(sub), sub)["display_name"] == "lea"


def test_the_originals_login_in_the_open(door, project, lea):
    assert door.open().login(project.token(lea), seal=False)["subject"] == lea


def test_a_login_must_be_sealed_where_that_is_required(door, project, lea):
    door.open("--require-sealed-login")
    door.send(project.token(lea), seal=False)
    assert door.client.expect(door.topic).get("code") == "bad_request"
    assert project.requests == []
    door.accepted(project.token(lea), lea)


def test_a_credential_is_not_renewed_without_a_token(door, project, lea):
    """Supabase cannot be asked about somebody who shows no token; the embedded users can."""
    door.open()
    key, request = door.send(project.token(lea))
    credential = trust.unb64(door.answer(request).get("ownerbase64"))
    inner, request = roles.renewal_request(door.zone, key, door.client.id, credential)
    door.client.publish("auth/user", inner)
    reply = door.answer(trust.b64(request))
    assert reply.get("code") == "unauthorized" and "token" in reply.get("message"), reply

    assert door.auth.add_user("ada", "lovelace-1815").returncode == 0
    credential = roles.login(door.client, door.zone, key, "ada", "lovelace-1815")
    inner, request = roles.renewal_request(door.zone, key, door.client.id, credential)
    door.client.publish("auth/user", inner)
    assert door.answer(trust.b64(request)).get("status") == "ok"
    assert project.count(USER_PATH) == 1


def test_passwords_go_to_the_embedded_users_beside_it(door, project, lea):
    door.open()
    assert door.auth.add_user("ada", "lovelace-1815").returncode == 0
    roles.login(door.client, door.zone, trust.Key(), "ada", "lovelace-1815")
    door.accepted(project.token(lea), lea)
    assert project.count(USER_PATH) == 1


def test_the_issuer_may_be_another_or_none(door, project, lea):
    door.open("--supabase-issuer", "none")
    door.accepted(project.token(lea, iss=None), lea)
    door.refused(project.token(lea))
    door.auth.stop()
    door.open("--supabase-issuer", "https://elsewhere.example/auth/v1")
    door.accepted(project.token(lea, iss="https://elsewhere.example/auth/v1"), lea)
    door.refused(project.token(lea))


# --- what is turned away without a request -----------------------------------------------


@pytest.mark.parametrize(
    "over",
    [
        {"exp": int(time.time()) - 3600}, {"exp": None}, {"nbf": int(time.time()) + 3600},
        {"aud": "anon"}, {"aud": ["x"]}, {"aud": None}, {"iss": "https://elsewhere.example"},
        {"iss": None}, {"role": "service_role"}, {"role": "anon"}, {"role": None},
        {"sub": "service"}, {"sub": None}, {"sub": 5},
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_claims_are_refused_without_a_request(door, project, lea, over):
    door.open().refused(project.token(lea, **over))
    assert project.requests == []


def test_forged_tokens_are_refused_without_asking(door, project, lea):
    door.open()
    confused = Secret(project.rsa.kid, project.rsa.pem())
    other_ec, other_rsa = EcKey(project.ec.kid), RsaKey(project.rsa.kid)
    cut = project.token(lea).rpartition(".")[0] + "."
    crossed = project.token(lea, project.rsa, header={"kid": project.ec.kid})
    for token in [
        project.token(lea, Nothing()),
        project.token(lea, Nothing(), header={"kid": project.ec.kid}),
        project.token(lea, Nothing(), header={"alg": "None"}),
        project.token(lea, confused),
        project.token(lea, other_ec),
        project.token(lea, other_rsa),
        project.token(lea, header={"alg": "HS256"}),
        project.token(lea, header={"alg": "PS256"}),
        project.token(lea, header={"crit": ["exp"]}),
        cut, crossed, "a.b.c", "..", "x", "é.é.é", "a" * 4096,
    ]:  # fmt: skip
        door.refused(token)
    assert project.count(USER_PATH) == 0
    door.accepted(project.token(lea), lea)


def test_an_unknown_kid_fetches_the_set_at_most_once_a_minute(door, project, lea):
    door.open()
    door.accepted(project.token(lea), lea)
    for _ in range(3):
        door.refused(project.token(lea, EcKey("ec-2")))
    assert project.count(KEYS_PATH) == 1
    assert project.count(USER_PATH) == 1


def test_the_set_is_fetched_once_for_many_logins(door, project):
    arrived, go_on = threading.Event(), threading.Event()

    def held(handler):
        arrived.set()
        go_on.wait(TIMEOUT_S)
        handler.reply(200, {"keys": [key.jwk() for key in project.keys]})

    project.answer_keys = held
    door.open()
    subs = [project.add_user() for _ in range(20)]
    sent = [door.send(project.token(sub)) for sub in subs]
    forged = door.send(project.token(subs[0], EcKey("ec-2")))
    assert arrived.wait(TIMEOUT_S)
    go_on.set()
    for _, request in sent:
        assert door.answer(request).get("status") == "ok"
    assert door.answer(forged[1]).get("code") == "unauthorized"
    assert project.count(KEYS_PATH) == 1
    assert project.count(USER_PATH) == 20


@pytest.mark.parametrize("status", [404, 500, 200])
def test_without_a_key_set_supabase_decides_alone(door, project, lea, status):
    project.answer_keys = lambda handler: handler.reply(status, b"<html>")
    door.open().accepted(project.token(lea), lea)
    door.refused(project.token(str(uuid.uuid4())))  # nobody of the project
    assert project.count(USER_PATH) == 2
    assert project.count(KEYS_PATH) == 1


# --- what Supabase refuses, or cannot say --------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_user_whom_supabase_refuses_is_refused(door, project, lea, status):
    door.open().accepted(project.token(lea), lea)
    project.answer_user = lambda handler, _: handler.reply(status, {"error_code": "user_banned"})
    door.refused(project.token(lea))
    project.answer_user = None
    door.accepted(project.token(lea), lea)


def test_a_deleted_user_is_refused_with_the_same_token(door, project, lea):
    token = project.token(lea)
    door.open().accepted(token, lea)
    del project.users[lea]
    door.refused(token)


def drop(handler, _):
    handler.close_connection = True


def huge_header(handler, _):
    handler.reply(200, {}, **{f"X-{i}": "x" * 1000 for i in range(60)})


UNKNOWN = {
    "429": lambda h, _: h.reply(429, {"msg": "slow down"}, Retry_After=20),
    "500": lambda h, _: h.reply(500, {}),
    "503": lambda h, _: h.reply(503, {}, Retry_After="x"),
    "302": lambda h, _: h.reply(302, {}, Location="/auth/v1/elsewhere"),
    "404": lambda h, _: h.reply(404, {}),
    "garbage": lambda h, _: h.reply(200, b"<html>"),
    "empty": lambda h, _: h.reply(200, b""),
    "somebody else": lambda h, _: h.reply(200, {"id": "00000000-0000-0000-0000-000000000000"}),
    "our key": lambda h, _: h.reply(401, {"message": "Invalid API key"}),
    "hung up": drop,
    "headers without end": huge_header,
}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_what_says_nothing_is_busy_and_backs_off(door, project, lea, fault):
    project.answer_user = UNKNOWN[fault]
    door.open()
    reply = door.refused(project.token(lea), "busy")
    assert "try again" in reply.get("message")
    asked = project.count(USER_PATH)
    for _ in range(5):
        door.refused(project.token(lea), "busy")
    assert project.count(USER_PATH) <= asked + 1, "it is asked again and again"
    door.refused(project.token(lea, EcKey(project.ec.kid)))  # what can be told is told
    assert "/auth/v1/elsewhere" not in project.requests
    door.auth.process.wait_line(r"Supabase cannot say who logs in \(.+\): logins are busy for \d+ s")


def test_after_a_failure_logins_go_on(door, project, lea):
    project.answer_user = UNKNOWN["500"]
    door.open().refused(project.token(lea), "busy")
    project.answer_user = None
    deadline = time.monotonic() + TIMEOUT_S
    while not isinstance(reply := door.login(project.token(lea)), dict):
        assert reply.get("code") == "busy", reply
        assert time.monotonic() < deadline
    door.auth.process.wait_line("Supabase answers again")


def test_too_much_about_one_user_is_nobody_elses_trouble(door, project, lea):
    noe = project.add_user(user_metadata={"name": "n" * 70_000})
    door.open()
    door.refused(project.token(noe), "busy")
    door.accepted(project.token(lea), lea)


def test_supabase_that_is_away_is_busy(door, project, lea):
    door.open(url=f"http://127.0.0.1:{free_port()}")
    url = door.auth.arguments[3]
    door.refused(project.token(lea, iss=url + "/auth/v1"), "busy")


def test_supabase_that_goes_away_in_mid_login_is_busy(door, project, lea):
    door.open().accepted(project.token(lea), lea)
    arrived = threading.Event()

    def die(handler, _):
        arrived.set()
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"id":"' + lea.encode())
        handler.close_connection = True

    project.answer_user = die
    _, request = door.send(project.token(lea))
    assert arrived.wait(TIMEOUT_S)
    assert door.answer(request).get("code") == "busy"


def test_supabase_that_never_answers_is_busy(door, project, lea):
    """After the ten seconds that a request may take."""
    go_on = threading.Event()
    project.answer_user = lambda handler, _: go_on.wait(3 * TIMEOUT_S)
    door.open().refused(project.token(lea), "busy")
    go_on.set()


# --- many at once, and slow ------------------------------------------------------------------


def test_equal_tokens_share_a_request(door, project, lea):
    go_on = threading.Event()

    def held(handler, _):
        go_on.wait(TIMEOUT_S)
        handler.reply(200, project.users[lea])

    door.open().accepted(project.token(lea), lea)
    project.answer_user = held
    token = project.token(lea)
    sent = [door.send(token) for _ in range(10)]
    project.wait_requests(USER_PATH, 2)
    roles.fetch_zone(door.client)  # asked later than they, and answered: they were taken
    go_on.set()
    for _, request in sent:
        assert door.answer(request).get("status") == "ok"
    assert project.count(USER_PATH) == 2


def test_slow_logins_delay_no_zone_request(door, project):
    """Each takes two seconds; meanwhile edges enrol."""
    begun = threading.Event()

    def slow(handler, claims):
        begun.wait(SLOW_S)
        threading.Event().wait(SLOW_S)
        handler.reply(200, project.users[claims["sub"]])

    project.answer_user = slow
    door.open()
    subs = [project.add_user() for _ in range(SLOW_LOGINS)]
    sent = [door.send(token) for token in [project.token(sub) for sub in subs]]
    project.wait_requests(USER_PATH, UNDER_WAY)
    answered = len(door.client.peek(door.topic))
    took = []
    for _ in range(20):
        started = time.monotonic()
        enrol(door)
        took.append(time.monotonic() - started)
    assert len(door.client.peek(door.topic)) < SLOW_LOGINS, "the logins were over too soon"
    assert answered < SLOW_LOGINS
    print(f"zone requests: {sorted(took)[10] * 1000:.1f} ms, at most {max(took) * 1000:.1f} ms")
    begun.set()
    for (_, request), sub in zip(sent, subs):
        reply = door.answer(request)
        assert reply.get("status") == "ok", reply
        credential = trust.open_credential(trust.unb64(reply.get("ownerbase64")), door.zone)
        assert credential["subject"] == sub


def enrol(door):
    edge = "e-" + secrets.token_hex(4)
    topic = f"auth/zone/{edge}"
    door.client.subscribe(topic)
    request, _ = trust.enrolment(door.auth.secret, trust.Key(), edge)
    assert door.client.ask("auth/zone", request, topic).get("status") == "ok"


def test_it_ends_with_logins_under_way(door, project, lea):
    go_on = threading.Event()
    project.answer_user = lambda handler, _: go_on.wait(TIMEOUT_S)
    door.open()
    door.send(project.token(lea))
    project.wait_requests(USER_PATH, 1)
    door.auth.stop()
    go_on.set()


# --- TLS and settings --------------------------------------------------------------------------


@pytest.fixture
def tls_project(folder):
    projects = []

    def make(host):
        ca, *pair = certificate(folder, "server", host)
        projects.append(Supabase(pair))
        return projects[-1], ca

    yield make
    for project in projects:
        project.close()


def test_a_private_ca_is_trusted_when_it_is_named(cluster, folder, tls_project):
    project, ca = tls_project("IP:127.0.0.1")
    sub = project.add_user()
    door = Door(cluster, folder, project)
    try:
        door.open("--supabase-ca-file", ca).accepted(project.token(sub), sub)
        door.auth.stop()
        door.open().refused(project.token(sub), "busy")  # not among the system's
        door.auth.process.wait_line("certificate")
    finally:
        door.close()


def test_another_hosts_certificate_is_refused(cluster, folder, tls_project):
    project, ca = tls_project("DNS:elsewhere.example")
    sub = project.add_user()
    door = Door(cluster, folder, project)
    try:
        door.open("--supabase-ca-file", ca).refused(project.token(sub), "busy")
        assert project.requests == [], "the token left for somebody who is not Supabase"
    finally:
        door.close()


def run_auth(folder, *arguments, env=None):
    done = subprocess.run(
        [BUILD / "auth_edge", "--data", folder / "auth", "--mqtt-broker", "127.0.0.1:1", *arguments],
        cwd=folder,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


@pytest.mark.parametrize(
    "url",
    [
        "project.supabase.co", "ftp://127.0.0.1", "file:///etc/passwd", "http://example.org",
        "http://127.0.0.1.example.org", "https://user:geheim@example.org", "https://example.org/?x=1",
        "https://example.org/#x", "https://", "https://" + "x" * 300, "http://10.0.0.1:8000",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(folder, url):
    done = run_auth(folder, "--supabase-url", url, env={"SUPABASE_KEY": "k"})
    assert done.returncode != 0
    assert "--supabase-url" in done.stderr
    assert "geheim" not in done.stderr


@pytest.mark.parametrize("key", [None, "", "a b", "a\tb", "é", "k" * 2049])
def test_keys_that_are_refused(folder, key):
    env = {} if key is None else {"SUPABASE_KEY": key}
    done = run_auth(folder, "--supabase-url", "https://example.org", env=env)
    assert done.returncode != 0
    assert "SUPABASE_KEY" in done.stderr


def test_the_key_is_no_flag(folder):
    done = run_auth(folder, "--supabase-url", "https://example.org", "--supabase-key", "k")
    assert done.returncode != 0


def test_a_ca_file_that_is_not_there_is_said(folder):
    done = run_auth(
        folder, "--supabase-url", "https://example.org", "--supabase-ca-file", "/nowhere/ca.pem",
        env={"SUPABASE_KEY": "k"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "--supabase-ca-file /nowhere/ca.pem" in done.stderr


def test_the_key_from_the_environment_file(door, project, lea):
    door.open()
    door.auth.stop()
    (door.auth.folder / ".env").write_text(f"SUPABASE_KEY={project.api_key}\nSUPABASE_URL={project.url}\n")
    door.auth.arguments = door.auth.arguments[:2]  # --topic-prefix
    door.auth.start(door.client)
    door.accepted(project.token(lea), lea)


# --- edgectl -------------------------------------------------------------------------------------


def test_edgectl_logs_in_with_a_token(door, project, lea):
    door.open("--require-sealed-login")
    env = {
        **clean_environment(), "EDGECTL_HOME": str(door.folder / "home"),
        "MQTT_BROKER": door.broker.url, "TOPIC_PREFIX": door.prefix,
    }  # fmt: skip

    def run(token, **more):
        return subprocess.run(
            [BUILD / "edgectl", "login", "--json", *(("--token", token) if token else ())],
            cwd=door.folder, env={**env, **more}, capture_output=True, text=True, timeout=3 * TIMEOUT_S,
        )  # fmt: skip

    for done in (run(project.token(lea)), run(None, EDGECTL_TOKEN=project.token(lea))):
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["streamer_id"], said["name"]) == (lea, "Léa")
    done = run(project.token(lea, exp=1))
    assert done.returncode == 1
    assert "not accepted" in done.stderr
