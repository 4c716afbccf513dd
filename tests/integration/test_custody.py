"""§4.7: copies are made, taken over and given up, and what is cached is none of them.

In this order: what takes the edges' age (a copy is given up by an edge that has been
up for a minute) comes last.
"""
import signal

import pytest
from ctl import Edgectl
from ec import roles, trust
from ec.client import eventually
from fleet import (
    SETTLE_S, Cable, agree, check_copy, check_served, counters, dump, fleet_of, parts_here, query,
)  # fmt: skip

REPLICAS, CACHE_MIB = 2, 4
LONG_S = 150  # silence, grace and the minute before an edge gives anything up


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("custody")
    options = ("--replicas", REPLICAS, "--replica-grace-s", 3, "--cache-mib", CACHE_MIB)
    with fleet_of(4, folder, *options) as fleet:
        yield fleet


@pytest.fixture
def streamer(fleet):
    return fleet.streamer()


def upload(streamer, edge, *sizes, **options):
    stream = streamer.stream(**options).fill(*(sizes or (300_000, 100_000)))
    streamer.upload(edge.id, stream)
    return stream


def named(fleet, names):
    return [edge for edge in fleet.edges if edge.id in names]


def copies(fleet, stream, n, edges=None, timeout=SETTLE_S):
    """Wait until all say that the same n edges hold it; those edges."""

    def said():
        lists = [fleet.holders(edge, stream.video_id) for edge in edges or fleet.edges]
        return lists[0] if len(lists[0]) == n and all(x == lists[0] for x in lists) else None

    return named(fleet, eventually(said, timeout))


def test_a_video_has_two_copies(fleet, streamer):
    """Made by whom the edges agree on, without being told; each verifies, part by part."""
    streams = [upload(streamer, fleet.edges[i % 4], 200_000 + i, 50_000) for i in range(6)]
    for stream in streams:
        held = copies(fleet, stream, REPLICAS)
        for edge in held:
            check_copy(edge, stream)
            check_served(fleet.viewer(), edge, stream)
        for edge in fleet.edges:
            if edge not in held:
                assert parts_here(edge, stream.video_id) == 0
    agree(fleet.edges)
    assert {h.id for s in streams for h in copies(fleet, s, REPLICAS)} == {e.id for e in fleet.edges}


def test_a_copy_is_announced_with_a_signed_row(fleet, streamer):
    fleet.client.subscribe("db/update")
    stream = upload(streamer, fleet.edges[0])
    held = copies(fleet, stream, REPLICAS)
    for edge in held:
        rows = query(
            edge,
            "SELECT edge_id, object, edge_credential FROM holding WHERE video_id = ? AND state = 1",
            stream.video_id,
        )
        assert {row[0] for row in rows} == {e.id for e in held}
        for edge_id, signed, credential in rows:
            holder = trust.open_credential(credential, fleet.zone)
            assert (holder["kind"], holder["subject"]) == (trust.EDGE, edge_id)
            custody = trust.open_signed("custody", signed, holder["pk"])
            assert (custody["edge_id"], custody["stream"]) == (edge_id, stream.id)


def test_what_is_watched_through_is_cached_and_no_copy(fleet, streamer):
    """Served by who does not hold it; nobody counts that, and it makes room for more."""
    stream = upload(streamer, fleet.edges[0], 1_000_000)
    held = copies(fleet, stream, REPLICAS)
    third = next(edge for edge in fleet.edges if edge not in held)
    assert fleet.viewer().watch_binary(third.id, stream.video_id)[1].payload() == stream.payload
    eventually(lambda: parts_here(third, stream.video_id) == len(stream.parts))
    agree(fleet.edges)
    assert copies(fleet, stream, REPLICAS) == held
    assert not [r for r in dump(third)["holding"] if r[0] == stream.video_id and r[2] == third.id]


def test_the_cache_is_bounded_and_custody_is_not_touched(fleet, streamer):
    """Watched through: more than CACHE_MIB. What was watched longest ago goes first."""
    own = upload(streamer, fleet.edges[0], 500_000)
    holders = copies(fleet, own, REPLICAS)
    streams = [upload(streamer, fleet.edges[i % 4], 1_500_000, 500_000 + i) for i in range(8)]
    held = {stream.video_id: copies(fleet, stream, REPLICAS) for stream in streams}
    edge = holders[0]
    foreign = [s for s in streams if edge not in held[s.video_id]]
    evicted = counters(edge)["cache_evicted"]
    for stream in foreign:
        video, assembly = fleet.viewer().watch_binary(edge.id, stream.video_id)
        assert assembly.payload() == stream.payload

    def cached():
        sql = "SELECT total(bytes) FROM copy WHERE kept = 0 AND state = 'whole'"
        return query(edge, sql)[0][0]

    if sum(len(s.payload) for s in foreign) > CACHE_MIB << 20:
        eventually(lambda: counters(edge)["cache_evicted"] > evicted, SETTLE_S)
    eventually(lambda: cached() <= CACHE_MIB << 20, SETTLE_S)
    check_copy(edge, own)
    for stream in streams:
        for holder in held[stream.video_id]:
            check_copy(holder, stream)
        assert copies(fleet, stream, REPLICAS) == held[stream.video_id]


def test_one_that_lies_about_a_copy_costs_a_copy_no_longer_than_it_is_believed(fleet, streamer):
    """A signed custody row counts as a copy only while its edge is heard."""
    stream = upload(streamer, fleet.edges[0])
    fake = roles.FakeEdge(fleet.client, fleet.auth.secret)
    fake.publish(fake.update(streamer, stream))
    for edge in fleet.edges:
        eventually(lambda: fake.id in fleet.holders(edge, stream.video_id))
    eventually(
        lambda: len([h for h in fleet.holders(fleet.edges[0], stream.video_id) if h != fake.id]) == 2,
        LONG_S,
    )


# --- edges that go and come ----------------------------------------------------


def offline(fleet, edge, video_id):
    row = fleet.row(edge, video_id)
    return (row.get("offline") or "").split(",") if row else []


def test_a_silent_edge_is_shown_as_offline(fleet, streamer, tmp_path):
    """Also by edgectl, and nobody fetches from it; back again, it is not."""
    stream = upload(streamer, fleet.edges[0])
    silent, other = copies(fleet, stream, REPLICAS)
    third = next(edge for edge in fleet.edges if edge not in (silent, other))
    assert offline(fleet, third, stream.video_id) == [""]
    silent.process.kill(signal.SIGSTOP)
    try:
        eventually(lambda: silent.id in offline(fleet, third, stream.video_id), SETTLE_S)
        ctl = Edgectl(fleet.broker.url, tmp_path)
        rows = {row["id"]: row for row in ctl.json("list", "--edge", third.id)}
        assert rows[stream.video_id]["offline"] == silent.id
        assert silent.id in rows[stream.video_id]["edges"].split(",")
        text = ctl.run("list", "--edge", third.id).stdout.decode()
        assert f"{silent.id}(offline)" in text and f"{other.id}(offline)" not in text
        assert silent.id not in {e["edge_id"] for e in ctl.json("ping")}
        assert fleet.viewer().watch_binary(third.id, stream.video_id)[1].payload() == stream.payload
    finally:
        silent.process.kill(signal.SIGCONT)
    eventually(lambda: offline(fleet, third, stream.video_id) == [""], SETTLE_S)


def test_an_edge_that_ends_says_so(fleet, streamer):
    """It is shown as offline at once, and online when it is back."""
    stream = upload(streamer, fleet.edges[0])
    first, other = copies(fleet, stream, REPLICAS)
    first.stop()
    eventually(lambda: first.id in offline(fleet, other, stream.video_id), SETTLE_S)
    first.start(fleet.client)
    eventually(lambda: offline(fleet, other, stream.video_id) == [""], SETTLE_S)


def test_a_forged_offline_puts_nobody_offline(fleet, streamer):
    """Its own next heartbeat says more than what nobody signed."""
    stream = upload(streamer, fleet.edges[0])
    first, other = copies(fleet, stream, REPLICAS)
    status = f"edge/status/{first.id}"
    fleet.client.subscribe(status)
    fleet.client.take_all(status)
    for state in ("offline", "online"):
        fleet.client.publish(
            status,
            {"EDGE_ID": first.id, "status": state, "zone": fleet.zone["zone_id"], "ts": 1,
             "videos": 0, "streams": 0, "viewers": 0, "uptime_s": 0},
        )  # fmt: skip
    for _ in range(4):  # the two, and two of its own
        fleet.client.expect(status)
        assert first.id not in offline(fleet, other, stream.video_id)


def test_another_takes_over_and_what_is_too_much_goes(fleet, streamer):
    """The edge was away longer than the grace; back, there are three, then two, and no fewer."""
    stream = upload(streamer, fleet.edges[0])
    away, other = copies(fleet, stream, REPLICAS)
    here = [edge for edge in fleet.edges if edge is not away]
    away.process.kill(signal.SIGSTOP)
    try:
        three = copies(fleet, stream, REPLICAS + 1, here, LONG_S)
    finally:
        away.process.kill(signal.SIGCONT)
    new = next(edge for edge in three if edge not in (away, other))
    check_copy(new, stream)
    left = copies(fleet, stream, REPLICAS, timeout=LONG_S)
    for edge in left:
        assert edge in three
        check_copy(edge, stream)
        check_served(fleet.viewer(), edge, stream)
    agree(fleet.edges)
    dropped = next(edge for edge in three if edge not in left)
    assert counters(dropped)["copies_dropped"] >= 1
    assert sum(counters(edge)["probes_answered"] for edge in left) >= len(left)


def test_the_last_copy_is_never_given_up(fleet, streamer):
    """Three edges say that they hold it, but two of them cannot prove it."""
    stream = upload(streamer, fleet.edges[0])
    held = copies(fleet, stream, REPLICAS)
    fakes = [roles.FakeEdge(fleet.client, fleet.auth.secret) for _ in range(3)]
    for fake in fakes:
        fake.publish(fake.update(streamer, stream))
    for edge in fleet.edges:
        eventually(lambda: {f.id for f in fakes} <= set(fleet.holders(edge, stream.video_id)))
    agree(fleet.edges)
    for edge in held:
        check_copy(edge, stream)
        assert edge.id in fleet.holders(fleet.edges[0], stream.video_id)


def test_a_copy_goes_on_where_it_stopped(fleet, streamer):
    """The edge that copies is cut off in the middle."""
    cable = Cable(fleet.broker)
    slow = ("--replicas", 5, "--replica-grace-s", 3, "--replication-kib-s", 512)
    edge = fleet.add("node-cut", broker=cable, arguments=[str(a) for a in slow])
    try:
        stream = upload(streamer, fleet.edges[0], 2_000_000, 2_000_000, part_bytes=61_440)
        eventually(lambda: parts_here(edge, stream.video_id) > 5, LONG_S)
        cable.cut()
        had = parts_here(edge, stream.video_id)
        assert had < len(stream.parts)
        cable.mend()
        eventually(lambda: edge.id in fleet.holders(fleet.edges[0], stream.video_id), LONG_S)
        check_copy(edge, stream)
    finally:
        fleet.remove(edge)
        cable.close()
