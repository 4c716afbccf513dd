"""§4.5, §4.6: edges end with the same catalogue, whatever happens to them and between them."""
import json
import random
import secrets
import signal
import threading
import time

import pytest
from ec import roles, sync, trust
from ec.client import Client, eventually
from fleet import (
    SETTLE_S, Cable, agree, check_copy, check_served, counters, dump, fleet_of, listed, parts_here,
)  # fmt: skip

EDGES = 5
DAY_S = 86_400
CHAOS_S = 20
GIVE_UP_S = 120  # an upload or deletion that got nowhere for so long


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agree")
    with fleet_of(EDGES, folder, "--replicas", 2, "--replica-grace-s", 600) as fleet:
        yield fleet


@pytest.fixture
def streamer(fleet):
    return fleet.streamer()


@pytest.fixture
def fake(fleet):
    return roles.FakeEdge(fleet.client, fleet.auth.secret)


def upload(streamer, edge, *sizes):
    stream = streamer.stream().fill(*(sizes or (30_000,)))
    streamer.upload(edge.id, stream)
    return stream


def all_list(fleet, stream, edges=None):
    for edge in edges or fleet.edges:
        eventually(lambda: fleet.row(edge, stream.video_id), SETTLE_S)


def said(client, edge):
    """What an edge's next status says and signs. client: subscribed to edge/status/+."""
    status = trust.unb64(client.expect(f"edge/status/{edge.id}").json["signed"])
    return trust.decode("status", status[:-64])


def settled(fleet):
    """Until every edge has a catalogue that a newcomer may ask for; not yet, seconds after their start."""
    client = fleet.new_client().subscribe("edge/status/+")
    for edge in fleet.edges:
        eventually(lambda: said(client, edge)["since"], SETTLE_S)


def fence(fleet, streamer, fake):
    """Until every edge has taken in what was announced before."""
    stream = streamer.stream().fill(1000)
    fake.publish(fake.update(streamer, stream))
    all_list(fleet, stream)


# --- what nobody should believe ----------------------------------------------


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def forgeries(fake, streamer, other, stream):
    """name: messages of which nothing must come."""
    key = trust.Key()

    def update(**over):
        return fake.update(streamer, stream, **{k: trust.b64(v) for k, v in over.items()})

    def claim(**over):
        """Without custody, which may be true whatever is said beside it."""
        return {k: v for k, v in update(**over).items() if k not in ("custody", "edge_credential")}

    def lot(**over):
        return {**fake.lot(), **over}

    ahead = trust.now_us() + DAY_S * 1_000_000
    statement = trust.b64(stream.final_statement())
    return {
        "custody that nobody signed": [update(custody=fake.holding(stream, key=key))],
        "custody with a flipped bit": [update(custody=flipped(fake.holding(stream)))],
        "custody a day ahead": [update(custody=fake.holding(stream, ahead_s=DAY_S))],
        "a statement by another streamer": [claim(statement=stream.final_statement(key=other.key))],
        "a statement a day ahead": [claim(statement=stream.final_statement(revision=ahead))],
        "a deletion by another": [fake.removal(trust.deletion(
            other.key, streamer.zone["zone_id"], stream.video_id, streamer.id), other.credential)],
        "a deletion a day ahead": [fake.removal(trust.deletion(
            streamer.key, streamer.zone["zone_id"], stream.video_id, streamer.id, ahead),
            streamer.credential)],
        "a title of 1 MB": [{**claim(), "video_nom": "t" * 1_000_000}],
        "a signed title of 1 MB": [claim(statement=streamer.key.signed("video", trust.encode(
            "video", **{**stream.fields, "title": "t" * 1_000_000})))],
        "a lot of garbage": [
            lot(credentials=5), lot(claims=[5] * 600), lot(holdings=[{"custody": "x"}]),
            lot(claims=[{"statement": statement, "credential": 7}], credentials=[]),
            lot(credentials=[trust.b64(streamer.credential)],
                claims=[{"statement": statement[:-8] + "AAAAAAA=", "credential": 0}]),
        ],
    }  # fmt: skip


NAMES = [
    "custody that nobody signed", "custody with a flipped bit", "custody a day ahead",
    "a statement by another streamer", "a statement a day ahead", "a deletion by another",
    "a deletion a day ahead", "a title of 1 MB", "a signed title of 1 MB", "a lot of garbage",
]  # fmt: skip
REFUSALS = (
    "messages_rejected", "peers_refused", "rows_refused", "rows_unchanged", "rows_orphaned",
)  # fmt: skip


def refused(edge):
    found = counters(edge)
    return sum(found[name] for name in REFUSALS)


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_row_changes_nothing_but_a_counter(fleet, streamer, fake, name):
    other = fleet.streamer("noe")
    known, unknown = upload(streamer, fleet.edges[0]), streamer.stream().fill(1000)
    eventually(lambda: all(len(fleet.holders(e, known.video_id)) == 2 for e in fleet.edges), SETTLE_S)
    before = {edge: rows_of(edge, known) for edge in fleet.edges}
    counted = {edge: refused(edge) for edge in fleet.edges}
    fake.beat(disk_free=0)  # known, so that its lots are looked into; with no room for copies
    for stream in (known, unknown):
        for message in forgeries(fake, streamer, other, stream)[name]:
            fake.publish(message)
    fence(fleet, streamer, fake)
    for edge in fleet.edges:
        assert rows_of(edge, known) == before[edge]
        assert fake.id not in fleet.holders(edge, unknown.video_id)
        assert refused(edge) > counted[edge] or dropped(edge, name), name


def dropped(edge, name):
    """A message above the limit is dropped before it is decoded, and counted there."""
    return "1 MB" in name and "dropped=" in edge.process.lines[-1]


def rows_of(edge, stream):
    return {
        table: [row for row in rows if stream.video_id in row] for table, rows in dump(edge).items()
    }


def test_an_old_row_that_is_played_again(fleet, streamer, fake):
    """What was once true: custody that was given up since, a title that was changed since."""
    stream = upload(streamer, fleet.edges[0])
    eventually(lambda: all(len(fleet.holders(e, stream.video_id)) == 2 for e in fleet.edges), SETTLE_S)
    old = fake.update(streamer, stream)
    fake.publish(old)
    newer = stream.final_statement(title="Newer", revision=stream.fields["revision"] + 10)
    gone = fake.holding(stream, state=0)
    fake.publish({**old, "custody": trust.b64(gone), "statement": trust.b64(newer)})
    for edge in fleet.edges:
        eventually(lambda: fleet.row(edge, stream.video_id)["title"] == "Newer", SETTLE_S)
        eventually(lambda: fake.id not in fleet.holders(edge, stream.video_id), SETTLE_S)
    before = {edge: rows_of(edge, stream) for edge in fleet.edges}
    counted = {edge: refused(edge) for edge in fleet.edges}
    for _ in range(3):
        fake.publish(old)
    fence(fleet, streamer, fake)
    for edge in fleet.edges:
        assert rows_of(edge, stream) == before[edge]
        assert refused(edge) > counted[edge]


def test_an_edge_whose_clock_is_a_day_ahead(fleet, streamer, fake):
    """Its heartbeats and its rows count for nothing, and it is asked for nothing."""
    stream = streamer.stream().fill(1000)
    fake.hold(streamer, stream, ahead_s=DAY_S)
    fake.listen()
    counted = {edge: counters(edge)["statuses_refused"] for edge in fleet.edges}
    ahead = trust.now_us() + DAY_S * 1_000_000
    for i in range(3):
        fake.beat(time=ahead + i)
        fake.publish(fake.update(streamer, stream, custody=trust.b64(fake.holding(stream, ahead_s=DAY_S))))
    fence(fleet, streamer, fake)
    for edge in fleet.edges:
        assert counters(edge)["statuses_refused"] >= counted[edge] + 3
        assert fake.id not in fleet.holders(edge, stream.video_id)
    assert not fleet.client.peek(f"db/sync/{fake.id}")


def test_a_heartbeat_that_is_not_its_edges(fleet, streamer, fake):
    """Signed by another key, of another edge, played again: none makes an edge or asks of one."""
    fake.listen()
    counted = {edge: counters(edge)["statuses_refused"] for edge in fleet.edges}
    good = fake.status()
    forged = [
        fake.status(key=trust.Key()), fake.status(edge_id="node1"), fake.status(zone_id="zone-x"),
        {**good, "signed": ""}, {**good, "signed": trust.b64(flipped(trust.unb64(good["signed"])))},
        {**good, "credential": trust.b64(streamer.credential)},
    ]  # fmt: skip
    for message in forged:
        fleet.client.publish(f"edge/status/{fake.id}", message)
    fence(fleet, streamer, fake)
    for edge in fleet.edges:
        assert counters(edge)["statuses_refused"] >= counted[edge] + len(forged)
    assert not fleet.client.peek(f"db/sync/{fake.id}")


STRANGERS = ("unsigned", "by a key of nobody's", "under another message's signature")


def by_a_stranger(fake, how, message, topic, to=""):
    """A message in that edge's name, by somebody who has not its key."""
    if how == "unsigned":
        return message
    if how == "by a key of nobody's":
        return fake.signed(message, topic, to, key=trust.Key())
    tail = fake.signed({"EDGE_ID": fake.id}, topic, to)[-sync.SIG_AT:]
    return json.dumps(message).encode()[:-1] + tail


@pytest.mark.parametrize("how", STRANGERS)
def test_a_stranger_in_the_name_of_an_edge(fleet, streamer, fake, how):
    """Rows, questions and requests that are true but not signed by whom they name: no answer."""
    upload(streamer, fleet.edges[0])
    agree(fleet.edges)
    edge = fleet.edges[1]
    unknown = streamer.stream().fill(1000)
    claim = (unknown.final_statement(), streamer.credential, unknown.manifest(), str(unknown.thumbnail))
    fake.beat(disk_free=0)
    client = fleet.new_client().subscribe(f"db/{fake.id}", f"db/sync/{fake.id}")
    counted = {e: counters(e)["peers_refused"] for e in fleet.edges}

    def say(topic, message, to=""):
        name = f"{topic}/{to}" if to else topic
        fake.client.publish(name, by_a_stranger(fake, how, message, topic, to))

    say("db/update", fake.lot(claims=[claim]))
    say("db", {"ID": fake.id, "from": edge.id, "form": "bundle", "page": 1, "asking": 5})
    for message in (fake.catalogue.ask(), {"kind": "rows", **sync.bundle(claims=[claim])}):
        message = {"EDGE_ID": fake.id, "sync": message.pop("kind"), **message}
        say("db/sync", message, edge.id)
    fence(fleet, streamer, fake)
    for e in fleet.edges:
        assert not fleet.row(e, unknown.video_id)
        assert counters(e)["peers_refused"] >= counted[e] + (4 if e is edge else 2)
    assert not client.peek("db/#")
    fake.publish(fake.lot(claims=[claim]))  # itself
    request = {"ID": fake.id, "from": edge.id, "form": "bundle", "page": 1, "asking": 5}
    once = fake.signed(request, "db")
    client.publish("db", once)
    page = client.expect(f"db/{fake.id}")
    pk = trust.open_credential(edge_credential(fleet, edge), fake.zone)["pk"]
    said, _ = sync.open_signed(page.payload, pk, fake.zone["zone_id"], edge.id, "db", fake.id)
    assert (said["EDGE_ID"], said["asking"], said["page"]) == (edge.id, 5, 1)
    while not said["pages"]:
        said = client.expect(f"db/{fake.id}").json
    client.publish("db", once)  # it counts once
    fence(fleet, streamer, fake)
    assert not client.peek(f"db/{fake.id}")


def edge_credential(fleet, edge):
    client = fleet.new_client().subscribe(f"edge/status/{edge.id}")
    message = client.expect(f"edge/status/{edge.id}", lambda m: "credential" in m.json, timeout=90)
    return trust.unb64(message.json["credential"])


# --- what was not heard ---------------------------------------------------------


def test_what_one_edge_alone_knows_reaches_all(fleet, streamer, fake):
    """Nobody announces it: the roots in the heartbeats differ, and that is enough."""
    streams = [streamer.stream().fill(1000) for _ in range(3)]
    for stream in streams:
        fake.hold(streamer, stream)
    stop = threading.Event()
    with Client(fleet.broker.port) as client:
        fake.client = client
        serving = threading.Thread(target=fake.serve, args=(stop,))
        serving.start()
        try:
            for stream in streams:
                all_list(fleet, stream)
        finally:
            stop.set()
            serving.join()
    agree(fleet.edges)


def test_a_row_that_was_announced_while_an_edge_was_cut_off(fleet, streamer):
    """Nobody tells it again; when it is back it finds out by itself, quickly or less so."""
    cable = Cable(fleet.broker)
    edge = fleet.add("node-cut", broker=cable)
    others = [e for e in fleet.edges if e is not edge]
    try:
        agree(fleet.edges)
        cable.cut()
        stream = upload(streamer, others[0])
        gone = upload(streamer, others[1])
        all_list(fleet, stream, others)
        assert streamer.delete(others[2].id, gone.video_id).get("status") == "ok"
        cable.mend()
        edge.wait_ready(fleet.client)
        all_list(fleet, stream)
        agree(fleet.edges)
    finally:
        fleet.remove(edge)
        cable.close()


def test_a_joining_edge_gets_everything_from_one_peer(fleet, streamer):
    settled(fleet)
    streams = [upload(streamer, fleet.edges[i % EDGES], 2_000) for i in range(12)]
    deleted = streams.pop()
    assert streamer.delete(fleet.edges[0].id, deleted.video_id).get("status") == "ok"
    agree(fleet.edges)
    client = fleet.new_client().subscribe("db", "db/+", "db/sync/+")
    edge = fleet.add("node-late")
    try:
        for stream in streams:
            all_list(fleet, stream, [edge])
        agree(fleet.edges)
        assert client.take_all("db", lambda m: m.get("ID") == edge.id)
        pages = [m.json["page"] for m in client.take_all(f"db/{edge.id}") if "page" in m.json]
        assert len(pages) == len(set(pages)), f"more than one edge answered: {pages}"
    finally:
        fleet.remove(edge)


def test_an_original_edge_is_answered_in_its_own_form(fleet, streamer):
    """A request without `form`: rows of plain fields, and no bundle."""
    stream = upload(streamer, fleet.edges[0])
    all_list(fleet, stream)
    agree(fleet.edges)
    me = "old-" + secrets.token_hex(4)
    client = fleet.new_client().subscribe(f"db/{me}")
    client.publish("db", {"ID": me, "root": ""})
    pages, last = {}, 0
    while not last or set(pages) != set(range(1, last + 1)):
        page = client.expect(f"db/{me}").json
        assert set(page) == {"streamers", "videos", "page", "pages"}
        pages[page["page"]], last = page, last or page["pages"]
    rows = {row["id"]: row for page in pages.values() for row in page["videos"]}
    original = {"id", "title", "description", "category", "live", "edges", "thumbnail", "streamer_id", "created_at"}
    assert original <= set(rows[stream.video_id])
    assert rows[stream.video_id]["title"] == stream.fields["title"]
    assert streamer.id in {s["id"] for page in pages.values() for s in page["streamers"]}


def test_heartbeats_say_the_same_root(fleet, streamer):
    """Signed, with a root that all share once they agree."""
    upload(streamer, fleet.edges[0])
    agree(fleet.edges)
    client = fleet.new_client().subscribe("edge/status/+")

    eventually(lambda: len({said(client, edge)["root"] for edge in fleet.edges}) == 1, SETTLE_S)


# --- everything at once -----------------------------------------------------------


class Lost(Exception):
    """What was acknowledged is no longer there."""


class Work(threading.Thread):
    """Somebody who uploads, and deletes some of it, whatever happens to the edges."""

    def __init__(self, fleet, name, seed):
        super().__init__(daemon=True)
        self.fleet, self.dice = fleet, random.Random(seed)
        self.streamer = fleet.streamer(name)
        self.kept, self.deleted, self.error = [], [], None
        self.enough = threading.Event()

    def run(self):
        try:
            while not self.enough.is_set():
                stream = self.streamer.stream(part_bytes=16_384)
                stream.fill(*(self.dice.randrange(1, 120_000) for _ in range(self.dice.randrange(1, 5))))
                self.insist(self.upload, stream, self.dice.choice(self.fleet.edges))
                self.kept.append(stream)
                if len(self.kept) % 3 == 2:
                    victim = self.kept.pop(self.dice.randrange(len(self.kept)))
                    self.insist(self.delete, victim)
                    self.deleted.append(victim)
        except Exception as e:
            self.error = e

    def insist(self, work, *arguments):
        """Again and again: an edge may be gone at any moment, and the broker as well."""
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            try:
                return work(*arguments)
            except AssertionError as e:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{work.__name__} got nowhere in {GIVE_UP_S} s: {e}") from e

    def upload(self, stream, edge):
        """To one edge: the parts that it acknowledged are its own to keep."""
        topic = f"video/upload/{edge.id}/{self.streamer.id}"
        self.streamer.client.take_all(topic)
        reply = self.streamer.init(edge.id, stream)
        if reply.get("status") != "ok":
            raise roles.Refused(reply)
        if "receipt" in reply.json:
            return
        start = reply.json["next"], reply.json["next_part"]
        at = getattr(stream, "acknowledged", {})
        if start < at.get(edge.id, (1, 0)):
            raise Lost(f"{edge.id} acknowledged {stream.video_id} up to {at[edge.id]}, has {start}")
        stream.acknowledged = at

        def keep(ack):
            at[edge.id] = max(at.get(edge.id, (1, 0)), (ack["next"], ack["next_part"]))

        self.streamer.push(edge.id, stream, start, reply.json["window_bytes"], on_ack=keep)
        end = self.streamer.end(edge.id, stream)
        if "receipt" not in end.json:
            raise roles.Refused(end)
        self.streamer.check_receipt(edge.id, stream, end.json)

    def delete(self, stream):
        reply = self.streamer.delete(self.dice.choice(self.fleet.edges).id, stream.video_id)
        if reply.get("status") != "ok":
            raise roles.Refused(reply)


def disturb(fleet, dice, until):
    """Kill, stop and start edges and the broker."""
    while time.monotonic() < until:
        edge = dice.choice(fleet.edges)
        what = dice.choice(["kill", "kill", "stop", "stop", "broker"])
        if what == "kill":
            edge.kill()
            threading.Event().wait(dice.uniform(0, 1.5))
            edge.spawn()
        elif what == "stop":
            edge.process.kill(signal.SIGSTOP)
            threading.Event().wait(dice.uniform(0, 3))
            edge.process.kill(signal.SIGCONT)
        else:
            fleet.broker.kill()
            threading.Event().wait(dice.uniform(0, 0.5))
            assert eventually(fleet.broker.start)
        threading.Event().wait(dice.uniform(0, 1))


def test_edges_agree_after_all_that_can_happen(fleet, monkeypatch):
    """SIGKILL and SIGSTOP of edges and of the broker while uploads and deletions run."""
    monkeypatch.setattr("ec.roles.TIMEOUT_S", 5)
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    workers = [Work(fleet, f"worker{i}", seed + i) for i in range(3)]
    for worker in workers:
        worker.start()
    disturb(fleet, random.Random(seed), time.monotonic() + CHAOS_S)
    for worker in workers:
        worker.enough.set()
    for worker in workers:
        worker.join(GIVE_UP_S + 10)
        assert worker.error is None, worker.error
        assert not worker.is_alive()
    fleet.check()
    for edge in fleet.edges:
        edge.wait_ready(fleet.client)
    agree(fleet.edges, 2 * SETTLE_S)
    kept = [stream for worker in workers for stream in worker.kept]
    deleted = [stream for worker in workers for stream in worker.deleted]
    assert kept and deleted
    eventually(lambda: twice(fleet.edges[0], kept), 2 * SETTLE_S, pause=1)
    agree(fleet.edges)
    held = listed(fleet.edges[0])
    assert set(held) >= {stream.video_id for stream in kept}
    viewer = fleet.viewer()
    for stream in kept:
        holders = [edge for edge in fleet.edges if edge.id in held[stream.video_id]]
        for edge in holders:
            check_copy(edge, stream)
        check_served(viewer, holders[0], stream)
    for stream in deleted:
        for edge in fleet.edges:
            assert stream.video_id not in listed(edge)
            eventually(lambda: parts_here(edge, stream.video_id) == 0, SETTLE_S)


def twice(edge, streams):
    held = listed(edge)
    return all(len(held.get(stream.video_id, ())) >= 2 for stream in streams)
