"""§4.4: a live goes through an edge unchanged, and a viewer can come at any time."""
import json
import time

import pytest
from ec import roles, trust
from ec.client import Client, eventually
from ec.media import movie, noise

IDLE_S = 10.0
LATE_S = 6.0  # what a slow machine may add


class Live:
    """A running live: its stream, and the topics it is on."""

    def __init__(self, streamer, edge, video_id=None, **options):
        self.streamer, self.edge, self.client = streamer, edge, streamer.client
        options.setdefault("title", "Live de Léa")
        self.stream = streamer.stream(
            video_id, live=1, media_type="video/mp4", codecs="avc1.64001f", **options
        )
        self.video_id = self.stream.video_id
        self.topic = f"live/watch/{edge}/{self.video_id}"
        self.replies = f"live/upload/{edge}/{streamer.id}"

    def init(self):
        return self.streamer.init(self.edge, self.stream, live=True)

    def start(self):
        reply = self.init()
        assert reply.get("status") == "ok", reply
        assert reply.get("EDGE_ID") == self.edge
        assert reply.get("next") == 1
        self.send(self.stream.add(noise(700), kind=trust.INIT))
        return self

    def media(self, keyframe, size=30_000, **over):
        chunk = self.stream.add(noise(size), flags=trust.KEYFRAME if keyframe else 0, **over)
        self.send(chunk)
        return chunk

    def send(self, chunk, encoding="binary"):
        for part in chunk.parts:
            self.streamer.send_part(self.edge, self.stream, part, encoding, "live/upload")

    def end(self):
        self.send(self.stream.end())


class Audience:
    """Somebody at live/watch, and at the topic where joins are answered."""

    def __init__(self, client, live, qos=1):
        self.client, self.live = client, live
        self.answers = f"video/watch/{live.edge}/{client.id}"
        client.subscribe(live.topic, qos=qos)
        client.subscribe(self.answers)

    def join(self, token=None):
        """Ask to join; the metadata that answers, verified."""
        fields = {"video_id": self.live.video_id, "client_id": self.client.id, "action": "watch"}
        if token:
            fields["token"] = token
        self.client.publish(f"live/watch/{self.live.edge}", fields)
        reply = self.client.expect(self.answers, lambda m: not m.binary)
        assert reply.get("status") == "ok", reply
        assert int(reply.get("live")) == 1
        self.token = reply.get("token")
        return roles.Video(reply.json, self.live.streamer.zone)

    def ping_token(self):
        return roles.ping_edge(self.client, self.live.edge)["token"]

    def expect_packets(self, topic, packets):
        """Exactly these come next there, in this order, unchanged."""
        for packet in packets:
            message = self.client.expect(topic, lambda m: "streamer_nom" not in m.json)
            assert message.payload == packet, message


def packets(*chunks):
    return [part.packet for chunk in chunks for part in chunk.parts]


@pytest.fixture
def live(streamer, edge1):
    """A live that ends with the test."""
    live = Live(streamer, edge1)
    yield live
    if live.stream.chunks and live.stream.chunks[-1].fields["kind"] != trust.END:
        live.end()


@pytest.fixture
def audience(cluster, live):
    with Client(cluster.broker.port) as client:
        yield Audience(client, live)


def test_parts_are_republished_unchanged_metadata_first(live, audience, streamer):
    live.start()
    sent = [live.stream.chunks[0]] + [live.media(i % 3 == 0) for i in range(7)]
    first = audience.client.expect(live.topic)
    assert first.get("video_id") == live.video_id, first
    assert first.get("streamer_id") == streamer.id
    assert first.get("streamer_nom") == streamer.name
    assert first.get("video_title") == "Live de Léa"
    assert str(first.get("end")) == "0"
    video = roles.Video(first.json, streamer.zone)
    assert video.stream == live.stream.id
    audience.expect_packets(live.topic, packets(*sent))


def test_an_end_chunk_ends_it(live, audience):
    live.start()
    live.media(True)
    live.end()
    message = audience.client.expect(live.topic, lambda m: m.get("end") == 1)
    assert message.get("video_id") == live.video_id
    parts = audience.client.take_all(live.topic, lambda m: m.binary)
    assert [m.payload for m in parts] == packets(*live.stream.chunks)


def test_a_join_with_a_token_is_replayed_from_the_last_keyframe(live, audience):
    live.start()
    gop = [live.media(True), live.media(False), live.media(True), live.media(False)]
    audience.expect_packets(live.topic, packets(live.stream.chunks[0], *gop))
    video = audience.join(audience.ping_token())
    assert video.stream == live.stream.id
    audience.expect_packets(audience.answers, packets(live.stream.chunks[0], *gop[2:]))
    later = live.media(False)
    audience.expect_packets(live.topic, packets(later))


def test_the_token_of_a_join_works_for_the_next(live, audience):
    live.start()
    keyframe = live.media(True)
    audience.expect_packets(live.topic, packets(live.stream.chunks[0], keyframe))
    audience.join()
    audience.expect_packets(audience.answers, packets(live.stream.chunks[0]))
    audience.join(audience.token)
    audience.expect_packets(audience.answers, packets(live.stream.chunks[0], keyframe))


@pytest.mark.parametrize("token", [None, "AAAAAAAAAAAAAAAAAAAAAA==", "x"])
def test_a_join_without_a_valid_token_gets_the_init_chunk_alone(live, audience, token):
    live.start()
    keyframe = live.media(True)
    init = live.stream.chunks[0]
    audience.expect_packets(live.topic, packets(init, keyframe))
    audience.join(token)
    audience.expect_packets(audience.answers, packets(init))
    # What the edge wrongly replays comes before its answer to a second join.
    audience.join(token)
    assert not audience.client.take(
        audience.answers, lambda m: m.binary and m.payload not in packets(init)
    )


def test_a_viewer_who_comes_late_sees_a_gapless_stream(live, audience, cluster):
    """Joining in the middle of a group of pictures: replay and relay together have all of it."""
    live.start()
    before = [live.media(True), live.media(False)]
    keyframe = live.media(True)
    audience.expect_packets(live.topic, packets(live.stream.chunks[0], *before, keyframe))
    with Client(cluster.broker.port) as client:
        late = Audience(client, live)
        token = late.ping_token()
        after = [live.media(False)]
        video = late.join(token)
        after += [live.media(False), live.media(False)]
        expected = set(packets(live.stream.chunks[0], keyframe, *after))
        seen = set()

        def complete():
            for topic in (live.topic, late.answers):
                for message in client.take_all(topic, lambda m: m.binary):
                    part = trust.Part(message.payload).verify(video.pk, video.stream)
                    seen.add(part.packet)
            return seen >= expected

        eventually(complete)
        assert seen == expected, "what is before the last keyframe is of no use"


def test_a_viewer_may_subscribe_with_qos_0(live, cluster):
    with Client(cluster.broker.port) as client:
        audience = Audience(client, live, qos=0)
        live.start()
        chunks = [live.media(True) for _ in range(5)]
        audience.expect_packets(live.topic, packets(live.stream.chunks[0], *chunks))


def test_an_unsigned_end_from_a_stranger_does_not_stop_it(live, audience, other_streamer):
    live.start()
    live.media(True)
    other_streamer.client.publish_wait(
        f"live/upload/{live.edge}", {"video_id": live.video_id, "end": 1}
    )
    later = live.media(True)
    audience.client.expect(live.topic, lambda m: m.payload == later.packet(0))
    assert not audience.client.take(live.topic, lambda m: m.get("end") == 1)
    audience.join(audience.ping_token())


def test_silence_ends_it(live, audience, client, edge1):
    live.start()
    live.media(True)
    eventually(lambda: roles.find_video(client, edge1, live.video_id))
    started = time.monotonic()
    client.publish(f"live/upload/{edge1}", {"video_id": live.video_id, "end": 1})
    audience.client.expect(live.topic, lambda m: m.get("end") == 1, IDLE_S + LATE_S)
    assert time.monotonic() - started > IDLE_S - 1
    live.stream.chunks.clear()  # it is over: nothing left to end
    eventually(lambda: roles.find_video(client, edge1, live.video_id) is None)


def test_the_list_shows_it_while_it_lasts(live, client, edge1, edge2):
    live.start()
    live.media(True)
    for edge in (edge1, edge2):
        row = eventually(lambda: roles.find_video(client, edge, live.video_id))
        assert row["live"] == 1 and row["live"] is not True
        assert row["edges"] == edge1
        assert row["title"] == "Live de Léa"
    live.end()
    for edge in (edge1, edge2):
        eventually(lambda: roles.find_video(client, edge, live.video_id) is None)


def test_a_join_to_what_is_not_live_is_refused(live, audience):
    audience.client.publish(
        f"live/watch/{live.edge}",
        {"video_id": "nothing-here", "client_id": audience.client.id, "action": "watch"},
    )
    reply = audience.client.expect(audience.answers)
    assert reply.get("status") == "error", reply
    assert reply.get("code") == "unknown_video"


def test_another_streamers_live_is_a_conflict(live, other_streamer, edge1):
    live.start()
    foreign = Live(other_streamer, edge1, live.video_id)
    assert foreign.init().get("code") == "conflict"


def test_the_id_of_a_finished_video_is_a_conflict(streamer, edge1):
    stream = streamer.stream().fill(1000)
    streamer.upload(edge1, stream)
    assert Live(streamer, edge1, stream.video_id).init().get("code") == "conflict"


def test_the_same_stream_goes_on_where_it_was(live):
    live.start()
    live.media(True)
    live.media(False)

    def next_is_four():
        return live.init().get("next") == 4

    eventually(next_is_four)


def test_a_new_stream_replaces_the_running_one(live, audience, streamer, edge1):
    live.start()
    live.media(True)
    second = Live(streamer, edge1, live.video_id).start()
    keyframe = second.media(True)
    audience.client.expect(live.topic, lambda m: m.payload == keyframe.packet(0))
    video = audience.join(audience.ping_token())
    assert video.stream == second.stream.id
    live.stream.chunks.clear()
    second.end()
    audience.client.expect(live.topic, lambda m: m.get("end") == 1)


@pytest.mark.parametrize("ahead_s", [-45, 45])
def test_capture_times_out_of_the_window_are_refused(live, audience, ahead_s):
    live.start()
    wrong = live.stream.make(noise(2000), capture=trust.now_us() + ahead_s * 1_000_000)
    live.send(wrong)
    reply = live.client.expect(live.replies, lambda m: m.get("status") == "error")
    assert reply.get("code") in ("bad_request", "unauthorized"), reply
    right = live.media(True)
    audience.client.expect(live.topic, lambda m: m.payload == right.packet(0))
    assert not audience.client.take(live.topic, lambda m: m.payload == wrong.packet(0))


@pytest.mark.parametrize("where", ["payload", "proof", "signature", "statement"])
def test_a_flipped_bit_is_not_republished(live, audience, where):
    live.start()
    chunk = live.stream.add(noise(30_000))
    wrong = chunk.flipped(0, where)
    live.client.publish(f"live/upload/{live.edge}", wrong)
    live.send(chunk)
    for packet in packets(chunk):
        audience.client.expect(live.topic, lambda m: m.payload == packet)
    assert not audience.client.take(live.topic, lambda m: m.payload == wrong)


def test_json_as_the_original_client_sends_it(live, audience, client, edge1, streamer):
    """§3's JSON on both sides; what the viewer gets is what the streamer sent."""
    assert live.init().get("status") == "ok"
    chunks = [live.stream.add(noise(700), kind=trust.INIT)]
    chunks += [live.stream.add(noise(40_000)) for _ in range(3)]
    sent = []
    for chunk in chunks:
        for part in chunk.parts:
            message = {
                "video_id": live.video_id,
                "end": 0,
                "chunk_part": part.chunk["number"],
                "chunk": trust.b64(part.packet),
                "packet_index": part.index,
                "total_packets": part.chunk["parts_n"],
            }
            sent.append(json.dumps(message).encode())
            client.publish(f"live/upload/{edge1}", sent[-1])
    first = audience.client.expect(live.topic)
    assert first.get("streamer_nom") == streamer.name
    for payload in sent:
        message = audience.client.expect(live.topic, lambda m: "chunk" in m.json)
        assert message.payload == payload
    video = audience.join(audience.ping_token())
    want = set(packets(chunks[0], chunks[-1]))
    while want:
        message = audience.client.expect(audience.answers)
        packet = message.payload if message.binary else trust.unb64(message.json["chunk"])
        trust.Part(packet).verify(video.pk, video.stream)
        want.discard(packet)


def test_many_parts_are_relayed_in_order(live, audience):
    live.start()
    chunks = [live.media(i % 10 == 0, size=200_000) for i in range(30)]
    audience.expect_packets(live.topic, packets(live.stream.chunks[0], *chunks))


def test_a_movie_like_live(streamer, edge1, cluster):
    """Init, groups of pictures, end: a viewer who was there from the start has it all."""
    live = Live(streamer, edge1)
    with Client(cluster.broker.port) as client:
        audience = Audience(client, live)
        assert live.init().get("status") == "ok"
        source = movie(streamer.key, streamer.zone["zone_id"], streamer.id)
        for chunk in source.chunks:
            fields = chunk.fields
            live.send(live.stream.add(chunk.payload, kind=fields["kind"], flags=fields["flags"]))
        live.end()
        first = client.expect(live.topic)
        assembly = roles.Assembly(roles.Video(first.json, streamer.zone))
        client.expect(live.topic, lambda m: m.get("end") == 1)
        for message in client.take_all(live.topic, lambda m: m.binary):
            assembly.add(message.payload)
        assert assembly.payload() == source.payload
