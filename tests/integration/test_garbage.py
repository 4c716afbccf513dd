"""Garbage, and too much of it: an edge of its own, since it answers only so many of them.

Like test_hostile.py, whose fixtures are used: its zone, and the look afterwards.
"""
import json
import math
import random
import time

import pytest
from ec import roles, trust
from test_hostile import EDGE, and_the_edge_goes_on, client, streamer  # noqa: F401 (fixtures)

TOPICS = [
    "video/request/ping", "db", "db/update", f"auth/zone/{EDGE}", f"video/liste/{EDGE}",
    f"video/upload/{EDGE}", f"video/watch/{EDGE}", f"live/upload/{EDGE}", f"live/watch/{EDGE}",
    f"edge/status/{EDGE}", "edge/status/edge9", f"db/{EDGE}",
]  # fmt: skip

NOT_JSON = [
    b"", b"{", b"}", b"null", b"[]", b"{}", b'"', b"\0", b"\xff" * 100, b"EVC1", b"EVC1" + bytes(300),
    b"EVC1\xff\xff", b'{"client_id":', b"{" * 5000, b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"client_id":"\\ud800"}', b'{"client_id":"a\\u0000b"}', b'{"client_id":"\xc3"}', b"1e999",
]  # fmt: skip


@pytest.mark.parametrize("topic", TOPICS)
def test_text_that_is_not_json(client, topic):
    for payload in NOT_JSON:
        client.publish(topic, payload)


@pytest.mark.parametrize("topic", TOPICS)
def test_json_with_wrong_types(client, streamer, topic):
    values = [None, True, -1, 1.5, 10**30, "", "x" * 3000, [], {}, [[]], {"a": {}}]
    names = [
        "client_id", "video_id", "ID", "streamer_id", "init", "end", "chunk", "chunk_part",
        "packet_index", "pull", "part", "credit", "window_bytes", "token", "limit", "after", "q",
        "EDGE_ID", "custody", "statement", "credential", "manifest", "status", "videos", "streamers",
    ]  # fmt: skip
    base = {
        "client_id": client.id, "video_id": "v", "ID": "edge-x", "streamer_id": streamer.id,
        "init": "0", "end": "0", "chunk_part": "0", "pull": 1, "part": 0, "window_bytes": 1000,
    }  # fmt: skip
    for name in names:
        for value in values:
            client.publish(topic, {**base, name: value})


@pytest.mark.parametrize("topic", [f"video/upload/{EDGE}", f"live/upload/{EDGE}", "db/update", "db"])
def test_a_message_of_10_mb(client, topic):
    client.publish(topic, bytes(10_000_000))
    client.publish(topic, b'{"video_id":"' + b"x" * 10_000_000 + b'"}')
    client.publish_wait(topic, b"EVC1" + bytes(10_000_000))


@pytest.mark.parametrize("extra", [0, 1])
def test_a_message_at_and_above_the_limit(client, pyzone, extra):
    topic = f"video/request/ping/{client.id}"
    client.subscribe(topic)
    text = json.dumps({"client_id": client.id, "pad": ""})
    pad = "x" * (trust.PACKET_BYTES_MAX - len(text) + extra)
    client.publish("video/request/ping", json.dumps({"client_id": client.id, "pad": pad}))
    if extra:
        client.publish("video/request/ping", {"client_id": client.id})
        client.expect(topic)
        roles.ping_edge(client, EDGE)
        assert not client.peek(topic)
    else:
        client.expect(topic)


@pytest.mark.parametrize(
    "topic",
    [
        "video/upload/", f"video/upload/{EDGE}/x/y", "video/upload//", f"video//{EDGE}", "live/watch/",
        f"video/watch/{EDGE}/" + "x" * 300, "db/update/x", "video/request/ping/x/y",
        f"/video/upload/{EDGE}", "a/b/c/d/e/f/g/h/i/j",
    ],
)  # fmt: skip
def test_bad_topic_levels(client, topic):
    client.publish(topic, {"client_id": client.id, "video_id": "v", "init": "1"})
    client.publish(topic, b"EVC1")


def test_noise(client):
    """A fixed seed of random bytes and of flipped good messages, over every topic."""
    dice = random.Random(20)
    good = json.dumps({"client_id": client.id, "video_id": "v", "init": "1", "chunk_part": 3})
    for _ in range(400):
        if dice.random() < 0.5:
            payload = dice.randbytes(dice.randrange(200))
        else:
            payload = bytearray(good.encode())
            for _ in range(dice.randrange(1, 6)):
                payload[dice.randrange(len(payload))] = dice.randrange(256)
        client.publish(dice.choice(TOPICS), bytes(payload))


def test_flipped_good_messages(client, streamer):
    """A good init and a good part, each with one byte changed somewhere: never taken."""
    dice = random.Random(21)
    stream = streamer.stream().fill(2_000)
    topic = f"video/upload/{EDGE}/{streamer.id}"
    streamer.init(EDGE, stream)
    good = bytearray(stream.chunks[0].packet(0))
    for _ in range(60):
        wrong = bytearray(good)
        wrong[dice.randrange(len(wrong))] ^= 1 << dice.randrange(8)
        client.publish(f"video/upload/{EDGE}", bytes(wrong))
    reply = streamer.init(EDGE, stream)
    assert (reply.get("next"), reply.get("next_part")) == (1, 0)
    client.take_all(topic)


def test_a_flood_of_unverified_requests_is_answered_at_a_bounded_rate(client, streamer):
    """At most UNVERIFIED_ANSWERS_PER_S_MAX (200) a second, and pings go on."""
    stream = streamer.stream()
    topic = f"video/upload/{EDGE}/{streamer.id}"
    client.subscribe(topic)
    fields = streamer.init_fields(stream)
    started = time.monotonic()
    for _ in range(2000):
        client.publish(f"video/upload/{EDGE}", fields)
    assert roles.ping_edge(client, EDGE)
    seconds = time.monotonic() - started
    answers = client.take_all(topic)
    # Counted in whole seconds, and the first and the last may be begun ones.
    most = 200 * (math.ceil(seconds) + 1)
    assert 0 < len(answers) <= most, f"{len(answers)} answers in {seconds:.1f} s"
