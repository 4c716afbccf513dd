"""§4.5: several edges, one catalogue, merged by what is signed alone."""
import secrets
import tempfile
import time

import pytest
from conftest import HostileZone
from ec import roles, trust
from ec.client import TIMEOUT_S, eventually


@pytest.fixture
def uploaded(streamer, edge1):
    stream = streamer.stream().fill(90_000, 30_000)
    streamer.upload(edge1, stream)
    return stream


def edges_of(client, edge, video_id):
    row = roles.find_video(client, edge, video_id)
    return row and sorted(row["edges"].split(","))


# --- between edges -----------------------------------------------------------


def test_the_other_edge_lists_it(client, uploaded, edge1, edge2):
    assert eventually(lambda: edges_of(client, edge2, uploaded.video_id)) == [edge1]


def test_the_other_edge_fetches_it(client, uploaded, edge1, edge2, viewer):
    eventually(lambda: roles.find_video(client, edge2, uploaded.video_id))
    video, assembly = viewer.watch_binary(edge2, uploaded.video_id)
    assert video.reply["EDGE_ID"] == edge2
    assert assembly.payload() == uploaded.payload
    for edge in (edge1, edge2):  # it may forget it again: nobody is told
        assert edges_of(client, edge, uploaded.video_id) == [edge1]
    assert viewer.watch_json(edge2, uploaded.video_id)[1] == uploaded.payload


def test_the_other_edge_fetches_it_for_an_original_client(client, uploaded, edge2, viewer):
    eventually(lambda: roles.find_video(client, edge2, uploaded.video_id))
    assert viewer.watch_json(edge2, uploaded.video_id)[1] == uploaded.payload


def test_local_only_does_not_fetch(client, uploaded, edge1, edge2, viewer):
    eventually(lambda: roles.find_video(client, edge2, uploaded.video_id))
    reply = viewer.ask_init(edge2, uploaded.video_id, local_only=1)
    assert reply.get("code") == "unknown_video", reply
    assert viewer.ask_init(edge1, uploaded.video_id, local_only=1).get("status") == "ok"
    assert edges_of(client, edge2, uploaded.video_id) == [edge1]


def test_an_edge_that_comes_later_learns_it(client, uploaded, edge1, extra_edge, viewer):
    edge = extra_edge()
    assert eventually(lambda: edges_of(client, edge.id, uploaded.video_id)) == [edge1]
    assert viewer.watch_binary(edge.id, uploaded.video_id)[1].payload() == uploaded.payload


def test_what_an_edge_missed_while_it_was_down(
    cluster, client, streamer, edge1, extra_edge, viewer
):
    edge = extra_edge()
    edge.stop()
    stream = streamer.stream().fill(20_000)
    streamer.upload(edge1, stream)
    edge.start(cluster.client)
    eventually(lambda: edges_of(client, edge.id, stream.video_id))
    assert viewer.watch_binary(edge.id, stream.video_id)[1].payload() == stream.payload


def test_a_fetch_when_the_only_holder_is_gone(cluster, client, streamer, extra_edge, edge2, viewer):
    """An answer in any case, and the edge is none the worse."""
    edge = extra_edge()
    stream = streamer.stream().fill(20_000)
    streamer.upload(edge.id, stream)
    eventually(lambda: roles.find_video(client, edge2, stream.video_id))
    edge.kill()
    reply = viewer.ask_init(edge2, stream.video_id)
    if reply.get("status") == "error":
        assert reply.get("code") in ("unknown_video", "not_ready", "busy"), reply
    assert roles.ping_edge(client, edge2)["status"] == "ok"


# --- what an edge says -------------------------------------------------------


def check_update(update, zone, stream, edge):
    """The signed parts of a db/update hold and say what is true."""
    credential = trust.open_credential(trust.unb64(update["credential"]), zone)
    video = trust.open_signed("video", trust.unb64(update["statement"]), credential["pk"])
    assert video["video_id"] == stream.video_id
    assert video["revision"] > stream.fields["revision"]
    manifest = trust.unb64(update["manifest"])
    assert trust.object_hash("manifest", manifest[:-64]) == video["manifest_hash"]
    holder = trust.open_credential(trust.unb64(update["edge_credential"]), zone)
    assert (holder["kind"], holder["subject"]) == (trust.EDGE, edge)
    custody = trust.open_signed("custody", trust.unb64(update["custody"]), holder["pk"])
    assert (custody["edge_id"], custody["video_id"]) == (edge, stream.video_id)
    assert (custody["stream"], custody["state"]) == (stream.id, 1)
    assert abs((custody["hlc"] >> 16) - time.time() * 1000) < 300_000


def test_an_upload_is_announced(client, streamer, cluster, edge1):
    client.subscribe("db/update")
    stream = streamer.stream(title="Ma première vidéo").fill(5_000)
    streamer.upload(edge1, stream)
    update = client.expect("db/update", lambda m: m.get("video_id") == stream.video_id).json
    assert update["status"] == "ajout"
    assert update["live"] is False or update["live"] == 0
    assert update["video_nom"] == "Ma première vidéo"
    assert update["category"] == stream.fields["category"]
    assert update["description"] == stream.fields["description"]
    assert update["thumbnail"] == stream.thumbnail
    assert update["streamer_id"] == streamer.id
    assert update["streamer_nom"] == streamer.name
    assert update["EDGE_ID"] == edge1
    check_update(update, cluster.zone, stream, edge1)


def ask_db(client, root="", timeout=TIMEOUT_S):
    """Every page of the catalogue, asked for as an edge would.

    Edges that do not know of each other yet both answer: a page may come twice.
    """
    me = "asker-" + secrets.token_hex(4)
    client.subscribe(f"db/{me}")
    client.publish("db", {"ID": me, "root": root})
    pages, last = {}, 0
    while not last or set(pages) != set(range(1, last + 1)):
        page = client.expect(f"db/{me}", timeout=timeout).json
        if page["streamers"] == "":
            return [page]
        pages[page["page"]] = page
        last = last or page["pages"]
    return [pages[i] for i in sorted(pages)]


def test_db_gives_the_whole_catalogue(client, streamer, uploaded, cluster, edge1, edge2):
    # Either of them may answer: wait until both know.
    eventually(lambda: roles.find_video(client, edge2, uploaded.video_id))
    pages = ask_db(client)
    rows = [row for page in pages for row in page["videos"]]
    row = next(row for row in rows if row["id"] == uploaded.video_id)
    assert row["title"] == uploaded.fields["title"]
    assert row["thumbnail"] == uploaded.thumbnail
    assert row["edges"] == edge1
    people = {s["id"]: s["name"] for page in pages for s in page["streamers"]}
    assert people[streamer.id] == streamer.name
    credential = trust.open_credential(trust.unb64(row["credential"]), cluster.zone)
    video = trust.open_signed("video", trust.unb64(row["statement"]), credential["pk"])
    assert video["video_id"] == uploaded.video_id
    (holding,) = row["rows"]
    holder = trust.open_credential(trust.unb64(holding["edge_credential"]), cluster.zone)
    trust.open_signed("custody", trust.unb64(holding["custody"]), holder["pk"])


def test_db_pages_fit_their_messages(client, streamer, edge1, edge2):
    """More than one message can hold."""
    streams = [
        streamer.stream(thumbnail="t" * 12_288, description="d" * 1024).fill(1000)
        for _ in range(12)
    ]
    for stream in streams:
        streamer.upload(edge1, stream)
    for edge in (edge1, edge2):
        for stream in streams:
            eventually(lambda: roles.find_video(client, edge, stream.video_id))
    pages = ask_db(client)
    assert len(pages) > 1
    ids = {row["id"] for page in pages for row in page["videos"]}
    assert ids >= {s.video_id for s in streams}


def answered(client):
    """As ask_db, or None: who has just been made looks for others first, and says nothing."""
    try:
        return ask_db(client, timeout=1)
    except AssertionError:
        return None


def test_an_empty_catalogue_answers_as_the_original(cluster, workplace):
    from pathlib import Path

    with tempfile.TemporaryDirectory(dir=workplace) as name:
        zone = HostileZone(cluster, Path(name))
        try:
            (page,) = eventually(lambda: answered(zone.client))
            assert page["streamers"] == ""
        finally:
            zone.close()


# --- what an edge believes ---------------------------------------------------


@pytest.fixture
def fake(client, cluster):
    return roles.FakeEdge(client, cluster.auth.secret)


@pytest.fixture
def fence(client, fake, streamer, edge1):
    """A function that returns once edge1 has taken in what was announced before."""

    def wait():
        stream = streamer.stream().fill(1000)
        fake.publish(fake.update(streamer, stream))
        eventually(lambda: roles.find_video(client, edge1, stream.video_id))

    return wait


def test_an_announcement_is_believed(client, fake, streamer, edge1, edge2):
    stream = streamer.stream(title="Elsewhere").fill(1000)
    fake.publish(fake.update(streamer, stream))
    for edge in (edge1, edge2):
        row = eventually(lambda: roles.find_video(client, edge, stream.video_id))
        assert row["edges"] == fake.id
        assert row["title"] == "Elsewhere"


def test_custody_comes_and_goes(client, fake, streamer, uploaded, edge1):
    fake.publish(fake.update(streamer, uploaded))
    eventually(lambda: edges_of(client, edge1, uploaded.video_id) == sorted([edge1, fake.id]))
    gone = trust.b64(fake.holding(uploaded, state=0))
    fake.publish(fake.update(streamer, uploaded, custody=gone))
    eventually(lambda: edges_of(client, edge1, uploaded.video_id) == [edge1])


def test_older_custody_changes_nothing(client, fake, fence, streamer, uploaded, edge1):
    older = trust.b64(fake.holding(uploaded, state=0))
    fake.publish(fake.update(streamer, uploaded))
    eventually(lambda: fake.id in edges_of(client, edge1, uploaded.video_id))
    fake.publish(fake.update(streamer, uploaded, custody=older))
    fence()
    assert fake.id in edges_of(client, edge1, uploaded.video_id)


def test_only_what_is_signed_counts(client, fake, fence, streamer, edge1):
    stream = streamer.stream(title="Signed").fill(1000)
    fake.publish(fake.update(streamer, stream, video_nom="Not signed", category="neither"))
    fence()
    row = roles.find_video(client, edge1, stream.video_id)
    if row:  # believing none of it would be as well
        assert row["title"] == "Signed"
        assert row["category"] == stream.fields["category"]


def test_a_newer_revision_wins_and_an_older_does_not(client, fake, fence, streamer, edge1):
    stream = streamer.stream(title="First").fill(1000)
    fake.publish(fake.update(streamer, stream))
    newer = stream.final_statement(title="Second", revision=stream.fields["revision"] + 10)
    older = stream.final_statement(title="Third", revision=stream.fields["revision"] + 5)
    fake.publish(fake.update(streamer, stream, statement=trust.b64(newer), video_nom="Second"))
    fake.publish(fake.update(streamer, stream, statement=trust.b64(older), video_nom="Third"))
    fence()
    assert roles.find_video(client, edge1, stream.video_id)["title"] == "Second"


def forgeries(fake, streamer, other, stream):
    """name → an update that must change nothing."""
    key = trust.Key()
    strangers_credential = key.signed("credential", streamer.credential[:-64])
    holder = trust.decode("credential", fake.credential[:-64])
    fake_holder = key.signed("credential", trust.encode("credential", **{**holder, "pk": key.pk}))
    flipped = bytearray(fake.holding(stream))
    flipped[-1] ^= 1

    def update(**over):
        return fake.update(streamer, stream, **{k: trust.b64(v) for k, v in over.items()})

    return {
        "custody with a flipped bit": update(custody=bytes(flipped)),
        "custody by another key": update(custody=fake.holding(stream, key=key)),
        "custody of another zone": update(custody=fake.holding(stream, zone_id="zone-x")),
        "custody for another edge": update(custody=fake.holding(stream, edge_id="edge1")),
        "custody for another video": update(custody=fake.holding(stream, video_id="v-other")),
        "custody a day ahead": update(custody=fake.holding(stream, ahead_s=86_400)),
        "custody in another state": update(custody=fake.holding(stream, state=7)),
        "presence as custody": update(custody=fake.holding(stream, kind="presence")),
        "edge credential by a stranger": update(
            edge_credential=fake_holder, custody=fake.holding(stream, key=key)
        ),
        "a streamer as holder": update(
            edge_credential=other.credential, custody=fake.holding(stream, key=other.key)
        ),
        "credential by a stranger": update(credential=strangers_credential),
        "statement by a stranger": update(statement=stream.statement(key=key)),
        "statement by another streamer": update(statement=stream.statement(key=other.key)),
        "no edge credential": {
            k: v for k, v in update().items() if k not in ("edge_credential", "custody")
        },
        "nothing signed": {
            k: v
            for k, v in update().items()
            if k not in ("edge_credential", "custody", "statement", "credential", "manifest")
        },
        "garbage": {**update(), "custody": 5, "statement": ["x"], "credential": {}},
    }


NAMES = [
    "custody with a flipped bit", "custody by another key", "custody of another zone",
    "custody for another edge", "custody for another video", "custody a day ahead",
    "custody in another state", "presence as custody", "edge credential by a stranger",
    "a streamer as holder", "credential by a stranger", "statement by a stranger",
    "statement by another streamer", "no edge credential", "nothing signed", "garbage",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_forgery_changes_nothing(
    client, fake, fence, streamer, other_streamer, uploaded, edge1, name
):
    """Neither for a video that is known nor for one that is not."""
    unknown = streamer.stream().fill(1000)
    before = roles.find_video(client, edge1, uploaded.video_id)
    for stream in (uploaded, unknown):
        fake.publish(forgeries(fake, streamer, other_streamer, stream)[name])
    fence()
    assert roles.find_video(client, edge1, uploaded.video_id) == before
    row = roles.find_video(client, edge1, unknown.video_id)
    assert row is None or fake.id not in row["edges"].split(",")


def test_a_foreign_suppression_changes_nothing(client, fence, uploaded, edge1):
    before = roles.find_video(client, edge1, uploaded.video_id)
    client.publish(
        "db/update", {"status": "suppression", "video_id": uploaded.video_id, "EDGE_ID": edge1}
    )
    fence()
    assert roles.find_video(client, edge1, uploaded.video_id) == before


def test_presence_of_a_live_comes_and_goes(client, fake, fence, streamer, edge1):
    stream = streamer.stream(live=1)
    fake.publish(fake.update(streamer, stream))
    row = eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    assert (row["live"], row["edges"]) == (1, fake.id)
    fake.publish(
        {
            "status": "suppression",
            "video_id": stream.video_id,
            "streamer_id": streamer.id,
            "EDGE_ID": fake.id,
            "presence": trust.b64(fake.holding(stream, kind="presence", state=0)),
            "edge_credential": trust.b64(fake.credential),
        }
    )
    eventually(lambda: roles.find_video(client, edge1, stream.video_id) is None)
