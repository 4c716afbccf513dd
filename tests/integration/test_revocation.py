"""§2.4: who is revoked is out at once, everywhere and for good; a new zone key breaks nothing."""
import signal
import subprocess

import pytest
from ec import roles, trust
from ec.client import TIMEOUT_S, eventually
from ec.cluster import BUILD, Edge, PyZone, clean_environment
from fleet import SETTLE_S, agree, counters, fleet_of, query
from test_live import Audience, Live, packets


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("revocation")
    with fleet_of(3, folder, "--replicas", 2, "--replica-grace-s", 5) as fleet:
        yield fleet


def operator(fleet, *words):
    """What the operator does, beside the auth_edge that serves."""
    done = subprocess.run(
        [BUILD / "auth_edge", *words, "--data", fleet.auth.folder],
        cwd=fleet.auth.folder, env=clean_environment(), capture_output=True, text=True,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(fleet, edge):
    try:
        return roles.ping_edge(fleet.client, edge.id, timeout=1)
    except AssertionError:
        return None


def contact(fleet, edge):
    """How the edge stands with its auth_edge."""
    return roles.ping_edge(fleet.client, edge.id)


def epoch(edge):
    ((params,),) = query(edge, "SELECT value FROM meta WHERE key = 'zone_params'")
    return trust.open_zone(params)["key_epoch"]


def running_live(fleet, streamer, edge):
    live = Live(streamer, edge.id)
    audience = Audience(fleet.new_client(), live)
    live.start()
    first = live.media(True)
    audience.expect_packets(live.topic, packets(live.stream.chunks[0], first))
    return live, audience


def begun_upload(streamer, edge):
    """An upload of which the first chunks are acknowledged."""
    stream = streamer.stream().fill(400_000, 50_000)
    reply = streamer.init(edge.id, stream)
    assert reply.get("status") == "ok", reply
    streamer.push(edge.id, stream, (1, 0), reply.json["window_bytes"], until=(3, 0))
    return stream


def push_rest(streamer, edge, stream):
    reply = streamer.init(edge.id, stream)
    assert reply.get("status") == "ok", reply
    start = reply.json["next"], reply.json["next_part"]
    streamer.push(edge.id, stream, start, reply.json["window_bytes"])
    reply = streamer.end(edge.id, stream)
    assert "receipt" in reply.json, reply


def refused(streamer, edge, live=False):
    reply = streamer.init(edge.id, streamer.stream(live=int(live)), live)
    return reply if reply.get("code") == "unauthorized" else None


def test_a_streamer_is_revoked(fleet):
    lea, noe = fleet.streamer("lea-1"), fleet.streamer("noe-1")
    edge, other = fleet.edges[0], fleet.edges[1]
    kept = lea.stream().fill(100_000, 50_000)
    lea.upload(edge.id, kept)
    live, audience = running_live(fleet, lea, edge)
    hers, his_audience = running_live(fleet, noe, edge)
    stream, his = begun_upload(lea, edge), begun_upload(noe, edge)
    operator(fleet, "streamer", "revoke", lea.id)
    end = audience.client.expect(live.topic, lambda m: m.get("end") == 1)
    assert end.get("video_id") == live.video_id
    for topic in (live.replies, f"video/upload/{edge.id}/{lea.id}"):
        error = lea.client.expect(topic, lambda m: m.get("code") == "unauthorized")
        assert "revoked" in error.get("message"), error
    for at in (edge, other):
        eventually(lambda: refused(lea, at), SETTLE_S)
        assert "revoked" in refused(lea, at, live=True).get("message")
    assert lea.init(edge.id, stream).get("code") == "unauthorized", "nor is it resumed"
    assert lea.delete(edge.id, kept.video_id).get("code") == "unauthorized"
    assert fleet.row(edge, kept.video_id), "what was acknowledged stays listed"
    later = hers.media(False)
    his_audience.client.expect(hers.topic, lambda m: m.payload == later.packet(0))
    push_rest(noe, edge, his)
    hers.end()
    assert counters(edge)["revoked_ended"] == 2


def test_an_edge_that_was_down_hears_it_from_another(fleet):
    """auth_edge is away, and the broker keeps nothing."""
    lea = fleet.streamer("lea-2")
    late, edge = fleet.edges[2], fleet.edges[0]
    late.stop()
    before = contact(fleet, edge)["revocations"]
    operator(fleet, "streamer", "revoke", lea.id)
    eventually(lambda: contact(fleet, edge)["revocations"] > before, SETTLE_S)
    fleet.auth.stop()
    fleet.client.forget("auth/revocations")
    late.start(fleet.client)
    eventually(lambda: contact(fleet, late)["revocations"] > before, SETTLE_S)
    assert "revoked" in refused(lea, late).get("message")
    eventually(lambda: contact(fleet, late)["auth_edge"] == "away", SETTLE_S)
    assert contact(fleet, late)["auth_edge_since"]
    fleet.auth.start(fleet.client)
    for each in fleet.edges:
        eventually(lambda: contact(fleet, each)["auth_edge"] == "ok", SETTLE_S)


def test_an_edge_is_revoked(fleet):
    noe = fleet.streamer("noe-3")
    gone, others = fleet.edges[2], fleet.edges[:2]
    live, audience = running_live(fleet, noe, gone)
    stream = noe.stream().fill(200_000, 50_000)
    noe.upload(gone.id, stream)
    eventually(lambda: len(fleet.holders(others[0], stream.video_id)) == 2, SETTLE_S)
    operator(fleet, "edge", "revoke", gone.id)
    audience.client.expect(live.topic, lambda m: m.get("end") == 1)
    gone.process.wait_line("this edge is revoked")
    for edge in others:
        edge.process.wait_line(f"edge {gone.id} is revoked")
    assert gone.id not in roles.ping(fleet.client, want=2)
    assert noe.init(gone.id, noe.stream()).get("code") == "not_ready"
    row = fleet.row(others[0], stream.video_id)
    assert gone.id in row["edges"].split(",") and gone.id in row["offline"].split(",")
    # It counts as no holder: the others make up for it.
    for edge in others:
        eventually(lambda: edge.id in fleet.holders(edge, stream.video_id), SETTLE_S)
    assert gone.process.output.count("this edge is revoked: ") == 1, "it is said once"
    # `rekey`: the next key that enrols is its own, and that is this one, which keeps asking.
    operator(fleet, "edge", "rekey", gone.id)
    eventually(lambda: answers(fleet, gone), SETTLE_S)
    agree(fleet.edges)


def test_a_receipt_travels_with_the_copy(fleet):
    """Who watches at another edge sees which edge had it when."""
    lea = fleet.streamer("lea-4")
    origin = fleet.edges[0]
    stream = lea.stream().fill(100_000, 50_000)
    receipt = lea.check_receipt(origin.id, stream, lea.upload(origin.id, stream))
    eventually(lambda: len(fleet.holders(origin, stream.video_id)) == 2, SETTLE_S)
    viewer = fleet.viewer()
    for edge in fleet.edges:
        eventually(lambda: stream.payload == viewer_sees(viewer, edge, stream), SETTLE_S)
        reply = viewer.ask_init(edge.id, stream.video_id, local_only=1).json
        credential = trust.open_credential(trust.unb64(reply["receipt_credential"]), lea.zone)
        assert (credential["kind"], credential["subject"]) == (trust.EDGE, origin.id)
        signed = trust.unb64(reply["receipt"])
        assert trust.open_signed("receipt", signed, credential["pk"]) == receipt


def viewer_sees(viewer, edge, stream):
    try:
        return viewer.watch_binary(edge.id, stream.video_id)[1].payload()
    except roles.Refused:
        return None


def test_the_key_is_rotated(fleet):
    lea = fleet.streamer("lea-5")
    edge = fleet.edges[0]
    live, audience = running_live(fleet, lea, edge)
    stream = begun_upload(lea, edge)
    key, before = fleet.zone["sign_pk"], epoch(edge)
    operator(fleet, "key", "rotate")
    for each in fleet.edges:
        eventually(lambda: epoch(each) == before + 1, SETTLE_S)
    later = live.media(False)
    audience.client.expect(live.topic, lambda m: m.payload == later.packet(0))
    push_rest(lea, edge, stream)
    live.end()
    fleet.zone = roles.fetch_zone(fleet.client)
    assert fleet.zone["sign_pk"] != key
    for each in fleet.edges:  # also by an edge that is killed
        each.kill()
        each.start(fleet.client)
    assert [epoch(each) for each in fleet.edges] == [before + 1] * 3
    new = fleet.streamer("noe-5")
    for streamer in (lea, new):  # credentials of the old key and of the new one
        for each in fleet.edges:
            streamer.upload(each.id, streamer.stream().fill(50_000, 50_000))
    agree(fleet.edges)
    operator(fleet, "streamer", "revoke", lea.id)  # lists are signed by the new key
    for each in fleet.edges:
        eventually(lambda: refused(lea, each), SETTLE_S)


# --- by a zone in Python, that signs whatever it likes -----------------------------


@pytest.fixture
def pyzone(cluster, folder):
    zone = PyZone(cluster.broker, folder)
    edge = Edge(folder / "edge", cluster.broker, zone.secret_file)
    yield zone, edge.start(zone.client), zone.client
    try:
        if edge.process.alive:
            edge.stop()
    finally:
        edge.reap()
        zone.close()


def serial_of(streamer):
    return trust.decode("credential", streamer.credential[:-64])["serial"]


def test_a_list_never_goes_back(pyzone):
    zone, edge, client = pyzone
    lea = zone.streamer(client)
    since = trust.now_us() - 1_000_000
    full = {serial: since for serial in range(1_000, 3_899)} | {serial_of(lea): since}
    assert len(full) == 2_900
    zone.revoke(5, full)
    eventually(lambda: refused(lea, edge))
    for restart in (False, True):
        if restart:
            edge.process.kill(signal.SIGKILL)
            edge.kill()
            edge.start(client)
        stranger = trust.Key()
        zone.revoke(9, {}, key=stranger)
        zone.revoke(9, {}, epoch=2)
        zone.revoke(4, {})
        client.publish("auth/revocations", b"no list")
        eventually(lambda: counters(edge)["revocations_refused"] == 1)
        assert refused(lea, edge)
    zone.revoke(6, {})
    eventually(lambda: lea.init(edge.id, lea.stream()).get("status") == "ok")


def test_a_key_that_was_rotated_away_revokes_nobody(pyzone):
    zone, edge, client = pyzone
    lea = zone.streamer(client)
    old = zone.rotate()
    zone.revoke(1, {})  # names the new key: the edge asks for it
    eventually(lambda: epoch(edge) == 2, SETTLE_S)
    zone.revoke(2, {})
    eventually(lambda: roles.ping_edge(client, edge.id)["revocations"] == 2)
    zone.revoke(7, {serial_of(lea): trust.now_us()}, key=old, epoch=1)
    zone.revoke(3, {})
    eventually(lambda: roles.ping_edge(client, edge.id)["revocations"] == 3)
    stream = lea.stream().fill(50_000, 50_000)
    lea.upload(edge.id, stream)  # and what it signed before counts on


def test_whoever_names_newer_keys_is_answered_seldom(pyzone):
    """Nobody verified it: the edge asks once, and not again for ten seconds."""
    zone, edge, client = pyzone
    asked = len(zone.enrolled[edge.id])
    for number in range(50):
        zone.revoke(number, {}, key=trust.Key(), epoch=99)
    eventually(lambda: counters(edge)["zone_newer"] == 50)
    eventually(lambda: len(zone.enrolled[edge.id]) == asked + 1)
    lea = zone.streamer(client)
    lea.upload(edge.id, lea.stream().fill(50_000, 50_000))
    assert len(zone.enrolled[edge.id]) <= asked + 2
