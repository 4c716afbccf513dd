"""§4.8: what a streamer or the zone deletes is gone everywhere, and stays gone."""
import json
import signal
import subprocess

import pytest
from ctl import FAILED, NOBODY, OK, UNVERIFIED, USAGE, Edgectl
from ec import roles, trust
from ec.client import eventually, fresh_id
from ec.cluster import BUILD, clean_environment
from ec.media import noise
from fleet import SETTLE_S, agree, dump, fleet_of, no_garbage, parts_here, used_bytes


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delete")
    with fleet_of(3, folder, "--replicas", 2, "--replica-grace-s", 5) as fleet:
        yield fleet


@pytest.fixture
def streamer(fleet):
    return fleet.streamer("lea")


@pytest.fixture
def other(fleet):
    return fleet.streamer("noe")


@pytest.fixture
def uploaded(fleet, streamer):
    """A video that every edge lists, and two hold."""
    stream = streamer.stream().fill(200_000, 50_000)
    streamer.upload(fleet.edges[0].id, stream)
    eventually(lambda: holders(fleet, stream, 2), SETTLE_S)
    return stream


def deletion(streamer, video_id, key=None, **over):
    """A signed deletion that is right but for `over`."""
    fields = {
        "zone_id": streamer.zone["zone_id"], "video_id": video_id, "streamer_id": streamer.id,
        "revision": trust.now_us(), **over,
    }  # fmt: skip
    return (key or streamer.key).signed("deletion", trust.encode("deletion", **fields))


def delete(streamer, edge, video_id, signed=None):
    """The answer, whatever it is."""
    signed = signed or deletion(streamer, video_id)
    return streamer.delete(edge.id, video_id, deletion=trust.b64(signed))


def holders(fleet, stream, n):
    """Every edge says that n hold it: their names."""
    said = [fleet.holders(edge, stream.video_id) for edge in fleet.edges]
    return said[0] if said[0] and all(s == said[0] and len(s) == n for s in said) else None


def gone(fleet, video_id, edges=None):
    """From every list, and from every disk."""
    for edge in edges or fleet.edges:
        eventually(lambda: fleet.row(edge, video_id) is None, SETTLE_S)
        eventually(lambda: parts_here(edge, video_id) == 0 and no_garbage(edge), SETTLE_S)


@pytest.mark.parametrize("at", ["a holder", "another"])
def test_a_streamer_deletes_a_video(fleet, streamer, uploaded, at):
    held = holders(fleet, uploaded, 2)
    edge = next(e for e in fleet.edges if (e.id in held) == (at == "a holder"))
    reply = delete(streamer, edge, uploaded.video_id)
    assert reply.json == {"status": "ok", "video_id": uploaded.video_id, "EDGE_ID": edge.id}
    gone(fleet, uploaded.video_id)
    viewer = fleet.viewer()
    for edge in fleet.edges:
        assert viewer.ask_init(edge.id, uploaded.video_id).get("code") == "unknown_video"
    agree(fleet.edges)
    for edge in fleet.edges:
        ours = [row for row in dump(edge)["holding"] if row[0] == uploaded.video_id]
        assert not ours, "custody of what is gone"


def test_its_bytes_are_freed(fleet, streamer):
    """Every page of them, at every holder."""
    stream = streamer.stream(part_bytes=61_440).fill(4_000_000, 4_000_000)
    streamer.upload(fleet.edges[0].id, stream)
    held = eventually(lambda: holders(fleet, stream, 2), SETTLE_S)
    before = {e: used_bytes(e) for e in fleet.edges if e.id in held}
    assert delete(streamer, fleet.edges[2], stream.video_id).get("status") == "ok"
    gone(fleet, stream.video_id)
    for edge, bytes_before in before.items():
        eventually(lambda: used_bytes(edge) < bytes_before - 7_000_000, SETTLE_S)


def test_the_same_deletion_again(fleet, streamer, uploaded):
    signed = deletion(streamer, uploaded.video_id)
    for edge in (fleet.edges[0], fleet.edges[0]):
        assert delete(streamer, edge, uploaded.video_id, signed).get("status") == "ok"
    agree(fleet.edges)
    assert delete(streamer, fleet.edges[1], uploaded.video_id, signed).get("status") == "ok"


def test_a_request_counts_once(fleet, streamer, uploaded):
    edge = fleet.edges[0]
    topic = f"video/delete/{edge.id}/{streamer.id}"
    streamer.client.subscribe(topic)
    fields = streamer.sign(edge.id, streamer.delete_fields(uploaded.video_id), "video/delete")
    streamer.client.ask(f"video/delete/{edge.id}", fields, topic)
    again = streamer.client.ask(f"video/delete/{edge.id}", fields, topic)
    assert again.get("code") == "unauthorized", again


def test_what_nobody_knows(fleet, streamer):
    reply = delete(streamer, fleet.edges[0], "v-" + fresh_id()[:8])
    assert reply.get("code") == "unknown_video", reply


def test_a_deletion_that_is_older_than_the_video(fleet, streamer, uploaded):
    signed = deletion(streamer, uploaded.video_id, revision=uploaded.fields["revision"])
    reply = delete(streamer, fleet.edges[0], uploaded.video_id, signed)
    assert reply.get("code") == "conflict", reply
    assert fleet.row(fleet.edges[0], uploaded.video_id)


REFUSED = {
    "another's video": lambda me, he, v: deletion(he, v, streamer_id=me.id),
    "by a stranger's key": lambda me, he, v: deletion(me, v, key=trust.Key()),
    "of another video": lambda me, he, v: deletion(me, "v-other"),
    "of another zone": lambda me, he, v: deletion(me, v, zone_id="zone-x"),
    "a day ahead": lambda me, he, v: deletion(me, v, revision=trust.now_us() + 86_400_000_000),
    "a video statement": lambda me, he, v: me.key.signed("video", b"\1" * 200),
    "cut short": lambda me, he, v: deletion(me, v)[:-1],
}


@pytest.mark.parametrize("how", REFUSED)
def test_it_must_be_signed_by_its_streamer(fleet, streamer, other, uploaded, how):
    edge = fleet.edges[0]
    reply = delete(streamer, edge, uploaded.video_id, REFUSED[how](streamer, other, uploaded.video_id))
    assert reply.get("status") == "error", reply
    assert fleet.row(edge, uploaded.video_id)


def test_another_streamer_deletes_nothing(fleet, other, uploaded):
    reply = delete(other, fleet.edges[0], uploaded.video_id)
    assert reply.get("code") == "unknown_video", reply
    assert all(fleet.row(edge, uploaded.video_id) for edge in fleet.edges)


def test_an_edge_alone_deletes_nothing(fleet, streamer, uploaded):
    """A suppression that only an edge, or nobody, has signed."""
    fake = roles.FakeEdge(fleet.client, fleet.auth.secret)
    forged = deletion(streamer, uploaded.video_id, key=fake.key)
    for credential in (fake.credential, streamer.credential, b""):
        fake.publish(fake.removal(forged, credential))
    fake.publish({**fake.removal(forged), "deletion": ""})
    fence(fleet, streamer, fake)
    assert all(fleet.row(edge, uploaded.video_id) for edge in fleet.edges)


def fence(fleet, streamer, fake):
    """Until every edge has taken in what was announced before."""
    stream = streamer.stream().fill(1000)
    fake.publish(fake.update(streamer, stream))
    for edge in fleet.edges:
        eventually(lambda: fleet.row(edge, stream.video_id))


def test_a_suppression_with_the_streamers_deletion_is_believed(fleet, streamer, uploaded):
    """Whoever brings it."""
    fake = roles.FakeEdge(fleet.client, fleet.auth.secret)
    fake.publish(fake.removal(deletion(streamer, uploaded.video_id), streamer.credential))
    gone(fleet, uploaded.video_id)


def test_an_upload_under_way_ends(fleet, streamer):
    edge = fleet.edges[1]
    stream = streamer.stream().fill(100_000, 100_000)
    reply = streamer.init(edge.id, stream)
    streamer.push(edge.id, stream, (1, 0), reply.json["window_bytes"], until=(2, 0))
    assert parts_here(edge, stream.video_id)
    assert delete(streamer, edge, stream.video_id).get("status") == "ok"
    gone(fleet, stream.video_id, [edge])
    reply = streamer.init(edge.id, stream)
    assert reply.get("status") == "error", reply


def test_a_live_ends(fleet, streamer):
    edge = fleet.edges[1]
    stream = streamer.stream(live=1)
    assert streamer.init(edge.id, stream, live=True).get("status") == "ok"
    for part in stream.add(noise(20_000)).parts:
        streamer.send_part(edge.id, stream, part, topic="live/upload")
    for other_edge in fleet.edges:
        eventually(lambda: fleet.row(other_edge, stream.video_id))
    watched = f"live/watch/{edge.id}/{stream.video_id}"
    fleet.client.subscribe(watched)
    assert delete(streamer, edge, stream.video_id).get("status") == "ok"
    fleet.client.expect(watched, lambda m: m.get("end") == 1)
    gone(fleet, stream.video_id)


def test_an_id_is_its_streamers_again(fleet, streamer, other, uploaded):
    """Who deleted it may use it anew; nobody else may."""
    edge = fleet.edges[0]
    assert delete(streamer, edge, uploaded.video_id).get("status") == "ok"
    gone(fleet, uploaded.video_id)
    theirs = other.stream(uploaded.video_id).fill(1000)
    assert other.init(edge.id, theirs).get("code") == "conflict"
    again = streamer.stream(uploaded.video_id).fill(30_000)
    streamer.upload(edge.id, again)
    for any_edge in fleet.edges:
        eventually(lambda: fleet.row(any_edge, again.video_id))
    assert fleet.viewer().watch_binary(edge.id, again.video_id)[1].payload() == again.payload


def test_an_edge_that_was_away_does_not_bring_it_back(fleet, streamer, uploaded):
    """It held a copy, and learns when it is back that there is no such video."""
    held = holders(fleet, uploaded, 2)
    away = next(edge for edge in fleet.edges if edge.id in held)
    here = [edge for edge in fleet.edges if edge is not away]
    away.kill()
    assert delete(streamer, here[0], uploaded.video_id).get("status") == "ok"
    gone(fleet, uploaded.video_id, here)
    away.start(fleet.client)
    gone(fleet, uploaded.video_id)
    agree(fleet.edges)


def test_an_edge_that_was_stopped_does_not_either(fleet, streamer, uploaded):
    held = holders(fleet, uploaded, 2)
    away = next(edge for edge in fleet.edges if edge.id in held)
    here = next(edge for edge in fleet.edges if edge is not away)
    away.process.kill(signal.SIGSTOP)
    try:
        assert delete(streamer, here, uploaded.video_id).get("status") == "ok"
    finally:
        away.process.kill(signal.SIGCONT)
    gone(fleet, uploaded.video_id)


# --- with the programs ---------------------------------------------------------


@pytest.fixture(scope="module")
def ctl(fleet, tmp_path_factory):
    """edgectl, logged in."""
    folder = tmp_path_factory.mktemp("edgectl")
    tool = Edgectl(fleet.broker.url, folder)
    assert fleet.auth.add_user("ctl", "a secret of 1").returncode == 0
    (folder / "password").write_text("a secret of 1\n")
    tool.run("login", "--user", "ctl", "--password-file", "password")
    return tool


@pytest.fixture
def sent(ctl, fleet):
    """A video by edgectl's user that every edge lists."""
    video_id = "ctl-" + fresh_id()[:12]
    (ctl.folder / "file").write_bytes(noise(100_000))
    ctl.run("upload", "file", "--id", video_id, "--edge", fleet.edges[0].id)
    for edge in fleet.edges:
        eventually(lambda: fleet.row(edge, video_id))
    return video_id


def zone_deletion(fleet, streamer_id, video_id):
    """What `auth_edge delete` prints."""
    return subprocess.run(
        [BUILD / "auth_edge", "delete", streamer_id, video_id, "--data", fleet.auth.folder],
        env=clean_environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_edgectl_deletes(ctl, fleet, sent):
    """At an edge that holds it, without being told which."""
    done = ctl.json("delete", sent)
    assert done["id"] == sent
    assert done["edge"] in {edge.id for edge in fleet.edges}
    assert done["signed_by"] == "streamer"
    gone(fleet, sent)
    assert sent not in {row["id"] for row in ctl.json("list")}
    again = ctl.run("delete", sent)  # it is deleted, so it is deleted
    assert sent in again.stdout.decode()


def test_edgectl_deletes_at_an_edge(ctl, fleet, sent):
    edge = fleet.edges[2].id
    assert ctl.json("delete", sent, "--edge", edge)["edge"] == edge
    gone(fleet, sent)


def test_edgectl_finds_the_edge_of_an_upload_under_way(ctl, fleet, video_id="ctl-half"):
    (ctl.folder / "large").write_bytes(noise(30_000_000))
    edge = fleet.edges[2]
    upload = ctl.start("upload", "large", "--id", video_id, "--edge", edge.id)
    eventually(lambda: parts_here(edge, video_id))
    upload.kill(signal.SIGKILL)
    upload.wait()
    assert ctl.json("delete", video_id)["edge"] == edge.id
    gone(fleet, video_id, [edge])
    assert not (ctl.folder / "home" / "uploads" / video_id).exists()


def test_edgectl_says_what_cannot_be_deleted(ctl, fleet, uploaded, tmp_path):
    unknown = "none-" + fresh_id()[:8]
    assert unknown in ctl.run("delete", unknown, expect=FAILED).stderr
    assert uploaded.video_id in ctl.run("delete", uploaded.video_id, expect=FAILED).stderr
    stranger = Edgectl(fleet.broker.url, tmp_path)
    assert "log" in stranger.run("delete", uploaded.video_id, expect=FAILED).stderr
    ctl.run("delete", "a/b", expect=USAGE)
    ctl.run("delete", expect=USAGE)
    ctl.run("delete", unknown, "--signed", "file", expect=USAGE)
    ctl.run("delete", unknown, "--edge", "nobody", "--timeout", "1", expect=NOBODY)
    assert all(fleet.row(edge, uploaded.video_id) for edge in fleet.edges)


def test_edgectl_goes_to_another_edge_when_one_is_silent(ctl, fleet, sent):
    """Those who hold it answer the ping, and then nothing any more."""
    held = eventually(lambda: holders(fleet, Sent(sent), 2), SETTLE_S)
    silent = [edge for edge in fleet.edges if edge.id in held]
    (third,) = (edge.id for edge in fleet.edges if edge.id not in held)
    client = fleet.new_client().subscribe("video/request/ping/+")
    deleter = ctl.start("delete", sent, "--json", "--timeout", "2")
    try:
        for edge in silent:
            client.expect("video/request/ping/+", lambda m: m.get("edge_id") == edge.id)
            edge.process.kill(signal.SIGSTOP)
        assert deleter.wait() == OK, deleter.output
    finally:
        for edge in silent:
            edge.process.kill(signal.SIGCONT)
    assert json.loads(deleter.lines[-1])["edge"] == third
    gone(fleet, sent)


class Sent:
    """As much of a stream as its name."""

    def __init__(self, video_id):
        self.video_id = video_id


def test_a_forged_refusal_does_not_end_a_deletion(ctl, fleet, sent):
    edge = fleet.edges[0]
    topic = f"video/delete/{edge.id}"
    fleet.client.subscribe(topic)
    fleet.client.take_all(topic)
    edge.process.kill(signal.SIGSTOP)
    try:
        deleter = ctl.start("delete", sent, "--edge", edge.id)
        asked = fleet.client.expect(topic, lambda m: m.get("video_id") == sent)
        answer = {"status": "error", "code": "conflict", "message": "no", "video_id": sent}
        reply_topic = f"{topic}/{asked.get('streamer_id')}"
        fleet.client.subscribe(reply_topic)
        for _ in range(2):
            fleet.client.publish(reply_topic, answer)
            fleet.client.expect(reply_topic)
    finally:
        edge.process.kill(signal.SIGCONT)
    assert deleter.wait() == OK, deleter.output
    gone(fleet, sent)


def test_the_zone_deletes(ctl, fleet, streamer, uploaded):
    made = zone_deletion(fleet, streamer.id, uploaded.video_id)
    assert made.returncode == 0, made.stderr
    signed = trust.open_signed("deletion", trust.unb64(made.stdout.strip()), fleet.zone["sign_pk"])
    assert (signed["video_id"], signed["streamer_id"]) == (uploaded.video_id, streamer.id)
    (ctl.folder / "signed").write_text(made.stdout)
    done = ctl.json("delete", "--signed", "signed")
    assert (done["id"], done["streamer_id"], done["signed_by"]) == (
        uploaded.video_id, streamer.id, "zone",
    )  # fmt: skip
    gone(fleet, uploaded.video_id)
    agree(fleet.edges)
    reply = streamer.init(fleet.edges[0].id, uploaded)
    assert reply.get("status") == "error", reply


def test_a_deletion_that_the_zone_did_not_sign(ctl, fleet, streamer, uploaded):
    (ctl.folder / "forged").write_text(trust.b64(deletion(streamer, uploaded.video_id)))
    ctl.run("delete", "--signed", "forged", expect=UNVERIFIED)
    (ctl.folder / "garbage").write_text("no base64 at all")
    ctl.run("delete", "--signed", "garbage", expect=UNVERIFIED)
    ctl.run("delete", "--signed", "not-there", expect=FAILED)
    for arguments in (["a/b", "c"], ["only-one"]):
        done = subprocess.run(
            [BUILD / "auth_edge", "delete", *arguments, "--data", fleet.auth.folder],
            env=clean_environment(), capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
    edge = fleet.edges[0]
    topic = f"video/delete/{edge.id}/{fleet.client.id}"
    fleet.client.subscribe(topic)
    reply = fleet.client.ask(
        f"video/delete/{edge.id}",
        {
            "video_id": uploaded.video_id, "streamer_id": streamer.id, "client_id": fleet.client.id,
            "deletion": trust.b64(deletion(streamer, uploaded.video_id)),
        },
        topic,
    )  # fmt: skip
    assert reply.get("status") == "error", reply
    assert roles.find_video(fleet.client, edge.id, uploaded.video_id)
