"""edgectl while the zone changes: another key, people who are revoked, credentials that end."""
import fcntl
import json
import signal
import time
from pathlib import Path

import pytest
from conftest import Cluster
from ctl import FAILED, NO_LIST, OK, UNAUTHORIZED, UNVERIFIED, Edgectl
from ec import roles, trust
from ec.client import Client, eventually, fresh_id
from ec.cluster import BUILD, Process
from ec.media import noise
from test_edgectl import LyingEdge
from test_live import Live

REVOKED = "is revoked since"
NO_LIST_SAID = "no list of revocations has ever come"
REQUIRE = "--require-revocations"


@pytest.fixture(scope="module")
def cluster(workplace):
    """A zone of this module's own: what is revoked here is nobody else's."""
    cluster = Cluster(workplace / "trust")
    try:
        yield cluster.start()
        cluster.stop()
    finally:
        cluster.reap()


class Person(Edgectl):
    """Somebody with a home; logged in, or only watching."""

    def __init__(self, cluster, folder, name=None):
        super().__init__(cluster.broker.url, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.cluster = name, cluster
        if name:
            password = "a secret of " + name
            added = cluster.auth.add_user(name, password)
            assert added.returncode == 0, added.stderr
            (folder / "password").write_text(password + "\n")
            self.id = self.login()["streamer_id"]

    def login(self, **options):
        return self.json("login", "--user", self.name, "--password-file", "password", **options)

    def kept(self, name):
        return trust.unb64((self.folder / "home" / name).read_text().strip())

    @property
    def epoch(self):
        return trust.open_zone(self.kept("zone"))["key_epoch"]

    @property
    def credential(self):
        return trust.decode("credential", self.kept("credential")[:-64])

    def upload(self, size=100_000, edge="edge1", **options):
        """The id and the bytes of something new."""
        video_id, data = "t-" + fresh_id()[:12], noise(size)
        (self.folder / video_id).write_bytes(data)
        self.run("upload", video_id, "--id", video_id, "--edge", edge, **options)
        return video_id, data

    def watch(self, video_id, *arguments, **options):
        """What came, and the summary."""
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        done = self.run("watch", video_id, "-o", out, "--json", *arguments, **options)
        summary = json.loads(done.stdout) if done.stdout else None
        return out.read_bytes() if out.exists() else None, summary, done.stderr

    def start_live(self, clip, edge="edge1"):
        video_id = "l-" + fresh_id()[:12]
        arguments = ("--loop", "--id", video_id, "--edge", edge, "--json")
        return video_id, self.start("live", clip, *arguments)


@pytest.fixture
def person(cluster, folder):
    def make(role="v", log_in=False):
        name = role + "-" + fresh_id()[:8]
        return Person(cluster, folder / name, name if log_in else None)

    return make


@pytest.fixture
def running():
    """Programs that end with the test, however it ends."""
    started = []

    def keep(process):
        started.append(process)
        return process

    yield keep
    for process in started:
        process.reap()


def on_air(cluster, video_id, edge="edge1"):
    """Returns once media of a live comes."""
    with Client(cluster.broker.port) as client:
        topic = f"live/watch/{edge}/{video_id}"
        client.subscribe(topic)
        client.expect(topic, lambda m: m.binary)


def start_watching_live(viewer, running, cluster, video_id, *arguments):
    """A watcher that has begun to write."""
    out = viewer.folder / "live.out"
    watcher = running(
        viewer.start("watch", video_id, "--edge", "edge1", "-o", out, "--json", *arguments)
    )
    eventually(lambda: not watcher.alive or (out.exists() and out.stat().st_size > 10_000))
    assert watcher.alive, watcher.output
    return watcher


def summary_of(process):
    return json.loads(next(line for line in process.lines if line.startswith("{")))


def edge_epoch(cluster, edge):
    """Under which key the edge knows the zone by its own credential."""
    with Client(cluster.broker.port) as client:
        client.subscribe(f"edge/status/{edge.id}")
        status = client.expect(f"edge/status/{edge.id}", lambda m: m.get("credential")).json
    return trust.decode("credential", trust.unb64(status["credential"])[:-64])["key_epoch"]


# --- another key of the zone --------------------------------------------------


def test_everybody_follows_the_zones_key(cluster, person):
    lea, before, viewer = person("lea", True), person(), person()
    old, data = lea.upload()
    out, _, _ = before.watch(old, "--proof", "old.proof")
    assert out == data
    (before.folder / "old").write_bytes(out)
    assert viewer.watch(old)[0] == data
    first_key = trust.b64(trust.open_zone(viewer.kept("zone"))["sign_pk"])
    epoch = viewer.epoch
    cluster.auth.must_run("key", "rotate")

    noe = eventually(lambda: logged_in_later(person, epoch))
    new, data = noe.upload()
    for who, proof in ((viewer, "new.proof"), (before, "new.proof")):
        out, summary, _ = who.watch(new, "--proof", proof)
        assert out == data and summary["verified"]
        assert who.epoch == epoch + 1, "the pin was not updated"
    viewer.run("verify", new)

    # Offline: what was made before with what is known now, and the other way round.
    before.run("verify", "old", "--proof", "old.proof")
    before.run("verify", "old", "--proof", "old.proof", "--zone-key", first_key)
    late = person()
    (late.folder / "copy").write_bytes(data)
    (late.folder / "proof").write_bytes((viewer.folder / "new.proof").read_bytes())
    late.run("verify", "copy", "--proof", "proof", "--zone-key", first_key)
    newest = trust.b64(trust.open_zone(noe.kept("zone"))["sign_pk"])
    (late.folder / "old").write_bytes((before.folder / "old").read_bytes())
    (late.folder / "old.proof").write_bytes((before.folder / "old.proof").read_bytes())
    done = late.run(
        "verify", "old", "--proof", "old.proof", "--zone-key", newest, expect=UNVERIFIED
    )
    assert f"epoch {epoch}" in done.stderr and "links are missing" in done.stderr

    # Old credentials go on, and an older key of the zone names it as well as the newest.
    lea.upload()
    viewer.watch(new, "--zone-key", first_key)
    lea.run("delete", old)


def logged_in_later(person, epoch):
    """Somebody whose credential is signed by the new key; None: auth_edge has not seen it yet."""
    someone = person("noe", True)
    return someone if someone.credential["key_epoch"] > epoch else None


# --- revoked ------------------------------------------------------------------


def test_a_live_ends_when_its_streamer_is_revoked(cluster, person, running, clip):
    """Also for those who know only the key before: the list leads them to the next one."""
    mal, viewer = person("mal", True), person()
    video_id, live = mal.start_live(clip)
    running(live)
    on_air(cluster, video_id)
    watcher = start_watching_live(viewer, running, cluster, video_id)
    epoch = viewer.epoch
    cluster.auth.must_run("key", "rotate")
    cluster.auth.must_run("streamer", "revoke", mal.id)
    assert watcher.wait() == UNVERIFIED, watcher.output
    assert f"streamer {mal.id} {REVOKED}" in watcher.output
    summary = summary_of(watcher)
    assert not summary["verified"] and REVOKED in summary["revoked"]
    assert viewer.epoch == epoch + 1
    assert live.wait() == UNAUTHORIZED, live.output
    assert "revoked" in live.output
    for process in (watcher, live):
        process.check_output()


def test_a_live_that_is_refused_again_and_again_ends(cluster, person, running, clip):
    """Nobody signs errors, so one alone is asked about; without the list several are believed."""
    mal = person("mal", True)
    video_id, live = mal.start_live(clip)
    running(live)
    on_air(cluster, video_id)
    topic = f"live/upload/edge1/{mal.id}"
    no = {"status": "error", "code": "unauthorized", "message": "no", "video_id": video_id}
    with Client(cluster.broker.port) as client:
        client.publish(topic, no)
        client.subscribe(topic)
        client.expect(topic, lambda m: m.get("status") == "ok")
    assert live.alive
    cluster.edge1.process.kill(signal.SIGSTOP)
    try:
        with Client(cluster.broker.port) as client:
            client.subscribe("live/upload/edge1")
            client.publish(topic, no)
            while live.alive:
                try:
                    client.expect("live/upload/edge1", lambda m: m.get("credential"), timeout=1)
                except AssertionError:
                    continue
                client.publish(topic, no)
        assert live.wait() == UNAUTHORIZED, live.output
    finally:
        cluster.edge1.process.kill(signal.SIGCONT)


def test_an_upload_ends_when_its_streamer_is_revoked(cluster, person, running):
    mal = person("mal", True)
    (mal.folder / "file").write_bytes(noise(1000))
    upload = running(mal.start("upload", "file", "--edge", "nobody", "--timeout", "60"))
    with Client(cluster.broker.port) as client:
        client.subscribe("video/upload/nobody")
        client.expect("video/upload/nobody")
    cluster.auth.must_run("streamer", "revoke", mal.id)
    assert upload.wait() == UNAUTHORIZED, upload.output
    assert f"{mal.id} {REVOKED}" in upload.output


def test_what_was_stored_before_a_revocation_counts(cluster, person, client, viewers):
    mal, viewer = person("mal", True), person()
    video_id, data = mal.upload()
    # edge2 fetches it for the viewer, and has the receipt only then.
    assert viewer.watch(video_id, "--edge", "edge2", "--proof", "with.proof")[0] == data
    (viewer.folder / "file").write_bytes(data)
    liar = LyingEdge(cluster, viewers(roles.fetch_zone(client)), video_id, lambda position, packet: [packet])
    try:
        liar.reply = {k: v for k, v in liar.reply.items() if not k.startswith("receipt")}
        assert viewer.watch(video_id, "--edge", liar.id)[0] == data
        cluster.auth.must_run("streamer", "revoke", mal.id)
        eventually(lambda: viewer.watch(video_id)[1]["revocations"] > 0)

        # With the receipt of the edge that stored it: for ever.
        out, summary, _ = viewer.watch(video_id)
        assert out == data and summary["verified"]
        viewer.run("verify", video_id)
        viewer.run("verify", "file", "--proof", "with.proof")

        # Without: not a byte of it.
        eventually(lambda: knows_of(viewer, mal))
        out, _, said = viewer.watch(video_id, "--edge", liar.id, expect=UNVERIFIED)
        assert out is None
        assert f"streamer {mal.id} {REVOKED}" in said and "receipt" in said
        opened = trust.open_proof((viewer.folder / "with.proof").read_bytes())
        assert opened["receipt"] and opened["receipt_credential"]
        without = trust.make_proof(
            {**opened, "receipt": b"", "receipt_credential": b""}, opened["chunks"]
        )
        (viewer.folder / "without.proof").write_bytes(without)
        done = viewer.run("verify", "file", "--proof", "without.proof", expect=UNVERIFIED)
        assert REVOKED in done.stderr
    finally:
        liar.close()


def serials(person):
    try:
        listed = trust.decode("revocations", person.kept("revocations")[:-64])
    except FileNotFoundError:
        return {}
    return {entry["serial"]: entry["since"] for entry in listed["revoked"]}


def knows_of(viewer, streamer):
    """Whether the viewer has heard that the streamer is revoked; asks, to hear of it."""
    viewer.run("ping", "--wait", "50")
    if streamer.credential["serial"] in serials(viewer):
        return True
    viewer.run("watch", "no-such-video", "--edge", "edge1", expect=FAILED)
    return False


def test_somebody_revoked_is_told_so(cluster, person):
    mal, admitted = person("mal", True), person("ann", True)
    for who in (mal, admitted):
        cluster.auth.must_run("streamer", "revoke", who.id)
    with Client(cluster.broker.port) as client:
        zone = roles.fetch_zone(client)
        client.subscribe("auth/revocations")
        client.expect("auth/revocations", lambda m: lists(m, zone, mal.credential["serial"]))
    said = mal.run("upload", "password", expect=UNAUTHORIZED).stderr
    assert f"{mal.id} {REVOKED}" in said and "operator" in said
    assert "revoked" in mal.run(
        "login", "--user", mal.name, "--password-file", "password", expect=FAILED
    ).stderr
    cluster.auth.must_run("streamer", "admit", admitted.id)
    admitted.run("upload", "password", expect=UNAUTHORIZED)  # this credential stays revoked
    eventually(lambda: logs_in(admitted))
    admitted.upload()


def lists(message, zone, serial):
    listed = trust.decode("revocations", trust.unb64(message.json["revocations"])[:-64])
    return serial in {entry["serial"] for entry in listed["revoked"]}


def logs_in(person):
    process = person.start("login", "--user", person.name, "--password-file", "password")
    try:
        return process.wait() == OK
    finally:
        process.reap()


def test_the_kept_list_never_goes_back_and_its_age_shows(cluster, person, pyzone, folder):
    """In a zone whose authority says no more than the test wants."""
    with Client(pyzone.port, pyzone.prefix) as client:
        streamer = pyzone.zone.streamer(client)
        stream = streamer.stream().fill(10_000)
        streamer.upload(pyzone.edge.id, stream)
    viewer = person()
    viewer.env["TOPIC_PREFIX"] = pyzone.prefix
    _, summary, _ = viewer.watch(stream.video_id)
    assert summary["revocations"] == 0 and "revocations_age_s" not in summary
    zone = pyzone.zone
    hour_us = 3_600_000_000
    newest = trust.revocations(zone.key, zone.id, zone.epoch, 7, {}, trust.now_us() - hour_us)
    path = viewer.folder / "home" / "revocations"
    path.write_text(trust.b64(newest) + "\n")
    _, summary, _ = viewer.watch(stream.video_id)
    assert summary["revocations"] == 7 and summary["revocations_age_s"] >= 3600
    with Client(pyzone.port, pyzone.prefix) as client:
        old = trust.revocations(zone.key, zone.id, zone.epoch, 6, {})
        client.publish("auth/revocations", {"revocations": trust.b64(old)}, retain=True)
        _, summary, _ = viewer.watch(stream.video_id)
        assert summary["revocations"] == 7
        now = trust.revocations(zone.key, zone.id, zone.epoch, 8, {})
        client.publish("auth/revocations", {"revocations": trust.b64(now)}, retain=True)
        eventually(lambda: viewer.watch(stream.video_id)[1]["revocations"] == 8)
        client.forget("auth/revocations")
    assert "revocations_age_s" not in viewer.watch(stream.video_id)[1]
    assert trust.unb64(path.read_text().strip()) == now
    assert path.stat().st_mode & 0o077 == 0


# --- a list that is withheld ----------------------------------------------------


@pytest.fixture
def withheld(pyzone, person):
    """A viewer in a zone whose lists come from the test alone: there is none."""
    viewer = person()
    viewer.env["TOPIC_PREFIX"] = pyzone.prefix
    return viewer


@pytest.fixture
def pyzone_client(pyzone):
    with Client(pyzone.port, pyzone.prefix) as client:
        yield client
        client.forget("auth/revocations")


def list_of(zone, number, age_s=0):
    return trust.revocations(
        zone.key, zone.id, zone.epoch, number, {}, trust.now_us() - age_s * 1_000_000
    )


def publish_list(client, revocations):
    client.publish("auth/revocations", {"revocations": trust.b64(revocations)}, retain=True)


def stored_in(pyzone, client):
    streamer = pyzone.zone.streamer(client)
    stream = streamer.stream().fill(10_000)
    streamer.upload(pyzone.edge.id, stream)
    return stream.video_id


def test_who_has_no_list_is_told_so_once(pyzone, pyzone_client, withheld):
    viewer, video_id = withheld, stored_in(pyzone, pyzone_client)
    for arguments in (("watch", video_id, "-o", "out", "--proof", "proof"), ("verify", video_id)):
        assert viewer.run(*arguments).stderr.count(NO_LIST_SAID) == 1
        done = viewer.run(*arguments, "--json")
        assert json.loads(done.stdout)["revocations"] == 0 and NO_LIST_SAID not in done.stderr
    offline = ("verify", "out", "--proof", "proof")
    assert viewer.run(*offline).stderr.count(NO_LIST_SAID) == 1
    publish_list(pyzone_client, list_of(pyzone.zone, 7))
    assert "revocations" not in viewer.run("watch", video_id, "-o", "out").stderr
    assert "revocations" not in viewer.run(*offline).stderr


def test_a_list_that_is_required(pyzone, pyzone_client, withheld):
    viewer, video_id = withheld, stored_in(pyzone, pyzone_client)
    viewer.run("watch", video_id, "-o", "saved", "--proof", "proof")
    offline = ("verify", "saved", "--proof", "proof", REQUIRE)
    wait = (REQUIRE, "--timeout", "2")

    def refused(sentence):
        out, summary, said = viewer.watch(video_id, *wait, expect=NO_LIST)
        assert out is None and summary is None
        assert said.count(sentence) == 1 and REQUIRE in said, said
        for arguments in (("verify", video_id, *wait), offline):
            assert sentence in viewer.run(*arguments, expect=NO_LIST).stderr

    refused(NO_LIST_SAID)
    publish_list(pyzone_client, list_of(pyzone.zone, 7, 120))
    refused("who was revoked since")
    publish_list(pyzone_client, list_of(pyzone.zone, 8, -3600))
    refused("still to come")
    publish_list(pyzone_client, list_of(pyzone.zone, 8))
    out, summary, said = viewer.watch(video_id, *wait)
    assert summary["verified"] and summary["revocations"] == 8 and not said
    viewer.run("verify", video_id, *wait)
    viewer.run(*offline)


def play_while(live, going_on):
    while going_on():
        live.media(True)
        live.client.take_all(live.replies)
        try:
            live.client.expect("nothing", timeout=0.3)
        except AssertionError:
            pass


def start_live_in(pyzone, client):
    live = Live(pyzone.zone.streamer(client), pyzone.edge.id).start()
    live.media(True)
    return live, ("watch", live.video_id, "-o", "out", "--edge", pyzone.edge.id)


def test_a_live_without_a_list_says_so_while_it_plays(pyzone, pyzone_client, withheld, running):
    live, watch = start_live_in(pyzone, pyzone_client)
    watcher = running(withheld.start(*watch))
    play_while(live, lambda: watcher.alive and NO_LIST_SAID not in watcher.output)
    live.end()
    assert watcher.wait() == OK, watcher.output
    assert watcher.output.count(NO_LIST_SAID) == 1


def test_a_live_ends_when_its_list_grows_old(pyzone, pyzone_client, withheld, running):
    publish_list(pyzone_client, list_of(pyzone.zone, 9, 50))
    live, watch = start_live_in(pyzone, pyzone_client)
    watcher = running(withheld.start(*watch, "--json", REQUIRE))
    play_while(live, lambda: watcher.alive)
    assert watcher.wait() == NO_LIST, watcher.output
    summary = summary_of(watcher)
    assert summary["chunks"] > 0 and not summary["verified"]
    assert watcher.output.count("who was revoked since") == 1 and REQUIRE in watcher.output
    live.end()


# --- a home that others write, too -----------------------------------------------

NO_ACCESS_SAID = "check that you may write there"


def begin_login(someone):
    return someone.start("login", "--user", someone.name, "--password-file", "password")


def has_open(process, path):
    files = Path(f"/proc/{process.pid}/fd").iterdir()
    return any(file.is_symlink() and file.resolve() == path for file in files)


def test_a_lock_that_another_holds_is_not_waited_for_without_end(person, running):
    lea = person("lea", True)
    path = (lea.folder / "home" / "lock").resolve()
    assert path.stat().st_mode & 0o077 == 0
    with path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        login = running(begin_login(lea))
        assert login.wait() == FAILED
        assert f"{path} for more than 5 s" in login.output and NO_ACCESS_SAID not in login.output
        login = running(begin_login(lea))
        eventually(lambda: has_open(login, path))
        login.kill(signal.SIGINT)
        assert login.wait() == FAILED
        assert "interrupted" in login.output and NO_ACCESS_SAID not in login.output
    lea.login()


def test_a_pin_that_is_damaged_meanwhile_is_said_to_be(cluster, person, running):
    lea = person("lea", True)
    path = lea.folder / "home" / "zone"
    cluster.auth.process.kill(signal.SIGSTOP)
    try:
        with Client(cluster.broker.port) as client:
            client.subscribe("auth/params")
            login = running(begin_login(lea))
            client.expect("auth/params")
            path.write_text("damaged!")
    finally:
        cluster.auth.process.kill(signal.SIGCONT)
    assert login.wait() == FAILED
    assert f"{path} is unreadable" in login.output and NO_ACCESS_SAID not in login.output


# --- secrets ------------------------------------------------------------------


def test_a_token_is_gone_from_the_command_line(person, running):
    someone = person()
    someone.env["MQTT_BROKER"] = "mqtt://127.0.0.1:1"
    token = "eyJhbGciOi." + fresh_id()
    for form in (["--token", token], ["--token=" + token]):
        login = running(someone.start("login", "--timeout", "60", *form))
        line, limits = (Path(f"/proc/{login.pid}/{name}") for name in ("cmdline", "limits"))
        eventually(lambda: b"--timeout" in line.read_bytes() and b"eyJ" not in line.read_bytes())
        core = eventually(lambda: core_limit(limits))
        assert core.split()[4:6] == ["0", "0"], core
        login.kill(signal.SIGTERM)
        assert login.wait() == FAILED


def core_limit(limits):
    line = next(row for row in limits.read_text().splitlines() if "core" in row)
    return line if line.split()[4] == "0" else None


def test_a_token_comes_from_a_file(cluster, person):
    """Here no provider takes it; it was sent, and refused there."""
    someone = person()
    (someone.folder / "token").write_text("not.a.token\n")
    done = someone.run("login", "--token-file", "token", expect=FAILED)
    assert "refused" in done.stderr
    someone.run("login", "--token-file", "no-such-file", expect=2)
    (someone.folder / "token").write_text("\n")
    someone.run("login", "--token-file", "token", expect=2)


# --- credentials that end -----------------------------------------------------


@pytest.fixture(scope="module")
def short_lived(cluster):
    """auth_edge gives credentials that last 20 s."""
    cluster.auth.stop()
    before, cluster.auth.arguments = cluster.auth.arguments, ("--streamer-credential-s", "20")
    cluster.auth.start(cluster.client)
    yield
    cluster.auth.arguments = before


def test_a_credential_is_renewed_in_a_live_and_at_the_start_of_a_command(
    cluster, short_lived, person, running, clip
):
    lea, viewer = person("lea", True), person()
    first = lea.credential
    video_id, live = lea.start_live(clip)
    running(live)
    on_air(cluster, video_id)
    watcher = start_watching_live(viewer, running, cluster, video_id, "--duration", "26")
    eventually(lambda: lea.credential["serial"] != first["serial"], timeout=40)
    assert watcher.wait(60) == OK, watcher.output
    assert trust.now_us() > first["not_after"], "the first credential is still good"
    summary = summary_of(watcher)
    assert summary["gaps"] == 0 and summary["skipped_chunks"] == 0
    live.kill(signal.SIGTERM)
    assert live.wait() == OK, live.output
    before = lea.credential
    assert before["not_after"] > trust.now_us()
    # An upload renews it as well, once two thirds have passed: no login in between.
    eventually(lambda: lea.upload() and lea.credential["serial"] != before["serial"], timeout=40)


# --- auth_edge away -----------------------------------------------------------


def test_ping_says_since_when_auth_edge_is_away(cluster, person):
    viewer = person()
    assert not any(edge["auth_edge_away"] for edge in viewer.json("ping"))
    assert "AWAY" not in viewer.run("ping").stdout.decode()
    cluster.auth.stop()
    try:
        edges = eventually(lambda: all_away(viewer), timeout=60)
    finally:
        cluster.auth.start(cluster.client)
    for edge in edges:
        assert edge["auth_edge_away_since"] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def all_away(viewer):
    edges = viewer.json("ping")
    if not edges or not all(edge["auth_edge_away"] for edge in edges):
        return None
    assert "AUTH_EDGE AWAY SINCE" in viewer.run("ping").stdout.decode()
    return edges
