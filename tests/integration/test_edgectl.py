"""edgectl end to end, and against this second implementation of the contract."""
import hashlib
import json
import re
import subprocess
import threading

import pytest
from ctl import FAILED, NOBODY, OK, UNVERIFIED, USAGE, Edgectl
from ec import roles, trust
from ec.client import TIMEOUT_S, Client, eventually, fresh_id
from ec.cluster import BUILD, SANITIZER, Broker, Process, clean_environment, die_with_parent
from ec.media import noise


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def probe(path):
    """What ffprobe finds in a file: (codec types, seconds of its packets)."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", path],
        capture_output=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    found = json.loads(done.stdout)
    times = [float(p["pts_time"]) for p in found["packets"] if p["codec_type"] == "video"]
    assert not done.stderr, done.stderr
    return {s["codec_name"] for s in found["streams"]}, max(times) - min(times)


# --- login, ping, list -------------------------------------------------------


def test_login_keeps_a_credential(cluster, folder):
    tool = Edgectl(cluster.broker.url, folder)
    cluster.auth.add_user("other-ctl", "another secret")
    (folder / "password").write_text("another secret\n")
    first = tool.json("login", "--user", "other-ctl", "--password-file", "password")
    assert first["zone"] == cluster.zone["zone_id"]
    assert tool.json("login", "--user", "other-ctl", "--password-file", "password")[
        "streamer_id"
    ] == first["streamer_id"]
    for path in (folder / "home").iterdir():
        assert path.stat().st_mode & 0o077 == 0, f"{path} is for everybody to read"


def test_login_with_a_wrong_password_fails(cluster, folder):
    tool = Edgectl(cluster.broker.url, folder)
    (folder / "password").write_text("wrong\n")
    tool.run("login", "--user", "nobody", "--password-file", "password", expect=FAILED)


def test_upload_without_login_fails(cluster, folder):
    (folder / "file").write_bytes(b"x")
    Edgectl(cluster.broker.url, folder).run("upload", "file", expect=FAILED)


def test_another_zone_key_is_not_accepted(ctl):
    key = trust.b64(trust.Key().pk)
    ctl.folder.joinpath("file").write_bytes(b"x")
    done = subprocess.run(
        [BUILD / "edgectl", "upload", "file", "--zone-key", key, "--timeout", "3"],
        cwd=ctl.folder,
        env={**clean_environment(), **ctl.env},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode in (FAILED, NOBODY, UNVERIFIED), done


def test_ping_lists_every_edge_best_first(ctl, cluster):
    edges = ctl.json("ping")
    assert {e["edge_id"] for e in edges} >= {"edge1", "edge2"}
    scores = [e["score"] for e in edges]
    assert scores == sorted(scores)
    for edge in edges:
        assert edge["zone"] == cluster.zone["zone_id"]
        assert 0 <= edge["rtt_ms"] < 10_000
    text = ctl.run("ping").stdout.decode()
    assert "edge1" in text and "edge2" in text


@pytest.mark.parametrize("command", ["ping", "list"])
def test_no_broker_is_status_3_within_the_timeout(ctl, command):
    ctl.env["MQTT_BROKER"] = "mqtt://127.0.0.1:1"
    done = ctl.run(command, "--timeout", "1", expect=NOBODY)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], [], ["upload"], ["watch"], ["ping", "--no-such-option"],
        ["watch", "a/b"], ["upload", "file", "--id", "a b"],
        ["ping", "--topic-prefix", "a/b/c/d/e"], ["ping", "--topic-prefix", "a/"],
        ["ping", "--mqtt-password", "secret"], ["ping", "--mqtt-password-file", "no-such-file"],
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2(ctl, arguments):
    ctl.folder.joinpath("file").write_bytes(b"x")
    assert ctl.run(*arguments, expect=USAGE).stderr


@pytest.fixture
def locked_broker(folder):
    """A broker that lets in only who knows the password."""
    broker = Broker.reserved(folder)
    users, config = folder / "users", folder / "locked.conf"
    users.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", users, "ctl", "let me in"], check=True, timeout=60)
    config.write_text(f"listener {broker.port} 127.0.0.1\nuser root\npassword_file {users}\n")
    broker.process = Process(["/usr/sbin/mosquitto", "-c", config], folder)
    broker.process.wait_line("running")
    yield broker
    broker.close()


@pytest.mark.parametrize(
    ("where", "password", "let_in"),
    [
        ("file", "let me in\n", True), ("file", "wrong", False),
        ("MQTT_PASSWORD", "let me in", True), ("MQTT_PASSWORD", "wrong", False),
        (".env", "let me in", True),
    ],
)  # fmt: skip
def test_the_password_at_the_broker(folder, locked_broker, where, password, let_in):
    """From a file or a variable, never from the command line, which everybody can read."""
    tool = Edgectl(locked_broker.url, folder)
    arguments = ["ping", "--timeout", "1", "--mqtt-user", "ctl"]
    if where == "file":
        (folder / "password").write_text(password)
        arguments += ["--mqtt-password-file", "password"]
    elif where == ".env":
        (folder / ".env").write_text(f"MQTT_PASSWORD='{password}'\n")
    else:
        tool.env[where] = password
    said = tool.run(*arguments, expect=NOBODY).stderr  # nobody is there to answer in any case
    assert ("no connection" not in said) == let_in, said
    assert ("not authorised" not in said) == let_in, said


def test_a_file_that_is_not_there(ctl):
    done = ctl.run("upload", "no-such-file", expect=FAILED)
    assert "no-such-file" in done.stderr


# --- upload, list, watch, verify ---------------------------------------------


def test_a_clip_there_and_back(ctl, clip, video_id, client, edge1, edge2):
    sent = ctl.json("upload", clip, "--id", video_id, "--title", "Été", "--edge", edge1)
    assert re.fullmatch("[0-9a-f]{64}", sent["sha256"])
    assert sent["media_type"] == "video/mp4"
    assert sent["codecs"].startswith("avc1.")
    eventually(lambda: roles.find_video(client, edge2, video_id))
    rows = {row["id"]: row for row in ctl.json("list", "--edge", edge2)}
    assert rows[video_id]["title"] == "Été"
    out, proof = ctl.folder / f"{video_id}.mp4", ctl.folder / f"{video_id}.proof"
    got = ctl.json("watch", video_id, "--edge", edge2, "-o", out, "--proof", proof)
    assert (got["verified"], got["rejected"]) == (True, 0)
    assert got["sha256"] == sent["sha256"] == sha256(out)
    codecs, seconds = probe(out)
    assert codecs == {"h264", "aac"}
    assert 3.8 < seconds < 4.1
    assert not out.with_name(out.name + ".part").exists()
    ctl.run("verify", out, "--proof", proof)
    text = ctl.run("verify", video_id).stdout.decode()
    assert sent["sha256"] in text
    check_proof(proof.read_bytes(), out.read_bytes(), client)


def check_proof(data, payload, client):
    """A proof file, verified by this implementation."""
    zone = roles.fetch_zone(client)
    proof = trust.open_proof(data)
    assert trust.open_zone(proof["zone"])["sign_pk"] == zone["sign_pk"]
    streamer = trust.open_credential(proof["credential"], zone)["pk"]
    video = trust.open_signed("video", proof["video"], streamer)
    assert trust.object_hash("manifest", proof["manifest"][:-64]) == video["manifest_hash"]
    manifest = trust.open_signed("manifest", proof["manifest"], streamer)
    prev, at = trust.ZERO, 0
    for statement, signature in proof["chunks"]:
        assert trust.holds(streamer, "chunk", statement, signature)
        chunk = trust.check_chunk(trust.decode("chunk", statement))
        assert chunk["prev"] == prev
        prev = trust.object_hash("chunk", statement)
        size, end = chunk["part_bytes"], at + chunk["payload_len"]
        slices = [payload[i : min(i + size, end)] for i in range(at, end, size)] or [b""]
        assert trust.Tree(slices).root() == chunk["root"]
        at = end
    assert at == len(payload) == manifest["bytes"]
    assert manifest["root"] == trust.manifest_root([s for s, _ in proof["chunks"]])


def test_a_clip_is_cut_at_keyframes(ctl, clip, video_id, viewer, edge1):
    """What edgectl signs keeps the rules of §2.2, seen from outside."""
    ctl.run("upload", clip, "--id", video_id, "--edge", edge1)
    video, assembly = viewer.watch_binary(edge1, video_id)
    chunks = [assembly.parts[n, 0].chunk for n in range(1, video.manifest["chunks"] + 1)]
    assert chunks[0]["kind"] == trust.INIT
    media = [c for c in chunks if c["kind"] == trust.MEDIA]
    assert {c["init_number"] for c in media} == {1}
    assert [c["flags"] & trust.KEYFRAME for c in media] == [1] * len(media)
    assert 3_800_000 < sum(c["duration_us"] for c in media) < 4_200_000
    assert assembly.payload()[4:8] == b"ftyp"


@pytest.mark.parametrize("size", [1, 61_440, 5_000_000])
def test_any_file_comes_back_as_it_was(ctl, video_id, edge1, size):
    source, out = ctl.folder / f"{video_id}.bin", ctl.folder / f"{video_id}.out"
    source.write_bytes(noise(size))
    sent = ctl.json("upload", source, "--id", video_id, "--edge", edge1)
    assert sent["media_type"] == "application/octet-stream"
    assert sent["sha256"] == sha256(source)
    ctl.run("watch", video_id, "--edge", edge1, "-o", out)
    assert out.read_bytes() == source.read_bytes()


def test_watch_to_standard_output(ctl, video_id, edge1):
    source = ctl.folder / "stdout.bin"
    source.write_bytes(noise(300_000))
    ctl.run("upload", source, "--id", video_id, "--edge", edge1)
    assert ctl.run("watch", video_id, "--edge", edge1, "-o", "-").stdout == source.read_bytes()


def test_a_small_text_file_is_no_media(ctl, video_id, edge1):
    source = ctl.folder / "notes.txt"
    source.write_text("no film at all\n")
    sent = ctl.json("upload", source, "--id", video_id, "--edge", edge1)
    assert sent["media_type"] == "application/octet-stream"


def test_it_watches_what_python_signed(ctl, streamer, edge1, edge2, client):
    stream = streamer.stream(part_bytes=4_096).fill(1, 70_000, 4_096)
    streamer.upload(edge1, stream, "json")
    eventually(lambda: roles.find_video(client, edge2, stream.video_id))
    out = ctl.folder / f"{stream.video_id}.out"
    ctl.run("watch", stream.video_id, "--edge", edge2, "-o", out)
    assert out.read_bytes() == stream.payload


def test_an_upload_whose_receipt_was_lost_is_done(ctl, video_id, edge1):
    """The edge has it all and said so, but nobody heard: the same command must succeed."""
    source = ctl.folder / f"{video_id}.bin"
    source.write_bytes(noise(30_000_000))
    command = ["upload", source, "--id", video_id, "--edge", edge1]
    state = ctl.folder / "home" / "uploads" / video_id
    first = ctl.start(*command, "--json")
    kept = eventually(lambda: state.read_bytes() if state.exists() else None, pause=0)
    assert first.wait() == OK, first.output
    assert not state.exists()
    state.write_bytes(kept)  # as it would be, had the receipt not come
    again = ctl.json(*command)
    assert again["resumed"]
    assert again["receipt_at"] == json.loads(first.lines[-1])["receipt_at"]
    assert again["sha256"] == sha256(source)
    assert not state.exists()


def test_an_id_that_is_taken(ctl, streamer, edge1):
    stream = streamer.stream().fill(1000)
    streamer.upload(edge1, stream)
    (ctl.folder / "mine").write_bytes(b"mine")
    ctl.run("upload", "mine", "--id", stream.video_id, "--edge", edge1, expect=FAILED)


def test_an_unknown_video(ctl):
    ctl.run("watch", "no-such-video", expect=FAILED)


def test_nothing_is_left_where_nothing_can_be_written(ctl, video_id, edge1):
    (ctl.folder / "x").write_bytes(b"x" * 1000)
    ctl.run("upload", "x", "--id", video_id, "--edge", edge1)
    ctl.run("watch", video_id, "-o", "/proc/no/such/place", expect=FAILED)


@pytest.fixture(scope="module")
def saved(cluster, home, clip):
    """A clip that was watched into a file, with its proof."""
    tool = Edgectl(cluster.broker.url, home)
    tool.run("upload", clip, "--id", "ctl-saved", "--edge", "edge1")
    out, proof = home / "saved.mp4", home / "saved.proof"
    tool.run("watch", "ctl-saved", "--edge", "edge1", "-o", out, "--proof", proof)
    return out, proof


@pytest.mark.parametrize("where", [0, 5_000, -1])
def test_verify_says_where_a_byte_was_flipped(ctl, saved, where):
    out, proof = saved
    data = bytearray(out.read_bytes())
    data[where] ^= 1
    bad = ctl.folder / "bad.mp4"
    bad.write_bytes(data)
    done = ctl.run("verify", bad, "--proof", proof, expect=UNVERIFIED)
    chunk, first, last = map(int, re.search(r"chunk (\d+), bytes (\d+) to (\d+)", done.stderr).groups())
    assert first <= where % len(data) < last + 1
    assert chunk >= 1


@pytest.mark.parametrize("how", ["shorter", "longer", "empty", "other proof", "cut proof", "flipped proof"])
def test_verify_refuses_what_does_not_fit(ctl, saved, how):
    out, proof = (path.read_bytes() for path in saved)
    if how == "shorter":
        out = out[:-1]
    elif how == "longer":
        out += b"\0"
    elif how == "empty":
        out = b""
    elif how == "other proof":
        opened = trust.open_proof(proof)
        proof = trust.make_proof(opened, opened["chunks"][:-1])
    elif how == "cut proof":
        proof = proof[:-10]
    else:
        proof = bytearray(proof)
        proof[len(proof) // 2] ^= 1
    (ctl.folder / "v.mp4").write_bytes(out)
    (ctl.folder / "v.proof").write_bytes(proof)
    assert ctl.run("verify", "v.mp4", "--proof", "v.proof", expect=UNVERIFIED).stderr


def test_a_proof_of_a_stranger_is_worth_nothing(ctl, saved, folder):
    """Signed throughout, by a zone that is not ours."""
    out, proof = saved
    key = trust.Key()
    opened = trust.open_proof(proof.read_bytes())
    zone = trust.decode("zone", opened["zone"][:-64])
    forged = key.signed("zone", trust.encode("zone", **{**zone, "sign_pk": key.pk}))
    credential = key.signed("credential", opened["credential"][:-64])
    data = trust.make_proof({**opened, "zone": forged, "credential": credential}, opened["chunks"])
    (folder / "forged.proof").write_bytes(data)
    ctl.run("verify", out, "--proof", folder / "forged.proof", expect=UNVERIFIED)


# --- an edge that lies -------------------------------------------------------


class LyingEdge:
    """Relays another edge's answers to one viewer, and tampers with the packets."""

    def __init__(self, cluster, viewer, video_id, tamper):
        self.id = "liar-" + fresh_id()[:6]
        video, assembly = viewer.watch_binary("edge1", video_id)
        self.reply, self.tamper = video.reply, tamper
        self.parts = [assembly.parts[p].packet for p in sorted(assembly.parts)]
        self.positions = sorted(assembly.parts)
        self.client = Client(cluster.broker.port)
        self.client.subscribe(f"video/watch/{self.id}", "video/request/ping")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._done.is_set():
            try:
                message = self.client.expect("video/#", timeout=0.2)
            except AssertionError:
                continue
            self._answer(message)

    def _answer(self, message):
        ask = message.json
        if message.topic == "video/request/ping":
            load = {"total": 1, "available": 1, "percent": 0, "used": 0, "free": 1}
            answer = {
                "status": "ok", "edge_id": self.id, "cpu_usage_percent": 0, "memory_usage": load,
                "disk_usage": load, "timestamp": "2026-01-01T00:00:00Z", "zone": "zone1",
                "version": "0", "streams": 0, "viewers": 0, "uptime_s": 1,
                "token": self.reply["token"],
            }  # fmt: skip
            self.client.publish(f"video/request/ping/{ask['client_id']}", answer)
            return
        topic = f"video/watch/{self.id}/{ask['client_id']}"
        if str(ask["init"]) == "1":
            self.client.publish(topic, {**self.reply, "EDGE_ID": self.id})
        elif "credit" not in ask:
            start = (int(ask["chunk_part"]), int(ask.get("part", 0)))
            for position, packet in zip(self.positions, self.parts):
                if position >= start:
                    for sent in self.tamper(position, packet):
                        self.client.publish(topic, sent)
            end = {"video_id": ask["video_id"], "pull": ask["pull"], "end": "1"}
            self.client.publish(topic, end)

    def close(self):
        self._done.set()
        self._thread.join(5)
        self.client.close()


def flip(packet):
    return packet[:-1] + bytes([packet[-1] ^ 1])


LIES = {
    "a flipped bit": lambda position, packet: [flip(packet) if position == (2, 0) else packet],
    "the end is missing": lambda position, packet: [packet] if position < (3, 0) else [],
    "a hole": lambda position, packet: [packet] if position != (2, 0) else [],
    "all garbage": lambda position, packet: [b"EVC1" + packet[40:]],
}


def test_nothing_unverified_is_written(ctl, cluster, streamer, viewer, edge1):
    """Each lie to a viewer of its own, at the same time: each gives up only after a while."""
    stream = streamer.stream().fill(10_000, 10_000, 10_000)
    streamer.upload(edge1, stream)
    liars = {lie: LyingEdge(cluster, viewer, stream.video_id, LIES[lie]) for lie in LIES}
    try:
        watchers = {
            lie: ctl.start("watch", stream.video_id, "--edge", liar.id, "-o", f"{liar.id}.out")
            for lie, liar in liars.items()
        }
        for lie, watcher in watchers.items():
            assert watcher.wait(60) in (FAILED, NOBODY, UNVERIFIED), (lie, watcher.output)
            watcher.check_output()
            assert watcher.output, lie
            assert not (ctl.folder / f"{liars[lie].id}.out").exists(), lie
            if lie != "a hole":
                assert watcher.wait() == UNVERIFIED, lie
            if lie == "the end is missing":
                assert "truncated at chunk 3" in watcher.output
    finally:
        for liar in liars.values():
            liar.close()


# --- live --------------------------------------------------------------------


def test_a_live_and_its_viewers(ctl, clip, video_id, cluster, client, edge1):
    """A looping live; somebody who watches for 2 s has something that plays."""
    client.subscribe(f"live/watch/{edge1}/{video_id}")
    live = ctl.start("live", clip, "--id", video_id, "--loop", "--edge", edge1, "--title", "On air")
    try:
        eventually(lambda: roles.find_video(client, edge1, video_id))
        rows = {row["id"]: row for row in ctl.json("list", "--edge", edge1)}
        assert rows[video_id]["live"]
        outs = [ctl.folder / f"{video_id}-{i}.mp4" for i in range(2)]
        watchers = [
            ctl.start("watch", video_id, "--edge", edge1, "-o", out, "--duration", "2", "--json")
            for out in outs
        ]
        for watcher, out in zip(watchers, outs):
            assert watcher.wait() == OK, watcher.output
            watcher.check_output()
            watched = json.loads(watcher.lines[-1])
            assert watched["verified"] and watched["rejected"] == 0
            codecs, seconds = probe(out)
            assert codecs == {"h264", "aac"}
            assert 1.5 < seconds < 4
    finally:
        started = live.alive
        live.stop()
    assert started
    client.expect(f"live/watch/{edge1}/{video_id}", lambda m: m.get("end") == 1)
    eventually(lambda: roles.find_video(client, edge1, video_id) is None)


def test_a_live_that_ends_by_itself(ctl, clip, video_id, client, edge1):
    """The whole of a file, as verified by this implementation."""
    topic = f"live/watch/{edge1}/{video_id}"
    client.subscribe(topic)
    live = ctl.start("live", clip, "--id", video_id, "--edge", edge1)
    first = client.expect(topic)
    watch = ctl.start("watch", video_id, "--edge", edge1, "-o", f"{video_id}.mp4")
    assert live.wait() == OK, live.output
    client.expect(topic, lambda m: m.get("end") == 1)
    assert watch.wait() == OK, watch.output
    assembly = roles.Assembly(roles.Video(first.json, roles.fetch_zone(client)))
    for message in client.take_all(topic, lambda m: m.binary):
        assembly.add(message.payload)
    path = ctl.folder / f"{video_id}-all.mp4"
    path.write_bytes(assembly.payload())
    codecs, seconds = probe(path)
    assert codecs == {"h264", "aac"}
    assert 3.8 < seconds < 4.1
    assert probe(ctl.folder / f"{video_id}.mp4")[0] == {"h264", "aac"}
    last = max(assembly.parts)
    assert assembly.parts[last].chunk["kind"] == trust.END


def test_a_live_from_standard_input(ctl, clip, video_id, client, edge1):
    topic = f"live/watch/{edge1}/{video_id}"
    client.subscribe(topic)
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", clip, "-c", "copy", "-f", "mpegts", "-"],
        capture_output=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    ctl.run("live", "-", "--id", video_id, "--edge", edge1, stdin=done.stdout)
    client.expect(topic, lambda m: m.get("end") == 1)
    assert client.take(topic, lambda m: m.binary)


def test_it_watches_a_live_that_python_signs(ctl, streamer, client, edge1):
    """Octets are live as well as a film."""
    stream = streamer.stream(live=1, media_type="application/octet-stream")
    assert streamer.init(edge1, stream, live=True).get("status") == "ok"
    topic = f"live/upload/{edge1}"
    chunk = stream.add(noise(20_000))
    for part in chunk.parts:
        client.publish(topic, part.packet)
    eventually(lambda: roles.find_video(client, edge1, stream.video_id))
    client.subscribe(f"live/watch/{edge1}")
    out = ctl.folder / f"{stream.video_id}.out"
    watch = ctl.start("watch", stream.video_id, "--edge", edge1, "-o", out, "--json")
    client.expect(f"live/watch/{edge1}", lambda m: m.get("video_id") == stream.video_id)
    for i in range(3):
        for part in stream.add(noise(20_000, i)).parts:
            client.publish(topic, part.packet)
    client.publish(topic, stream.end().parts[0].packet)
    assert watch.wait() == OK, watch.output
    assert out.read_bytes() in (stream.payload, stream.payload[20_000:])


@pytest.fixture(scope="module")
def transport(clip):
    """The clip as what a camera sends: a stream of packets that begins anywhere."""
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", clip, "-c", "copy", "-f", "mpegts", "-"],
        capture_output=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


class Camera:
    """`edgectl live -`, fed by hand."""

    def __init__(self, ctl, *arguments):
        self._popen = subprocess.Popen(
            [str(a) for a in (BUILD / "edgectl", "live", "-", "--json", *arguments)],
            cwd=ctl.folder,
            env={**clean_environment(), **ctl.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )

    def feed(self, data):
        self._popen.stdin.write(data)
        self._popen.stdin.flush()

    def close(self, expect=OK):
        """Its summary, and what it said."""
        out, err = self._popen.communicate(timeout=TIMEOUT_S)
        assert not SANITIZER.search(err.decode()), err
        assert self._popen.returncode == expect, (self._popen.returncode, err)
        return json.loads(out), err.decode()

    def reap(self):
        self._popen.kill()
        self._popen.wait()


@pytest.fixture
def camera(ctl):
    started = []

    def start(*arguments):
        started.append(Camera(ctl, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.reap()


def cut_in_two(transport):
    """Between packets, about in the middle."""
    half = len(transport) // 2 // 188 * 188
    return transport[:half], transport[half:]


def test_a_live_goes_on_after_a_pause(camera, transport, video_id, client, edge1):
    """The edge ends a live that is silent for 10 s; the camera begins it again, also for joiners."""
    topic = f"live/watch/{edge1}/{video_id}"
    client.subscribe(topic)
    before, after = cut_in_two(transport)
    source = camera("--id", video_id, "--edge", edge1)
    source.feed(before)
    video = roles.Video(client.expect(topic).json, roles.fetch_zone(client))
    client.expect(topic, lambda m: m.get("end") == 1)
    first = [trust.Part(m.payload) for m in client.take_all(topic, lambda m: m.binary)]
    source.feed(after)
    summary, said = source.close()
    # What is cut before the edge has granted the second beginning is dropped; on a busy machine.
    assert summary["dropped_fragments"] <= 2, said
    client.expect(topic, lambda m: m.binary and trust.Part(m.payload).chunk["kind"] == trust.END)
    rest = [trust.Part(m.payload) for m in client.take_all(topic, lambda m: m.binary)]
    for part in first + rest:
        part.verify(video.pk, video.stream)
    numbers = [part.chunk["number"] for part in first + rest]
    assert sorted(set(numbers)) == list(range(1, summary["chunks"]))
    inits = [p.chunk["number"] for p in rest if p.chunk["kind"] == trust.INIT]
    assert len(inits) == 1
    keyframe = next(p.chunk for p in rest if p.chunk["number"] == inits[0] + 1)
    assert keyframe["flags"] & trust.KEYFRAME
    assert {p.chunk["init_number"] for p in rest if p.chunk["number"] > inits[0]} == {inits[0]}


def test_who_joins_after_a_pause_can_play(camera, ctl, transport, video_id, client, edge1):
    topic = f"live/watch/{edge1}"
    client.subscribe(topic, f"{topic}/{video_id}")
    before, after = cut_in_two(transport)
    begin, end = after[: -len(after) // 4 // 188 * 188], after[-len(after) // 4 // 188 * 188 :]
    source = camera("--id", video_id, "--edge", edge1)
    source.feed(before)
    client.expect(f"{topic}/{video_id}", lambda m: m.get("end") == 1)
    client.take_all(f"{topic}/{video_id}")
    source.feed(begin)
    client.expect(
        f"{topic}/{video_id}",
        lambda m: m.binary and trust.Part(m.payload).chunk["flags"] & trust.KEYFRAME,
    )
    out = ctl.folder / f"{video_id}.mp4"
    watch = ctl.start("watch", video_id, "--edge", edge1, "-o", out)
    client.expect(topic, lambda m: m.get("video_id") == video_id)
    source.feed(end)
    source.close()
    assert watch.wait() == OK, watch.output
    assert probe(out)[0] == {"h264", "aac"}


def test_strangers_do_not_steer_a_live(ctl, clip, video_id, client, extra_edge):
    """Nobody signs a status or an error: the edge is asked, and nothing is dropped."""
    edge = extra_edge().id
    topic, watched = f"live/upload/{edge}", f"live/watch/{edge}/{video_id}"
    client.subscribe(topic, watched)
    live = ctl.start("live", clip, "--id", video_id, "--edge", edge, "--json")
    streamer = client.expect(topic, lambda m: m.get("video_id") == video_id).get("streamer_id")
    client.expect(watched, lambda m: m.binary)
    zone = roles.ping_edge(client, edge).get("zone")
    for status, uptime_s in (("offline", 1), ("online", 0)):
        client.publish(
            f"edge/status/{edge}",
            {"EDGE_ID": edge, "status": status, "zone": zone, "ts": 1, "videos": 0, "streams": 0,
             "viewers": 0, "uptime_s": uptime_s},
        )  # fmt: skip
    for code in ("unknown_video", "not_ready", "unauthorized", "conflict", "bad_request"):
        client.publish(
            f"{topic}/{streamer}",
            {"status": "error", "code": code, "message": "no", "video_id": video_id},
        )
    for number in (1, 4_000_000_000):
        client.publish(
            f"{topic}/{streamer}",
            {"status": "ok", "video_id": video_id, "EDGE_ID": edge, "next": number},
        )
    client.expect(topic, lambda m: m.get("video_id") == video_id)  # asked
    assert live.wait() == OK, live.output
    summary = json.loads(live.lines[-1])
    assert (summary["dropped_fragments"], summary["drops"]) == (0, 0)
    client.expect(watched, lambda m: m.get("end") == 1)
    relayed = [trust.Part(m.payload).chunk for m in client.take_all(watched, lambda m: m.binary)]
    assert sum(c["duration_us"] for c in relayed if c["kind"] == trust.MEDIA) > 3_500_000
    assert not [c for c in relayed if c["flags"] & trust.DISCONTINUITY]


def test_a_live_says_that_the_edge_refused(camera, transport, video_id, client, edge1):
    topic = f"live/upload/{edge1}"
    client.subscribe(topic, f"live/watch/{edge1}/{video_id}")
    source = camera("--id", video_id, "--edge", edge1)
    before, after = cut_in_two(transport)
    source.feed(before)
    streamer = client.expect(topic, lambda m: m.get("video_id") == video_id).get("streamer_id")
    client.expect(f"live/watch/{edge1}/{video_id}", lambda m: m.binary)
    client.subscribe(f"{topic}/{streamer}")
    client.publish(
        f"{topic}/{streamer}",
        {"status": "error", "code": "bad_request", "message": "your clock", "video_id": video_id},
    )
    client.expect(f"{topic}/{streamer}")
    source.feed(after)
    assert "your clock" in source.close()[1]


def test_a_live_whose_edge_is_gone_says_so(camera, transport, video_id, client, edge1, extra_edge):
    edge = extra_edge()
    client.subscribe(f"live/watch/{edge.id}/{video_id}")
    source = camera("--id", video_id, "--edge", edge.id)
    before, after = cut_in_two(transport)
    source.feed(before)
    client.expect(f"live/watch/{edge.id}/{video_id}", lambda m: m.binary)
    edge.kill()
    # Longer than the edge may not have heard of it, by the clock of another edge.
    client.subscribe(f"edge/status/{edge1}")
    since = client.expect(f"edge/status/{edge1}").json["ts"]
    client.expect(f"edge/status/{edge1}", lambda m: m.get("ts") > since + 5_500)
    source.feed(after)
    assert edge.id in source.close(NOBODY)[1]
