"""Bad input, one kind at a time: the documented answer, and an edge that goes on.

The zone's authority is the test's own (ec.cluster.PyZone), so that there are
credentials which a real one would not issue.
"""
import json
import os

import pytest
from ec import roles, trust
from ec.client import Client, fresh_id
from ec.media import noise

EDGE = "hostile1"
SKEW_US = 65_000_000
ASK_AGAIN_S = 2


@pytest.fixture
def client(pyzone):
    with Client(pyzone.port, pyzone.prefix) as client:
        yield client


@pytest.fixture
def streamer(pyzone, client):
    return pyzone.zone.streamer(client, name="Léa")


@pytest.fixture
def viewer(pyzone, viewers):
    return viewers(pyzone.zone.params, pyzone.prefix)


@pytest.fixture(autouse=True)
def and_the_edge_goes_on(pyzone, client):
    """Whatever was sent: afterwards it answers a ping and takes an upload."""
    yield
    with Client(pyzone.port, pyzone.prefix) as other:
        assert roles.ping_edge(other, EDGE)["status"] == "ok"
        somebody = pyzone.zone.streamer(other)
        stream = somebody.stream().fill(5_000)
        somebody.check_receipt(EDGE, stream, somebody.upload(EDGE, stream))
    assert pyzone.edge.process.alive


def refused(reply, *codes):
    assert reply.get("status") == "error", reply
    assert reply.get("code") in codes, reply
    assert isinstance(reply.get("message"), str) and reply.get("message")


# --- init: who asks ----------------------------------------------------------


def send_init(streamer, stream, fields=None, raw=None, kind="video/upload", topic_id=None):
    """The answer to this init, which is sent as it is."""
    topic = f"{kind}/{EDGE}/{topic_id or streamer.id}"
    streamer.client.subscribe(topic)
    for _ in range(5):  # answers to the unverified are limited, so a client asks again
        try:
            return streamer.client.ask(f"{kind}/{EDGE}", raw or fields, topic, timeout=ASK_AGAIN_S)
        except AssertionError:
            continue
    return streamer.client.ask(f"{kind}/{EDGE}", raw or fields, topic)


@pytest.mark.parametrize("missing", ["credential", "statement", "auth"])
def test_init_without_a_trust_field_is_unauthorized(streamer, missing):
    stream = streamer.stream()
    fields = streamer.init_fields(stream)
    fields.pop(missing, None)
    if missing != "auth":
        fields = streamer.sign(EDGE, fields)
    refused(send_init(streamer, stream, fields), "unauthorized")


@pytest.mark.parametrize("name", ["credential", "statement", "auth"])
@pytest.mark.parametrize(
    "value", ["", "!!!", "AAAA", 5, None, True, ["x"], {"x": 1}, "A" * 9000], ids=repr
)
def test_init_with_garbage_in_a_trust_field_is_refused(streamer, name, value):
    stream = streamer.stream()
    fields = {**streamer.sign(EDGE, streamer.init_fields(stream)), name: value}
    refused(
        send_init(streamer, stream, fields),
        "bad_request", "unauthorized", "bad_signature", "too_large",
    )  # fmt: skip


def credentials(zone, pk, subject):
    """name → (a credential that must not count, the codes that say so)."""
    now, stranger = trust.now_us(), trust.Key()
    flipped = bytearray(zone.credential(pk, subject))
    flipped[-1] ^= 1
    return {
        "expired": (zone.credential(pk, subject, not_after=now - 1), ["unauthorized"]),
        "not yet": (zone.credential(pk, subject, not_before=now + 60_000_000), ["unauthorized"]),
        "of an edge": (zone.credential(pk, subject, kind=trust.EDGE), ["unauthorized"]),
        "of no kind": (
            zone.credential(pk, subject, kind=3),
            ["unauthorized", "bad_request"],
        ),
        "another zone's": (zone.credential(pk, subject, zone_id="zone-x"), ["unauthorized"]),
        "an epoch before the first": (zone.credential(pk, subject, key_epoch=0), ["unauthorized"]),
        "a later epoch": (zone.credential(pk, subject, key_epoch=2), ["not_ready"]),
        "by a stranger": (
            zone.credential(pk, subject, key=stranger),
            ["unauthorized", "bad_signature"],
        ),
        "flipped bit": (bytes(flipped), ["unauthorized", "bad_signature"]),
        "another subject": (
            zone.credential(pk, "somebody-else"),
            ["unauthorized", "bad_request"],
        ),
        "another key": (
            zone.credential(stranger.pk, subject),
            ["unauthorized", "bad_signature"],
        ),
        "another version": (
            zone.credential(pk, subject, version=2),
            ["unauthorized", "bad_request"],
        ),
        "truncated": (zone.credential(pk, subject)[:-1], ["unauthorized", "bad_request", "bad_signature"]),
    }


CREDENTIALS = [
    "expired", "not yet", "of an edge", "of no kind", "another zone's",
    "an epoch before the first", "a later epoch", "by a stranger", "flipped bit", "another subject", "another key", "another version",
    "truncated",
]  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("live", [False, True], ids=["video", "live"])
def test_init_with_a_wrong_credential_is_refused(pyzone, client, name, live):
    key, subject = trust.Key(), "s-" + fresh_id()[:12]
    good = roles.Streamer(
        client, pyzone.zone.params, key, pyzone.zone.credential(key.pk, subject)
    )
    credential, codes = credentials(pyzone.zone, key.pk, subject)[name]
    stream = good.stream(live=int(live))
    refused(good.init(EDGE, stream, live, credential=trust.b64(credential)), *codes)
    assert good.init(EDGE, stream, live).get("status") == "ok"


# --- init: what is signed ----------------------------------------------------


@pytest.mark.parametrize(
    "field, other",
    [
        ("video_nom", "Another title"),
        ("description", "Another"),
        ("category", "another"),
        ("thumbnail", "another.jpg"),
        ("thumbnail", 5),
        ("video_id", "another-id"),
        ("streamer_id", "another-id"),
    ],
)
def test_fields_that_contradict_the_statement_are_a_bad_request(streamer, field, other):
    stream = streamer.stream()
    fields = streamer.sign(EDGE, {**streamer.init_fields(stream), field: other})
    topic_id = other if field == "streamer_id" else None
    codes = ["bad_request"] + (["unauthorized"] if field == "streamer_id" else [])
    refused(send_init(streamer, stream, fields, topic_id=topic_id), *codes)


@pytest.mark.parametrize("field", ["video_nom", "streamer_nom", "statement", "extra"])
def test_auth_over_other_fields_is_refused(streamer, field):
    """Signed, then changed on the way."""
    stream = streamer.stream()
    fields = streamer.sign(EDGE, streamer.init_fields(stream))
    other = trust.b64(streamer.stream(stream.video_id).statement())
    fields[field] = other if field == "statement" else "changed"
    refused(send_init(streamer, stream, fields), "bad_signature", "unauthorized", "bad_request")


def test_a_number_and_its_digits_are_signed_alike(streamer):
    """What is signed is a value's text, so that a client's JSON writer does not matter."""
    stream = streamer.stream()
    fields = streamer.sign(EDGE, streamer.init_fields(stream))
    fields.update(init="1", end=0)
    assert send_init(streamer, stream, fields).get("status") == "ok"


@pytest.mark.parametrize("what", ["target", "type", "key"])
def test_auth_for_something_else_is_refused(streamer, what):
    stream = streamer.stream()
    fields = streamer.init_fields(stream)
    key = trust.Key() if what == "key" else streamer.key
    kind = "live/upload" if what == "type" else "video/upload"
    target = "edge2" if what == "target" else EDGE
    fields = trust.sign_request(key, kind, target, fields)[0]
    refused(send_init(streamer, stream, fields), "bad_signature", "unauthorized")


@pytest.mark.parametrize("kind", ["video/upload", "live/upload"])
def test_a_replayed_init_is_unauthorized(streamer, kind):
    live = kind == "live/upload"
    stream = streamer.stream(live=int(live))
    fields = streamer.sign(EDGE, streamer.init_fields(stream, live), kind)
    assert send_init(streamer, stream, fields, kind=kind).get("status") == "ok"
    refused(send_init(streamer, stream, fields, kind=kind), "unauthorized")


@pytest.mark.parametrize("skew_us", [-SKEW_US, SKEW_US])
def test_an_init_out_of_time_is_unauthorized(streamer, skew_us):
    stream = streamer.stream()
    fields = streamer.sign(EDGE, streamer.init_fields(stream), ts=trust.now_us() + skew_us)
    refused(send_init(streamer, stream, fields), "unauthorized")


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, 2**53, -(2**53), 1e300], ids=repr)
def test_values_that_cannot_be_signed_are_a_bad_request(streamer, value):
    stream = streamer.stream()
    fields = streamer.sign(EDGE, streamer.init_fields(stream))
    refused(send_init(streamer, stream, {**fields, "extra": value}), "bad_request")


@pytest.mark.parametrize("extra, good", [(32, True), (33, False)])
def test_signed_fields_at_and_above_their_limit(streamer, extra, good):
    """32 fields beside auth."""
    stream = streamer.stream()
    fields = streamer.init_fields(stream)
    fields.update({f"x{i}": i for i in range(extra - len(fields))})
    reply = send_init(streamer, stream, streamer.sign(EDGE, fields))
    if good:
        assert reply.get("status") == "ok", reply
    else:
        refused(reply, "bad_request")


def test_a_repeated_key_is_a_bad_request(streamer):
    stream = streamer.stream()
    text = json.dumps(streamer.sign(EDGE, streamer.init_fields(stream)))
    twice = text[:-1] + ', "video_nom": "A video"}'
    refused(send_init(streamer, stream, raw=twice), "bad_request")


def test_extra_fields_are_ignored_but_signed(streamer):
    stream = streamer.stream()
    fields = {**streamer.init_fields(stream), "é": None, "n": -7, "b": True, "": "x"}
    assert send_init(streamer, stream, streamer.sign(EDGE, fields)).get("status") == "ok"


def test_a_statement_by_another_key_is_a_bad_signature(streamer):
    stream = streamer.stream()
    statement = trust.b64(stream.statement(key=trust.Key()))
    refused(streamer.init(EDGE, stream, statement=statement), "bad_signature")


@pytest.mark.parametrize(
    "over, codes",
    [
        ({"zone_id": "zone-x"}, ["bad_request", "unauthorized"]),
        ({"streamer_id": "somebody"}, ["bad_request", "unauthorized"]),
        ({"video_id": "something"}, ["bad_request"]),
        ({"live": 1}, ["bad_request"]),
        ({"live": 2}, ["bad_request"]),
        ({"version": 2}, ["bad_request"]),
        ({"thumbnail_hash": bytes(32)}, ["bad_request"]),
        ({"created": trust.now_us() - 4_000_000_000}, ["bad_request", "unauthorized", "conflict"]),
        ({"created": trust.now_us() + 4_000_000_000}, ["bad_request", "unauthorized", "conflict"]),
    ],
    ids=lambda v: str(list(v)) if isinstance(v, dict) else "",
)
def test_a_statement_that_does_not_fit_is_refused(streamer, over, codes):
    stream = streamer.stream()
    refused(streamer.init(EDGE, stream, statement=trust.b64(stream.statement(**over))), *codes)


def test_a_statement_with_bytes_left_over_is_refused(streamer):
    stream = streamer.stream()
    body = trust.encode("video", **stream.fields) + b"\0"
    statement = trust.b64(streamer.key.signed("video", body))
    refused(streamer.init(EDGE, stream, statement=statement), "bad_request")


def test_a_live_statement_for_video_upload_and_the_other_way_round(streamer):
    refused(streamer.init(EDGE, streamer.stream(live=1)), "bad_request")
    refused(streamer.init(EDGE, streamer.stream(live=0), live=True), "bad_request")


def test_ids_that_are_none_are_refused(pyzone, client, streamer):
    for bad in ("", "a/b", "x" * 65, "été", "a b", "+"):
        stream = streamer.stream()
        fields = {**streamer.init_fields(stream), "video_id": bad}
        refused(send_init(streamer, stream, streamer.sign(EDGE, fields)), "bad_request")


# --- parts -------------------------------------------------------------------


@pytest.fixture
def begun(streamer):
    """An upload that has begun, with its topic watched."""
    stream = streamer.stream().fill(60_000, 60_000)
    assert streamer.init(EDGE, stream).get("status") == "ok"
    yield stream
    streamer.client.take_all("#")
    streamer.check_receipt(EDGE, stream, streamer.upload(EDGE, stream))


def send_part(streamer, stream, packet, encoding, **fields):
    """The answer to this packet, in either encoding."""
    if encoding == "json":
        part = {"video_id": stream.video_id, "end": "0", "chunk_part": "1"}
        packet = {**part, "chunk": trust.b64(packet), **fields}
    return streamer.client.ask(
        f"video/upload/{EDGE}", packet, f"video/upload/{EDGE}/{streamer.id}"
    )


def not_taken(streamer, stream, packet, encoding, codes, **fields):
    """An error with one of these codes, or no answer: a part that nobody can be told of.

    A good part behind it shows that the edge has been past it.
    """
    client, topic = streamer.client, f"video/upload/{EDGE}/{streamer.id}"
    if encoding == "json":
        part = {"video_id": stream.video_id, "end": "0", "chunk_part": "1"}
        packet = {**part, "chunk": trust.b64(packet), **fields}
    client.publish(f"video/upload/{EDGE}", packet)
    client.publish(f"video/upload/{EDGE}", stream.chunks[0].packet(0))
    reply = client.expect(topic)
    if reply.get("status") == "error":
        refused(reply, *codes)
        reply = client.expect(topic)
    assert (reply.get("status"), reply.get("next"), reply.get("next_part")) == ("ok", 1, 1)


@pytest.mark.parametrize("encoding", ["binary", "json"])
@pytest.mark.parametrize("where", ["payload", "proof", "signature", "index"])
def test_a_flipped_bit_is_a_bad_signature(streamer, begun, where, encoding):
    packet = begun.chunks[0].flipped(0, where)
    refused(send_part(streamer, begun, packet, encoding), "bad_signature")


def test_a_flipped_bit_in_the_statement_is_a_bad_signature(streamer, begun):
    packet = begun.chunks[0].flipped(0, "statement_root")
    refused(send_part(streamer, begun, packet, "binary"), "bad_signature")


@pytest.mark.parametrize("encoding", ["binary", "json"])
def test_a_part_signed_by_another_key_is_refused(streamer, begun, encoding):
    key = trust.Key()
    for signer in (key.pk, streamer.key.pk):
        stream = streamer.stream(begun.video_id, nonce=begun.fields["nonce"])
        chunk = stream.make(noise(60_000), key=key, signer=signer)
        refused(
            send_part(streamer, begun, chunk.packet(0), encoding), "bad_signature", "unauthorized"
        )


def test_a_part_of_a_stream_nobody_knows_is_answered_to_nobody(streamer, client, begun):
    """And in JSON, where a video id that contradicts the part names no stream either."""
    stranger = streamer.stream().fill(30_000)
    client.publish(f"video/upload/{EDGE}", stranger.chunks[0].packet(0))
    ack = send_part(streamer, begun, begun.chunks[0].packet(0), "binary")
    assert (ack.get("status"), ack.get("video_id")) == ("ok", begun.video_id)


def test_a_part_of_another_stream_in_json_is_refused(streamer, begun):
    other = streamer.stream().fill(30_000)
    assert streamer.init(EDGE, other).get("status") == "ok"
    packet = other.chunks[0].packet(0)
    reply = send_part(streamer, begun, packet, "json", video_id=begun.video_id)
    refused(reply, "bad_request", "bad_signature")


@pytest.mark.parametrize("encoding", ["binary", "json"])
@pytest.mark.parametrize("cut", [1, 100, 15_000, 16_500])
def test_a_truncated_packet_is_not_taken(streamer, begun, encoding, cut):
    packet = begun.chunks[0].packet(0)[:-cut]
    not_taken(streamer, begun, packet, encoding, ["bad_request", "bad_signature"])


@pytest.mark.parametrize("encoding", ["binary", "json"])
def test_a_packet_with_bytes_left_over_is_not_taken(streamer, begun, encoding):
    packet = begun.chunks[0].packet(0) + b"\0"
    not_taken(streamer, begun, packet, encoding, ["bad_request", "bad_signature"])


@pytest.mark.parametrize(
    "field, value", [("packet_index", 1), ("total_packets", 3), ("chunk_part", "2")]
)
def test_json_fields_that_contradict_the_part_are_a_bad_request(streamer, begun, field, value):
    packet = begun.chunks[0].packet(0)
    fields = {"packet_index": 0, "total_packets": 4, field: value}
    refused(send_part(streamer, begun, packet, "json", **fields), "bad_request")


@pytest.mark.parametrize(
    "field, value",
    [
        ("packet_index", -1), ("packet_index", "x"), ("packet_index", 2**40), ("total_packets", []),
        ("chunk", "!"), ("chunk", ""), ("chunk", 5), ("chunk", None), ("chunk_part", {}),
    ],
)  # fmt: skip
def test_malformed_json_parts_are_not_taken(streamer, begun, field, value):
    fields = {"packet_index": 0, "total_packets": 4}
    message = {"video_id": begun.video_id, "end": "0", "chunk_part": "1", **fields}
    message["chunk"] = trust.b64(begun.chunks[0].packet(0))
    not_taken(
        streamer, begun, json.dumps({**message, field: value}), "binary", ["bad_request", "too_large"]
    )


@pytest.mark.parametrize(
    "over, codes",
    [
        ({"number": 0}, ["bad_request"]),
        ({"kind": 4}, ["bad_request"]),
        ({"track": 1}, ["bad_request", "unauthorized", "bad_signature", "conflict"]),
        ({"flags": 0x0100}, ["bad_request"]),
        ({"prev": bytes(range(32))}, ["bad_request", "conflict"]),
        ({"part_bytes": 1023}, ["too_large", "bad_request"]),
        ({"part_bytes": 61_441}, ["too_large", "bad_request"]),
        ({"parts_n": 5}, ["bad_request"]),
        ({"payload_len": 0}, ["bad_request"]),
        ({"payload_len": trust.CHUNK_BYTES_MAX + 1}, ["too_large", "bad_request"]),
        ({"init_number": 7}, ["bad_request", "conflict"]),
        ({"ext": bytes(257)}, ["too_large", "bad_request"]),
        ({"version": 2}, ["bad_request"]),
    ],
    ids=lambda v: str(v)[:40] if isinstance(v, dict) else "",
)
def test_statements_against_the_rules_are_not_taken(streamer, begun, over, codes):
    """Signed by the right key, yet not acceptable."""
    stream = streamer.stream(begun.video_id, nonce=begun.fields["nonce"])
    chunk = stream.make(noise(60_000), **over)
    number = str(over.get("number", 1))
    not_taken(streamer, begun, chunk.packet(0), "json", codes, chunk_part=number)


def test_unknown_uncritical_flags_and_an_ext_are_taken(streamer):
    stream = streamer.stream()
    stream.add(noise(3000), flags=0x00F9, ext=bytes(256))
    streamer.check_receipt(EDGE, stream, streamer.upload(EDGE, stream))


def test_chunk_1_of_a_movie_must_be_an_init_chunk(streamer):
    stream = streamer.stream(media_type="video/mp4").fill(3000)
    streamer.init(EDGE, stream)
    reply = send_part(streamer, stream, stream.chunks[0].packet(0), "json")
    refused(reply, "bad_request", "conflict")


# --- who is answered ---------------------------------------------------------


@pytest.mark.parametrize("bad", ["", "a/b", "+", "#", "x" * 65, "é", "a b", "../x"])
def test_a_reply_id_that_is_none_gets_no_answer(pyzone, bad):
    with Client(pyzone.port, pyzone.prefix) as client:
        client.subscribe("video/request/ping/#", f"video/watch/{EDGE}/#", f"video/liste/{EDGE}/#")
        for topic in ("video/request/ping", f"video/watch/{EDGE}", f"video/liste/{EDGE}"):
            client.publish(topic, {"client_id": bad, "video_id": "v", "init": "1"})
        for topic in ("video/request/ping", f"video/watch/{EDGE}", f"video/liste/{EDGE}"):
            request = {"client_id": client.id, "video_id": "v", "init": "1"}
            client.ask(topic, request, f"{topic}/{client.id}")
        for topic in ("video/request/ping", f"video/watch/{EDGE}", f"video/liste/{EDGE}"):
            assert not client.below(topic)


def test_watch_with_wrong_values(viewer, streamer):
    stream = streamer.stream().fill(20_000)
    streamer.upload(EDGE, stream)
    video = viewer.init(EDGE, stream.video_id)
    base = {
        "client_id": viewer.client.id, "video_id": stream.video_id, "init": "0", "pull": 1,
        "chunk_part": 1, "part": 0, "window_bytes": 100_000, "token": video.reply["token"],
    }  # fmt: skip
    for over in (
        {"chunk_part": -1}, {"chunk_part": "x"}, {"chunk_part": 2**40}, {"part": 2**31}, {"part": -5},
        {"window_bytes": -1}, {"window_bytes": "many"}, {"pull": -1}, {"pull": "x"}, {"token": 5},
        {"token": "x" * 5000}, {"credit": -1}, {"credit": 2**60},
    ):  # fmt: skip
        viewer.client.publish(f"video/watch/{EDGE}", {**base, **over})
    viewer.client.take_all("#")
    viewer.last_pull = 2**31
    with_new_inbox = roles.Viewer(viewer.client._mqtt._port, viewer.zone, viewer.client.prefix[:-1])
    try:
        _, assembly = with_new_inbox.watch_binary(EDGE, stream.video_id)
        assert assembly.payload() == stream.payload
    finally:
        with_new_inbox.close()


# --- the zone's answer to an edge --------------------------------------------

def flipped(raw):
    """With another last byte. (Of a signature that is 0 once in 16 times: no byte is safe to put.)"""
    return raw[:-1] + bytes([raw[-1] ^ 1])


TAMPERED = {
    "another proof": lambda r: {**r, "proof": trust.b64(bytes(32))},
    "no proof": lambda r: {k: v for k, v in r.items() if k != "proof"},
    "another nonce": lambda r: {**r, "nonce": trust.b64(bytes(16))},
    "another credential": lambda r: {
        **r, "credential": trust.b64(bytes(8) + trust.unb64(r["credential"])[8:]),
    },
    "other parameters": lambda r: {
        **r, "parametre": trust.b64(flipped(trust.unb64(r["parametre"]))),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_an_edge_does_not_believe_a_forged_enrolment(cluster, folder, name):
    """It asks again, and works once it gets the real answer."""
    from ec.cluster import Edge, PyZone

    prefix = "t" + os.urandom(4).hex()
    zone = PyZone(cluster.broker, folder, prefix)
    edge = Edge(folder / "edge", cluster.broker, zone.secret_file, "edge7", prefix)
    with Client(cluster.broker.port, prefix) as client:
        try:
            zone.tamper = TAMPERED[name]
            client.subscribe("auth/zone")
            edge.spawn()
            client.expect("auth/zone")
            client.expect("auth/zone")  # asked again: the first answer was not believed
            zone.tamper = None
            edge.wait_ready(client)
            edge.stop()
        finally:
            edge.reap()
            zone.close()
