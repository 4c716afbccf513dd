"""Streams of signed chunks around opaque bytes: nobody but a player looks inside."""
import os
import random

from . import trust


def noise(n, seed=1):
    """n bytes that do not compress and are the same every time."""
    return random.Random(seed).randbytes(n)


class Chunk:
    """One signed chunk and its parts."""

    def __init__(self, key, payload, fields):
        part_bytes = fields["part_bytes"]
        n = trust.parts_count(len(payload), part_bytes)
        slices = [payload[i * part_bytes : (i + 1) * part_bytes] for i in range(n)]
        tree = trust.Tree(slices)
        fields = {"payload_len": len(payload), "parts_n": n, "root": tree.root(), **fields}
        self.fields, self.payload, self.slices, self.tree = fields, payload, slices, tree
        self.statement = trust.encode("chunk", **fields)
        self.signature = key.sign("chunk", self.statement)
        self.hash = trust.object_hash("chunk", self.statement)

    def packet(self, index):
        return trust.make_packet(
            self.statement, self.signature, index, self.tree.path(index), self.slices[index]
        )

    @property
    def parts(self):
        return [trust.Part(self.packet(i)) for i in range(len(self.slices))]

    # What a hostile or broken sender makes of it:

    def flipped(self, index, where):
        """The packet with one bit flipped in: statement, signature, index, proof, payload."""
        packet = bytearray(self.packet(index))
        statement_at = 6
        signature_at = statement_at + len(self.statement)
        index_at = signature_at + 64
        proof_at = index_at + 2
        payload_at = proof_at + 32 * len(self.tree.path(index))
        at = {
            "magic": 0,
            "statement": statement_at + 1,  # in the stream's id
            "statement_root": signature_at - 2 - 64,  # in root, or near it
            "signature": signature_at + 5,
            "index": index_at,
            "proof": proof_at,
            "payload": payload_at,
        }[where]
        assert where != "proof" or payload_at > proof_at
        packet[at] ^= 1
        return bytes(packet)


class Stream:
    """What one streamer signs for one video or live."""

    def __init__(
        self,
        key,
        zone_id,
        streamer_id,
        video_id=None,
        *,
        title="A video",
        description="Made by a test",
        category="tests",
        thumbnail="thumb.jpg",
        live=0,
        media_type="application/octet-stream",
        codecs="",
        created=None,
        nonce=None,
        part_bytes=16_384,
    ):
        self.key, self.part_bytes = key, part_bytes
        self.video_id = video_id or "v-" + os.urandom(6).hex()
        self.thumbnail = thumbnail
        created = created or trust.now_us()
        self.fields = {
            "zone_id": zone_id,
            "video_id": self.video_id,
            "streamer_id": streamer_id,
            "nonce": nonce or os.urandom(32),
            "title": title,
            "description": description,
            "category": category,
            "live": live,
            "thumbnail_hash": trust.H(str(thumbnail).encode()) if thumbnail != "" else trust.ZERO,
            "media_type": media_type,
            "codecs": codecs,
            "created": created,
            "revision": created,
            "manifest_hash": trust.ZERO,
        }
        self.id = trust.stream_id(zone_id, streamer_id, self.video_id, self.fields["nonce"])
        self.chunks = []
        self.init_number = 0

    def add(self, payload, kind=trust.MEDIA, flags=trust.KEYFRAME, **over):
        """Sign the next chunk. `over` replaces fields of its statement."""
        chunk = self.make(payload, kind, flags, **over)
        self.chunks.append(chunk)
        if kind == trust.INIT:
            self.init_number = chunk.fields["number"]
        return chunk

    def make(self, payload, kind=trust.MEDIA, flags=trust.KEYFRAME, key=None, **over):
        number = len(self.chunks) + 1
        init = number if kind == trust.INIT else self.init_number
        fields = {
            "version": 1,
            "stream": self.id,
            "track": 0,
            "kind": kind,
            "flags": flags if kind == trust.MEDIA else 0,
            "number": number,
            "init_number": init,
            "signer": self.key.pk,
            "capture": trust.now_us(),
            "duration_us": 40_000 if kind == trust.MEDIA else 0,
            "part_bytes": self.part_bytes,
            "prev": self.chunks[-1].hash if self.chunks else trust.ZERO,
            "ext": b"",
        }
        return Chunk(key or self.key, payload, {**fields, **over})

    def end(self):
        return self.add(b"", kind=trust.END)

    def fill(self, *sizes, seed=1):
        """Media chunks of these sizes."""
        for i, size in enumerate(sizes):
            self.add(noise(size, seed * 1000 + i))
        return self

    @property
    def parts(self):
        return [part for chunk in self.chunks for part in chunk.parts]

    @property
    def payload(self):
        return b"".join(chunk.payload for chunk in self.chunks)

    def manifest_body(self, **over):
        fields = {
            "stream": self.id,
            "track": 0,
            "chunks": len(self.chunks),
            "bytes": len(self.payload),
            "root": trust.manifest_root([c.statement for c in self.chunks]),
        }
        return trust.encode("manifest", **{**fields, **over})

    def manifest(self, **over):
        return self.key.signed("manifest", self.manifest_body(**over))

    def statement(self, key=None, **over):
        """The signed video statement of before the end."""
        return (key or self.key).signed("video", trust.encode("video", **{**self.fields, **over}))

    def final_statement(self, manifest=None, **over):
        """The final revision, which names the manifest."""
        body = (manifest or self.manifest())[:-64]
        fields = {
            **self.fields,
            "revision": self.fields["revision"] + 1,
            "manifest_hash": trust.object_hash("manifest", body),
        }
        return self.key.signed("video", trust.encode("video", **{**fields, **over}))


def movie(key, zone_id, streamer_id, video_id=None, gops=3, per_gop=3, size=20_000, **kw):
    """An init chunk and media chunks of which every per_gop-th starts on a keyframe."""
    kw.setdefault("media_type", "video/mp4")
    kw.setdefault("codecs", "avc1.64001f,mp4a.40.2")
    stream = Stream(key, zone_id, streamer_id, video_id, **kw)
    stream.add(noise(700, 7), kind=trust.INIT)
    for i in range(gops * per_gop):
        stream.add(noise(size + i, i), flags=trust.KEYFRAME if i % per_gop == 0 else 0)
    return stream
