"""What edgectl believes before anything verified: answers that nobody signs come first here.

The edge is stopped while they come, so that what is forged is first every time.
"""
import signal
import subprocess

import pytest
from ctl import FAILED, OK, UNVERIFIED
from ec import trust
from ec.client import fresh_id
from ec.cluster import BUILD, clean_environment
from ec.media import noise
from test_edgectl import LyingEdge

CODES = ["unauthorized", "conflict", "bad_request", "quota", "unknown_video", "nonsense"]


@pytest.fixture
def slow_edge(extra_edge):
    """An edge that gets on with nothing until `go_on`."""

    class Slow:
        def __init__(self):
            self.edge = extra_edge()
            self.id = self.edge.id

        def halt(self):
            self.edge.process.kill(signal.SIGSTOP)

        def go_on(self):
            self.edge.process.kill(signal.SIGCONT)

    slow = Slow()
    yield slow
    slow.go_on()


def error(code, video_id, **over):
    return {"status": "error", "code": code, "message": "no", "video_id": video_id, **over}


def forge(client, topic, answers):
    """Publish them, and return once they are where who asked reads."""
    client.subscribe(topic)
    for answer in answers:
        client.publish(topic, answer)
    for _ in answers:
        client.expect(topic)


@pytest.mark.parametrize("code", CODES)
def test_a_forged_refusal_does_not_end_an_upload(ctl, client, slow_edge, video_id, code):
    source = ctl.folder / f"{video_id}.bin"
    source.write_bytes(noise(100_000))
    topic = f"video/upload/{slow_edge.id}"
    client.subscribe(topic)
    slow_edge.halt()
    upload = ctl.start("upload", source, "--id", video_id, "--edge", slow_edge.id)
    streamer = client.expect(topic, lambda m: m.get("video_id") == video_id).get("streamer_id")
    forge(client, f"{topic}/{streamer}", [error(code, video_id)] * 2)
    slow_edge.go_on()
    assert upload.wait() == OK, upload.output


def test_a_forged_refusal_does_not_end_a_live(ctl, client, slow_edge, clip, video_id):
    topic, watched = f"live/upload/{slow_edge.id}", f"live/watch/{slow_edge.id}/{video_id}"
    client.subscribe(topic, watched)
    slow_edge.halt()
    live = ctl.start("live", clip, "--id", video_id, "--edge", slow_edge.id)
    streamer = client.expect(topic, lambda m: m.get("video_id") == video_id).get("streamer_id")
    forge(client, f"{topic}/{streamer}", [error("conflict", video_id)] * 2)
    slow_edge.go_on()
    client.expect(watched, lambda m: m.binary)
    assert live.wait() == OK, live.output


@pytest.fixture
def stored(streamer, slow_edge):
    stream = streamer.stream().fill(70_000, 10_000)
    streamer.upload(slow_edge.id, stream)
    return stream


def start_watching(ctl, client, edge, stream):
    """edgectl watch up to its question, and where the answer belongs."""
    topic = f"video/watch/{edge}"
    client.subscribe(topic)
    out = ctl.folder / f"{stream.video_id}.out"
    watch = ctl.start("watch", stream.video_id, "--edge", edge, "-o", out)
    viewer = client.expect(topic, lambda m: m.get("video_id") == stream.video_id).get("client_id")
    return watch, out, f"{topic}/{viewer}"


@pytest.mark.parametrize("code", CODES)
def test_a_forged_refusal_does_not_end_a_watch(ctl, client, slow_edge, stored, code):
    slow_edge.halt()
    watch, out, topic = start_watching(ctl, client, slow_edge.id, stored)
    forge(client, topic, [error(code, stored.video_id)] * 2)
    slow_edge.go_on()
    assert watch.wait() == OK, watch.output
    assert out.read_bytes() == stored.payload


def test_forged_information_does_not_end_a_watch(ctl, client, slow_edge, stored, viewer):
    """Statements and credentials that do not verify are no answer at all."""
    video, _ = viewer.watch_binary(slow_edge.id, stored.video_id)
    key = trust.Key()
    credential = trust.unb64(video.reply["credential"])
    lies = [
        {"statement": trust.b64(stored.statement(key=key))},
        {"credential": trust.b64(key.signed("credential", credential[:-64]))},
        {"statement": ""},
        {"manifest": trust.b64(key.signed("manifest", stored.manifest()[:-64]))},
    ]
    slow_edge.halt()
    watch, out, topic = start_watching(ctl, client, slow_edge.id, stored)
    forge(client, topic, [{**video.reply, **lie} for lie in lies])
    slow_edge.go_on()
    assert watch.wait() == OK, watch.output
    assert out.read_bytes() == stored.payload


def test_an_edge_whose_information_never_verifies(ctl, cluster, streamer, viewer, edge1):
    stream = streamer.stream().fill(10_000)
    streamer.upload(edge1, stream)
    liar = LyingEdge(cluster, viewer, stream.video_id, lambda position, packet: [packet])
    liar.reply = {**liar.reply, "statement": trust.b64(stream.statement(key=trust.Key()))}
    try:
        done = ctl.run(
            "watch", stream.video_id, "--edge", liar.id, "--timeout", "2", expect=UNVERIFIED
        )
        assert "does not verify" in done.stderr
    finally:
        liar.close()


def test_a_refusal_that_comes_again_is_believed(ctl, client, video_id, edge1):
    """By the edge itself, and soon: nobody waits for a time-out."""
    topic = f"video/watch/{edge1}"
    client.subscribe(topic)
    name = "none-" + fresh_id()[:8]
    done = ctl.run("watch", name, "--edge", edge1, "--timeout", "60", expect=FAILED)
    assert name in done.stderr
    asked = client.take_all(topic, lambda m: m.get("video_id") == name)
    assert len(asked) == 2


@pytest.mark.parametrize("program", ["edge", "auth_edge", "edgectl"])
def test_version(program):
    done = subprocess.run(
        [BUILD / program, "--version"], env=clean_environment(), capture_output=True, timeout=20
    )
    assert done.returncode == 0
    assert done.stdout.split()[0] == program.encode()
