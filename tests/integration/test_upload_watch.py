"""§4.2 and §4.3 on one edge: what goes in, signed, comes back out the same."""
import pytest
from ec import roles, trust
from ec.client import Client, eventually
from ec.media import movie, noise

ENCODINGS = ["binary", "json"]


def refused(reply, *codes):
    assert reply.get("status") == "error", reply
    assert reply.get("code") in codes, reply


@pytest.fixture
def three_chunks(streamer):
    """One byte; exactly one part; three parts and a byte."""
    stream = streamer.stream()
    return stream.fill(1, stream.part_bytes, 3 * stream.part_bytes + 1)


# --- upload and what it leaves -----------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_upload_ends_with_a_receipt(streamer, three_chunks, edge1, encoding):
    reply = streamer.upload(edge1, three_chunks, encoding)
    receipt = streamer.check_receipt(edge1, three_chunks, reply)
    manifest_hash = trust.object_hash("manifest", three_chunks.manifest_body())
    assert receipt["hash"] == manifest_hash
    assert abs(receipt["time"] - trust.now_us()) < 60_000_000


def test_a_new_upload_starts_at_the_beginning(streamer, three_chunks, edge1):
    reply = streamer.init(edge1, three_chunks)
    assert reply.get("status") == "ok", reply
    assert reply.get("EDGE_ID") == edge1
    assert (reply.get("next"), reply.get("next_part")) == (1, 0)
    assert reply.get("window_bytes") > 0


def test_upload_appears_in_the_list(streamer, client, edge1):
    stream = streamer.stream(title="Été à la mer", category="Gaming", description="Où ça ?")
    streamer.upload(edge1, stream.fill(3000))
    row = eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    assert row["title"] == "Été à la mer"
    assert row["description"] == "Où ça ?"
    assert row["category"] == "Gaming"
    assert row["live"] == 0 and row["live"] is not False
    assert row["edges"] == edge1
    assert row["thumbnail"] == "thumb.jpg"
    assert row["streamer_id"] == streamer.id
    assert row["created_at"].startswith("20")


def test_the_original_list_is_a_bare_array_newest_first(streamer, client, edge1):
    for _ in range(2):
        newest = streamer.stream().fill(1000)
        streamer.upload(edge1, newest)
    eventually(lambda: roles.find_video(client, edge1, newest.video_id))
    rows = roles.list_videos(client, edge1)
    assert isinstance(rows, list)
    created = [row["created_at"] for row in rows]
    assert created == sorted(created, reverse=True)
    assert rows[0]["id"] == newest.video_id


def test_one_by_one_as_the_original_client(streamer, client, three_chunks, edge1):
    """Stop-and-wait in JSON: each part gets its acknowledgement, with chunk_part as sent."""
    stream, topic = three_chunks, f"video/upload/{edge1}/{streamer.id}"
    streamer.init(edge1, stream)
    for part in stream.parts:
        message = trust.json_part(stream.video_id, part)
        client.publish(f"video/upload/{edge1}", message)
        ack = client.expect(topic, lambda m: m.get("video_id") == stream.video_id)
        assert ack.get("status") == "ok", ack
        assert ack.get("EDGE_ID") == edge1
        assert str(ack.get("chunk_part")) == message["chunk_part"]
        assert ack.get("packet_index") == part.index
        assert (ack.get("next"), ack.get("next_part")) == roles.after(part)
    assert "receipt" in streamer.end(edge1, stream).json


def test_older_spellings_are_read(streamer, client, three_chunks, edge1, viewer):
    stream = three_chunks
    fields = streamer.init_fields(stream)
    fields["video_ID"] = fields.pop("video_id")
    fields["video_title"] = fields.pop("video_nom")
    fields.update(init="1", end=False)
    topic = f"video/upload/{edge1}/{streamer.id}"
    client.subscribe(topic)
    reply = client.ask(f"video/upload/{edge1}", streamer.sign(edge1, fields), topic)
    assert reply.get("status") == "ok", reply
    for part in stream.parts:
        message = trust.json_part(stream.video_id, part)
        message["video_ID"] = message.pop("video_id")
        message["chunk_part"], message["end"] = int(message["chunk_part"]), 0
        del message["packet_index"], message["total_packets"]
        client.publish(f"video/upload/{edge1}", message)
    client.expect(topic, lambda m: m.get("next") == len(stream.chunks) + 1)
    assert "receipt" in streamer.end(edge1, stream).json
    assert viewer.watch_json(edge1, stream.video_id)[1] == stream.payload


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_more_than_a_window(streamer, edge1, viewer, encoding):
    size = 61_440 if encoding == "binary" else 45_000
    stream = streamer.stream(part_bytes=size).fill(*[700_000] * 5)
    window = streamer.init(edge1, stream).get("window_bytes")
    assert window >= roles.size(stream.parts[:1])
    reply = streamer.upload(edge1, stream, encoding)
    streamer.check_receipt(edge1, stream, reply)
    video, assembly = viewer.watch_binary(edge1, stream.video_id)
    assert assembly.payload() == stream.payload


def test_thumbnail_as_a_number_is_signed_as_text(streamer, client, edge1):
    stream = streamer.stream(thumbnail=12456).fill(1000)
    streamer.upload(edge1, stream)
    row = eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    assert row["thumbnail"] == "12456"


def test_no_thumbnail(streamer, client, edge1):
    stream = streamer.stream(thumbnail="").fill(1000)
    streamer.upload(edge1, stream)
    row = eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    assert row["thumbnail"] == ""


@pytest.mark.parametrize(
    "field, most", [("title", 256), ("description", 1024), ("category", 64), ("media_type", 64)]
)
@pytest.mark.parametrize("extra", [0, 1])
def test_texts_at_and_above_their_limits(streamer, edge1, field, most, extra):
    text = "é" * (most // 2) + "x" * extra
    stream = streamer.stream(**{field: text})
    reply = streamer.init(edge1, stream)
    if extra:
        refused(reply, "too_large")
    else:
        assert reply.get("status") == "ok", reply


def test_largest_chunk(streamer, edge1, viewer):
    stream = streamer.stream(part_bytes=61_440).fill(trust.CHUNK_BYTES_MAX)
    streamer.upload(edge1, stream)
    assert viewer.watch_binary(edge1, stream.video_id)[1].payload() == stream.payload


def test_smallest_parts(streamer, edge1, viewer):
    stream = streamer.stream(part_bytes=trust.PART_BYTES_MIN).fill(100 * 1024 + 1)
    streamer.upload(edge1, stream)
    assert viewer.watch_json(edge1, stream.video_id)[1] == stream.payload


# --- interrupted uploads -----------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_resume_after_the_client_vanishes_mid_chunk(cluster, edge1, viewer, encoding):
    person = cluster.person("lea")
    first = roles.Streamer(Client(cluster.broker.port), cluster.zone, *person)
    stream = first.stream().fill(100_000, 100_000, 100_000)
    reply = first.init(edge1, stream).json
    at = first.push(edge1, stream, (1, 0), reply["window_bytes"], encoding, until=(2, 3))
    assert at == (2, 3)
    first.client.vanish()
    with Client(cluster.broker.port) as client:
        second = roles.Streamer(client, cluster.zone, *person)
        reply = second.init(edge1, stream).json
        assert reply["status"] == "ok"
        assert (reply["next"], reply["next_part"]) == (2, 3)
        second.upload(edge1, stream, encoding)
    assert viewer.watch_binary(edge1, stream.video_id)[1].payload() == stream.payload


def test_what_was_acknowledged_survives_sigkill(cluster, streamer, client, extra_edge, viewer):
    edge = extra_edge()
    stream = streamer.stream(part_bytes=8_192).fill(*[120_000] * 6)
    reply = streamer.init(edge.id, stream).json
    acked = streamer.push(edge.id, stream, (1, 0), reply["window_bytes"], until=(4, 2))
    # More of it on its way, so that the kill falls into a commit if it can.
    for part in [p for p in stream.parts if p.position >= acked][:20]:
        streamer.send_part(edge.id, stream, part)
    client.expect(f"video/upload/{edge.id}/{streamer.id}", lambda m: m.get("next", 0) >= 4)
    edge.kill()
    acked = max(
        [acked]
        + [
            (m.json["next"], m.json["next_part"])
            for m in client.take_all(f"video/upload/{edge.id}/{streamer.id}")
        ]
    )
    edge.start(cluster.client)
    reply = streamer.init(edge.id, stream).json
    assert reply["status"] == "ok"
    assert (reply["next"], reply["next_part"]) >= acked
    reply = streamer.upload(edge.id, stream)
    streamer.check_receipt(edge.id, stream, reply)
    assert viewer.watch_binary(edge.id, stream.video_id)[1].payload() == stream.payload


def test_finished_uploads_survive_sigkill(cluster, streamer, extra_edge, viewer):
    edge = extra_edge()
    stream = streamer.stream().fill(50_000)
    streamer.upload(edge.id, stream)
    edge.kill()
    edge.start(cluster.client)
    assert viewer.watch_json(edge.id, stream.video_id)[1] == stream.payload


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_duplicates_are_acknowledged_again(streamer, client, edge1, encoding):
    stream = streamer.stream().fill(100_000)
    window = streamer.init(edge1, stream).get("window_bytes")
    assert streamer.push(edge1, stream, (1, 0), window, encoding, until=(1, 4)) == (1, 4)
    client.take_all(f"video/upload/{edge1}/{streamer.id}")
    for part in stream.parts[:2]:
        streamer.send_part(edge1, stream, part, encoding)
        ack = streamer.acknowledgement(edge1, stream)
        assert (ack["next"], ack["next_part"]) == (1, 4)
    assert streamer.upload(edge1, stream, encoding)["receipt"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_part_beyond_the_expected_one_is_answered_with_where_to_go_on(
    streamer, edge1, encoding
):
    stream = streamer.stream().fill(100_000)
    streamer.init(edge1, stream)
    streamer.send_part(edge1, stream, stream.parts[3], encoding)
    ack = streamer.acknowledgement(edge1, stream)
    assert (ack["next"], ack["next_part"]) == (1, 0)
    streamer.upload(edge1, stream, encoding)


def test_the_same_stream_finished_is_answered_as_done(streamer, edge1):
    stream = streamer.stream().fill(30_000)
    streamer.upload(edge1, stream)
    reply = streamer.init(edge1, stream)
    assert reply.get("status") == "ok", reply
    streamer.check_receipt(edge1, stream, reply.json)


def test_end_again_is_answered_again(streamer, edge1):
    """The acknowledgement of the first end may be lost."""
    stream = streamer.stream().fill(30_000)
    first = streamer.upload(edge1, stream)
    again = streamer.end(edge1, stream)
    if again.get("code") == "not_ready":
        again = streamer.init(edge1, stream)
    assert again.get("status") == "ok", again
    assert streamer.check_receipt(edge1, stream, again.json) == streamer.check_receipt(
        edge1, stream, first
    )


def test_a_new_stream_replaces_an_unfinished_upload(streamer, edge1, viewer):
    first = streamer.stream().fill(60_000)
    window = streamer.init(edge1, first).get("window_bytes")
    streamer.push(edge1, first, (1, 0), window, until=(1, 2))
    second = streamer.stream(first.video_id).fill(50_000, seed=2)
    reply = streamer.init(edge1, second)
    assert (reply.get("next"), reply.get("next_part")) == (1, 0)
    streamer.upload(edge1, second)
    assert viewer.watch_json(edge1, first.video_id)[1] == second.payload


def test_a_finished_id_is_a_conflict(streamer, edge1):
    first = streamer.stream().fill(10_000)
    streamer.upload(edge1, first)
    refused(streamer.init(edge1, streamer.stream(first.video_id)), "conflict")


@pytest.mark.parametrize("finished", [False, True])
def test_another_streamers_id_is_a_conflict(streamer, other_streamer, edge1, finished, viewer):
    stream = streamer.stream().fill(10_000)
    if finished:
        streamer.upload(edge1, stream)
    else:
        streamer.init(edge1, stream)
    refused(other_streamer.init(edge1, other_streamer.stream(stream.video_id)), "conflict")
    if not finished:
        streamer.upload(edge1, stream)
    assert viewer.watch_json(edge1, stream.video_id)[1] == stream.payload


def test_two_statements_for_one_number_conflict(streamer, client, edge1):
    stream = streamer.stream().fill(40_000)
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window, until=(1, 1))
    twin = streamer.stream(stream.video_id, nonce=stream.fields["nonce"]).fill(40_000, seed=9)
    assert twin.id == stream.id
    streamer.send_part(edge1, stream, twin.parts[1])
    topic = f"video/upload/{edge1}/{streamer.id}"
    refused(client.expect(topic, lambda m: m.get("status") == "error"), "conflict")
    streamer.upload(edge1, stream)


# --- the end -----------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        {"root": bytes(32)},
        {"chunks": 2},
        {"bytes": 1},
        {"track": 1},
        {"stream": bytes(32)},
    ],
    ids=repr,
)
def test_a_manifest_that_is_not_what_is_held_is_refused(streamer, three_chunks, edge1, lie):
    stream = three_chunks
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window)
    reply = streamer.end(edge1, stream, manifest=stream.manifest(**lie))
    refused(reply, "bad_request", "conflict", "not_ready", "bad_signature")
    assert "receipt" in streamer.end(edge1, stream).json


def test_a_manifest_of_more_chunks_is_answered_with_where_to_go_on(
    streamer, three_chunks, edge1
):
    stream = three_chunks
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window)
    ack = streamer.end(edge1, stream, manifest=stream.manifest(chunks=4)).json
    assert (ack["status"], ack["next"], ack["next_part"]) == ("ok", 4, 0)
    assert "receipt" not in ack
    assert "receipt" in streamer.end(edge1, stream).json


def test_an_end_before_the_last_part_is_answered_with_where_to_go_on(streamer, three_chunks, edge1):
    stream = three_chunks
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window, until=(3, 1))
    ack = streamer.end(edge1, stream).json
    assert (ack["status"], ack["next"], ack["next_part"]) == ("ok", 3, 1)
    assert "receipt" not in ack
    reply = streamer.upload(edge1, stream)
    streamer.check_receipt(edge1, stream, reply)


@pytest.mark.parametrize("what", ["manifest", "statement"])
def test_an_end_signed_by_somebody_else_is_refused(streamer, three_chunks, edge1, what):
    stream, key = three_chunks, trust.Key()
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window)
    if what == "manifest":
        forged = {"manifest": key.signed("manifest", stream.manifest_body())}
    else:
        body = stream.final_statement()[:-64]
        forged = {"statement": key.signed("video", body)}
    refused(streamer.end(edge1, stream, **forged), "bad_signature")
    assert "receipt" in streamer.end(edge1, stream).json


def test_a_final_statement_for_another_manifest_is_refused(streamer, three_chunks, edge1):
    stream = three_chunks
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window)
    statement = stream.final_statement(manifest_hash=trust.H(b"another"))
    refused(streamer.end(edge1, stream, statement=statement), "bad_request")
    assert "receipt" in streamer.end(edge1, stream).json


# --- watch -------------------------------------------------------------------


@pytest.fixture
def uploaded(streamer, edge1):
    """A movie of ten chunks, several parts each."""
    stream = movie(streamer.key, streamer.zone["zone_id"], streamer.id, size=40_000)
    streamer.upload(edge1, stream)
    return stream


def test_watch_init_describes_the_video(viewer, edge1, uploaded, streamer):
    reply = viewer.init(edge1, uploaded.video_id).reply
    assert reply["video_title"] == reply["video_nom"] == uploaded.fields["title"]
    assert str(reply["chunk_part"]) == "0" and str(reply["end"]) == "0"
    assert reply["EDGE_ID"] == edge1
    assert reply["streamer_id"] == streamer.id
    assert reply["streamer_nom"] == streamer.name
    assert reply["media_type"] == "video/mp4"
    assert reply["codecs"] == uploaded.fields["codecs"]
    assert int(reply["live"]) == 0
    assert reply["chunks"] == len(uploaded.chunks)
    assert reply["bytes"] == len(uploaded.payload)
    assert reply["manifest"] == trust.b64(uploaded.manifest())
    assert trust.unb64(reply["token"])


@pytest.mark.parametrize("sent", ENCODINGS)
def test_watched_in_json_it_is_the_same(streamer, edge1, viewer, sent):
    stream = streamer.stream().fill(70_000, 1, 50_000)
    streamer.upload(edge1, stream, sent)
    video, payload = viewer.watch_json(edge1, stream.video_id)
    assert payload == stream.payload


@pytest.mark.parametrize("sent", ENCODINGS)
def test_watched_in_binary_it_is_the_same_packets(streamer, edge1, viewer, sent):
    stream = streamer.stream().fill(70_000, 1, 50_000)
    streamer.upload(edge1, stream, sent)
    video, assembly = viewer.watch_binary(edge1, stream.video_id)
    assert assembly.payload() == stream.payload
    assert {p.packet for p in assembly.parts.values()} == {p.packet for p in stream.parts}


def test_a_binary_part_too_large_for_json_comes_in_two_fragments(streamer, edge1, viewer):
    stream = streamer.stream(part_bytes=61_440).fill(130_000)
    streamer.upload(edge1, stream)
    viewer.init(edge1, stream.video_id)
    messages = viewer.pull_json(edge1, stream.video_id, 0)
    assert [m.get("fragment") for m in messages[:2]] == [0, 1]
    assert all(len(m.payload) <= trust.PACKET_BYTES_MAX for m in messages)
    assert viewer.watch_json(edge1, stream.video_id)[1] == stream.payload


def test_original_pulls_name_what_they_give(viewer, edge1, uploaded):
    viewer.init(edge1, uploaded.video_id)
    messages = viewer.pull_json(edge1, uploaded.video_id, 4)
    assert {str(m.get("chunk_part")) for m in messages} == {"5"}
    assert {str(m.get("end")) for m in messages} == {"0"}
    again = viewer.pull_json(edge1, uploaded.video_id, 4)
    assert [m.payload for m in again] == [m.payload for m in messages]


def test_an_original_pull_after_the_last_chunk_is_the_end(viewer, edge1, uploaded):
    viewer.init(edge1, uploaded.video_id)
    (end,) = viewer.pull_json(edge1, uploaded.video_id, len(uploaded.chunks))
    assert str(end.get("end")) == "1"
    assert end.get("video_id") == uploaded.video_id


@pytest.mark.parametrize("start", [(1, 0), (4, 1), (10, 2)])
def test_seek(viewer, edge1, uploaded, start):
    video, assembly = viewer.watch_binary(edge1, uploaded.video_id, start=start)
    assert sorted(assembly.parts) == [p.position for p in uploaded.parts if p.position >= start]


def test_seek_beyond_the_end_is_the_end(viewer, edge1, uploaded):
    video, assembly = viewer.watch_binary(edge1, uploaded.video_id, start=(11, 0))
    assert not assembly.parts


@pytest.mark.parametrize("window", [1, 20_000, 10_000_000])
def test_windows_of_any_size(viewer, edge1, uploaded, window):
    video, assembly = viewer.watch_binary(edge1, uploaded.video_id, window=window)
    assert assembly.payload() == uploaded.payload


def test_the_window_bounds_what_comes_unasked(viewer, edge1, uploaded):
    """As many parts as fit, and then none until credit comes."""
    video = viewer.init(edge1, uploaded.video_id)
    sizes = [len(p.packet) for p in uploaded.parts]
    window = sum(sizes[:4]) + 10
    pull = viewer.seek(edge1, video, 1, 0, window)
    got = [viewer.client.expect(viewer.topic(edge1), lambda m: m.binary) for _ in range(4)]
    # Whatever the edge wrongly sent on would arrive before the answer to a new init.
    viewer.init(edge1, uploaded.video_id)
    assert not viewer.client.peek(viewer.topic(edge1))
    viewer.credit(edge1, video, pull, sum(len(m.payload) for m in got), window)
    part = trust.Part(viewer.client.expect(viewer.topic(edge1), lambda m: m.binary).payload)
    assert part.position == uploaded.parts[4].position


def test_a_newer_seek_replaces_the_older(viewer, edge1, uploaded):
    video = viewer.init(edge1, uploaded.video_id)
    viewer.seek(edge1, video, 1, 0, 1)
    viewer.client.expect(viewer.topic(edge1), lambda m: m.binary)
    viewer.seek(edge1, video, 7, 0, 1)
    message = viewer.client.expect(viewer.topic(edge1), lambda m: m.binary)
    assert trust.Part(message.payload).position == (7, 0)


def test_an_older_seek_is_ignored(viewer, edge1, uploaded):
    video = viewer.init(edge1, uploaded.video_id)
    viewer.last_pull = 10
    viewer.seek(edge1, video, 7, 0, 1)
    viewer.client.expect(viewer.topic(edge1), lambda m: m.binary)
    viewer.last_pull = 4
    viewer.seek(edge1, video, 1, 0, 1)
    viewer.init(edge1, uploaded.video_id)
    assert not [m for m in viewer.client.take_all(viewer.topic(edge1)) if m.binary]


def test_without_a_token_one_chunk_per_pull(viewer, edge1, uploaded):
    video = viewer.init(edge1, uploaded.video_id)
    viewer.seek(edge1, video, 2, 0, 1_000_000, token=None)
    parts_n = uploaded.chunks[1].fields["parts_n"]
    for i in range(parts_n):
        message = viewer.client.expect(viewer.topic(edge1), lambda m: m.binary)
        assert trust.Part(message.payload).position == (2, i)
    viewer.init(edge1, uploaded.video_id)
    assert not [m for m in viewer.client.take_all(viewer.topic(edge1)) if m.binary]


def test_a_token_of_somebody_else_counts_for_nothing(viewers, edge1, uploaded):
    one, two = viewers(), viewers()
    video = one.init(edge1, uploaded.video_id)
    video.reply["token"] = two.init(edge1, uploaded.video_id).reply["token"]
    one.seek(edge1, video, 2, 0, 1_000_000)
    for _ in range(uploaded.chunks[1].fields["parts_n"]):
        one.client.expect(one.topic(edge1), lambda m: m.binary)
    one.init(edge1, uploaded.video_id)
    assert not [m for m in one.client.take_all(one.topic(edge1)) if m.binary]


def test_two_viewers_at_once(viewers, edge1, uploaded):
    one, two = viewers(), viewers()
    video1, video2 = (v.init(edge1, uploaded.video_id) for v in (one, two))
    one.seek(edge1, video1, 1, 0, 1)
    two.seek(edge1, video2, 5, 0, 1)
    for viewer, at in ((one, (1, 0)), (two, (5, 0))):
        message = viewer.client.expect(viewer.topic(edge1), lambda m: m.binary)
        assert trust.Part(message.payload).position == at


def test_an_unknown_video(viewer, edge1):
    refused(viewer.ask_init(edge1, "no-such-video"), "unknown_video")


def test_an_unfinished_video_says_so(viewer, streamer, edge1):
    stream = streamer.stream().fill(30_000, 30_000)
    window = streamer.init(edge1, stream).get("window_bytes")
    streamer.push(edge1, stream, (1, 0), window, until=(2, 0))
    reply = viewer.ask_init(edge1, stream.video_id)
    if reply.get("status") == "ok":
        assert reply.get("chunks") == 0
        assert not reply.get("manifest")
    else:
        refused(reply, "not_ready", "unknown_video")


# --- list options ------------------------------------------------------------


def test_list_pages_through_everything(streamer, client, edge1):
    mine = {streamer.stream().fill(1000) for _ in range(3)}
    for stream in mine:
        streamer.upload(edge1, stream)
    for stream in mine:
        eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    seen, after = [], None
    while after != "":
        page = roles.list_videos(client, edge1, limit=2, **({"after": after} if after else {}))
        assert len(page["videos"]) <= 2
        assert trust.unb64(page["token"])
        seen += [row["id"] for row in page["videos"]]
        after = page["next"]
    assert len(seen) == len(set(seen))
    assert {s.video_id for s in mine} <= set(seen)


def test_list_by_category_title_and_live(streamer, client, edge1):
    category, word = "cat-" + noise(4).hex(), "Wörd"
    stream = streamer.stream(category=category, title=f"The {word} of it").fill(1000)
    streamer.upload(edge1, stream)
    eventually(lambda: roles.find_video(client, edge1, stream.video_id))

    def ids(**options):
        return {row["id"] for row in roles.list_videos(client, edge1, **options)["videos"]}

    assert ids(category=category) >= {stream.video_id}
    assert stream.video_id not in ids(category="another")
    assert stream.video_id in ids(q=word)
    assert stream.video_id not in ids(q="no such title")
    assert stream.video_id in ids(live=0, limit=200)
    assert stream.video_id not in ids(live=1)
