"""Starting, ending, losing the broker, losing the disk: what an operator sees."""
import json
import os
import signal
import subprocess

import pytest
from ec import roles
from ec.client import TIMEOUT_S, Client, eventually, fresh_id
from ec.cluster import AuthEdge, Broker, Edge, Process, PyZone
from ec.media import noise


class Site:
    """A broker, an authority in Python and edges that a test may break."""

    def __init__(self, folder, broker=None):
        self.folder = folder
        self.broker = broker or Broker(folder / "broker")
        self.zone = PyZone(self.broker, folder)
        self.client = Client(self.broker.port)
        self.edges = []

    def edge(self, name="edge1", *arguments, folder=None):
        folder = folder or self.folder / name
        edge = Edge(folder, self.broker, self.zone.secret_file, name, "", arguments)
        self.edges.append(edge)
        return edge

    def close(self):
        for edge in self.edges:
            edge.reap()
            if edge.process:
                edge.process.check_output()
        self.zone.close()
        self.client.close()
        self.broker.close()


@pytest.fixture
def site(folder):
    site = Site(folder)
    yield site
    site.close()


@pytest.fixture
def streamer(site):
    return site.zone.streamer(site.client)


def watch(site, edge, stream):
    viewer = roles.Viewer(site.broker.port, site.zone.params)
    try:
        return viewer.watch_binary(edge.id, stream.video_id)[1].payload()
    finally:
        viewer.close()


# --- the broker --------------------------------------------------------------


def test_programs_wait_for_a_broker_that_comes_later(folder):
    broker = Broker.reserved(folder / "broker")
    auth = AuthEdge(folder / "auth", broker)
    edge = None
    try:
        auth.spawn().wait_line(f"127.0.0.1:{broker.port}")
        secret = auth.secret_file
        eventually(secret.exists)
        edge = Edge(folder / "edge", broker, secret, "edge1")
        edge.spawn().wait_line("(?i)broker")
        assert broker.start()
        with Client(broker.port) as client:
            edge.wait_ready(client)
            assert roles.fetch_zone(client)["zone_id"]
        edge.stop()
        auth.stop()
    finally:
        auth.reap()
        if edge:
            edge.reap()
        broker.close()


def test_programs_without_a_broker_end_on_sigterm(folder):
    broker = Broker.reserved(folder / "broker")
    auth = AuthEdge(folder / "auth", broker)
    edge = Edge(folder / "edge", broker, auth.secret_file, "edge1")
    try:
        auth.spawn()
        eventually(auth.secret_file.exists)
        edge.spawn().wait_line("(?i)broker")
        edge.stop()
        auth.stop()
    finally:
        auth.reap()
        edge.reap()


def test_an_upload_goes_on_after_the_broker_was_restarted(site, streamer):
    edge = site.edge().start(site.client)
    stream = streamer.stream(part_bytes=8_192).fill(*[100_000] * 6)
    window = streamer.init(edge.id, stream).get("window_bytes")
    at = streamer.push(edge.id, stream, (1, 0), window, until=(3, 2))
    seen = site.client.connections
    site.broker.kill()
    for part in [p for p in stream.parts if p.position >= at][:3]:
        streamer.send_part(edge.id, stream, part)
    assert site.broker.start()
    site.client.wait_connected(seen + 1)
    edge.wait_ready(site.client)
    reply = streamer.init(edge.id, stream)
    assert (reply.get("next"), reply.get("next_part")) >= at
    streamer.check_receipt(edge.id, stream, streamer.upload(edge.id, stream))
    assert watch(site, edge, stream) == stream.payload
    edge.stop()


def test_a_live_goes_on_after_the_broker_was_restarted(site, streamer):
    edge = site.edge().start(site.client)
    client = site.client
    stream = streamer.stream(live=1)
    assert streamer.init(edge.id, stream, live=True).get("status") == "ok"
    topic = f"live/watch/{edge.id}/{stream.video_id}"
    client.subscribe(topic)
    for part in stream.add(noise(1000)).parts:
        streamer.send_part(edge.id, stream, part, topic="live/upload")
    client.expect(topic, lambda m: m.binary)
    seen = client.connections
    site.broker.kill()
    assert site.broker.start()
    client.wait_connected(seen + 1)
    edge.wait_ready(client)
    reply = streamer.init(edge.id, stream, live=True)
    assert reply.get("status") == "ok", reply
    part = stream.add(noise(1000)).parts[0]
    streamer.send_part(edge.id, stream, part, topic="live/upload")
    client.expect(topic, lambda m: m.payload == part.packet)
    edge.stop()


# --- presence ----------------------------------------------------------------


def test_status_is_published(site):
    site.client.subscribe("edge/status/edge1")
    edge = site.edge().start(site.client)
    status = site.client.expect("edge/status/edge1", lambda m: m.get("zone")).json
    assert (status["EDGE_ID"], status["status"]) == ("edge1", "online")
    assert status["zone"] == site.zone.id
    for name in ("ts", "videos", "streams", "viewers", "uptime_s"):
        assert isinstance(status[name], int), name
    site.client.take_all("edge/status/edge1")
    site.client.expect("edge/status/edge1", timeout=8)  # every 5 s
    edge.stop()


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_an_edge_that_ends_is_offline(site, end):
    """Said by itself, or by its last will."""
    edge = site.edge().start(site.client)
    site.client.subscribe("edge/status/edge1")
    if end == "SIGTERM":
        edge.stop()
    else:
        edge.process.kill(getattr(signal, end))
        assert edge.process.wait() == (0 if end == "SIGINT" else -signal.SIGKILL)
    status = site.client.expect("edge/status/edge1", lambda m: m.get("status") == "offline")
    assert status.get("EDGE_ID") == "edge1"


def test_ping_counts_streams_and_viewers(site, streamer):
    edge = site.edge().start(site.client)
    before = roles.ping_edge(site.client, edge.id)
    stream = streamer.stream(live=1)
    streamer.init(edge.id, stream, live=True)
    part = stream.add(noise(1000)).parts[0]
    streamer.send_part(edge.id, stream, part, topic="live/upload")
    eventually(lambda: roles.ping_edge(site.client, edge.id)["streams"] == before["streams"] + 1)
    edge.stop()


# --- restarts ----------------------------------------------------------------


def test_id_and_key_survive_a_restart(site):
    edge = site.edge().start(site.client)
    edge.stop()
    edge.start(site.client)
    edge.kill()
    edge.start(site.client)
    edge.stop()
    keys = site.zone.enrolled["edge1"]
    assert len(keys) >= 1
    assert len(set(keys)) == 1


def test_an_id_that_was_made_up_is_kept(site):
    """Without --edge-id."""
    edge = site.edge()
    ids = []
    for _ in range(2):
        argv = edge.argv()
        at = argv.index("--edge-id")
        edge.process = Process(argv[:at] + argv[at + 2 :], edge.folder)
        answers = eventually(lambda: ping_any(site.client))
        ids.append(next(iter(answers)))
        edge.stop()
    assert ids[0] == ids[1]


def ping_any(client):
    try:
        return roles.ping(client, timeout=0.1)
    except AssertionError:
        return None


def test_another_id_for_the_same_data_is_refused(site):
    edge = site.edge("edge1").start(site.client)
    edge.stop()
    other = site.edge("edge2", folder=edge.folder)
    assert other.spawn().wait() != 0
    assert "edge1" in other.process.output


def test_sigterm_amid_an_upload_keeps_what_was_acknowledged(site, streamer):
    edge = site.edge().start(site.client)
    stream = streamer.stream(part_bytes=4_096).fill(*[200_000] * 5)
    streamer.init(edge.id, stream)
    for part in stream.parts:
        streamer.send_part(edge.id, stream, part)
    topic = f"video/upload/{edge.id}/{streamer.id}"
    site.client.expect(topic, lambda m: m.get("status") == "ok")
    edge.stop()
    acks = [m for m in site.client.take_all(topic) if m.get("status") == "ok"]
    acked = max([(m.json["next"], m.json["next_part"]) for m in acks] or [(1, 0)])
    edge.start(site.client)
    reply = streamer.init(edge.id, stream)
    assert (reply.get("next"), reply.get("next_part")) >= acked
    streamer.upload(edge.id, stream)
    assert watch(site, edge, stream) == stream.payload
    edge.stop()


def test_a_live_that_was_cut_off_is_not_listed_after_the_restart(site, streamer):
    edge = site.edge().start(site.client)
    stream = streamer.stream(live=1)
    streamer.init(edge.id, stream, live=True)
    part = stream.add(noise(1000)).parts[0]
    streamer.send_part(edge.id, stream, part, topic="live/upload")
    eventually(lambda: roles.find_video(site.client, edge.id, stream.video_id))
    edge.kill()
    edge.start(site.client)
    eventually(lambda: roles.find_video(site.client, edge.id, stream.video_id) is None)
    edge.stop()


# --- what cannot work --------------------------------------------------------


def ends_with_an_error(process, *words):
    """It ends by itself, not with 0, and says why in a line that has one of these words."""
    status = process.wait()
    assert status not in (0, None) and status > 0, (status, process.output)
    process.check_output()
    assert any(word in process.output for word in words), process.output


def test_a_second_edge_on_the_same_data_is_refused(site):
    first = site.edge("edge1").start(site.client)
    second = site.edge("edge1", folder=first.folder)
    ends_with_an_error(second.spawn(), str(first.folder), "edge1")
    assert roles.ping_edge(site.client, "edge1")["status"] == "ok"
    first.stop()


def test_a_data_folder_that_cannot_be_written(site):
    edge = site.edge("edge1")
    edge.folder = "/proc/no-such-place"
    process = Process(edge.argv(), site.folder)
    edge.process = process
    ends_with_an_error(process, "/proc/no-such-place")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_data_folder(site):
    edge = site.edge("edge1")
    edge.folder.chmod(0o500)
    try:
        ends_with_an_error(edge.spawn(), str(edge.folder))
    finally:
        edge.folder.chmod(0o700)


def test_data_that_is_not_a_folder(site):
    edge = site.edge("edge1")
    edge.folder = site.folder / "file"
    edge.folder.write_text("x")
    process = Process(edge.argv(), site.folder)
    edge.process = process
    ends_with_an_error(process, "file")


def test_a_database_that_is_none(site):
    edge = site.edge("edge1")
    (edge.folder / "edge_cluster.db").write_bytes(noise(20_000))
    ends_with_an_error(edge.spawn(), "edge_cluster.db", str(edge.folder))


@pytest.mark.parametrize("content", [None, "", "xyz", "0" * 63, "g" * 64])
def test_a_zone_secret_that_is_none(site, content):
    edge = site.edge("edge1")
    edge.secret_file = site.folder / "wrong.secret"
    if content is not None:
        edge.secret_file.write_text(content)
    ends_with_an_error(edge.spawn(), "wrong.secret", "zone-secret", "zone secret")


@pytest.mark.parametrize(
    "arguments", [["--no-such-option"], ["--edge-id", "a/b"], ["--mqtt-broker", "x://y"]]
)
def test_wrong_usage(site, arguments):
    edge = site.edge("edge1", *arguments)
    ends_with_an_error(edge.spawn(), arguments[0], arguments[0][2:], arguments[-1])


@pytest.mark.parametrize("name", ["update", "sync"])
def test_reserved_ids(site, name):
    edge = site.edge(name)
    ends_with_an_error(edge.spawn(), name)


def test_the_wrong_zone_secret_is_said_and_tried_again(folder, cluster):
    """The authority answers with an error; the edge goes on asking."""
    secret = folder / "other.secret"
    secret.write_text("ab" * 32 + "\n")
    edge = Edge(folder / "edge", cluster.broker, secret, "edge-" + fresh_id()[:6])
    with Client(cluster.broker.port) as client:
        client.subscribe("auth/zone")
        try:
            edge.spawn()
            for _ in range(2):
                client.expect("auth/zone", lambda m: m.get("ID") == edge.id)
            edge.process.wait_line("(?i)refus|unauthorized|secret")
            edge.stop()
        finally:
            edge.reap()


@pytest.mark.parametrize("allowed", [False, True])
def test_token_reply_ids_are_served_only_where_allowed(site, allowed):
    """§1: the original's logged-in clients ask under their token."""
    edge = site.edge("edge1", *(["--allow-token-reply-ids"] if allowed else [])).start(site.client)
    token = "eyJhbGciOiJFUzI1NiJ9." + "x" * 900 + ".sig-_"
    topic = f"video/request/ping/{token}"
    site.client.subscribe(topic)
    site.client.publish("video/request/ping", {"client_id": token})
    roles.ping_edge(site.client, edge.id)
    if allowed:
        assert site.client.expect(topic).get("edge_id") == edge.id
    else:
        assert not site.client.peek(topic)
    edge.stop()


# --- storage -----------------------------------------------------------------


def test_full_storage_is_said_and_survived(site, streamer):
    edge = site.edge("edge1", "--storage-bytes-max", "4000000").start(site.client)
    small = streamer.stream().fill(200_000)
    streamer.upload(edge.id, small)
    large = streamer.stream(part_bytes=61_440).fill(*[1_000_000] * 8)
    window = streamer.init(edge.id, large).get("window_bytes")
    with pytest.raises(roles.Refused) as refused:
        streamer.push(edge.id, large, (1, 0), window)
    assert refused.value.code == "storage_full"
    assert roles.ping_edge(site.client, edge.id)["status"] == "ok"
    assert watch(site, edge, small) == small.payload
    rows = roles.list_videos(site.client, edge.id)
    assert [row["id"] for row in rows] == [small.video_id], "no half-written video is listed"
    # With room again, what was acknowledged is still there.
    site.client.take_all(f"video/upload/{edge.id}/{streamer.id}")
    reply = streamer.init(edge.id, large)
    acked = (reply.get("next"), reply.get("next_part")) if reply.get("next") else (1, 0)
    edge.stop()
    edge.arguments = ()
    edge.start(site.client)
    reply = streamer.init(edge.id, large)
    assert (reply.get("next"), reply.get("next_part")) >= acked
    streamer.check_receipt(edge.id, large, streamer.upload(edge.id, large))
    edge.stop()


def test_the_database_is_pleasant_to_read(site, streamer):
    """The original's tables, with exactly its columns first."""
    edge = site.edge().start(site.client)
    stream = streamer.stream(title="A title").fill(20_000, 1000)
    streamer.upload(edge.id, stream)
    edge.stop()

    def query(sql):
        done = subprocess.run(
            ["sqlite3", "-json", edge.folder / "edge_cluster.db", sql],
            capture_output=True,
            check=True,
            timeout=TIMEOUT_S,
        )
        return json.loads(done.stdout or "[]")

    (row,) = query("SELECT * FROM video")
    names = "id title description category live edges thumbnail streamer_id created_at".split()
    assert list(row)[: len(names)] == names
    assert (row["id"], row["title"], row["edges"]) == (stream.video_id, "A title", edge.id)
    (row,) = query("SELECT * FROM streamer")
    assert list(row)[:3] == ["id", "name", "created_at"]
    rows = query("SELECT * FROM chunk ORDER BY chunk_nb")
    assert list(rows[0])[:4] == ["id", "video_id", "chunk_nb", "part"]
    assert [(row["chunk_nb"], row["part"]) for row in rows] == [(1, 2), (2, 1)]
    assert all(len(str(value)) < 200 for row in rows for value in row.values())
    assert query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
