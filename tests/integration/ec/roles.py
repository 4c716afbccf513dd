"""Those who talk to edges: somebody who logs in, a streamer, a viewer, another edge."""
import json
import secrets
import time

from . import sync, trust
from .client import TIMEOUT_S, Client, fresh_id
from .media import Stream

RTO_S = 3.0


def fetch_zone(client):
    """The zone's parameters, asked for without a pin."""
    client.subscribe(f"auth/params/{client.id}")
    reply = client.ask("auth/params", {"client_id": client.id}, f"auth/params/{client.id}")
    assert reply.get("status") == "ok", reply
    return trust.open_zone(trust.unb64(reply.get("parametre")))


def login_request(zone, key, client_id, user, password, **sign):
    """The inner object of a login, and the hash of its request."""
    fields = {"user": user, "password": password, "pk": trust.b64(key.pk), "client_id": client_id}
    return trust.sign_request(key, "auth/user", zone["zone_id"], fields, **sign)


def sealed(zone, inner):
    data = inner if isinstance(inner, bytes) else json.dumps(inner).encode()
    return {"sealed": trust.b64(trust.seal(data, zone["box_pk"]))}


def login(client, zone, key, user, password):
    """The signed credential for key."""
    topic = f"auth/user/{client.id}"
    client.subscribe(topic)
    inner, request = login_request(zone, key, client.id, user, password)
    reply = client.ask("auth/user", sealed(zone, inner), topic)
    assert reply.get("status") == "ok", reply
    assert reply.get("request") == trust.b64(request)
    return trust.unb64(reply.get("ownerbase64"))


def renewal_request(zone, key, client_id, credential, **sign):
    """The inner object of a renewal, and the hash of its request."""
    fields = {"renew": trust.b64(credential), "pk": trust.b64(key.pk), "client_id": client_id}
    return trust.sign_request(key, "auth/user", zone["zone_id"], fields, **sign)


def ping(client, timeout=TIMEOUT_S, want=1):
    """{edge id: answer} of at least `want` edges."""
    topic = f"video/request/ping/{client.id}"
    client.subscribe(topic)
    client.take_all(topic)
    client.publish("video/request/ping", {"client_id": client.id})
    answers = {}
    while len(answers) < want:
        answer = client.expect(topic, timeout=timeout)
        answers[answer.json["edge_id"]] = answer.json
    return answers


def ping_edge(client, edge, timeout=TIMEOUT_S):
    """The answer of that edge."""
    topic = f"video/request/ping/{client.id}"
    client.subscribe(topic)
    client.take_all(topic)
    client.publish("video/request/ping", {"client_id": client.id})
    return client.expect(topic, lambda m: m.json["edge_id"] == edge, timeout).json


def list_videos(client, edge, **options):
    """The bare array, or the object when there are options."""
    topic = f"video/liste/{edge}/{client.id}"
    client.subscribe(topic)
    client.take_all(topic)
    return client.ask(f"video/liste/{edge}", {"client_id": client.id, **options}, topic).json


def find_video(client, edge, video_id):
    """The row of that video in the edge's list, or None."""
    after = {}
    while True:
        page = list_videos(client, edge, limit=200, **after)
        for row in page["videos"]:
            if row["id"] == video_id:
                return row
        if not page["next"]:
            return None
        after = {"after": page["next"]}


class Refused(AssertionError):
    """An error answer to something that should have worked."""

    def __init__(self, message):
        super().__init__(repr(message))
        self.code = message.get("code")


class Streamer:
    """Somebody with a key and a credential, at one connection."""

    def __init__(self, client, zone, key, credential):
        self.client, self.zone, self.key, self.credential = client, zone, key, credential
        fields = trust.decode("credential", credential[:-64])
        self.id, self.name = fields["subject"], fields["display_name"]

    def stream(self, video_id=None, **options):
        return Stream(self.key, self.zone["zone_id"], self.id, video_id, **options)

    def init_fields(self, stream, live=False):
        """An init without auth."""
        f = stream.fields
        fields = {
            "video_id": stream.video_id,
            "video_nom": f["title"],
            "description": f["description"],
            "category": f["category"],
            "thumbnail": stream.thumbnail,
            "streamer_id": self.id,
            "streamer_nom": self.name,
            "credential": trust.b64(self.credential),
            "statement": trust.b64(stream.statement()),
        }
        return {**fields, "end": 0} if live else {**fields, "init": 1, "end": "0"}

    def sign(self, edge, fields, kind="video/upload", **sign):
        return trust.sign_request(self.key, kind, edge, fields, **sign)[0]

    def init(self, edge, stream, live=False, **over):
        """Send an init; the reply, whatever it is."""
        kind = "live/upload" if live else "video/upload"
        reply_topic = f"{kind}/{edge}/{self.id}"
        self.client.subscribe(reply_topic)
        fields = self.sign(edge, {**self.init_fields(stream, live), **over}, kind)
        return self.client.ask(
            f"{kind}/{edge}",
            fields,
            reply_topic,
            lambda m: m.get("video_id") == stream.video_id and "chunk_part" not in m.json,
        )

    def end_fields(self, stream, manifest=None, statement=None):
        manifest = manifest or stream.manifest()
        return {
            "video_id": stream.video_id,
            "streamer_id": self.id,
            "init": 0,
            "end": "1",
            "manifest": trust.b64(manifest),
            "statement": trust.b64(statement or stream.final_statement(manifest)),
        }

    def end(self, edge, stream, **parts):
        """Send the end; the reply, whatever it is: receipt, error, or where to go on."""
        self.client.take_all(f"video/upload/{edge}/{self.id}")
        return self.client.ask(
            f"video/upload/{edge}",
            self.end_fields(stream, **parts),
            f"video/upload/{edge}/{self.id}",
            lambda m: m.get("video_id") == stream.video_id and "chunk_part" not in m.json,
        )

    def push(self, edge, stream, start, window, encoding="binary", until=None, on_ack=None):
        """Send the parts from `start` (next, next_part) on, windowed; returns the last position.

        Checks that acknowledgements only move forward. Without news for RTO_S,
        sends again from what was acknowledged, then makes init again.
        """
        parts = [p for p in stream.parts if p.position >= tuple(start)]
        if until is not None:
            parts = [p for p in parts if p.position < until]
        goal = after(parts[-1]) if parts else tuple(start)
        at, unsent, flying, tries = tuple(start), list(parts), [], 0
        while at < goal:
            while unsent and (not flying or size(flying) + len(unsent[0].packet) <= window):
                flying.append(unsent.pop(0))
                self.send_part(edge, stream, flying[-1], encoding)
            try:
                ack = self.acknowledgement(edge, stream)
            except AssertionError as e:
                if isinstance(e, Refused) or tries == 6:
                    raise
                tries += 1
                if tries >= 2:
                    self.init(edge, stream)
                unsent, flying = flying + unsent, []
                continue
            moved = (ack["next"], ack["next_part"])
            assert moved >= at, f"acknowledgements went back from {at} to {moved}"
            at, window = moved, ack["window_bytes"]
            flying = [p for p in flying if p.position >= at]
            if on_ack:
                on_ack(ack)
        return at

    def send_part(self, edge, stream, part, encoding="binary", topic="video/upload"):
        if encoding == "binary":
            return self.client.publish(f"{topic}/{edge}", part.packet)
        return self.client.publish(f"{topic}/{edge}", trust.json_part(stream.video_id, part))

    def acknowledgement(self, edge, stream, timeout=RTO_S):
        message = self.client.expect(
            f"video/upload/{edge}/{self.id}",
            lambda m: m.get("video_id") == stream.video_id,
            timeout,
        )
        if message.get("status") != "ok":
            raise Refused(message)
        return message.json

    def upload(self, edge, stream, encoding="binary"):
        """The whole of it: init, parts, end. Returns the receipt's reply."""
        reply = self.init(edge, stream)
        if reply.get("status") != "ok":
            raise Refused(reply)
        start = reply.json["next"], reply.json["next_part"]
        self.push(edge, stream, start, reply.json["window_bytes"], encoding)
        reply = self.end(edge, stream)
        if "receipt" not in reply.json:
            raise Refused(reply)
        return reply.json

    def check_receipt(self, edge, stream, reply):
        """The receipt that an upload ended with proves custody by that edge."""
        credential = trust.open_credential(trust.unb64(reply["edge_credential"]), self.zone)
        assert (credential["kind"], credential["subject"]) == (trust.EDGE, edge)
        receipt = trust.open_signed("receipt", trust.unb64(reply["receipt"]), credential["pk"])
        assert receipt["zone_id"] == self.zone["zone_id"]
        assert receipt["edge_id"] == edge
        assert receipt["stream"] == stream.id
        assert receipt["track"] == 0
        assert receipt["last_chunk"] == len(stream.chunks)
        return receipt


    def delete_fields(self, video_id, revision=None, key=None):
        """A request to delete, without auth."""
        signed = trust.deletion(key or self.key, self.zone["zone_id"], video_id, self.id, revision)
        return {
            "video_id": video_id,
            "streamer_id": self.id,
            "credential": trust.b64(self.credential),
            "deletion": trust.b64(signed),
        }

    def delete(self, edge, video_id, revision=None, **over):
        """Ask an edge to delete a video; the reply, whatever it is."""
        topic = f"video/delete/{edge}/{self.id}"
        self.client.subscribe(topic)
        fields = {**self.delete_fields(video_id, revision), **over}
        return self.client.ask(
            f"video/delete/{edge}",
            self.sign(edge, fields, "video/delete"),
            topic,
            lambda m: m.get("video_id") == video_id,
        )


def size(parts):
    return sum(len(p.packet) for p in parts)


def after(part):
    """The position that follows a part."""
    number, index = part.position
    return (number, index + 1) if index + 1 < part.chunk["parts_n"] else (number + 1, 0)


class Video:
    """What a viewer knows after the init reply, verified."""

    def __init__(self, reply, zone):
        self.reply = reply
        self.video_id = reply["video_id"]
        credential = trust.open_credential(trust.unb64(reply["credential"]), zone)
        assert credential["kind"] == trust.STREAMER
        self.pk = credential["pk"]
        self.fields = trust.open_signed("video", trust.unb64(reply["statement"]), self.pk)
        f = self.fields
        assert f["video_id"] == self.video_id and f["streamer_id"] == credential["subject"]
        self.stream = trust.stream_id(f["zone_id"], f["streamer_id"], f["video_id"], f["nonce"])
        self.manifest = None
        if reply.get("manifest"):
            data = trust.unb64(reply["manifest"])
            assert trust.object_hash("manifest", data[:-64]) == f["manifest_hash"]
            self.manifest = trust.open_signed("manifest", data, self.pk)
            assert self.manifest["stream"] == self.stream


class Assembly:
    """Verified parts become chunks, chunks a chain, a chain the video's bytes."""

    def __init__(self, video):
        self.video = video
        self.parts = {}

    def add(self, packet):
        part = trust.Part(packet).verify(self.video.pk, self.video.stream)
        self.parts[part.position] = part
        return part

    def add_json(self, message, halves={}):
        """A part in JSON; a fragment is kept until its other half comes."""
        fields = message.json
        data = trust.unb64(fields["chunk"])
        if "fragment" in fields:
            assert fields["fragments"] == 2
            name = (id(self), str(fields["chunk_part"]), str(fields["packet_index"]))
            halves.setdefault(name, {})[int(fields["fragment"])] = data
            if len(halves[name]) < 2:
                return None
            both = halves.pop(name)
            assert len(both[0]) - len(both[1]) in (0, 1), "first the ceil(n/2) bytes"
            data = both[0] + both[1]
        part = self.add(data)
        assert int(fields["chunk_part"]) == part.chunk["number"]
        assert int(fields["packet_index"]) == part.index
        assert int(fields["total_packets"]) == part.chunk["parts_n"]
        return part

    def whole(self, number):
        held = [p for p in self.parts.values() if p.chunk["number"] == number]
        return bool(held) and len(held) == held[0].chunk["parts_n"]

    def payload(self):
        """Every chunk from 1 on, checked against chain and manifest."""
        statements, prev, payload = [], trust.ZERO, b""
        number = 1
        while self.whole(number):
            first = self.parts[number, 0]
            assert first.chunk["prev"] == prev, f"chain broken before chunk {number}"
            prev = trust.object_hash("chunk", first.statement)
            statements.append(first.statement)
            n = first.chunk["parts_n"]
            payload += b"".join(self.parts[number, i].payload for i in range(n))
            number += 1
        assert sum(1 for _ in self.parts) == sum(
            self.parts[n, 0].chunk["parts_n"] for n in range(1, number)
        ), "parts beyond the last whole chunk"
        manifest = self.video.manifest
        if manifest:
            assert manifest["chunks"] == len(statements)
            assert manifest["bytes"] == len(payload)
            assert manifest["root"] == trust.manifest_root(statements)
        return payload


class Viewer:
    """Somebody who watches, at one connection of their own."""

    def __init__(self, port, zone, prefix=""):
        self.client = Client(port, prefix, fresh_id())
        self.zone = zone
        self.last_pull = 0

    def close(self):
        self.client.close()

    def topic(self, edge):
        return f"video/watch/{edge}/{self.client.id}"

    def ask_init(self, edge, video_id, **over):
        """The reply to a watch init, whatever it is."""
        self.client.subscribe(self.topic(edge))
        return self.client.ask(
            f"video/watch/{edge}",
            {"client_id": self.client.id, "video_id": video_id, "init": "1", **over},
            self.topic(edge),
            lambda m: m.get("video_id") == video_id,
        )

    def init(self, edge, video_id, **over):
        reply = self.ask_init(edge, video_id, **over)
        if reply.get("status") != "ok":
            raise Refused(reply)
        return Video(reply.json, self.zone)

    def pull_json(self, edge, video_id, last):
        """One pull of the original client: its messages up to a whole chunk, or [end]."""
        self.client.publish(
            f"video/watch/{edge}",
            {"client_id": self.client.id, "video_id": video_id, "init": "0", "chunk_part": str(last)},
        )
        messages = []
        while True:
            message = self.client.expect(self.topic(edge), lambda m: m.get("video_id") == video_id)
            if message.get("status") == "error":
                raise Refused(message)
            messages.append(message)
            if "chunk" not in message.json:
                assert str(message.json["end"]) == "1", message
                return messages
            # `fragments` messages for each of total_packets parts
            count = sum(1 / int(m.json.get("fragments", 1)) for m in messages)
            if count > int(message.json["total_packets"]) - 0.25:
                return messages

    def watch_json(self, edge, video_id):
        """The whole video by original pulls."""
        video = self.init(edge, video_id)
        assembly, last = Assembly(video), 0
        while True:
            messages = self.pull_json(edge, video_id, last)
            if "chunk" not in messages[-1].json:
                return video, assembly.payload()
            for message in messages:
                assert message.json["video_title"] == video.fields["title"]
                assembly.add_json(message)
            last = messages[-1].json["chunk_part"]

    def seek(self, edge, video, chunk, part, window, token="given"):
        self.last_pull += 1
        fields = {
            "client_id": self.client.id,
            "video_id": video.video_id,
            "init": "0",
            "pull": self.last_pull,
            "chunk_part": chunk,
            "part": part,
            "window_bytes": window,
            "token": video.reply["token"],
        }
        if token is None:
            del fields["token"]
        self.client.publish(f"video/watch/{edge}", fields)
        return self.last_pull

    def credit(self, edge, video, pull, received, window):
        self.client.publish(
            f"video/watch/{edge}",
            {
                "client_id": self.client.id,
                "video_id": video.video_id,
                "init": "0",
                "pull": pull,
                "credit": received,
                "window_bytes": window,
                "token": video.reply["token"],
            },
        )

    def watch_binary(self, edge, video_id, window=131_072, start=(1, 0)):
        """The parts from `start` on by one seek and credits. Checks order and the window."""
        video = self.init(edge, video_id)
        assembly, received, at = Assembly(video), 0, tuple(start)
        pull = self.seek(edge, video, *start, window)
        while True:
            message = self.client.expect(
                self.topic(edge), lambda m: m.binary or m.get("video_id") == video_id
            )
            if not message.binary:
                if message.get("status") == "error":
                    raise Refused(message)
                assert str(message.json["end"]) == "1", message
                assert message.json["pull"] == pull
                return video, assembly
            part = assembly.add(message.payload)
            assert part.position == at, f"{part.position} came where {at} belongs"
            at = after(part)
            received += len(message.payload)
            self.credit(edge, video, pull, received, window)


class FakeEdge:
    """A holder of an edge credential, in Python: says and holds what a test wants."""

    def __init__(self, client, secret, edge_id=None):
        self.client, self.secret = client, secret
        self.id, self.key = edge_id or "fake-" + secrets.token_hex(4), trust.Key()
        self.counter = 0
        self.time, self.since, self.said = 0, trust.now_us(), 0
        self.serving = False  # before, our root is not one to be compared with
        client.subscribe(f"auth/zone/{self.id}")
        request, _ = trust.enrolment(secret, self.key, self.id)
        reply = client.ask("auth/zone", request, f"auth/zone/{self.id}")
        self.credential = trust.unb64(reply.get("credential"))
        self.zone = trust.open_zone(trust.unb64(reply.get("parametre")))
        self.catalogue = sync.Catalogue(sync.digest_key(secret))

    # --- presence

    def status(self, state=1, credential=True, key=None, **over):
        """A signed edge/status; `over` replaces what is signed."""
        self.time = max(self.time + 1, trust.now_us())
        fields = {
            "zone_id": self.zone["zone_id"], "edge_id": self.id, "state": state,
            "time": self.time, "since": self.since,
            "horizon": self.catalogue.horizon() if self.serving else 0,
            "root": self.catalogue.root(), "disk_free": 1 << 40, "disk_total": 1 << 41, **over,
        }  # fmt: skip
        signed = (key or self.key).signed("status", trust.encode("status", **fields))
        message = {
            "EDGE_ID": self.id, "status": "online" if state else "offline",
            "zone": self.zone["zone_id"], "ts": self.time // 1000, "videos": 0, "streams": 0,
            "viewers": 0, "uptime_s": 1, "signed": trust.b64(signed),
        }  # fmt: skip
        return {**message, "credential": trust.b64(self.credential)} if credential else message

    def beat(self, **status):
        """Say that we are there."""
        self.client.publish(f"edge/status/{self.id}", self.status(**status))

    # --- rows

    def hlc(self, ahead_s=0):
        self.counter += 1
        return (int((time.time() + ahead_s) * 1000) << 16) | self.counter

    def holding(self, stream, kind="custody", key=None, ahead_s=0, **over):
        fields = {
            "zone_id": stream.fields["zone_id"], "edge_id": self.id, "video_id": stream.video_id,
            "streamer_id": stream.fields["streamer_id"], "stream": stream.id, "state": 1,
            "hlc": self.hlc(ahead_s), **over,
        }  # fmt: skip
        return (key or self.key).signed(kind, trust.encode(kind, **fields))

    def update(self, streamer, stream, **over):
        """A db/update that is right but for `over`."""
        f = stream.fields
        live = f["live"] == 1
        kind = "presence" if live else "custody"
        fields = {
            "status": "ajout", "live": live, "video_id": stream.video_id,
            "video_nom": f["title"], "category": f["category"], "streamer_id": streamer.id,
            "streamer_nom": streamer.name, "description": f["description"],
            "thumbnail": stream.thumbnail, "EDGE_ID": self.id,
            "statement": trust.b64(stream.statement() if live else stream.final_statement()),
            "credential": trust.b64(streamer.credential),
            "manifest": "" if live else trust.b64(stream.manifest()),
            kind: trust.b64(self.holding(stream, kind)),
            "edge_credential": trust.b64(self.credential),
        }  # fmt: skip
        return {**fields, **over}

    def signed(self, message, topic, to="", key=None):
        """A message to another edge, or to all, as never before."""
        self.said = max(self.said + 1, trust.now_us())
        zone_id = self.zone["zone_id"]
        return sync.sign(message, key or self.key, zone_id, self.id, topic, to, self.said)

    def publish(self, update):
        if update.get("status") == "lot":
            update = self.signed(update, "db/update")
        self.client.publish("db/update", update)

    # --- other edges

    def removal(self, deletion, credential=b""):
        """A db/update that deletes a video."""
        fields = trust.decode("deletion", deletion[:-64])
        update = {
            "status": "suppression", "video_id": fields["video_id"],
            "streamer_id": fields["streamer_id"], "EDGE_ID": self.id,
            "deletion": trust.b64(deletion),
        }  # fmt: skip
        return {**update, "credential": trust.b64(credential)} if credential else update

    def lot(self, **rows):
        """A db/update of many rows; see sync.bundle."""
        return {"status": "lot", "EDGE_ID": self.id, **sync.bundle(**rows)}

    def hold(self, streamer, stream, kind="custody", **over):
        """Take a video and our holding of it into our own catalogue; tells nobody."""
        live = stream.fields["live"] == 1
        statement = stream.statement() if live else stream.final_statement()
        manifest = b"" if live else stream.manifest()
        self.catalogue.add_claim(statement, streamer.credential, manifest, str(stream.thumbnail))
        self.catalogue.add_holding(kind, self.holding(stream, kind, **over), self.credential)

    def say(self, edge, kind, **fields):
        """A db/sync message to that edge."""
        message = {"EDGE_ID": self.id, "sync": kind, **fields}
        self.client.publish(f"db/sync/{edge}", self.signed(message, "db/sync", edge))

    def listen(self):
        """Hear what edges say to this one; before the first of `expect`."""
        self.client.subscribe(f"db/sync/{self.id}")
        return self

    def expect(self, kind, edge=None, **wait):
        """The next db/sync message of that kind."""
        return self.client.expect(
            f"db/sync/{self.id}",
            lambda m: m.get("sync") == kind and edge in (None, m.get("EDGE_ID")),
            **wait,
        ).json

    def serve(self, stop, beat_s=1.0):
        """Be an edge: beats, and answers to what others ask about our catalogue, until stop is set.

        Merges what others send. Run it in a thread of its own, with a client of its own.
        """
        self.listen()
        self.serving = True
        due, beats = 0, 0
        while not stop.is_set():
            if time.monotonic() >= due:
                self.beat(credential=beats < 3)
                due, beats = time.monotonic() + beat_s, beats + 1
            try:
                message = self.client.expect(f"db/sync/{self.id}", timeout=0.1).json
            except AssertionError:
                continue
            for answer in self.catalogue.answer(message):
                self.say(message["EDGE_ID"], **answer)

    def proof(self, asker, probe, packets, **over):
        """The answer to a probe (a db/sync message), from packets by (chunk, part)."""
        nonce = trust.unb64(probe["nonce"])
        hashes = [
            {"hash": trust.part_proof(nonce, packets[position])}
            for position in sync.decode_parts(probe["parts"])
        ]
        fields = {
            "zone_id": self.zone["zone_id"], "edge_id": self.id, "asker_id": asker,
            "stream": trust.unb64(probe["stream"]), "nonce": nonce, "hashes": hashes, **over,
        }  # fmt: skip
        return trust.b64(self.key.signed("proof", trust.encode("proof", **fields)))
