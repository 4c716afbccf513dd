"""The production broker: who may do what there, and the whole system over it."""
import hashlib
import json
import re
import secrets
import socket
import stat
from pathlib import Path

import pytest
from conftest import RUNNING
from ctl import FAILED, Edgectl
from ec import roles, trust
from ec.client import TIMEOUT_S, Client, NotLetIn, eventually, fresh_id
from ec.cluster import ROOT, SANITIZER, AuthEdge, Edge
from ec.locked import ANSWERS, CONTROL, Admin, LockedBroker, operator, wait_for_account

# --- the matrix

OTHERS = "other-" + secrets.token_hex(4)  # nobody's id and nobody's name
SENTINELS = {  # what each may publish, what each may read: the last of a series
    "anonymous": ("auth/params", "auth/revocations"),
    "viewer": ("auth/params", "auth/revocations"),
    "streamer": ("auth/params", "auth/revocations"),
    "edge": ("db", "db"),
    "enrol": ("auth/zone", f"auth/zone/{OTHERS}"),
    "auth": (f"auth/user/{OTHERS}", "auth/params"),
}
WILDCARDS = ("#", "+/#", "+/+", "+/+/+", "+/+/+/+", "video/#", "$SYS/#", "$share/g/#", "$share/g/+/+/+/+", "$CONTROL/#")


def documented():
    """{principal: {topic pattern: "P", "S", "PS" or ""}} as SECURITY.md says."""
    text = (ROOT / "docs" / "SECURITY.md").read_text().split("\n## Matrix\n")[1].split("\n## ")[0]
    table = [re.split(r"\s*\|\s*", line.strip().strip("|").strip()) for line in text.splitlines() if line.startswith("|")]
    principals = table[0][1:]
    assert principals == list(SENTINELS), principals
    rows = {row[0].strip("`"): row[1:] for row in table[2:]}
    return {p: {t: cells[i].replace("–", "") for t, cells in rows.items()} for i, p in enumerate(principals)}


def real_topic(pattern, client, user):
    return pattern.format(id=client.id, name=user or client.id, other=OTHERS, edge="edge-" + OTHERS)


@pytest.fixture(scope="module")
def matrix_broker(workplace):
    broker = LockedBroker(workplace / "matrix", workplace / "matrix-auth")
    try:
        yield broker
        assert broker.process.alive, broker.process.output
    finally:
        broker.close()


@pytest.fixture(scope="module")
def admin(matrix_broker):
    admin = Admin(matrix_broker)
    yield admin
    admin.close()


@pytest.fixture(scope="module")
def witness(matrix_broker, admin):
    with matrix_broker.client(admin.witness()) as client:
        yield client.subscribe("#")


def login_of(broker, admin, principal):
    if principal == "anonymous":
        return None
    if principal == "auth":
        return broker.auth_login
    if principal == "enrol":
        secret = bytes.fromhex((broker.data / "zone.secret").read_text())
        return "enrol", trust.MAC(secret, b"edge-cluster/v1/broker-enrol\0").hex()
    return admin.add(f"{principal}-{secrets.token_hex(4)}", principal)


def gets_out(witness, admin, client, principal, topics):
    """The topics on which somebody else receives what the client publishes."""
    series = secrets.token_hex(8)
    last = SENTINELS[principal][0]
    for topic in topics:
        if topic == CONTROL:
            command = {"command": "createGroup", "groupname": f"by-{series}"}
            client.publish(topic, {"commands": [command]})
        elif not re.search(r"[#+]", topic):
            client.publish(topic, f"{series} {topic}")
    client.publish(last, series + " last")
    witness.expect("#", lambda m: m.payload == f"{series} last".encode())
    messages = witness.take_all("#", lambda m: m.payload.startswith(series.encode()))
    assert all(m.payload == f"{series} {m.topic}".encode() for m in messages), messages
    out = {m.topic for m in messages}
    return out | ({CONTROL} if f"by-{series}" in admin.groups() else set())


def gets_in(witness, admin, client, principal, topics):
    """The topics on which the client receives what others publish, however it asks; and those of
    which it is told that it may."""
    series = secrets.token_hex(8)
    granted = {topic for topic in topics if client.may_subscribe(topic)}
    wide = [f for f in WILDCARDS if client.may_subscribe(f)]
    assert not wide, f"{principal} may subscribe to {wide}"
    for topic in topics:
        if not re.search(r"[#+$]", topic):
            witness.publish(topic, f"{series} {topic}")
    admin.groups()  # answered on ANSWERS, to whoever reads it
    witness.publish(SENTINELS[principal][1], series + " last")
    client.expect("#", lambda m: m.payload == f"{series} last".encode())
    arrived = {m.topic for m in client.take_all("#") if m.payload.startswith(series.encode())}
    if client.take_all(ANSWERS):
        arrived.add(ANSWERS)
    arrived |= {topic for topic in granted if topic.startswith("$")}  # where the witness says nothing
    witness.take_all("#")
    return arrived, granted


def test_matrix(matrix_broker, admin, witness):
    """Every principal tries every topic both ways; exactly what SECURITY.md says gets through."""
    expected = documented()
    measured = {p: {} for p in expected}
    for principal, rows in expected.items():
        login = login_of(matrix_broker, admin, principal)
        with matrix_broker.client(login) as client:
            topics = {p: real_topic(p, client, login and login[0]) for p in rows}
            out = gets_out(witness, admin, client, principal, set(topics.values()))
            arrived, granted = gets_in(witness, admin, client, principal, set(topics.values()))
            for pattern, topic in topics.items():
                measured[principal][pattern] = "P" * (topic in out) + "S" * (topic in arrived)
                assert topic in granted or topic not in arrived, (principal, topic)
            assert client.losses == 0
    width = max(map(len, next(iter(expected.values()))))
    print("\n" + "topic".ljust(width), *(p.ljust(9) for p in expected))
    for pattern in next(iter(expected.values())):
        print(pattern.ljust(width), *((measured[p][pattern] or "–").ljust(9) for p in expected))
    assert measured == expected


def test_every_topic_of_the_contract_is_in_the_matrix():
    rows = {re.sub(r"\{\w+\}", "+", row) for row in next(iter(documented().values()))}
    text = (ROOT / "lib" / "wire" / "topic.h").read_text()
    kinds = re.findall(r"TOPIC_[A-Z_]+,?\s*/\* ([a-z/{}]+)", text)
    kinds += ["auth/zone", "auth/revocations", "db", "db/update", "video/request/ping", "auth/user"]
    assert len(kinds) >= 24
    missing = {re.sub(r"\{\w+\}", "+", kind) for kind in kinds} - rows
    assert not missing, missing


def test_nobody_is_let_in_with_a_wrong_password(matrix_broker, admin):
    user, password = admin.add("lea-" + secrets.token_hex(4), "streamer")
    matrix_broker.client((user, password)).close()
    for login in ((user, "wrong"), (user, ""), ("nobody", password), ("auth", password), ("enrol", "enrol")):
        with pytest.raises(NotLetIn):
            matrix_broker.client(login)


def test_a_disabled_account_is_thrown_out_and_stays_out(matrix_broker, admin):
    login = admin.add("noe-" + secrets.token_hex(4), "streamer")
    with matrix_broker.client(login) as client:
        admin.do({"command": "disableClient", "username": login[0]})
        client.wait_lost()
    with pytest.raises(NotLetIn):
        matrix_broker.client(login)


def test_a_will_in_somebody_elses_name_is_not_published(matrix_broker, admin, witness):
    login = admin.add("streamer-" + secrets.token_hex(4), "streamer")
    mark = secrets.token_hex(4)
    client = matrix_broker.client(login, will=("edge/status/edge1", mark))
    client.vanish()
    eventually(lambda: f"Client {client.id}" in matrix_broker.process.output)
    eventually(lambda: re.search(f"(Client|client) {client.id} .*(closed|disconnected)", matrix_broker.process.output))
    witness.publish("db", mark + " last")
    witness.expect("db", lambda m: m.payload == f"{mark} last".encode())
    assert not witness.take_all("edge/status/edge1")


def test_what_is_retained_would_stay_and_is_refused(matrix_broker):
    with matrix_broker.client() as client:
        client._mqtt.publish("video/watch/edge1", "for ever", qos=1, retain=True)
        client.wait_lost()


def test_websockets_are_secure_ones(matrix_broker):
    with Client(matrix_broker.wss_port, tls=matrix_broker.ca, transport="websockets") as client:
        assert client.may_subscribe("edge/status/+")
    for port in (matrix_broker.port, matrix_broker.wss_port):
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain:
            plain.settimeout(TIMEOUT_S)
            plain.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04open")  # CONNECT
            try:
                answer = plain.recv(1)
            except ConnectionResetError:
                answer = b""
            assert answer != b"\x20", "it was let in without TLS"


# --- the system


class LockedCluster:
    """auth_edge and edges at a broker of their own, and a witness who sees all of it."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "auth"
        self.broker = LockedBroker(folder / "broker", self.data)
        RUNNING.append(self.broker)
        self.watch()
        self.tls = ("--mqtt-ca-file", self.broker.ca)
        password = ("--mqtt-user", "auth", "--mqtt-password-file", self.broker.auth_password_file)
        self.auth = AuthEdge(self.data, self.broker, "--broker-accounts", *self.tls, *password)
        self.edges = []

    def watch(self):
        self.admin = Admin(self.broker)
        self.witness_login = self.admin.witness()
        self.witness = self.broker.client(self.witness_login).subscribe("#")
        self.client = self.broker.client()

    def watch_no_more(self):
        for client in (self.witness, self.client, self.admin):
            client.close()

    def start(self):
        RUNNING.append(self.auth)
        self.zone = self.auth.start(self.client)
        self.edge1 = self.add_edge("edge1")
        return self

    def add_edge(self, name):
        arguments = ("--broker-accounts", "--replicas", "1", *self.tls)
        edge = Edge(self.folder / name, self.broker, self.auth.secret_file, name, "", arguments)
        RUNNING.append(edge)
        self.edges.append(edge)
        return edge.start(self.client)

    def edgectl(self, name):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Edgectl(self.broker.url, folder, MQTT_CA_FILE=str(self.broker.ca))

    def person(self, name):
        """An edgectl that is logged in, and its streamer id."""
        ctl = self.edgectl(name)
        (ctl.folder / "password").write_text("a secret of 1\n")
        assert self.auth.add_user(name, "a secret of 1").returncode == 0
        return ctl, self.login(ctl, name)

    def login(self, ctl, name, **options):
        return ctl.json("login", "--user", name, "--password-file", "password", **options)["streamer_id"]

    def outputs(self):
        return "\n".join(p.process.output for p in (self.auth, self.broker, *self.edges))

    def close(self):
        for process in (*self.edges, self.auth):
            process.reap()
        self.watch_no_more()
        self.broker.close()
        assert not SANITIZER.search(self.outputs()), self.outputs()


@pytest.fixture(scope="module")
def locked(workplace):
    cluster = LockedCluster(workplace / "locked")
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def lea(locked):
    return locked.person("lea")


@pytest.fixture
def film(folder):
    path = folder / "film.bin"
    path.write_bytes(secrets.token_bytes(300_000))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def account(ctl):
    """(user, password) as edgectl keeps them."""
    return tuple((Path(ctl.env["EDGECTL_HOME"]) / "broker").read_text().splitlines()[1:])


def upload(ctl, film, **options):
    video_id = "locked-" + fresh_id()[:12]
    ctl.run("upload", film, "--id", video_id, "--edge", "edge1", "--timeout", "15", **options)
    return video_id


def test_an_edge_enrols_and_comes_back_as_itself(locked):
    assert locked.broker.connected_as("enrol") >= 1
    wait_for_account(locked.broker, "edge1")
    locked.edge1.stop()
    before = locked.broker.connected_as("enrol")
    locked.edge1.start(locked.client)
    assert locked.broker.connected_as("enrol") == before, "it knew its own account"


def test_upload_and_watch_with_and_without_an_account(locked, lea, film):
    ctl, streamer_id = lea
    video_id = upload(ctl, film)
    wait_for_account(locked.broker, streamer_id)
    anonymous = locked.edgectl("anonymous")
    for who in (ctl, anonymous):
        copy = who.folder / f"{video_id}.bin"
        who.run("watch", video_id, "--edge", "edge1", "-o", copy)
        assert sha256(copy) == sha256(film)
    assert not (anonymous.folder / "home" / "broker").exists()
    ctl.run("delete", video_id, "--edge", "edge1")


def test_a_live_and_a_viewer_without_an_account(locked, lea, clip):
    ctl, _ = lea
    anonymous = locked.edgectl("anonymous")
    video_id = "live-" + fresh_id()[:12]
    live = ctl.start("live", clip, "--id", video_id, "--edge", "edge1", "--loop")
    try:
        eventually(lambda: roles.find_video(locked.client, "edge1", video_id))
        out = anonymous.folder / "live.mp4"
        anonymous.run("watch", video_id, "--edge", "edge1", "--duration", "2", "-o", out)
        assert out.stat().st_size > 1000
    finally:
        live.reap()


def test_an_upload_without_an_account_does_not_get_through(locked, lea, film):
    """The credential is good, and the broker has never heard of it."""
    ctl, _ = lea
    kept = Path(ctl.env["EDGECTL_HOME"]) / "broker"
    text = kept.read_text()
    kept.unlink()
    try:
        done = ctl.run("upload", film, "--id", "nobodys", "--edge", "edge1", expect=FAILED)
    finally:
        kept.write_text(text)
        kept.chmod(0o600)
    assert "the broker does not let us read the answers" in done.stderr, done.stderr


def test_passwords_are_on_no_topic_in_no_log_and_in_no_open_file(locked, lea):
    ctl, streamer_id = lea
    key = bytes.fromhex((locked.data / "zone.broker").read_text())
    mine = broker_password(key, trust.STREAMER, streamer_id, 1)
    edges = broker_password(key, trust.EDGE, "edge1", 1)
    secret = bytes.fromhex(locked.auth.secret_file.read_text())
    enrol = trust.MAC(secret, b"edge-cluster/v1/broker-enrol\0").hex()
    assert account(ctl) == (streamer_id, mine)
    locked.client.publish("auth/params", {"client_id": "the-last"})
    locked.witness.expect("auth/params", lambda m: m.get("client_id") == "the-last")
    with locked.witness._changed:
        seen = b"\n".join(m.payload for m in locked.witness._inbox)
    assert b'"broker"' in seen, "an answer with a login passed by"
    everything = seen + locked.outputs().encode() + (locked.broker.state / "dynamic-security.json").read_bytes()
    for password in (mine, edges, enrol, locked.broker.auth_login[1]):
        assert password.encode() not in everything
    private = [p for p in locked.data.iterdir() if p.name.startswith("zone.") or p.suffix == ".db"]
    private += [p for p in locked.broker.state.iterdir() if p.name == "broker.auth"]
    private += [Path(ctl.env["EDGECTL_HOME"]) / "broker", Path(ctl.env["EDGECTL_HOME"]) / "key"]
    private += list((locked.folder / "edge1").glob("edge_cluster.db*"))
    assert len(private) >= 8
    assert {oct(stat.S_IMODE(p.stat().st_mode)) for p in private} == {"0o600"}


def broker_password(key, kind, subject, generation):
    """As docs/PROTOCOL.md §2.7 has it."""
    data = b"edge-cluster/v1/broker-password\0" + bytes([kind]) + trust.cstr(subject.encode())
    return trust.MAC(key, data + generation.to_bytes(4, "little")).hex()


def test_what_was_recorded_counts_for_nothing_when_it_is_played_again(locked, film):
    ctl, streamer_id = locked.person("replayed")
    video_id = upload(ctl, film)
    ctl.run("delete", video_id, "--edge", "edge1")
    with locked.witness._changed:
        seen = list(locked.witness._inbox)
    with locked.broker.client(locked.witness_login) as again:
        again.subscribe("auth/zone/edge1", "auth/user/+", f"video/upload/edge1/{streamer_id}")
        again.subscribe(f"video/delete/edge1/{streamer_id}")

        def play(topic, reply, holds=lambda m: True):
            message = next(m for m in reversed(seen) if m.topic == topic and holds(m))
            again.take_all("#")
            again.publish(topic, message.payload)
            return again.expect(reply).json

        assert play("auth/zone", "auth/zone/edge1")["code"] == "unauthorized"
        assert play("auth/user", "auth/user/+")["code"] == "unauthorized"
        init = play("video/upload/edge1", f"video/upload/edge1/{streamer_id}", lambda m: "statement" in m.json and m.get("init"))
        assert init["code"] == "unauthorized"
        delete = play("video/delete/edge1", f"video/delete/edge1/{streamer_id}")
        assert delete["code"] == "unauthorized"
        part = next(m for m in seen if m.topic == "video/upload/edge1" and m.binary)
        again.take_all("#")
        again.publish("video/upload/edge1", part.payload)
        again.publish("video/delete/edge1", json.dumps({"video_id": video_id, "streamer_id": streamer_id}))
        answers = [again.expect(f"video/+/edge1/{streamer_id}").json for _ in range(1)]
        assert all(a["status"] == "error" for a in answers), answers
    assert roles.find_video(locked.client, "edge1", video_id) is None


def test_a_revoked_streamer_is_thrown_out_and_comes_back_with_another_password(locked, film):
    ctl, streamer_id = locked.person("revoked")
    login = account(ctl)
    with locked.broker.client(login) as client:
        operator(locked.data, "streamer", "revoke", streamer_id)
        client.wait_lost()
    with pytest.raises(NotLetIn):
        locked.broker.client(login)
    done = ctl.run("list", "--edge", "edge1")  # as nobody
    assert "refuses the account" in done.stderr
    operator(locked.data, "streamer", "admit", streamer_id)
    assert locked.login(ctl, "revoked") == streamer_id
    assert account(ctl)[0] == streamer_id and account(ctl)[1] != login[1]
    with pytest.raises(NotLetIn):
        locked.broker.client(login)
    locked.broker.client(account(ctl)).close()
    upload(ctl, film)


def test_a_revoked_edge_is_thrown_out_and_comes_back_by_its_key(locked):
    edge = locked.add_edge("edge2")
    wait_for_account(locked.broker, "edge2")
    operator(locked.data, "edge", "revoke", "edge2")
    edge.process.wait_line("the broker refuses this edge's login")
    edge.process.wait_line("enrolment refused|revoked")
    before = locked.broker.connected_as("edge2")
    operator(locked.data, "edge", "rekey", "edge2")
    wait_for_account(locked.broker, "edge2", before + 1)
    edge.wait_ready(locked.client)
    edge.stop()


def test_whoever_takes_an_id_throws_nobody_out(locked):
    before = locked.broker.connected_as("edge1")
    for client_id in ("edge1", "edge1-live", "edge1-media", "edge1-media-s", "auth"):
        with locked.broker.client(client_id=client_id) as thief:
            thief.subscribe("video/watch/+/edge1", "live/watch/+/+")
            assert roles.ping_edge(locked.client, "edge1")["edge_id"] == "edge1"
            assert not thief.may_subscribe("video/watch/edge1")
    assert locked.broker.connected_as("edge1") == before
    with pytest.raises(NotLetIn):
        locked.broker.client(("edge1", "edge1"))


def test_an_edge_is_not_called_as_a_user_is(locked):
    for name in ("auth", "enrol"):
        edge = Edge(locked.folder / f"named-{name}", locked.broker, locked.auth.secret_file, name, "",
                    ("--broker-accounts", *locked.tls))  # fmt: skip
        try:
            edge.spawn()
            edge.process.wait_line("reserved")
        finally:
            edge.reap()


def test_settings_that_contradict_a_locked_broker(locked, folder):
    ids = ("--broker-accounts", "--allow-token-reply-ids")
    user = ("--broker-accounts", "--mqtt-user", "me")
    secret = locked.auth.secret_file
    for program, sentence in (
        (AuthEdge(folder / "auth", locked.broker, "--broker-accounts"), "needs --mqtt-user auth"),
        (AuthEdge(folder / "auth", locked.broker, *ids, "--mqtt-user", "auth"), "do not go together"),
        (Edge(folder / "edge", locked.broker, secret, "e", "", ids), "do not go together"),
        (Edge(folder / "edge", locked.broker, secret, "e", "", user), "do not go together"),
    ):
        try:
            program.spawn()
            assert program.process.wait() == 2
            assert sentence in program.process.output
        finally:
            program.reap()


def test_logins_must_be_sealed_without_its_being_said(locked):
    with locked.broker.client() as client:
        reply = f"auth/user/{client.id}"
        client.subscribe(reply)
        key = trust.Key()
        fields = {"ownerId": "a.b.c", "pk": trust.b64(key.pk), "client_id": client.id}
        inner, _ = trust.sign_request(key, "auth/user", locked.zone["zone_id"], fields)
        answer = client.ask("auth/user", inner, reply)
        assert answer.get("code") == "bad_request" and "sealed" in answer.get("message")


def test_the_broker_restarts(locked, lea, film):
    ctl, streamer_id = lea
    locked.broker.kill()
    assert locked.broker.start()
    wait_for_account(locked.broker, "edge1")
    locked.edge1.wait_ready(locked.client)
    video_id = upload(ctl, film)
    wait_for_account(locked.broker, streamer_id)
    ctl.run("delete", video_id, "--edge", "edge1")


def test_a_broker_that_was_set_up_anew_gets_its_accounts_again(locked, lea, film):
    """Passwords that are right, at a broker that knows nobody: everybody falls back, and is let in."""
    ctl, streamer_id = lea
    locked.auth.stop()
    locked.watch_no_more()
    locked.broker.kill()
    locked.broker.set_up()
    assert locked.broker.start()
    locked.watch()
    locked.auth.start(locked.client)
    locked.edge1.process.wait_line("the broker refuses this edge's login")
    wait_for_account(locked.broker, "edge1")
    locked.edge1.wait_ready(locked.client)
    assert "going on without" in ctl.run("list", "--edge", "edge1").stderr
    locked.login(ctl, "lea")
    upload(ctl, film)
    wait_for_account(locked.broker, streamer_id)


def test_an_account_that_the_broker_has_otherwise_is_put_right(locked):
    """As after a backup of dynamic-security.json was put back."""
    wait_for_account(locked.broker, "edge1")
    before = locked.broker.connected_as("edge1")
    locked.admin.do(
        {"command": "setClientPassword", "username": "edge1", "password": "an older one"},
        {"command": "disableClient", "username": "edge1"},
    )
    wait_for_account(locked.broker, "edge1", before + 1)
    locked.edge1.wait_ready(locked.client)


def test_the_secret_changes_and_enrols_password_with_it(locked):
    old = trust.MAC(locked.auth.secret, b"edge-cluster/v1/broker-enrol\0").hex()
    locked.broker.client(("enrol", old)).close()
    operator(locked.data, "secret", "rotate")
    new = trust.MAC(locked.auth.secret, b"edge-cluster/v1/broker-enrol\0").hex()

    def let_in(password):
        try:
            locked.broker.client(("enrol", password)).close()
        except NotLetIn:
            return False
        return True

    eventually(lambda: let_in(new))
    assert not let_in(old)
    edge = locked.add_edge("edge3")
    edge.stop()
