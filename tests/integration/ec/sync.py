"""docs/PROTOCOL.md §4.5 to §4.7: what edges sign, bundles, row digests, the tree of sums, repair.

Written from the page. A `Catalogue` is what an edge knows, small and slow: sums
are made anew whenever somebody asks.
"""
import json
import struct

from . import trust
from .trust import Bad, b64, unb64

CLAIM, DELETION, CUSTODY, PRESENCE = 1, 2, 3, 4
DEPTH, FANOUT = 4, 16
TOMBSTONE_KEPT_H = 720
HOUR_US = 3_600_000_000
NODES_MAX = LEAVES_MAX = 128
ENTRIES_MAX = WANT_MAX = 1024
BUNDLE_BYTES_MAX = 56 * 1024

# --- what edges sign (§4.5) --------------------------------------------------

SIG_AT = len(',"sig":"') + 96 + len('"}')  # from the end


def sign(message, key, zone_id, sender, topic, to="", time_us=None):
    """The bytes of a message (its text, or what it says) to another edge, or to all.

    topic: db, db/update or db/sync; to: the edge that the topic names.
    """
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    time_us = trust.now_us() if time_us is None else time_us
    body = _said(text, zone_id, sender, topic, to, time_us)
    sig = b64(struct.pack("<Q", time_us) + key.sign("peer", body))
    return text[:-1] + f',"sig":"{sig}"}}'.encode()


def open_signed(payload, pk, zone_id, sender, topic, to=""):
    """The message, and when it was signed; Bad unless pk did, so."""
    head, tail = payload[:-SIG_AT], payload[-SIG_AT:]
    if not (tail.startswith(b',"sig":"') and tail.endswith(b'"}')):
        raise Bad("not signed")
    sig = unb64(tail[8:-2].decode())
    (time_us,) = struct.unpack("<Q", sig[:8])
    body = _said(head + b"}", zone_id, sender, topic, to, time_us)
    if not trust.holds(pk, "peer", body, sig[8:]):
        raise Bad("signed by nobody, or for another")
    return json.loads(payload), time_us


def _said(text, zone_id, sender, topic, to, time_us):
    return trust.encode(
        "peer", zone_id=zone_id, **{"from": sender}, to=to, topic=topic, time=time_us,
        text=trust.H(text),
    )  # fmt: skip


# --- digests (§4.6) ----------------------------------------------------------


def digest_key(zone_secret):
    return trust.MAC(zone_secret, b"edge-cluster/v1/digest-key")


def leaf_of(video_id):
    """The first 16 bits of H(video id)."""
    return int.from_bytes(trust.H(video_id.encode())[:2], "big")


def claim_digest(statement, manifest=b"", credential=b""):
    """Of a statement or a deletion."""
    fields = (statement, manifest, credential)
    return trust.H(b"\1" + b"".join(map(trust.cstr, fields)))[:16]


def holding_digest(holding, edge_credential):
    return trust.H(b"\2" + trust.cstr(holding) + trust.cstr(edge_credential))[:16]


def row_key(*ids):
    """What identifies a row: (video, streamer) or (video, streamer, edge)."""
    return trust.H(b"".join(i.encode() + b"\0" for i in ids))[:8]


def lanes(key, row_digest):
    return struct.unpack("<4Q", trust.MAC(key, row_digest))


def sum_of(key, row_digests):
    """The sum over rows: 32 bytes, four lanes."""
    total = [0, 0, 0, 0]
    for digest in row_digests:
        total = [(a + b) % 2**64 for a, b in zip(total, lanes(key, digest))]
    return struct.pack("<4Q", *total)


def sum_hash(total, n):
    return trust.H(total)[:n] if any(total) else bytes(n)


# --- lists of records --------------------------------------------------------


def records(data, size):
    if not data or len(data) % size:
        raise Bad("not a list of records")
    return [data[i : i + size] for i in range(0, len(data), size)]


def encode_nodes(nodes):
    """nodes: (depth, prefix, 16 x 8 bytes)."""
    return b64(b"".join(struct.pack("<BH", d, p) + b"".join(c) for d, p, c in nodes))


def decode_nodes(text):
    nodes = []
    for record in records(unb64(text), 3 + FANOUT * 8):
        depth, prefix = struct.unpack("<BH", record[:3])
        nodes.append((depth, prefix, records(record[3:], 8)))
    return nodes


def encode_leaves(leaves):
    """leaves: (leaf, more, from, through, entries); entries: (kind, key, version, digest)."""
    data = b""
    for leaf, more, start, through, entries in leaves:
        data += struct.pack("<HB", leaf, more) + start + through + struct.pack("<H", len(entries))
        for kind, key, version, digest in entries:
            data += struct.pack("<B8sQ16s", kind, key, version, digest)
    return b64(data)


def decode_leaves(text):
    reader, leaves = trust._Reader(unb64(text)), []
    while reader.at < len(reader.data):
        leaf, more = reader.integer("u16"), reader.integer("u8")
        start, through = reader.take(16), reader.take(16)
        entries = [
            struct.unpack("<B8sQ16s", reader.take(33)) for _ in range(reader.integer("u16"))
        ]
        if [e[3] for e in entries] != sorted({e[3] for e in entries}):
            raise Bad("leaf: entries out of order")
        leaves.append((leaf, bool(more), start, through, entries))
    return leaves


def encode_want(rows):
    """rows: (leaf, digest)."""
    return b64(b"".join(struct.pack("<H", leaf) + digest for leaf, digest in rows))


def decode_want(text):
    return [(struct.unpack("<H", r[:2])[0], r[2:]) for r in records(unb64(text), 18)]


def encode_parts(positions):
    """positions: (chunk, part)."""
    return b64(b"".join(struct.pack("<IH", *p) for p in positions))


def decode_parts(text):
    return [struct.unpack("<IH", r) for r in records(unb64(text), 6)]


# --- bundles (§4.5) ----------------------------------------------------------


def bundle(claims=(), deletions=(), holdings=()):
    """The lists of a bundle.

    claims: (statement, credential, manifest, thumbnail); deletions: (deletion, credential or
    b""); holdings: ("custody" or "presence", object, edge credential).
    """
    credentials = []

    def place(credential):
        if credential not in credentials:
            credentials.append(credential)
        return credentials.index(credential)

    lists = {"claims": [], "deletions": [], "holdings": []}
    for statement, credential, manifest, thumbnail in claims:
        entry = {"statement": b64(statement), "credential": place(credential)}
        if manifest:
            entry["manifest"] = b64(manifest)
        if thumbnail:
            entry["thumbnail"] = thumbnail
        lists["claims"].append(entry)
    for deletion, credential in deletions:
        entry = {"deletion": b64(deletion)}
        if credential:
            entry["credential"] = place(credential)
        lists["deletions"].append(entry)
    for kind, signed, credential in holdings:
        lists["holdings"].append({kind: b64(signed), "edge_credential": place(credential)})
    return {"credentials": [b64(c) for c in credentials], **lists}


def read_bundle(message):
    """(claims, deletions, holdings) as bundle() takes them; nothing is verified."""
    credentials = [unb64(c) for c in message.get("credentials", [])]
    claims = [
        (
            unb64(e["statement"]), credentials[e["credential"]], unb64(e.get("manifest", "")),
            e.get("thumbnail", ""),
        )
        for e in message.get("claims", [])
    ]  # fmt: skip
    deletions = [
        (unb64(e["deletion"]), credentials[e["credential"]] if "credential" in e else b"")
        for e in message.get("deletions", [])
    ]
    holdings = [
        (kind, unb64(e[kind]), credentials[e["edge_credential"]])
        for e in message.get("holdings", [])
        for kind in ("custody", "presence")
        if kind in e
    ]
    return claims, deletions, holdings


def open_bundle(message, zone):
    """As read_bundle, each row verified; Bad if one of them is not what it should be."""
    claims, deletions, holdings = read_bundle(message)
    for row in claims:
        check_claim(*row, zone)
    for deletion, credential in deletions:
        trust.open_deletion(deletion, zone, credential)
    for row in holdings:
        check_holding(*row, zone)
    return claims, deletions, holdings


def check_claim(statement, credential, manifest, thumbnail, zone):
    """The fields of a video statement that its streamer signed, manifest and thumbnail with it."""
    signer = trust.open_credential(credential, zone)
    video = trust.open_signed("video", statement, signer["pk"])
    if (signer["kind"], signer["subject"]) != (trust.STREAMER, video["streamer_id"]):
        raise Bad("claim: of another streamer")
    if video["zone_id"] != zone["zone_id"]:
        raise Bad("claim: another zone")
    hashed = trust.object_hash("manifest", manifest[:-64]) if manifest else trust.ZERO
    if hashed != video["manifest_hash"]:
        raise Bad("claim: another manifest")
    if manifest:
        trust.open_signed("manifest", manifest, signer["pk"])
    text = thumbnail.encode()
    if (trust.H(text) if text else trust.ZERO) != video["thumbnail_hash"]:
        raise Bad("claim: another thumbnail")
    return video


def check_holding(kind, signed, credential, zone):
    signer = trust.open_credential(credential, zone)
    holding = trust.open_signed(kind, signed, signer["pk"])
    if (signer["kind"], signer["subject"]) != (trust.EDGE, holding["edge_id"]):
        raise Bad("holding: of another edge")
    if holding["zone_id"] != zone["zone_id"]:
        raise Bad("holding: another zone")
    return holding


# --- a catalogue that others may ask ------------------------------------------


class Row:
    """One row: what it is compared by, and how it travels."""

    def __init__(self, kind, ids, version, digest, order, travels):
        self.kind, self.ids, self.version, self.digest = kind, ids, version, digest
        self.order, self.travels = order, travels
        self.leaf, self.key = leaf_of(ids[0]), row_key(*ids)

    @property
    def place(self):
        """What it takes the place of: claims and deletions share theirs."""
        return max(self.kind, DELETION), self.ids

    @property
    def entry(self):
        return self.kind, self.key, self.version, self.digest


class Catalogue:
    """Rows, merged by what is signed alone; and the answers of §4.6 about them."""

    def __init__(self, key, kept_h=TOMBSTONE_KEPT_H):
        self.key, self.kept_h, self.rows = key, kept_h, {}

    def horizon(self, at_us=None):
        """The whole hour, so many hours ago."""
        now = trust.now_us() if at_us is None else at_us
        return (now // HOUR_US - self.kept_h) * HOUR_US

    def _take(self, row):
        held = self.rows.get(row.place)
        if held is None or row.order > held.order:
            self.rows[row.place] = row
            return True
        return False

    def add_claim(self, statement, credential, manifest=b"", thumbnail=""):
        video = trust.decode("video", statement[:-64])
        order = (
            video["revision"], 0, trust.object_hash("video", statement[:-64]), bool(manifest),
            manifest, credential,
        )  # fmt: skip
        return self._take(
            Row(
                CLAIM, (video["video_id"], video["streamer_id"]), video["revision"],
                claim_digest(statement, manifest, credential), order,
                ("claims", (statement, credential, manifest, thumbnail)),
            )  # fmt: skip
        )

    def add_deletion(self, deletion, credential=b""):
        fields = trust.decode("deletion", deletion[:-64])
        ids = fields["video_id"], fields["streamer_id"]
        order = (
            fields["revision"], 1, trust.object_hash("deletion", deletion[:-64]), False, b"",
            credential,
        )  # fmt: skip
        taken = self._take(
            Row(
                DELETION, ids, fields["revision"], claim_digest(deletion, b"", credential), order,
                ("deletions", (deletion, credential)),
            )  # fmt: skip
        )
        if taken:
            self.rows = {p: r for p, r in self.rows.items() if r.kind < CUSTODY or r.ids[:2] != ids}
        return taken

    def add_holding(self, kind, signed, edge_credential):
        """Lives under a claim that is no deletion; else it is not taken."""
        fields = trust.decode(kind, signed[:-64])
        ids = fields["video_id"], fields["streamer_id"], fields["edge_id"]
        claim = self.rows.get((DELETION, ids[:2]))
        if claim is None or claim.kind == DELETION:
            return False
        return self._take(
            Row(
                CUSTODY if kind == "custody" else PRESENCE, ids, fields["hlc"],
                holding_digest(signed, edge_credential), (fields["hlc"], signed, edge_credential),
                ("holdings", (kind, signed, edge_credential)),
            )  # fmt: skip
        )

    def merge(self, message, zone=None):
        """Take the rows of a bundle; with a zone only when all of them verify."""
        claims, deletions, holdings = open_bundle(message, zone) if zone else read_bundle(message)
        taken = [self.add_claim(*c) for c in claims]
        taken += [self.add_deletion(*d) for d in deletions]
        return sum(taken + [self.add_holding(*h) for h in holdings])

    # --- sums

    def below(self, depth, prefix):
        shift = 4 * (DEPTH - depth)
        return [r for r in self.rows.values() if r.leaf >> shift == prefix]

    def node(self, depth, prefix, n=8):
        total = sum_of(self.key, [r.digest for r in self.below(depth, prefix)])
        return sum_hash(total, n)

    def root(self):
        return self.node(0, 0, 16)

    def children(self, depth, prefix):
        return [self.node(depth + 1, prefix * FANOUT + i) for i in range(FANOUT)]

    # --- what §4.6 has an edge answer

    def ask(self):
        """The question that begins a repair: the digests below the root."""
        return self._said("digests", nodes=encode_nodes([(0, 0, self.children(0, 0))]))

    def _said(self, kind, **fields):
        return {"kind": kind, "horizon": self.horizon(), **fields}

    def answer(self, message):
        """The messages that answer one of db/sync, as say() takes them."""
        kind = message["sync"]
        if kind == "rows":
            self.merge(message)
            return []
        if kind not in ("digests", "leaves", "want") or message["horizon"] != self.horizon():
            return []
        return getattr(self, "_on_" + kind)(message)

    def _on_digests(self, message):
        nodes, leaves = [], []
        for depth, prefix, theirs in decode_nodes(message["nodes"]):
            for i, (ours, other) in enumerate(zip(self.children(depth, prefix), theirs)):
                if ours == other:
                    continue
                child = prefix * FANOUT + i
                if depth + 1 == DEPTH:
                    leaves.append(self.leaf(child))
                else:
                    nodes.append((depth + 1, child, self.children(depth + 1, child)))
        answers = []
        if nodes:
            answers.append(self._said("digests", nodes=encode_nodes(nodes[:NODES_MAX])))
        if leaves:
            answers.append(self._said("leaves", leaves=encode_leaves(leaves[:LEAVES_MAX])))
        return answers

    def leaf(self, leaf):
        entries = sorted((r.entry for r in self.rows.values() if r.leaf == leaf), key=lambda e: e[3])
        assert len(entries) <= ENTRIES_MAX, "more than one message holds"
        return leaf, False, bytes(16), bytes(16), entries

    def _on_leaves(self, message):
        give, want = [], []
        for leaf, more, start, through, entries in decode_leaves(message["leaves"]):
            theirs = {(max(k, DELETION), key): (v, d) for k, key, v, d in entries}
            digests = {e[3] for e in entries}
            ours = {}
            for row in self.rows.values():
                if row.leaf != leaf:
                    continue
                name = max(row.kind, DELETION), row.key
                ours[name] = row
                inside = row.digest > start and (not more or row.digest <= through)
                other = theirs.get(name)
                if row.digest in digests or (other is None and not inside):
                    continue
                if other is None or row.version >= other[0]:
                    give.append(row)
            for name, (version, digest) in theirs.items():
                row = ours.get(name)
                if row is None or (row.digest != digest and row.version <= version):
                    want.append((leaf, digest))
        answers = self.bundles(give)
        if want:
            answers.append(self._said("want", want=encode_want(want[:WANT_MAX])))
        return answers

    def _on_want(self, message):
        wanted = set(decode_want(message["want"]))
        return self.bundles([r for r in self.rows.values() if (r.leaf, r.digest) in wanted])

    def bundles(self, rows):
        """Messages with those rows, claims and deletions first, each of a size that travels."""
        answers, at, size = [], {"claims": [], "deletions": [], "holdings": []}, 0
        for row in sorted(rows, key=lambda r: r.kind):
            name, travels = row.travels
            weight = sum(len(t) for t in travels) * 2 + 128
            if size and size + weight > BUNDLE_BYTES_MAX:
                answers.append({"kind": "rows", **bundle(**at)})
                at, size = {"claims": [], "deletions": [], "holdings": []}, 0
            at[name].append(travels)
            size += weight
        return [*answers, {"kind": "rows", **bundle(**at)}] if rows else []
