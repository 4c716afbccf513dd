"""§4.9: thumbnails that an edge makes for a streamer who lets it."""
import os
import signal
import struct
import subprocess
import textwrap

import pytest
from ctl import FAILED
from ec import trust
from ec.client import eventually
from ec.cluster import BUILD, clean_environment
from ec.media import noise
from ec.roles import find_video, list_videos
from fleet import counters, query

WIDTH_MAX, HEIGHT_MAX = 320, 180
DATA_URL = "data:image/jpeg;base64,"
PROGRAM = BUILD / "edge_thumbnail"


def jpeg_size(data):
    """(width, height) of a baseline JPEG."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xC0:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise trust.Bad("no JPEG that we know")


def verified(reply, zone):
    """The JPEG of a watch reply, from the zone's key on: credential, delegation, statement."""
    credential = trust.open_credential(trust.unb64(reply["credential"]), zone)
    video = trust.open_signed("video", trust.unb64(reply["statement"]), credential["pk"])
    ids = (video[name] for name in ("zone_id", "streamer_id", "video_id", "nonce"))
    assert video["thumbnail_hash"] == trust.ZERO
    jpeg = trust.open_thumbnail(
        trust.unb64(reply["thumbnail_part"]),
        trust.unb64(reply["delegation"]),
        credential["pk"],
        trust.stream_id(*ids),
    )
    width, height = jpeg_size(jpeg)
    assert 0 < width <= WIDTH_MAX and 0 < height <= HEIGHT_MAX
    return jpeg


def signer(reply):
    return trust.Part(trust.unb64(reply["thumbnail_part"])).chunk["signer"]


# --- media, and who sends it -------------------------------------------------


def fragments_of(path):
    """(init segment, fragments) of a fragmented MP4."""
    data, boxes, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append((data[at + 4 : at + 8], data[at : at + size]))
        at += size
    init = b"".join(box for kind, box in boxes if kind in (b"ftyp", b"moov"))
    moofs = [i for i, (kind, _) in enumerate(boxes) if kind == b"moof"]
    return init, [boxes[i][1] + boxes[i + 1][1] for i in moofs]


def cut(path, *arguments):
    fragmented = ["-movflags", "frag_keyframe+empty_moov", str(path)]
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-y", *arguments, *fragmented],
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return fragments_of(path)


@pytest.fixture(scope="module")
def pictures(workplace, clip):
    return cut(workplace / "pictures.mp4", "-i", str(clip), "-c", "copy")


@pytest.fixture(scope="module")
def sound(workplace):
    return cut(workplace / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac")


class Film:
    """A streamer's video with that media in it and no thumbnail of its own."""

    def __init__(self, streamer, boxes, **options):
        self.streamer = streamer
        options = {"thumbnail": "", "media_type": "video/mp4", "part_bytes": 61_440, **options}
        self.stream = streamer.stream(**options)
        init, fragments = boxes
        self.stream.add(init, kind=trust.INIT)
        for fragment in fragments:
            self.stream.add(fragment)

    def delegation(self, edge_pk, key=None, stream=None, **over):
        return trust.delegation(key or self.streamer.key, stream or self.stream.id, edge_pk, **over)

    def upload(self, edge, delegate=None):
        """Its id. delegate: makes the delegation, from the key in the answer to init."""
        streamer, stream = self.streamer, self.stream
        reply = streamer.init(edge, stream)
        assert reply.get("status") == "ok", reply
        credential = trust.open_credential(trust.unb64(reply.get("edge_credential")), streamer.zone)
        assert (credential["kind"], credential["subject"]) == (trust.EDGE, edge)
        start = reply.json["next"], reply.json["next_part"]
        streamer.push(edge, stream, start, reply.json["window_bytes"])
        fields = streamer.end_fields(stream)
        if delegate:
            fields["delegation"] = trust.b64(delegate(credential["pk"]))
        topic = f"video/upload/{edge}"
        reply = streamer.client.ask(topic, fields, f"{topic}/{streamer.id}", lambda m: "receipt" in m.json)
        streamer.check_receipt(edge, stream, reply.json)
        return stream.video_id


@pytest.fixture
def film(streamer, pictures):
    def make(boxes=pictures, **options):
        return Film(streamer, boxes, **options)

    return make


def shown(viewer, edge, video_id):
    """The watch reply once it shows a thumbnail."""

    def asked():
        reply = viewer.init(edge, video_id).reply
        return reply if "thumbnail_part" in reply else None

    return eventually(asked)


def counted(edge, name, above):
    eventually(lambda: counters(edge)[name] > above[name])


# --- a video -----------------------------------------------------------------


def test_an_edge_makes_one_and_anybody_can_check_it(cluster, client, viewer, film, edge1):
    video = film()
    video_id = video.upload(edge1, video.delegation)
    reply = shown(viewer, edge1, video_id)
    jpeg = verified(reply, cluster.zone)
    assert find_video(client, edge1, video_id)["thumbnail"] == DATA_URL + trust.b64(jpeg)
    assert signer(reply) != video.streamer.key.pk
    assert viewer.watch_binary(edge1, video_id)[1].payload() == video.stream.payload
    update = query(cluster.edge1, "SELECT thumbnail FROM claim WHERE video_id = ?", video_id)
    assert update == [("",)], "the catalogue's row is the streamer's"


def test_a_list_shows_it_where_there_is_room(client, film, edge1, viewer):
    """It takes no row's place: a list with more rows than pictures fit has the rows."""
    ids = []
    for _ in range(7):
        video = film()
        ids.append(video.upload(edge1, video.delegation))
        shown(viewer, edge1, ids[-1])
    rows = {row["id"]: row for row in list_videos(client, edge1)}
    assert set(ids) <= set(rows)
    newest = list_videos(client, edge1, limit=1)["videos"]
    assert [row["id"] for row in newest] == ids[-1:]
    assert newest[0]["thumbnail"].startswith(DATA_URL)


def test_a_copy_brings_it_along(cluster, viewer, film, edge1, edge2):
    video = film()
    video_id = video.upload(edge1, video.delegation)
    first = shown(viewer, edge1, video_id)
    assert viewer.watch_binary(edge2, video_id)[1].payload() == video.stream.payload
    second = shown(viewer, edge2, video_id)
    assert verified(second, cluster.zone) == verified(first, cluster.zone)
    assert signer(second) == signer(first), "it is the first edge's, unchanged"


def test_a_copy_gets_it_later(extra_edge, cluster, client, viewer, film, folder, edge2):
    """It is made after the copy is whole: who fetched it asks again."""
    edge = extra_edge("--thumbnail-program", str(script(folder, f"sleep 4; exec {PROGRAM}")))
    video = film()
    video_id = video.upload(edge.id, video.delegation)
    eventually(lambda: find_video(client, edge2, video_id))
    assert viewer.watch_binary(edge2, video_id)[1].payload() == video.stream.payload
    assert "thumbnail_part" not in viewer.init(edge2, video_id).reply, "it came too soon to tell"
    reply = shown(viewer, edge2, video_id)
    assert verified(reply, cluster.zone)
    assert signer(reply) == signer(shown(viewer, edge.id, video_id))


def test_it_goes_with_the_video(cluster, viewer, film, edge1):
    video = film()
    video_id = video.upload(edge1, video.delegation)
    shown(viewer, edge1, video_id)
    assert video.streamer.delete(edge1, video_id).get("status") == "ok"
    left = "SELECT count(*) FROM thumbnail WHERE copy NOT IN (SELECT n FROM copy)"
    assert query(cluster.edge1, left) == [(0,)]
    held = "SELECT count(*) FROM copy WHERE video_id = ?"
    assert query(cluster.edge1, held, video_id) == [(0,)]


def test_it_outlives_a_restart(extra_edge, cluster, viewer, film):
    edge = extra_edge()
    video = film()
    video_id = video.upload(edge.id, video.delegation)
    before = shown(viewer, edge.id, video_id)
    edge.stop()
    edge.start(cluster.client)
    assert shown(viewer, edge.id, video_id)["thumbnail_part"] == before["thumbnail_part"]


# --- delegations that do not count -------------------------------------------


@pytest.mark.parametrize("wrong", ["edge", "stream", "track", "streamer", "date", "garbage", "original"])
def test_a_wrong_delegation_is_refused_and_counted(cluster, viewer, film, edge1, wrong):
    video = film()
    other = trust.Key()

    def delegate(edge_pk):
        if wrong == "edge":
            return video.delegation(other.pk)
        if wrong == "stream":
            return video.delegation(edge_pk, stream=os.urandom(32))
        if wrong == "track":
            return video.delegation(edge_pk, tracks=(2,))
        if wrong == "streamer":
            return video.delegation(edge_pk, key=other)
        if wrong == "date":
            return video.delegation(edge_pk, not_after=trust.now_us() - 1)
        if wrong == "original":
            return video.delegation(edge_pk, tracks=(0, 1))
        return noise(150)

    before = counters(cluster.edge1)
    video_id = video.upload(edge1, delegate)
    counted(cluster.edge1, "delegations_refused", before)
    assert "thumbnail_part" not in viewer.init(edge1, video_id).reply
    assert counters(cluster.edge1)["thumbnails_made"] == before["thumbnails_made"]


def test_a_streamers_own_is_not_replaced(cluster, client, film, edge1):
    before = counters(cluster.edge1)
    video = film(thumbnail="mine.jpg")
    video_id = video.upload(edge1, video.delegation)
    counted(cluster.edge1, "delegations_refused", before)
    assert find_video(client, edge1, video_id)["thumbnail"] == "mine.jpg"


# --- media without a picture, and hostile media ------------------------------


def bomb(boxes):
    """The film with sizes in its init segment that no memory holds."""
    init, fragments = boxes
    at = init.index(b"avc1") + 4 + 6 + 2 + 16
    return init[:at] + struct.pack(">HH", 65_535, 65_535) + init[at + 4 :], fragments


def broken(boxes):
    """The film with noise for samples."""
    init, fragments = boxes
    return init, [f[: f.index(b"mdat") + 4] + noise(len(f) - f.index(b"mdat") - 4) for f in fragments]


@pytest.mark.parametrize("kind", ["sound", "noise", "bytes", "no keyframe", "broken", "empty moov"])
def test_without_a_picture_there_is_none(cluster, viewer, film, sound, pictures, edge1, kind):
    options = {}
    if kind == "sound":
        boxes = sound
    elif kind == "noise":
        boxes = noise(3_000), [noise(30_000)]
    elif kind == "bytes":
        boxes, options = (noise(3_000), [noise(9)]), {"media_type": "application/octet-stream"}
    elif kind == "broken":
        boxes = broken(pictures)
    elif kind == "empty moov":
        boxes = b"\0\0\0\x08moov", pictures[1]
    else:
        boxes = pictures[0], []
    video = film(boxes, **options)
    if kind == "no keyframe":
        for fragment in pictures[1]:
            video.stream.add(fragment, flags=0)
    before = counters(cluster.edge1)
    video_id = video.upload(edge1, video.delegation)
    counted(cluster.edge1, "thumbnails_failed", before)
    assert "thumbnail_part" not in viewer.init(edge1, video_id).reply
    assert viewer.watch_binary(edge1, video_id)[1].payload() == video.stream.payload


def test_a_bomb_hurts_nobody(cluster, viewer, film, pictures, edge1):
    """Sizes that lie: whatever comes of it, the edge and the next video are well."""
    before = counters(cluster.edge1)
    video = film(bomb(pictures))
    video_id = video.upload(edge1, video.delegation)

    def settled():
        now = counters(cluster.edge1)
        return any(now[n] > before[n] for n in ("thumbnails_failed", "thumbnails_kept"))

    eventually(settled)
    assert viewer.watch_binary(edge1, video_id)[1].payload() == video.stream.payload
    good = film()
    verified(shown(viewer, edge1, good.upload(edge1, good.delegation)), cluster.zone)


def run_program(data, program=PROGRAM):
    return subprocess.run(
        [program], input=data, capture_output=True, timeout=60, env={}, cwd="/"
    )


def test_the_program_survives_what_is_cut_and_flipped(pictures):
    """Every outcome but a picture within the limits or a quiet end is a defect."""
    whole = pictures[0] + pictures[1][0]
    flips = [bytes([whole[i] ^ 0xFF]) for i in range(0, len(whole), max(1, len(whole) // 60))]
    step = max(1, len(whole) // 60)
    inputs = [b"", whole[: len(pictures[0])], whole[:-7]]
    inputs += [whole[: i * step] + flip + whole[i * step + 1 :] for i, flip in enumerate(flips)]
    made = 0
    for data in inputs:
        done = run_program(data)
        assert done.returncode in (0, 1) and not done.stderr, done
        if done.returncode == 0:
            made += 1
            assert len(done.stdout) <= trust.JPEG_BYTES_MAX
            jpeg_size(done.stdout)
    assert made, "not even a cut fragment gave a picture"


# --- the program's limits: others in its place -------------------------------


def script(folder, body):
    path = folder / "thumbnailer.sh"
    path.write_text("#!/bin/sh\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return path


@pytest.fixture
def with_program(extra_edge, film, folder):
    """An edge with that program, and a film uploaded to it."""

    def start(program):
        edge = extra_edge("--thumbnail-program", str(program))
        video = film()
        video.upload(edge.id, video.delegation)
        return edge

    return start


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("cat >/dev/null; exec yes", "wrote too much"),
        ("kill -SEGV $$", "found no picture"),
        ("cat >/dev/null; exit 0", "found no picture"),
        ("exec cat", "wrote too much"),
        ("printf '\\377\\330\\377\\331'; exit 0", "found no picture"),
        ("while :; do :; done", "found no picture"),  # RLIMIT_CPU
    ],
    ids=["floods", "crashes", "silent", "echoes", "lies", "spins"],
)
def test_a_program_that_misbehaves(with_program, folder, body, says):
    edge = with_program(script(folder, body))
    edge.process.wait_line(f"no thumbnail of .*{says}")
    assert counters(edge)["thumbnails_failed"] == 1


def test_a_program_that_hangs_is_killed_with_all_it_started(with_program, folder):
    edge = with_program(script(folder, "sleep 1000 & wait"))
    child = eventually(lambda: children(edge.process.pid))[0]
    grandchild = eventually(lambda: children(child))[0]
    edge.process.wait_line("no thumbnail of .*took too long", timeout=40)
    assert counters(edge)["thumbnails_failed"] == 1
    assert not children(edge.process.pid)
    eventually(lambda: gone(grandchild))


def children(pid):
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, timeout=10)
    return done.stdout.split()


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_stopping_kills_the_child(with_program, folder):
    edge = with_program(script(folder, "sleep 1000 & wait"))
    child = eventually(lambda: children(edge.process.pid))[0]
    grandchild = eventually(lambda: children(child))[0]
    edge.stop()
    eventually(lambda: gone(child) and gone(grandchild))




def test_the_child_has_nothing_of_the_edges(with_program, folder):
    """Descriptors 0, 1 and 2, /dev/null behind the last, no environment, limits in force."""
    edge = with_program(script(folder, "sleep 1000"))
    child = int(eventually(lambda: children(edge.process.pid))[0])
    eventually(lambda: open(f"/proc/{child}/cmdline", "rb").read().startswith((b"/bin/sh", b"sleep")))
    names = {fd: os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
    names.pop("10", None), names.pop("255", None)  # the shell's own, on its script
    assert set(names) == {"0", "1", "2"}, names
    assert names["0"].startswith("pipe:") and names["1"].startswith("pipe:")
    assert names["2"] == "/dev/null"
    environment = open(f"/proc/{child}/environ", "rb").read()
    assert b"ZONE" not in environment and b"HOME" not in environment, environment
    limits = open(f"/proc/{child}/limits", encoding="ascii").read()
    for name, value in [("core file size", "0"), ("cpu time", "5"), ("file size", "0"), ("open files", "16")]:
        line = next(line for line in limits.splitlines() if line.lower().startswith(f"max {name}"))
        assert line[len(f"max {name}") :].split()[0] == value, line
    assert os.getpriority(os.PRIO_PROCESS, child) == 10, "media comes first"
    os.kill(child, signal.SIGKILL)
    edge.process.wait_line("no thumbnail of")


def test_without_the_program_nothing_else_changes(with_program, film, folder):
    edge = with_program(folder / "not-there")
    edge.process.wait_line("no thumbnails are made")
    video = film()
    video.upload(edge.id, video.delegation)
    eventually(lambda: counters(edge)["thumbnails_failed"] == 2)
    said = [line for line in edge.process.lines if "no thumbnails are made" in line]
    assert len(said) == 1, said


# --- lives -------------------------------------------------------------------


class LiveFilm(Film):
    def __init__(self, streamer, edge, boxes):
        super().__init__(streamer, (boxes[0], []), live=1)
        self.edge, self.fragments = edge, boxes[1]

    def start(self):
        reply = self.streamer.init(self.edge, self.stream, live=True)
        assert reply.get("status") == "ok", reply
        credential = trust.open_credential(trust.unb64(reply.get("edge_credential")), self.streamer.zone)
        self.edge_pk = credential["pk"]
        self.send(self.stream.chunks[0])
        return self

    def send(self, chunk):
        for part in chunk.parts:
            self.streamer.send_part(self.edge, self.stream, part, topic="live/upload")

    def keyframe(self):
        self.send(self.stream.add(self.fragments[0]))

    def delegate(self, **over):
        fields = {
            "video_id": self.stream.video_id,
            "streamer_id": self.streamer.id,
            "delegation": trust.b64(self.delegation(self.edge_pk, **over)),
        }
        self.streamer.client.publish(f"live/upload/{self.edge}", fields)


def test_a_live_shows_one_while_it_runs(cluster, client, streamer, viewer, pictures, edge1):
    live = LiveFilm(streamer, edge1, pictures).start()
    video_id = live.stream.video_id
    live.keyframe()
    eventually(lambda: find_video(client, edge1, video_id))
    assert find_video(client, edge1, video_id)["thumbnail"] == ""
    live.delegate()
    live.keyframe()
    text = eventually(lambda: find_video(client, edge1, video_id)["thumbnail"])
    client.subscribe(f"live/watch/{edge1}/{video_id}", viewer.topic(edge1))
    answers = f"video/watch/{edge1}/{client.id}"
    client.subscribe(answers)
    joined = client.ask(
        f"live/watch/{edge1}",
        {"video_id": video_id, "client_id": client.id, "action": "watch"},
        answers,
        lambda m: m.get("status") == "ok",
    )
    assert text == DATA_URL + trust.b64(verified(joined.json, cluster.zone))
    assert query(cluster.edge1, "SELECT count(*) FROM thumbnail t JOIN copy k ON k.n = t.copy WHERE k.video_id = ?", video_id) == [(0,)]
    live.send(live.stream.end())
    eventually(lambda: not find_video(client, edge1, video_id))


def test_a_live_delegation_of_somebody_else_counts_for_nothing(cluster, streamer, pictures, edge1):
    live = LiveFilm(streamer, edge1, pictures).start()
    before = counters(cluster.edge1)
    live.delegate(key=trust.Key())
    counted(cluster.edge1, "messages_rejected", before)
    live.delegate(tracks=(2,))
    counted(cluster.edge1, "delegations_refused", before)
    live.keyframe()
    live.send(live.stream.end())


# --- edgectl -----------------------------------------------------------------


def test_edgectl_delegates_by_default(ctl, cluster, clip, edge1, folder):
    done = ctl.json("upload", str(clip), "--edge", edge1)
    out = folder / "thumbnail.jpg"

    def watched():
        view = ctl.json("watch", done["id"], "--edge", edge1)
        return view if view["thumbnail"] == "delegated" else None

    eventually(watched)
    ctl.json("watch", done["id"], "--edge", edge1, "--thumbnail-out", str(out))
    assert jpeg_size(out.read_bytes()) == (240, 180)
    assert ctl.json("verify", done["id"], "--edge", edge1)["thumbnail"] == "delegated"


def test_edgectl_does_not_where_it_is_told_so(ctl, cluster, clip, edge1, folder):
    before = counters(cluster.edge1)
    picture = folder / "given.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + b"x" * 40)
    given = ctl.json("upload", str(clip), "--edge", edge1, "--thumbnail", str(picture))["id"]
    none = ctl.json("upload", str(clip), "--edge", edge1, "--no-delegate")["id"]
    assert ctl.json("verify", given, "--edge", edge1)["thumbnail"] == "given"
    assert ctl.json("watch", none, "--edge", edge1)["thumbnail"] == "none"
    out = str(folder / "none.jpg")
    ctl.run("watch", none, "--edge", edge1, "--thumbnail-out", out, expect=FAILED)
    ctl.run("watch", given, "--edge", edge1, "--thumbnail-out", out, expect=FAILED)
    assert not os.path.exists(out)
    assert counters(cluster.edge1)["delegations_refused"] == before["delegations_refused"]


def test_edgectl_live_delegates(ctl, client, clip, edge1, video_id):
    process = ctl.start("live", str(clip), "--loop", "--id", video_id, "--edge", edge1)
    try:
        row = eventually(
            lambda: (find_video(client, edge1, video_id) or {}).get("thumbnail", "").startswith(DATA_URL)
        )
        assert row
        view = ctl.json("watch", video_id, "--edge", edge1, "--duration", "1")
        assert view["thumbnail"] == "delegated"
        process.stop()
    finally:
        process.reap()
