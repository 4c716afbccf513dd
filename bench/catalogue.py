"""The catalogue that edges share: what it costs to join it, to agree again, and to keep it."""

import json
import shutil
import sqlite3
import subprocess
import time

from cluster import BenchError, wait_until

KIB, MIB = 1 << 10, 1 << 20
FILL_S_MAX = 900
JOIN_S_MAX = 180
BEATS_S = 20  # the first three have the credential, too
EDGES_BEATING = 4
ASKED = ("db", "page", "sync", "update")  # all flows but heartbeats
# Columns that hold what was signed. What else a row has (ids, hashes, times) is read out of it.
SIGNED = {"claim": ("statement", "manifest", "thumbnail", "credential"),
          "holding": ("object", "edge_credential")}
SECOND_INDEXES = {"claim_second": "claim", "holding_second": "holding"}


class Tally:
    """A subscriber of its own, and the last that it said."""

    def __init__(self, c):
        self.c = c
        self.process = c.background("tally")
        wait_until("the tally's start", lambda: self.process.said("at_us"))

    def now(self):
        with open(self.process.log, "rb") as f:
            f.seek(max(0, f.seek(0, 2) - 65536))
            lines = f.read().decode().splitlines(keepends=True)
        return json.loads([line for line in lines if line.endswith("}}\n")][-1])

    def root(self, edge_id):
        """What the edge says that it holds; None: nothing yet."""
        e = self.now()["edges"].get(edge_id)
        return (e["horizon_us"], e["root"]) if e and e["state"] and e["horizon_us"] else None

    def bytes_since(self, before, flows=ASKED):
        flowed = self.now()["flows"]
        return sum(flowed[f]["payload_bytes"] - before["flows"][f]["payload_bytes"] for f in flows)

    def end(self):
        self.c.end(self.process)


def fill_command(c, data, edge_id, videos, *more):
    data.mkdir(exist_ok=True)
    return [c.build / "bench/fill", "rows", "--auth", c.folder / "auth",
            "--database", data / "edge_cluster.db", "--edge", edge_id, "--videos", videos, *more]


def finish(popen):
    try:
        out, err = popen.communicate(timeout=FILL_S_MAX)
    finally:
        if popen.poll() is None:
            popen.kill()
    if popen.returncode:
        raise BenchError(f"fill: {err.strip() or popen.returncode}")
    return json.loads(out)


def fill(*args):
    return finish(begin(*args))


def begin(*args):
    return subprocess.Popen(list(map(str, fill_command(*args))), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start(c, edge_id, data):
    """Those who hold the videos are not there; nobody is to copy them."""
    c.serial += 1
    p = c.start(f"{edge_id}-{c.serial}", [*c.edge_command(edge_id, data), "--replicas", 1,
                                          "--replica-grace-s", 86400])
    wait_until("the edge's connection", lambda: p.said("broker: connected"))
    return p


def query(data, sql):
    db = sqlite3.connect(f"file:{data / 'edge_cluster.db'}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()
    finally:
        db.close()


def row_bytes(data):
    """Of all rows: what was signed in them; the same with each credential once; every column."""
    signed = every = once = 0
    for table, columns in SIGNED.items():
        names = [n[0] for n in sqlite3.connect(data / "edge_cluster.db").execute(
            f"SELECT name FROM pragma_table_info('{table}')")]

        def total(which, table=table):
            text = "+".join(f"sum(length(CAST({n} AS BLOB)))" for n in which)
            return query(data, f"SELECT {text} FROM {table}")[0]
        signed += total(columns)
        every += total(names)
        once += total(columns[:-1]) + query(
            data, f"SELECT sum(length(x)) FROM (SELECT DISTINCT {columns[-1]} AS x FROM {table})")[0]
    return signed, once, every


# ---- joining and coming back ----

def join(b):
    c = b.cluster
    c.edge_stop()
    tally = Tally(c)
    videos = b.pick(100000, 5000)
    source, joiner = c.folder / "source", c.folder / "joiner"
    filling = begin(c, source, "source", videos)
    heartbeats(b, tally)
    filled = finish(filling)
    b.note("join", f"{videos:,} videos were signed and merged into the first edge's database in "
           f"{filled['took_us'] / 1e6:.0f} s")
    signed, once, every = row_bytes(source)
    a = start(c, "source", source)
    wait_until("the source's root", lambda: tally.root("source"), 60)
    before, begun = tally.now(), time.time()
    e = start(c, "joiner", joiner)
    wait_until("the equal root", lambda: tally.root("joiner") == tally.root("source"), JOIN_S_MAX)
    say_join(b, tally, before, begun, videos, (signed, once, every))
    b.value("join", "memory of the edge that joined, peak", "MiB", e.memory()[1] / MIB)
    b.value("join", "memory of the edge that told it, peak", "MiB", a.memory()[1] / MIB)
    rejoin(b, tally, e, joiner)
    for p in c.processes[:]:
        if p.name.startswith(("source-", "joiner-")):
            c.end(p)
    tally.end()
    for data in (source, joiner):
        shutil.rmtree(data)


def say_join(b, tally, before, begun, videos, sizes):
    signed, once, every = sizes
    now = tally.now()
    flowed = tally.bytes_since(before)
    took = now["edges"]["joiner"]["at_us"] / 1e6 - begun
    pages = now["flows"]["page"]
    came = (pages["last_us"] - pages["first_us"]) / 1e6
    what = f"a new edge joins, {videos:,} videos with one copy each"
    b.value("join", f"{what}: bytes on the wire over what is signed in the rows "
            f"({flowed / 1e6:.1f} of {signed / 1e6:.1f} MB)", "×", flowed / signed, "≤ 1.3",
            flowed <= 1.3 * signed)
    b.value("join", "  over all columns of the rows", "×", flowed / every)
    b.value("join", "  over what is signed, every credential counted once", "×", flowed / once)
    b.value("join", "  messages", "messages", sum(
        now["flows"][f]["messages"] - before["flows"][f]["messages"] for f in ASKED))
    b.value("join", "  from its start to an equal root (seen in heartbeats, 5 s apart)", "s", took)
    b.value("join", "  rows while pages came", "rows/s", 2 * videos / came)


def rejoin(b, tally, e, data):
    c = b.cluster
    uploads = 5  # a claim and a holding each
    c.end(e)
    old = tally.root("source")
    c.load("upload", edge="source", streams=uploads, chunks=1, part_bytes=1024, parts=1, id="late")
    wait_until("the source's new root", lambda: tally.root("source") != old)
    before, begun = tally.now(), time.time()
    start(c, "joiner", data)
    wait_until("the equal root", lambda: tally.root("joiner") == tally.root("source"), 90)
    flowed = tally.bytes_since(before)
    took = tally.now()["edges"]["joiner"]["at_us"] / 1e6 - begun
    rows = query(data, "SELECT (SELECT count(*) FROM claim WHERE video_id LIKE 'late%') + "
                 "(SELECT count(*) FROM holding WHERE video_id LIKE 'late%')")[0]
    what = f"it comes back, {rows} rows changed meanwhile"
    b.value("join", f"{what}: bytes on the wire", "KiB", flowed / KIB, "≤ 64",
            flowed <= 64 * KIB and rows == 2 * uploads)
    b.value("join", f"{what}: messages", "messages", sum(
        tally.now()["flows"][f]["messages"] - before["flows"][f]["messages"] for f in ASKED))
    b.value("join", "  from its start to an equal root", "s", took)


# ---- heartbeats ----

def heartbeats(b, tally):
    """In a steady state every twelfth heartbeat has the edge's credential."""
    c = b.cluster
    edges = [start(c, f"beating-{k}", c.folder / f"beating-{k}") for k in range(EDGES_BEATING)]
    wait_until("the first heartbeats", lambda: len(tally.now()["edges"]) >= EDGES_BEATING)
    before = tally.now()
    time.sleep(BEATS_S)
    flows = tally.now()["flows"]
    mean = {}
    for kind in ("beat", "beat_credential"):
        if not flows[kind]["messages"]:
            raise BenchError(f"no heartbeat of kind {kind} was heard")
        mean[kind] = flows[kind]["packet_bytes"] / flows[kind]["messages"]
    for p in edges:
        c.end(p)
        shutil.rmtree(c.folder / p.name.rsplit("-", 1)[0])
    say_heartbeats(b, mean, flows, before)


def say_heartbeats(b, mean, flows, before):
    beat = (11 * mean["beat"] + mean["beat_credential"]) / 12
    published = 100 * beat / 5
    heard = sum(flows[k]["messages"] - before["flows"][k]["messages"] for k in mean)
    b.note("join", f"{heard} heartbeats of {EDGES_BEATING} edges heard: PUBLISH packets of "
           f"{mean['beat']:.0f} bytes, {mean['beat_credential']:.0f} with a credential")
    b.value("join", "heartbeats of 100 edges, published", "kB/s", published / 1e3, "< 10",
            published < 10000)
    b.value("join", "  delivered to 100 edges", "kB/s", published / 10)


# ---- a million rows ----

def change(c, data, n, again):
    """Restate n videos. Per row, in µs: wall clock, and CPU of the store."""
    r = fill(c, data, "million", n, "--again", again)
    if r["changed"] != n:
        raise BenchError(f"only {r['changed']} of {n} rows changed")
    return r["took_us"] / (2 * n), r["cpu_us"] / (2 * n)


def middle(runs, k):
    return sorted(r[k] for r in runs)[len(runs) // 2]


def execute(data, *statements):
    db = sqlite3.connect(data / "edge_cluster.db", isolation_level=None)
    for sql in statements:
        db.execute(sql)
    db.close()


def million(b):
    c = b.cluster
    c.edge_stop()
    videos = b.pick(500000, 20000)
    rows = f"{2 * videos:,} rows"
    sums = b.tool_json("bench/fill", "sums", "--auth", c.folder / "auth", "--videos", videos)
    data = c.folder / "million"
    filled = fill(c, data, "million", videos)
    b.note("million", f"{rows} were signed and merged in {filled['took_us'] / 1e6:.0f} s")
    b.value("million", f"keeping the root, {rows}: CPU of hash, sums and root per row that changes",
            "µs", sums["change_us"], "< 20", sums["change_us"] < 20)
    keeping(b, data)
    b.value("million", f"memory of the sums over {rows}", "MiB", sums["bytes"] / MIB)
    tally = Tally(c)
    e = start(c, "million", data)
    wait_until("the root", lambda: tally.root("million"), 60)  # it has found that it is alone
    c.end(e)
    wait_until("its end", lambda: not tally.root("million"))
    begun = time.time()
    e = start(c, "million", data)
    wait_until("the root", lambda: tally.root("million"), 60)
    took = tally.now()["edges"]["million"]["at_us"] / 1e6 - begun
    b.value("million", f"from start to a root over {rows} in a heartbeat", "s", took)
    time.sleep(b.pick(20, 3))  # it looks through its copies
    resident, peak = e.memory()
    b.value("million", f"memory of an edge with {rows}, peak", "MiB", peak / MIB, "< 64",
            peak < 64 * MIB)
    b.value("million", "  at rest", "MiB", resident / MIB)
    c.end(e)
    tally.end()
    shutil.rmtree(data)


def keeping(b, data):
    """The indexes by leaf cannot be left out: what a second pair of them costs, the first does."""
    c = b.cluster
    n = b.pick(10000, 2000)
    change(c, data, n, 1)  # warm
    once, twice = [], []
    for k in range(b.pick(3, 1)):
        once.append(change(c, data, n, 2 + 2 * k))
        execute(data, *(f"CREATE INDEX {name} ON {table}(leaf, digest)"
                        for name, table in SECOND_INDEXES.items()))
        twice.append(change(c, data, n, 3 + 2 * k))
        execute(data, *(f"DROP INDEX {name}" for name in SECOND_INDEXES))
    wall, cpu = (middle(once, k) for k in (0, 1))
    what = f"a row that changes, {2 * n:,} in bursts"
    b.value("million", f"{what}: merged and on disk", "µs", wall)
    b.value("million", "  CPU of the store", "µs", cpu)
    b.value("million", "  CPU, of that for the indexes by which the sums are built and searched",
            "µs", middle(twice, 1) - cpu)


ITEMS = {f.__name__: f for f in (join, million)}
NAMED_ONLY = ("million",)  # longer than the rest has time for

__all__ = ["ITEMS", "NAMED_ONLY"]
