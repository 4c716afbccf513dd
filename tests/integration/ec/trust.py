"""docs/PROTOCOL.md §2: canonical bytes, hashes, signatures, trees, parts, requests.

Plain on purpose: the definitions are written as the page and RFC 9162 write
them, not as a fast implementation would.
"""
import base64
import hashlib
import hmac
import os
import struct
import time

from nacl.bindings import (
    crypto_box_seal,
    crypto_box_seal_open,
    crypto_scalarmult_base,
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
)
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

PACKET_BYTES_MAX = 65_536
CHUNK_BYTES_MAX = 4_194_304
PART_PAYLOAD_BYTES_MAX = 61_440
PART_PAYLOAD_JSON_BYTES_MAX = 45_000
PART_BYTES_MIN = 1_024
CHUNK_PARTS_MAX = 4_096
STATEMENT_EXT_BYTES_MAX = 256
FIELDS_MAX = 32
JPEG_BYTES_MAX = 8_192

EDGE, STREAMER = 1, 2
INIT, MEDIA, END = 1, 2, 3
KEYFRAME, DISCONTINUITY, ENCRYPTED = 1, 2, 4
ZERO = bytes(32)


class Bad(Exception):
    """Bytes that are not what they should be, or a proof that does not hold."""


class Later(Bad):
    """Of an epoch after the zone parameters at hand: ask for newer ones."""


def now_us():
    return time.time_ns() // 1000


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as e:
        raise Bad(f"not base64: {e}") from e


def H(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def MAC(key, data):
    assert len(key) == 32
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def domain(kind):
    return b"edge-cluster/v1/" + kind.encode("ascii") + b"\0"


def cstr(data):
    """`str`: a u32 length and that many bytes."""
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<I", len(data)) + data


# --- bodies (§2.1) -----------------------------------------------------------

INTEGERS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q"}

HOLDING = (
    ("version", "u8"), ("zone_id", "str"), ("edge_id", "str"), ("video_id", "str"),
    ("streamer_id", "str"), ("stream", 32), ("state", "u8"), ("hlc", "u64"),
)  # fmt: skip
LINK = (
    ("old_epoch", "u32"), ("old_pk", 32), ("new_epoch", "u32"), ("new_pk", 32), ("signature", 64),
)  # fmt: skip

BODIES = {
    "zone": (
        ("version", "u8"), ("zone_id", "str"), ("sign_pk", 32), ("box_pk", 32),
        ("key_epoch", "u32"), ("issued", "u64"), ("links", ("u8", 8, LINK)),
    ),
    "zone-link": (
        ("zone_id", "str"), ("old_epoch", "u32"), ("old_pk", 32), ("new_epoch", "u32"),
        ("new_pk", 32),
    ),
    "credential": (
        ("version", "u8"), ("kind", "u8"), ("subject", "str"), ("display_name", "str"), ("pk", 32),
        ("zone_id", "str"), ("key_epoch", "u32"), ("serial", "u64"), ("not_before", "u64"),
        ("not_after", "u64"),
    ),
    "video": (
        ("version", "u8"), ("zone_id", "str"), ("video_id", "str"), ("streamer_id", "str"),
        ("nonce", 32), ("title", "str"), ("description", "str"), ("category", "str"),
        ("live", "u8"), ("thumbnail_hash", 32), ("media_type", "str"), ("codecs", "str"),
        ("created", "u64"), ("revision", "u64"), ("manifest_hash", 32),
    ),
    "chunk": (
        ("version", "u8"), ("stream", 32), ("track", "u16"), ("kind", "u8"), ("flags", "u16"),
        ("number", "u32"), ("init_number", "u32"), ("signer", 32), ("capture", "u64"),
        ("duration_us", "u32"), ("payload_len", "u32"), ("part_bytes", "u32"), ("parts_n", "u16"),
        ("root", 32), ("prev", 32), ("ext", "bytes16"),
    ),
    "manifest": (
        ("version", "u8"), ("stream", 32), ("track", "u16"), ("chunks", "u32"), ("bytes", "u64"),
        ("root", 32),
    ),
    "receipt": (
        ("version", "u8"), ("zone_id", "str"), ("edge_id", "str"), ("stream", 32),
        ("track", "u16"), ("last_chunk", "u32"), ("hash", 32), ("time", "u64"),
    ),
    "custody": HOLDING,
    "presence": HOLDING,
    "deletion": (
        ("version", "u8"), ("zone_id", "str"), ("video_id", "str"), ("streamer_id", "str"),
        ("revision", "u64"),
    ),
    "revocations": (
        ("version", "u8"), ("zone_id", "str"), ("key_epoch", "u32"), ("number", "u64"),
        ("issued", "u64"), ("next", "u64"),
        ("revoked", ("u32", 2900, (("serial", "u64"), ("since", "u64")))),
    ),
    "delegation": (
        ("version", "u8"), ("stream", 32), ("edge_pk", 32),
        ("tracks", ("u16", 16, "u16")), ("not_after", "u64"),
    ),
    "status": (
        ("version", "u8"), ("zone_id", "str"), ("edge_id", "str"), ("state", "u8"),
        ("time", "u64"), ("since", "u64"), ("horizon", "u64"), ("root", 16),
        ("disk_free", "u64"), ("disk_total", "u64"),
    ),
    "proof": (
        ("version", "u8"), ("zone_id", "str"), ("edge_id", "str"), ("asker_id", "str"),
        ("stream", 32), ("nonce", 16), ("hashes", ("u16", 8, (("hash", 32),))),
    ),
    "peer": (
        ("version", "u8"), ("zone_id", "str"), ("from", "str"), ("to", "str"), ("topic", "str"),
        ("time", "u64"), ("text", 32),
    ),
    "request": (
        ("type", "str"), ("target", "str"), ("fields_hash", 32), ("ts", "u64"), ("nonce", 16),
    ),
    "edge-req": (("ID", "str"), ("pk", 32), ("ts", "u64"), ("nonce", 16)),
    "edge-rep": (
        ("request", 32), ("parametre", "blob"), ("credential", "blob"), ("nonce", 16),
    ),
}  # fmt: skip


def _put(kind, value):
    if isinstance(kind, tuple):
        count, _, item = kind
        items = b"".join(_put(item, v) if item in INTEGERS else _put_all(item, v) for v in value)
        return struct.pack(INTEGERS[count], len(value)) + items
    if isinstance(kind, int):
        assert len(value) == kind, f"{len(value)} bytes where {kind} belong"
        return bytes(value)
    if kind in ("str", "blob"):
        return cstr(value)
    if kind == "bytes16":
        return struct.pack("<H", len(value)) + value
    return struct.pack(INTEGERS[kind], value)


def _put_all(fields, values):
    return b"".join(_put(kind, values[name]) for name, kind in fields)


def encode(kind, /, **values):
    """The body of an object of that type."""
    values.setdefault("version", 1)
    return _put_all(BODIES[kind], values)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if len(self.data) - self.at < n:
            raise Bad("truncated")
        self.at += n
        return self.data[self.at - n : self.at]

    def integer(self, kind):
        form = INTEGERS[kind]
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, kind):
        if isinstance(kind, tuple):
            count, most, item = kind
            n = self.integer(count)
            if n > most:
                raise Bad("too many entries")
            return [self.value(item) if item in INTEGERS else self.values(item) for _ in range(n)]
        if isinstance(kind, int):
            return self.take(kind)
        if kind == "str":
            try:
                return self.take(self.integer("u32")).decode()
            except UnicodeDecodeError as e:
                raise Bad("not UTF-8") from e
        if kind == "blob":
            return self.take(self.integer("u32"))
        if kind == "bytes16":
            return self.take(self.integer("u16"))
        return self.integer(kind)

    def values(self, fields):
        return {name: self.value(kind) for name, kind in fields}


def decode(kind, body):
    """The fields of a body; Bad when it is not exactly one."""
    reader = _Reader(body)
    values = reader.values(BODIES[kind])
    if reader.at != len(body):
        raise Bad("bytes left over")
    if values.get("version", 1) != 1:
        raise Bad("another version")
    if kind == "revocations":
        serials = [entry["serial"] for entry in values["revoked"]]
        if any(a >= b for a, b in zip(serials, serials[1:])):
            raise Bad("revocations: serials that do not ascend")
    return values


def object_hash(kind, body):
    return H(domain(kind) + body)


# --- keys and signatures -----------------------------------------------------


class Key:
    """An Ed25519 key pair."""

    def __init__(self, seed=None):
        self.seed = seed or os.urandom(32)
        self._sk = SigningKey(self.seed)
        self.pk = bytes(self._sk.verify_key)

    def sign(self, kind, body):
        return self._sk.sign(domain(kind) + body).signature

    def signed(self, kind, body):
        """body ‖ signature."""
        return body + self.sign(kind, body)


def holds(pk, kind, body, signature):
    try:
        VerifyKey(pk).verify(domain(kind) + body, signature)
        return True
    except (BadSignatureError, ValueError):
        return False


def open_signed(kind, data, pk):
    """The fields of body ‖ signature, verified."""
    if len(data) < 64:
        raise Bad("shorter than a signature")
    body, signature = data[:-64], data[-64:]
    if not holds(pk, kind, body, signature):
        raise Bad(f"{kind}: the signature does not hold")
    return decode(kind, body)


def seal(data, box_pk):
    return crypto_box_seal(data, box_pk)


def unseal(data, box_seed):
    return crypto_box_seal_open(data, crypto_scalarmult_base(box_seed), box_seed)


def seal_to_key(data, pk):
    """Sealed to whoever holds the signing key of pk."""
    return crypto_box_seal(data, crypto_sign_ed25519_pk_to_curve25519(pk))


def unseal_by_key(data, key):
    """What seal_to_key sealed to this Key."""
    secret = crypto_sign_ed25519_sk_to_curve25519(key.seed + key.pk)
    return crypto_box_seal_open(data, crypto_scalarmult_base(secret), secret)


# --- zone, credential --------------------------------------------------------


def open_zone(data):
    """Zone parameters, verified against themselves."""
    zone = decode("zone", data[:-64])
    if not holds(zone["sign_pk"], "zone", data[:-64], data[-64:]):
        raise Bad("zone: the signature does not hold")
    for link in zone["links"]:
        if not holds(link["old_pk"], "zone-link", link_body(zone["zone_id"], link), link["signature"]):
            raise Bad("zone: a link does not hold")
    return zone


def link_body(zone_id, link):
    return encode("zone-link", zone_id=zone_id, **{k: v for k, v in link.items() if k != "signature"})


def link(zone_id, old_key, old_epoch, new_pk, new_epoch=None):
    """What the key of an epoch says of the one after it."""
    fields = {
        "old_epoch": old_epoch, "old_pk": old_key.pk,
        "new_epoch": old_epoch + 1 if new_epoch is None else new_epoch, "new_pk": new_pk,
    }  # fmt: skip
    return {**fields, "signature": old_key.sign("zone-link", link_body(zone_id, fields))}


def zone_history(zone):
    """[(epoch, pk)] of a zone, from the current key back along the links."""
    history = [(zone["key_epoch"], zone["sign_pk"])]
    links = {(each["new_epoch"], each["new_pk"]): each for each in zone["links"]}
    while history[-1] in links:
        before = links[history[-1]]
        if before["old_epoch"] >= history[-1][0]:
            break
        history.append((before["old_epoch"], before["old_pk"]))
    return history


def zone_key_of(zone, epoch):
    """The key that signed for the zone in that epoch."""
    if epoch > zone["key_epoch"]:
        raise Later("zone: a later epoch")
    keys = dict(zone_history(zone))
    if epoch not in keys:
        raise Bad("zone: no link leads back to that epoch")
    return keys[epoch]


def zone_follows(pinned, zone):
    """Whether `zone` may replace the pinned parameters (§2.1, clients pin the zone)."""
    if zone["zone_id"] != pinned["zone_id"] or zone["key_epoch"] < pinned["key_epoch"]:
        return False
    epoch, pk = pinned["key_epoch"], pinned["sign_pk"]
    for link in zone["links"]:
        if (link["old_epoch"], link["old_pk"]) == (epoch, pk):
            epoch, pk = link["new_epoch"], link["new_pk"]
    return (epoch, pk) == (zone["key_epoch"], zone["sign_pk"])


def open_credential(data, zone, at_us=None, revoked=None):
    """A credential of this zone, of any epoch, valid at that time (default: now) and, with a
    list of revocations, not revoked then."""
    at_us = at_us or now_us()
    epoch, zone_id = (decode("credential", data[:-64])[k] for k in ("key_epoch", "zone_id"))
    if zone_id != zone["zone_id"]:
        raise Bad("credential: another zone")
    credential = open_signed("credential", data, zone_key_of(zone, epoch))
    if not credential["not_before"] <= at_us < credential["not_after"]:
        raise Bad("credential: out of date")
    since = revoked_since(revoked, credential["serial"]) if revoked else None
    if since is not None and since <= at_us:
        raise Bad("credential: revoked")
    return credential


# --- revocations, receipts, delegations ----------------------------------------


def revocations(key, zone_id, epoch, number, revoked, issued=None, lasts_us=30_000_000):
    """A signed list; revoked is {serial: since}."""
    issued = now_us() if issued is None else issued
    body = encode(
        "revocations", zone_id=zone_id, key_epoch=epoch, number=number, issued=issued,
        next=issued + lasts_us,
        revoked=[{"serial": serial, "since": since} for serial, since in sorted(revoked.items())],
    )  # fmt: skip
    return key.signed("revocations", body)


def open_revocations(data, zone):
    """The list, signed by the zone's current key."""
    fields = decode("revocations", data[:-64])
    if fields["zone_id"] != zone["zone_id"]:
        raise Bad("revocations: another zone")
    if fields["key_epoch"] > zone["key_epoch"]:
        raise Later("revocations: a later epoch")
    if fields["key_epoch"] < zone["key_epoch"]:
        raise Bad("revocations: by a key that was replaced")
    return open_signed("revocations", data, zone["sign_pk"])


def revocations_order(fields):
    """The greatest is the list that counts."""
    return fields["key_epoch"], fields["number"], fields["issued"]


def revoked_since(fields, serial):
    """Since when a serial is revoked; None: it is not."""
    return {each["serial"]: each["since"] for each in fields["revoked"]}.get(serial)


def open_receipt(data, edge_credential, stream, zone, revoked=None):
    """A receipt about that stream, by an edge of the zone that was not revoked when it gave it."""
    at_us = decode("receipt", data[:-64])["time"]
    signer = open_credential(edge_credential, zone, at_us, revoked)
    fields = open_signed("receipt", data, signer["pk"])
    if (signer["kind"], signer["subject"]) != (EDGE, fields["edge_id"]):
        raise Bad("receipt: by another edge")
    if (fields["zone_id"], fields["stream"]) != (zone["zone_id"], stream):
        raise Bad("receipt: about something else")
    return fields


def delegation(key, stream, edge_pk, tracks=(1,), not_after=None):
    """A streamer's: the edge may sign these tracks of that stream."""
    not_after = now_us() + 3_600_000_000 if not_after is None else not_after
    fields = {"stream": stream, "edge_pk": edge_pk, "tracks": list(tracks)}
    return key.signed("delegation", encode("delegation", **fields, not_after=not_after))


def open_delegation(data, streamer_pk, stream, edge_pk, track, at_us):
    """The fields of a delegation that covers this."""
    fields = open_signed("delegation", data, streamer_pk)
    if 0 in fields["tracks"]:
        raise Bad("delegation: of the original")
    if (fields["stream"], fields["edge_pk"]) != (stream, edge_pk) or track not in fields["tracks"]:
        raise Bad("delegation: of something else")
    if at_us >= fields["not_after"]:
        raise Bad("delegation: it was over")
    return fields


def open_thumbnail(packet, delegated, streamer_pk, stream):
    """The JPEG that an edge made for a streamer."""
    part = Part(packet)
    chunk = part.chunk
    wanted = {"track": 1, "number": 1, "kind": MEDIA, "flags": KEYFRAME, "parts_n": 1}
    if any(chunk[name] != value for name, value in wanted.items()):
        raise Bad("thumbnail: not one")
    open_delegation(delegated, streamer_pk, stream, chunk["signer"], 1, chunk["capture"])
    part.verify(chunk["signer"], stream)
    jpeg = part.payload
    if len(jpeg) > JPEG_BYTES_MAX or jpeg[:3] != b"\xff\xd8\xff" or jpeg[-2:] != b"\xff\xd9":
        raise Bad("thumbnail: no JPEG")
    return jpeg


# --- deletions, and what edges say of themselves -------------------------------


def deletion(key, zone_id, video_id, streamer_id, revision=None):
    """A signed deletion, by a streamer or, with the zone's key, by the zone."""
    revision = now_us() if revision is None else revision
    fields = {"zone_id": zone_id, "video_id": video_id, "streamer_id": streamer_id}
    return key.signed("deletion", encode("deletion", **fields, revision=revision))


def open_deletion(data, zone, credential=None):
    """The fields of a deletion that the credential's streamer signed, or without one the zone."""
    if not credential:
        keys = [pk for _, pk in zone_history(zone)]
        signed_by = [pk for pk in keys if holds(pk, "deletion", data[:-64], data[-64:])]
        fields = open_signed("deletion", data, (signed_by or keys)[0])
    else:
        signer = open_credential(credential, zone)
        fields = open_signed("deletion", data, signer["pk"])
        if (signer["kind"], signer["subject"]) != (STREAMER, fields["streamer_id"]):
            raise Bad("deletion: of another streamer")
    if fields["zone_id"] != zone["zone_id"]:
        raise Bad("deletion: another zone")
    return fields


def open_status(message, zone, credential=None):
    """What an edge/status (an object) proves; its own credential goes before the one given."""
    credential = unb64(message["credential"]) if "credential" in message else credential
    signer = open_credential(credential, zone)
    fields = open_signed("status", unb64(message["signed"]), signer["pk"])
    if (signer["kind"], signer["subject"]) != (EDGE, message["EDGE_ID"]):
        raise Bad("status: another edge's credential")
    if (fields["zone_id"], fields["edge_id"]) != (zone["zone_id"], message["EDGE_ID"]):
        raise Bad("status: of another edge or zone")
    if fields["state"] != int(message["status"] == "online"):
        raise Bad("status: it says something else than what is signed")
    return fields


def part_proof(nonce, packet):
    """H(nonce ‖ packet): what a probe asks for."""
    return H(nonce + packet)


# --- the tree, as RFC 9162 §2.1.1 to §2.1.3 define it ------------------------


def leaf_hash(data):
    return H(b"\0" + data)


def node_hash(left, right):
    return H(b"\1" + left + right)


def split_point(n):
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Tree:
    """MTH and PATH over a list of entries; remembers what it has computed."""

    def __init__(self, entries):
        self.leaves = [leaf_hash(e) for e in entries]
        self._known = {}

    def mth(self, start, end):
        if end - start == 1:
            return self.leaves[start]
        if (start, end) not in self._known:
            k = split_point(end - start)
            self._known[start, end] = node_hash(
                self.mth(start, start + k), self.mth(start + k, end)
            )
        return self._known[start, end]

    def root(self):
        return self.mth(0, len(self.leaves))

    def path(self, m, start=0, end=None):
        end = len(self.leaves) if end is None else end
        n = end - start
        if n == 1:
            return []
        k = split_point(n)
        if m < k:
            return self.path(m, start, start + k) + [self.mth(start + k, end)]
        return self.path(m - k, start + k, end) + [self.mth(start, start + k)]


def path_len(m, n):
    if n == 1:
        return 0
    k = split_point(n)
    return 1 + (path_len(m, k) if m < k else path_len(m - k, n - k))


def root_from_path(m, n, leaf, path):
    """The root that an inclusion path of leaf m among n leads to."""
    if n == 1:
        if path:
            raise Bad("proof: too long")
        return leaf
    if not path:
        raise Bad("proof: too short")
    k = split_point(n)
    if m < k:
        return node_hash(root_from_path(m, k, leaf, path[:-1]), path[-1])
    return node_hash(path[-1], root_from_path(m - k, n - k, leaf, path[:-1]))


# --- chunk and part (§2.2) ---------------------------------------------------


def parts_count(payload_len, part_bytes):
    return max(1, -(-payload_len // part_bytes))


def stream_id(zone_id, streamer_id, video_id, nonce):
    return H(domain("stream") + cstr(zone_id) + cstr(streamer_id) + cstr(video_id) + nonce)


def make_packet(statement, signature, index, path, payload):
    return (
        b"EVC1" + struct.pack("<H", len(statement)) + statement + signature
        + struct.pack("<H", index) + b"".join(path) + payload
    )  # fmt: skip


class Part:
    """One part, split and checked for form; verify() checks what it proves."""

    def __init__(self, packet):
        if len(packet) > PACKET_BYTES_MAX:
            raise Bad("part: too large")
        reader = _Reader(packet)
        if reader.take(4) != b"EVC1":
            raise Bad("part: not one")
        self.packet = packet
        self.statement = reader.take(reader.integer("u16"))
        self.signature = reader.take(64)
        self.index = reader.integer("u16")
        self.chunk = check_chunk(decode("chunk", self.statement))
        if self.index >= self.chunk["parts_n"]:
            raise Bad("part: index beyond parts_n")
        k = path_len(self.index, self.chunk["parts_n"])
        self.path = [reader.take(32) for _ in range(k)]
        self.payload = packet[reader.at :]
        start = self.index * self.chunk["part_bytes"]
        left = self.chunk["payload_len"] - start
        if len(self.payload) != min(self.chunk["part_bytes"], left):
            raise Bad("part: payload of another length")

    @property
    def position(self):
        return self.chunk["number"], self.index

    def verify(self, streamer_pk, stream):
        if self.chunk["stream"] != stream:
            raise Bad("part: another stream")
        if self.chunk["signer"] != streamer_pk:
            raise Bad("part: another signer")
        if not holds(streamer_pk, "chunk", self.statement, self.signature):
            raise Bad("part: the signature does not hold")
        n = self.chunk["parts_n"]
        if root_from_path(self.index, n, leaf_hash(self.payload), self.path) != self.chunk["root"]:
            raise Bad("part: the proof does not hold")
        return self


def check_chunk(chunk):
    """The rules of §2.2 that a statement can be checked for alone."""
    if chunk["kind"] not in (INIT, MEDIA, END):
        raise Bad("chunk: kind")
    if chunk["flags"] & 0xFF00:
        raise Bad("chunk: an unknown critical flag")
    if chunk["number"] < 1:
        raise Bad("chunk: number")
    if chunk["kind"] == INIT and chunk["init_number"] != chunk["number"]:
        raise Bad("chunk: an init chunk names itself")
    if (chunk["payload_len"] == 0) != (chunk["kind"] == END):
        raise Bad("chunk: payload_len against kind")
    if chunk["payload_len"] > CHUNK_BYTES_MAX:
        raise Bad("chunk: payload_len")
    if not PART_BYTES_MIN <= chunk["part_bytes"] <= PART_PAYLOAD_BYTES_MAX:
        raise Bad("chunk: part_bytes")
    if chunk["parts_n"] != parts_count(chunk["payload_len"], chunk["part_bytes"]):
        raise Bad("chunk: parts_n")
    if chunk["parts_n"] > CHUNK_PARTS_MAX:
        raise Bad("chunk: too many parts")
    if len(chunk["ext"]) > STATEMENT_EXT_BYTES_MAX:
        raise Bad("chunk: ext")
    return chunk


def json_part(video_id, part, end="0"):
    """The JSON encoding of a part (§3)."""
    return {
        "video_id": video_id,
        "end": end,
        "chunk_part": str(part.chunk["number"]),
        "chunk": b64(part.packet),
        "packet_index": part.index,
        "total_packets": part.chunk["parts_n"],
    }


def manifest_root(statements):
    return Tree([object_hash("chunk", s) for s in statements]).root()


# --- requests (§2.3) and enrolment (§2.4) ------------------------------------


def field_text(value):
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, str)
    return value


def fields_hash(fields):
    """Over every field but auth, in ascending order of the key's bytes."""
    pairs = sorted((k.encode(), field_text(v)) for k, v in fields.items() if k != "auth")
    return H(domain("fields") + b"".join(cstr(k) + cstr(v) for k, v in pairs))


def request_body(kind, target, fields, ts, nonce):
    return encode(
        "request", type=kind, target=target, fields_hash=fields_hash(fields), ts=ts, nonce=nonce
    )


def sign_request(key, kind, target, fields, ts=None, nonce=None):
    """(fields with auth, hash of the request)."""
    ts = now_us() if ts is None else ts
    nonce = nonce or os.urandom(16)
    body = request_body(kind, target, fields, ts, nonce)
    auth = struct.pack("<Q", ts) + nonce + key.sign("request", body)
    return {**fields, "auth": b64(auth)}, object_hash("request", body)


def check_request(pk, kind, target, fields):
    """The hash of a signed request whose auth holds."""
    auth = unb64(fields["auth"])
    if len(auth) != 8 + 16 + 64:
        raise Bad("auth: length")
    (ts,) = struct.unpack("<Q", auth[:8])
    body = request_body(kind, target, fields, ts, auth[8:24])
    if not holds(pk, "request", body, auth[24:]):
        raise Bad("auth: the signature does not hold")
    return object_hash("request", body)


def enrolment(secret, key, edge_id, ts=None, nonce=None):
    """(the auth/zone request, H(signed bytes of edge-req))."""
    ts = now_us() if ts is None else ts
    nonce = nonce or os.urandom(16)
    body = encode("edge-req", ID=edge_id, pk=key.pk, ts=ts, nonce=nonce)
    proof = MAC(secret, domain("edge-req") + body) + key.sign("edge-req", body)
    request = {"ID": edge_id, "pk": b64(key.pk), "ts": ts, "nonce": b64(nonce), "proof": b64(proof)}
    return request, object_hash("edge-req", body)


def check_enrolment(secret, request):
    """H(signed bytes of edge-req) of a request whose proof holds."""
    pk, nonce, proof = (unb64(request[k]) for k in ("pk", "nonce", "proof"))
    body = encode("edge-req", ID=request["ID"], pk=pk, ts=request["ts"], nonce=nonce)
    if not hmac.compare_digest(proof[:32], MAC(secret, domain("edge-req") + body)):
        raise Bad("enrolment: the MAC does not hold")
    if not holds(pk, "edge-req", body, proof[32:]):
        raise Bad("enrolment: the signature does not hold")
    return object_hash("edge-req", body)


def enrolment_reply_mac(secret, request_hash, zone, credential, nonce):
    body = encode(
        "edge-rep", request=request_hash, parametre=zone, credential=credential, nonce=nonce
    )
    return MAC(secret, domain("edge-rep") + body)


def token(edge_secret, client_id, hour):
    """§2.5. Only an edge makes them; here for the vectors."""
    data = domain("token") + cstr(client_id) + struct.pack("<Q", hour)
    return b64(MAC(edge_secret, data)[:16])


# --- the proof file (§5) -----------------------------------------------------


PROOF_OBJECTS = ("zone", "credential", "video", "manifest", "receipt", "receipt_credential")


def make_proof(objects, chunks):
    """A proof file of signed objects by name; chunks are (statement, signature)."""
    signed = b"".join(cstr(objects[name]) for name in PROOF_OBJECTS)
    listed = b"".join(cstr(statement) + signature for statement, signature in chunks)
    return b"EVP1" + signed + struct.pack("<I", len(chunks)) + listed


def open_proof(data):
    """The fields of a proof file."""
    reader = _Reader(data)
    if reader.take(4) != b"EVP1":
        raise Bad("proof file: not one")
    proof = {name: reader.take(reader.integer("u32")) for name in PROOF_OBJECTS}
    proof["chunks"] = [
        (reader.take(reader.integer("u32")), reader.take(64)) for _ in range(reader.integer("u32"))
    ]
    if reader.at != len(data):
        raise Bad("proof file: bytes left over")
    return proof
