"""docs/vectors/: the same bytes from this implementation, in both directions."""
import json

import pytest
from ec import sync, trust
from ec.cluster import ROOT

FOLDER = ROOT / "docs" / "vectors"
VECTORS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
KEYS = {k["name"]: trust.Key(bytes.fromhex(k["seed"])) for k in VECTORS["keys"]["ed25519"]}


def named(items, key="name"):
    return [pytest.param(item, id=str(item[key])) for item in items]


def values_of(kind, fields):
    """A vector's fields as encode() takes them: texts, integers, bytes."""
    layout = dict(trust.BODIES[kind])

    def value(form, given):
        if isinstance(form, tuple):
            item = form[2]
            if item in trust.INTEGERS:
                return given
            return [{name: value(f, entry[name]) for name, f in item} for entry in given]
        if form in trust.INTEGERS:
            return int(given)
        return bytes.fromhex(given) if isinstance(form, int) or form == "bytes16" else given

    return {"version": 1, **{name: value(layout[name], given) for name, given in fields.items()}}


def check_object(kind, vector):
    """Encode, decode, hash and sign one object."""
    values = values_of(kind, vector["fields"])
    body, key = bytes.fromhex(vector["body"]), KEYS[vector["signed_by"]]
    if "version" not in dict(trust.BODIES[kind]):
        del values["version"]
    assert trust.encode(kind, **values) == body
    assert trust.decode(kind, body) == values
    assert trust.object_hash(kind, body).hex() == vector["hash"]
    assert key.sign(kind, body).hex() == vector["signature"]
    assert trust.holds(key.pk, kind, body, bytes.fromhex(vector["signature"]))
    for wrong in (body[:-1], body + b"\0", b"\x02" + body[1:]):
        with pytest.raises(trust.Bad):
            trust.decode(kind, wrong)
    return body


def test_every_file_is_tested():
    names = {"digests", "keys", "merkle", "objects", "parts", "proof", "requests"}
    assert set(VECTORS) == names


@pytest.mark.parametrize("vector", named(VECTORS["keys"]["ed25519"]))
def test_key(vector):
    assert KEYS[vector["name"]].pk.hex() == vector["public"]


def test_box():
    vector = VECTORS["keys"]["x25519"]
    secret, public = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["public"])
    assert trust.crypto_scalarmult_base(secret) == public
    assert trust.unseal(trust.seal(b"a login", public), secret) == b"a login"


# --- trees -------------------------------------------------------------------


def test_leaves():
    for i, leaf in enumerate(VECTORS["merkle"]["leaf_hashes"]):
        assert trust.leaf_hash(bytes([i])).hex() == leaf


@pytest.mark.parametrize("vector", named(VECTORS["merkle"]["trees"], "leaves"))
def test_tree(vector):
    n, root = vector["leaves"], bytes.fromhex(vector["root"])
    tree = trust.Tree([bytes([i]) for i in range(n)])
    assert tree.root() == root
    assert len(vector["proofs"]) == n
    for i, proof in enumerate(vector["proofs"]):
        path = [bytes.fromhex(p) for p in proof]
        assert tree.path(i) == path
        assert len(path) == trust.path_len(i, n)
        assert trust.root_from_path(i, n, tree.leaves[i], path) == root
        for wrong in (path[:-1], path + [bytes(32)]):
            if wrong != path:
                with pytest.raises(trust.Bad):
                    trust.root_from_path(i, n, tree.leaves[i], wrong)


# --- objects -----------------------------------------------------------------


@pytest.mark.parametrize("vector", named(VECTORS["objects"]["objects"]))
def test_object(vector):
    kind = vector["type"]
    body = check_object(kind, vector)
    signed = trust.unb64(vector["base64"])
    assert signed == body + bytes.fromhex(vector["signature"])
    key = KEYS[vector["signed_by"]]
    assert trust.open_signed(kind, signed, key.pk) == trust.decode(kind, body)
    for stranger in (KEYS["stranger"].pk, bytes(32)):
        with pytest.raises(trust.Bad):
            trust.open_signed(kind, signed, stranger)
    for other in trust.BODIES:
        assert other == kind or not trust.holds(key.pk, other, body, signed[-64:])


def zones():
    return {
        v["name"]: trust.open_zone(trust.unb64(v["base64"]))
        for v in VECTORS["objects"]["objects"]
        if v["type"] == "zone"
    }


def test_zone_links():
    for vector in VECTORS["objects"]["objects"]:
        if vector["type"] != "zone":
            continue
        for link in vector["fields"]["links"]:
            values = {k: v for k, v in link.items() if k != "signed_body"}
            body = trust.link_body(
                vector["fields"]["zone_id"],
                {k: v if isinstance(v, int) else bytes.fromhex(v) for k, v in values.items()},
            )
            assert body.hex() == link["signed_body"]
            signature = bytes.fromhex(link["signature"])
            assert trust.holds(bytes.fromhex(link["old_pk"]), "zone-link", body, signature)


def test_a_pin_follows_the_links_up_and_never_down():
    first, third = two_zones()
    assert trust.zone_follows(first, first)
    assert trust.zone_follows(first, third)
    assert not trust.zone_follows(third, first)
    assert not trust.zone_follows({**first, "sign_pk": bytes(32)}, third)
    assert not trust.zone_follows(first, {**third, "links": third["links"][1:]})


def of_type(kind):
    return [v for v in VECTORS["objects"]["objects"] if v["type"] == kind]


def two_zones():
    """The parameters at the first epoch and at the third."""
    return sorted(zones().values(), key=lambda z: z["key_epoch"])


@pytest.mark.parametrize("vector", named(of_type("credential")))
def test_credentials_name_their_time_and_zone(vector):
    third = two_zones()[1]
    data, fields = trust.unb64(vector["base64"]), vector["fields"]
    begin, end = int(fields["not_before"]), int(fields["not_after"])
    trust.open_credential(data, third, begin)
    trust.open_credential(data, third, end - 1)
    for at in (begin - 1, end):
        with pytest.raises(trust.Bad):
            trust.open_credential(data, third, at)
    with pytest.raises(trust.Bad):
        trust.open_credential(data, {**third, "zone_id": "zone2"}, begin)


def test_credentials_count_with_the_key_of_their_epoch():
    first, third = two_zones()
    assert [epoch for epoch, _ in trust.zone_history(third)] == [3, 2, 1]
    epochs = set()
    for vector in of_type("credential"):
        data, at = trust.unb64(vector["base64"]), int(vector["fields"]["not_before"])
        epoch = vector["fields"]["key_epoch"]
        epochs.add(epoch)
        assert trust.zone_key_of(third, epoch) == KEYS[vector["signed_by"]].pk
        if epoch > first["key_epoch"]:
            with pytest.raises(trust.Later):
                trust.open_credential(data, first, at)
        if epoch < third["key_epoch"]:
            with pytest.raises(trust.Bad):
                trust.open_credential(data, {**third, "links": []}, at)
    assert epochs == {1, 2, 3}


# --- revocations, delegations, logins at the broker ---------------------------


@pytest.mark.parametrize("vector", named(of_type("revocations")))
def test_revocations(vector):
    first, third = two_zones()
    data, fields = trust.unb64(vector["base64"]), vector["fields"]
    key, revoked = KEYS[vector["signed_by"]], {int(e["serial"]): int(e["since"]) for e in fields["revoked"]}
    made = trust.revocations(
        key, fields["zone_id"], fields["key_epoch"], int(fields["number"]), revoked,
        int(fields["issued"]), int(fields["next"]) - int(fields["issued"]),
    )  # fmt: skip
    assert made == data
    right, wrong = (first, third) if fields["key_epoch"] == 1 else (third, first)
    opened = trust.open_revocations(data, right)
    assert {e["serial"]: e["since"] for e in opened["revoked"]} == revoked
    for serial in (0, 7, 8, 2**64 - 1):
        assert trust.revoked_since(opened, serial) == revoked.get(serial)
    with pytest.raises(trust.Bad) as e:
        trust.open_revocations(data, wrong)
    assert (e.type is trust.Later) == (wrong is first)
    with pytest.raises(trust.Bad):
        trust.open_revocations(data, {**right, "zone_id": "zone2"})


def test_revocations_order():
    lists = [trust.decode("revocations", bytes.fromhex(v["body"])) for v in of_type("revocations")]
    least, great = min(lists, key=trust.revocations_order), max(lists, key=trust.revocations_order)
    assert (least["key_epoch"], great["key_epoch"]) == (1, 3)
    for more in ({"key_epoch": 4, "number": 0, "issued": 0}, {"number": 13, "issued": 0}, {"issued": 2**63}):
        assert trust.revocations_order({**great, **more}) > trust.revocations_order(great)


@pytest.mark.parametrize("serials", [(7, 7), (8, 7), (7, 9, 8)])
def test_serials_that_do_not_ascend(serials):
    body = trust.encode(
        "revocations", zone_id="zone1", key_epoch=1, number=1, issued=1, next=2,
        revoked=[{"serial": s, "since": 1} for s in serials],
    )  # fmt: skip
    with pytest.raises(trust.Bad):
        trust.decode("revocations", body)


def test_a_revoked_credential_is_out_of_date():
    third = two_zones()[1]
    (vector,) = (v for v in of_type("credential") if v["name"] == "credential of an edge")
    data, at = trust.unb64(vector["base64"]), int(vector["fields"]["not_before"])
    serial = int(vector["fields"]["serial"])
    listed = lambda since: {"revoked": [{"serial": serial, "since": since}]}  # noqa: E731
    trust.open_credential(data, third, at + 5, listed(at + 6))
    for since in (0, at + 5):
        with pytest.raises(trust.Bad):
            trust.open_credential(data, third, at + 5, listed(since))


@pytest.mark.parametrize("vector", named(of_type("delegation")))
def test_delegation(vector):
    fields = vector["fields"]
    stream, edge_pk, not_after = STREAM, KEYS["edge"].pk, int(fields["not_after"])
    data = trust.unb64(vector["base64"])
    assert trust.delegation(KEYS["streamer"], stream, edge_pk, fields["tracks"], not_after) == data
    right = (STREAMER, stream, edge_pk, 1, not_after - 1)
    trust.open_delegation(data, *right)
    for at, other in enumerate((KEYS["edge"].pk, bytes(32), KEYS["stranger"].pk, 2, not_after)):
        with pytest.raises(trust.Bad):
            trust.open_delegation(data, *(right[:at] + (other,) + right[at + 1 :]))


def test_links():
    """Made here, they lead where those of the vectors do."""
    first, third = two_zones()
    names = ("zone", "zone at epoch 2", "zone at epoch 3")
    keys = [KEYS[name] for name in names]
    made = [trust.link("zone1", keys[i], i + 1, keys[i + 1].pk) for i in range(2)]
    assert made == third["links"]
    assert trust.zone_follows(first, {**third, "links": made})


def test_a_login_at_the_broker():
    vector = VECTORS["requests"]["broker"]
    key = KEYS[vector["sealed_to"]]
    sealed = trust.unb64(vector["base64"])
    assert trust.unseal_by_key(sealed, key).decode() == vector["plain"]
    assert trust.unseal_by_key(trust.seal_to_key(b"another", key.pk), key) == b"another"
    assert set(json.loads(vector["plain"])) == {"user", "password"}


# --- chunks and parts --------------------------------------------------------

PARTS = VECTORS["parts"]
STREAMER = KEYS["streamer"].pk
STREAM = bytes.fromhex(PARTS["manifest"]["fields"]["stream"])


@pytest.mark.parametrize("vector", named(PARTS["chunks"]))
def test_chunk(vector):
    statement = check_object("chunk", vector)
    signature, payload = (bytes.fromhex(vector[k]) for k in ("signature", "payload"))
    chunk = trust.check_chunk(trust.decode("chunk", statement))
    size = chunk["part_bytes"]
    slices = [payload[i * size : (i + 1) * size] for i in range(chunk["parts_n"])]
    tree = trust.Tree(slices)
    assert len(vector["parts"]) == chunk["parts_n"]
    assert tree.root() == chunk["root"]
    for i, part in enumerate(vector["parts"]):
        packet = trust.make_packet(statement, signature, i, tree.path(i), slices[i])
        assert packet.hex() == part["packet"]
        assert tree.leaves[i].hex() == part["leaf"]
        assert b"".join(tree.path(i)).hex() == part["proof"]
        opened = trust.Part(packet).verify(STREAMER, STREAM)
        assert (opened.index, opened.payload) == (i, slices[i])
        video_id = json.loads(part["json"])["video_id"]
        text = json.dumps(trust.json_part(video_id, opened), separators=(",", ":"))
        assert text == part["json"]


def test_the_chain():
    prev = trust.ZERO
    for vector in PARTS["chunks"]:
        assert vector["fields"]["prev"] == prev.hex()
        prev = trust.object_hash("chunk", bytes.fromhex(vector["body"]))


def test_manifest():
    body = check_object("manifest", PARTS["manifest"])
    statements = [bytes.fromhex(v["body"]) for v in PARTS["chunks"]]
    manifest = trust.decode("manifest", body)
    assert manifest["root"] == trust.manifest_root(statements)
    assert manifest["chunks"] == len(statements)
    assert manifest["bytes"] == sum(len(v["payload"]) // 2 for v in PARTS["chunks"])
    assert trust.unb64(PARTS["manifest"]["base64"])[:-64] == body


def test_statement_with_ext():
    body = check_object("chunk", PARTS["statement_with_ext"])
    trust.check_chunk(trust.decode("chunk", body))


def test_delegated_thumbnail():
    vector = PARTS["thumbnail"]
    delegation, packet = (trust.unb64(vector[k]) for k in ("delegation", "thumbnail_part"))
    assert bytes.fromhex(vector["stream"]) == STREAM
    right = (packet, delegation, KEYS[vector["delegated_by"]].pk, STREAM)
    assert trust.open_thumbnail(*right).hex() == vector["jpeg"]
    assert trust.Part(packet).chunk["signer"] == KEYS[vector["signed_by"]].pk
    flipped = packet[:-3] + bytes([packet[-3] ^ 1]) + packet[-2:]
    wrong = (flipped, delegation[:-1] + b"\0", KEYS["edge"].pk, bytes(32))
    for at, other in enumerate(wrong):
        with pytest.raises(trust.Bad):
            trust.open_thumbnail(*(right[:at] + (other,) + right[at + 1 :]))


@pytest.mark.parametrize("vector", named(PARTS["refused"], "why"))
def test_refused(vector):
    with pytest.raises(trust.Bad):
        trust.Part(bytes.fromhex(vector["packet"])).verify(STREAMER, STREAM)


# --- requests, enrolment, tokens ---------------------------------------------

REQUESTS = VECTORS["requests"]


@pytest.mark.parametrize("vector", named(REQUESTS["streams"], "video_id"))
def test_stream(vector):
    fields = [vector[k] for k in ("zone_id", "streamer_id", "video_id")]
    assert trust.stream_id(*fields, bytes.fromhex(vector["nonce"])).hex() == vector["stream"]


@pytest.mark.parametrize("vector", named(REQUESTS["thumbnails"], "thumbnail"))
def test_thumbnail(vector):
    text = vector["thumbnail"].encode()
    assert (trust.H(text) if text else trust.ZERO).hex() == vector["thumbnail_hash"]


@pytest.mark.parametrize("vector", named(REQUESTS["requests"], "type"))
def test_request(vector):
    key = KEYS[vector["signed_by"]]
    kind, target, fields = vector["type"], vector["target"], vector["object"]
    unsigned = {k: v for k, v in fields.items() if k != "auth"}
    ts, nonce = int(vector["ts"]), bytes.fromhex(vector["nonce"])
    assert trust.fields_hash(fields).hex() == vector["fields_hash"]
    assert trust.request_body(kind, target, fields, ts, nonce).hex() == vector["body"]
    signed, request = trust.sign_request(key, kind, target, unsigned, ts, nonce)
    assert signed == fields
    assert request.hex() == vector["hash"]
    assert trust.unb64(signed["auth"]).hex() == vector["auth"]
    assert trust.check_request(key.pk, kind, target, fields) == request
    for k, t, f in (
        ("x", target, fields),
        (kind, "x", fields),
        (kind, target, {**fields, "x": "y"}),
    ):
        with pytest.raises(trust.Bad):
            trust.check_request(key.pk, k, t, f)


def test_enrolment():
    vector = REQUESTS["enrolment"]
    secret, given = bytes.fromhex(vector["zone_secret"]), vector["request"]
    made, request = trust.enrolment(
        secret, KEYS[vector["signed_by"]], given["ID"], given["ts"], trust.unb64(given["nonce"])
    )
    assert made == given
    assert request.hex() == vector["request_hash"]
    assert trust.check_enrolment(secret, given) == request
    with pytest.raises(trust.Bad):
        trust.check_enrolment(bytes(32), given)
    reply = vector["reply"]
    zone, credential, nonce = (trust.unb64(reply[k]) for k in ("parametre", "credential", "nonce"))
    mac = trust.enrolment_reply_mac(secret, request, zone, credential, nonce)
    assert trust.b64(mac) == reply["proof"]


@pytest.mark.parametrize("vector", named(REQUESTS["between_edges"], "topic"))
def test_message_between_edges(vector):
    key, time_us = KEYS[vector["signed_by"]], int(vector["time"])
    said = {"zone_id": "zone1", "sender": "edge1", "topic": vector["topic"], "to": vector["to"]}
    text, message = vector["text"].encode(), vector["message"].encode()
    assert trust.H(text).hex() == vector["text_hash"]
    body = bytes.fromhex(vector["body"])
    fields = trust.decode("peer", body)
    assert trust.encode("peer", **fields) == body
    assert (fields["from"], fields["to"], fields["time"]) == ("edge1", vector["to"], time_us)
    assert sync.sign(text, key, time_us=time_us, **said) == message
    assert sync.open_signed(message, key.pk, **said) == (json.loads(message), time_us)
    for other in ({"to": "edge3"}, {"topic": "db/update"}, {"sender": "edge3"}, {"zone_id": "z"}):
        with pytest.raises(trust.Bad):
            sync.open_signed(message, key.pk, **{**said, **other})
    with pytest.raises(trust.Bad):
        sync.open_signed(message.replace(b"edge1", b"edge4"), key.pk, **said)
    with pytest.raises(trust.Bad):
        sync.open_signed(text, key.pk, **said)


@pytest.mark.parametrize("vector", named(REQUESTS["tokens"], "client_id"))
def test_token(vector):
    hour = int(vector["hour"])
    assert hour == int(vector["time"]) // 3_600_000_000
    secret = bytes.fromhex(vector["edge_secret"])
    assert trust.token(secret, vector["client_id"], hour) == vector["token"]


# --- the proof file ----------------------------------------------------------


def test_proof_file():
    vector = VECTORS["proof"]
    signed = {name: bytes.fromhex(vector[name]) for name in trust.PROOF_OBJECTS}
    chunks = [
        (bytes.fromhex(c["body"]), bytes.fromhex(c["signature"])) for c in PARTS["chunks"]
    ]
    assert vector["chunks"] == len(chunks)
    data = bytes.fromhex(vector["file"])
    assert trust.make_proof(signed, chunks) == data
    assert trust.open_proof(data) == {**signed, "chunks": chunks}
    for wrong in (data[:-1], data + b"\0", b"EVP0" + data[4:]):
        with pytest.raises(trust.Bad):
            trust.open_proof(wrong)


# --- row digests, the tree of sums, db/sync ----------------------------------

DIGESTS = VECTORS["digests"]


def bytes_of(row, *names):
    return [bytes.fromhex(row[name]) for name in names]


def digests_below(depth, prefix):
    shift = 4 * (sync.DEPTH - depth)
    return [bytes.fromhex(r["digest"]) for r in DIGESTS["rows"] if r["leaf"] >> shift == prefix]


def test_digest_key():
    key = sync.digest_key(bytes.fromhex(DIGESTS["zone_secret"]))
    assert key.hex() == DIGESTS["digest_key"]


@pytest.mark.parametrize("row", named(DIGESTS["rows"], "digest"))
def test_row_digest(row):
    signed, manifest, credential = bytes_of(row, "object", "manifest", "credential")
    ids = [i for i in (row["video_id"], row["streamer_id"], row["edge_id"]) if i]
    if row["kind"] in (sync.CLAIM, sync.DELETION):
        digest = sync.claim_digest(signed, manifest, credential)
    else:
        digest = sync.holding_digest(signed, credential)
    assert digest.hex() == row["digest"]
    assert sync.row_key(*ids).hex() == row["key"]
    assert sync.leaf_of(row["video_id"]) == row["leaf"]


@pytest.mark.parametrize("node", DIGESTS["nodes"], ids=lambda n: f"{n['depth']}-{n['prefix']}")
def test_node(node):
    key = bytes.fromhex(DIGESTS["digest_key"])
    total = sync.sum_of(key, digests_below(node["depth"], node["prefix"]))
    assert sync.sum_hash(total, 8).hex() == node["digest"]
    if node["depth"] == 0:
        assert sync.sum_hash(total, 16).hex() == DIGESTS["root"]


def test_sync_messages():
    key = bytes.fromhex(DIGESTS["digest_key"])
    messages = DIGESTS["messages"]
    children = [sync.sum_hash(sync.sum_of(key, digests_below(1, i)), 8) for i in range(16)]
    assert sync.encode_nodes([(0, 0, children)]) == messages["digests"]["nodes"]
    assert sync.decode_nodes(messages["digests"]["nodes"]) == [(0, 0, children)]
    leaf = sync.leaf_of("video1")
    entries = sorted(
        ((r["kind"], *bytes_of(r, "key"), int(r["version"]), *bytes_of(r, "digest"))
         for r in DIGESTS["rows"] if r["leaf"] == leaf),
        key=lambda e: e[3],
    )  # fmt: skip
    leaves = [(leaf, True, bytes(16), entries[-1][3], entries)]
    assert sync.encode_leaves(leaves) == messages["leaves"]["leaves"]
    assert sync.decode_leaves(messages["leaves"]["leaves"]) == leaves
    want = [(leaf, entries[0][3])]
    assert sync.encode_want(want) == messages["want"]["want"]
    assert sync.decode_want(messages["want"]["want"]) == want
    parts = [(1, 0), (70000, 4095)]
    assert sync.encode_parts(parts) == messages["probe"]["parts"]
    assert sync.decode_parts(messages["probe"]["parts"]) == parts
    for kind, message in messages.items():
        assert (message["EDGE_ID"], message["sync"]) == ("edge1", kind)


# --- two catalogues agree ----------------------------------------------------


def some_rows(key, count):
    """(claims, holdings) that only their own decoder would look at."""
    claims, holdings = [], []
    for i in range(count):
        ids = {"zone_id": "z", "video_id": f"v{i}", "streamer_id": "s"}
        video = trust.encode(
            "video", **ids, nonce=bytes(32), title="", description="", category="", live=0,
            thumbnail_hash=bytes(32), media_type="", codecs="", created=i, revision=i,
            manifest_hash=bytes(32),
        )  # fmt: skip
        claims.append((key.signed("video", video), b"c", b"", ""))
        custody = trust.encode("custody", **ids, edge_id="e", stream=bytes(32), state=1, hlc=i)
        holdings.append(("custody", key.signed("custody", custody), b"e"))
    return claims, holdings


def test_repair_makes_catalogues_equal():
    """As the page describes it, by nothing but messages."""
    key = trust.Key()
    claims, holdings = some_rows(key, 60)
    one, two = sync.Catalogue(bytes(32)), sync.Catalogue(bytes(32))
    for i, (claim, holding) in enumerate(zip(claims, holdings)):
        for side, catalogue in enumerate((one, two)):
            if i % 3 != side:
                catalogue.add_claim(*claim)
                catalogue.add_holding(*holding)
    one.add_deletion(trust.deletion(key, "z", "v5", "s", revision=100))
    assert one.root() != two.root()
    for _ in range(3):
        waiting = [(two, one.ask())]
        while waiting:
            asked, message = waiting.pop(0)
            message = {"sync": message["kind"], **message}
            other = one if asked is two else two
            waiting += [(other, answer) for answer in asked.answer(message)]
    assert one.root() == two.root()
    assert set(one.rows) == set(two.rows) and len(one.rows) == 60 * 2 - 1
    assert one.rows[sync.DELETION, ("v5", "s")].kind == sync.DELETION
