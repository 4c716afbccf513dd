"""The original clients' own messages: as they are, and with the trust fields that we add.

In the zone of test_hostile.py, whose fixtures are used.
"""
import json
import time
from pathlib import Path

import pytest
from ec import roles, trust
from ec.client import fresh_id
from ec.media import noise
from test_hostile import (  # noqa: F401 (fixtures)
    EDGE,
    and_the_edge_goes_on,
    client,
    refused,
    streamer,
    viewer,
)

FIXTURES = Path(__file__).parent / "fixtures" / "original-messages.json"
ORIGINAL = json.loads(FIXTURES.read_text())
TO_EDGE = [
    pytest.param(m, id=f"{i}-{m['topic']}-{m.get('note', '')[:12]}")
    for i, m in enumerate(ORIGINAL["to_edge"])
]


def filled(value, **words):
    """A fixture with its words replaced."""
    text = json.dumps(value, ensure_ascii=False)
    for word, replacement in words.items():
        text = text.replace(f"{{{word}}}" if word == "part" else f'"{word}"', replacement)
    return json.loads(text)


@pytest.mark.parametrize("fixture", TO_EDGE)
def test_original_message_as_it_is(client, pyzone, fixture):
    """Without trust fields: the documented answer, or none where nobody can be answered."""
    streamer_id = "s-" + fresh_id()[:8]
    topic = fixture["topic"].replace("EDGE", EDGE)
    payload = filled(
        fixture["payload"], CLIENT=f'"{client.id}"', STREAMER=f'"{streamer_id}"',
        EDGE2='"edge-two"', part=trust.b64(b"no part"),
    )  # fmt: skip
    unknown = "unknown-" + fresh_id()[:8]
    payload = {k: unknown if k in ("video_id", "video_ID") else v for k, v in payload.items()}
    answers = {
        "video/request/ping": (f"video/request/ping/{client.id}", "ok"),
        f"video/liste/{EDGE}": (f"video/liste/{EDGE}/{client.id}", "array"),
        f"video/watch/{EDGE}": (f"video/watch/{EDGE}/{client.id}", "unknown_video"),
        f"live/watch/{EDGE}": (f"video/watch/{EDGE}/{client.id}", "unknown_video"),
        "db": ("db/edge-two", "db"),
    }
    if "streamer_id" in payload and "upload" in topic:
        answers[topic] = (f"{topic}/{streamer_id}", "unauthorized")
    if topic not in answers:
        client.publish(topic, payload)
        return
    reply_topic, expected = answers[topic]
    client.subscribe(reply_topic)
    reply = client.ask(topic, payload, reply_topic)
    if expected == "ok":
        assert reply.get("status") == "ok"
    elif expected == "array":
        assert isinstance(reply.json, list)
    elif expected == "db":
        assert "streamers" in reply.json
    else:
        refused(reply, expected)


def test_original_messages_with_trust_fields_make_a_whole_upload(client, streamer, viewer):
    init, chunk, older = [
        m["payload"] for m in ORIGINAL["to_edge"] if m["topic"] == "video/upload/EDGE"
    ]
    stream = streamer.stream(
        title=init["video_nom"], description=init["description"], category=init["category"],
        thumbnail=init["thumbnail"],
    ).fill(10_000, 12_000)  # fmt: skip
    fields = {
        **filled(init, STREAMER=f'"{streamer.id}"'), "video_id": stream.video_id,
        "credential": trust.b64(streamer.credential), "statement": trust.b64(stream.statement()),
    }  # fmt: skip
    topic = f"video/upload/{EDGE}/{streamer.id}"
    client.subscribe(topic)
    reply = client.ask(f"video/upload/{EDGE}", streamer.sign(EDGE, fields), topic)
    expected_back(reply.json, "video/upload/EDGE/STREAMER", "after init")
    for message, part in zip((chunk, older), stream.parts):
        message = filled(message, part=trust.b64(part.packet))
        message.update({k: stream.video_id for k in ("video_id", "video_ID") if k in message})
        reply = client.ask(f"video/upload/{EDGE}", message, topic)
        expected_back(reply.json, "video/upload/EDGE/STREAMER", "after a chunk")
        assert str(reply.get("chunk_part")) == str(message["chunk_part"])
    client.take_all(topic)
    assert streamer.end(EDGE, stream).get("status") == "ok"

    init, pull = [m["payload"] for m in ORIGINAL["to_edge"] if m["topic"] == "video/watch/EDGE"]
    me, watched = viewer.client, viewer.topic(EDGE)
    me.subscribe(watched)
    words = {"CLIENT": f'"{me.id}"', "video1": f'"{stream.video_id}"'}
    reply = me.ask(f"video/watch/{EDGE}", filled(init, **words), watched)
    expected_back(reply.json, "video/watch/EDGE/CLIENT", "after init")
    assembly = roles.Assembly(roles.Video(reply.json, viewer.zone))
    last = "0"
    while True:
        request = {**filled(pull, **words), "chunk_part": last}
        reply = me.ask(f"video/watch/{EDGE}", request, watched)
        if "chunk" not in reply.json:
            break
        expected_back(reply.json, "video/watch/EDGE/CLIENT", "a chunk")
        assembly.add_json(reply)
        last = reply.get("chunk_part")
    expected_back(reply.json, "video/watch/EDGE/CLIENT", "after the last")
    assert assembly.payload() == stream.payload


def test_original_messages_with_trust_fields_make_a_whole_live(client, streamer, viewer):
    init, packet, end = [
        m["payload"] for m in ORIGINAL["to_edge"] if m["topic"] == "live/upload/EDGE"
    ]
    (join,) = [m["payload"] for m in ORIGINAL["to_edge"] if m["topic"] == "live/watch/EDGE"]
    stream = streamer.stream(
        title=init["video_nom"], description=init["description"], category=init["category"],
        thumbnail=init["thumbnail"], live=1,
    )  # fmt: skip
    watched = f"live/watch/{EDGE}/{stream.video_id}"
    viewer.client.subscribe(watched, viewer.topic(EDGE))
    fields = {
        **filled(init, STREAMER=f'"{streamer.id}"'), "video_id": stream.video_id,
        "credential": trust.b64(streamer.credential), "statement": trust.b64(stream.statement()),
    }  # fmt: skip
    topic = f"live/upload/{EDGE}/{streamer.id}"
    client.subscribe(topic)
    signed = streamer.sign(EDGE, fields, "live/upload")
    reply = client.ask(f"live/upload/{EDGE}", signed, topic)
    assert reply.get("status") == "ok", reply
    chunk = stream.add(noise(8 * stream.part_bytes))
    for part in chunk.parts:
        message = filled(packet, part=trust.b64(part.packet))
        message.update(video_id=stream.video_id, chunk_part=1, packet_index=part.index)
        assert message["total_packets"] == 8
        client.publish(f"live/upload/{EDGE}", message)
    first = viewer.client.expect(watched)
    expected_back(first.json, "live/watch/EDGE/1234", "first, so that a viewer can show who streams")
    for part in chunk.parts:
        message = viewer.client.expect(watched, lambda m: "chunk" in m.json)
        expected_back(message.json, "live/watch/EDGE/1234", None)
        assert trust.unb64(message.json["chunk"]) == part.packet
    join = {**filled(join, CLIENT=f'"{viewer.client.id}"'), "video_id": stream.video_id}
    reply = viewer.client.ask(f"live/watch/{EDGE}", join, viewer.topic(EDGE))
    assert reply.get("status") == "ok", reply
    streamer.send_part(EDGE, stream, stream.end().parts[0], "json", "live/upload")
    over = viewer.client.expect(watched, lambda m: m.get("end") == 1)
    expected_back(over.json, "live/watch/EDGE/1234", "end")


def test_original_ping_and_list_answers(client, streamer):
    stream = streamer.stream().fill(1000)
    streamer.upload(EDGE, stream)
    expected_back(roles.ping_edge(client, EDGE), "video/request/ping/CLIENT", None)
    for row in roles.list_videos(client, EDGE):
        expected_back(row, "video/liste/EDGE/CLIENT", None)


def expected_back(answer, topic, note):
    """The answer has the fields that the original client expects."""
    (want,) = [
        m["fields"]
        for m in ORIGINAL["expected_back"]
        if m["topic"] == topic and m.get("note") == note
    ]

    def check(want, answer):
        for name, kind in want.items():
            assert name in answer, f"{name} is missing in {answer}"
            value = answer[name]
            if isinstance(kind, dict):
                check(kind, value)
            elif kind in ("number", "bytes"):
                assert isinstance(value, (int, float)) and not isinstance(value, bool)
            elif kind in ("string", "base64", "comma-separated edge ids"):
                assert isinstance(value, str)
            elif kind == "ISO 8601":
                time.strptime(value[:19].replace(" ", "T"), "%Y-%m-%dT%H:%M:%S")
            elif kind == "0 or 1":
                assert value in (0, 1) and not isinstance(value, bool)
            elif kind in ("ok", "0", "1", 1):
                assert value == kind

    check(want, answer)
