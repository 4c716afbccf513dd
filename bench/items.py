"""What is measured. Each function takes a Bench, runs its contenders in turn, and adds rows."""

import shutil
import sqlite3
import time

from cluster import BenchError, wait_until
import link as link_module

MIB = 1 << 20
PART = 61440
REF = {"in": "bench/in", "out": "bench/out"}
RAW = {"in": "bench/raw", "out": "bench/raw"}


def gb_cost(result, names):
    """CPU-seconds per delivered GB of the named processes."""
    shares = [v for k, v in result["cpu_share"].items() if k.startswith(names)]
    return sum(shares) / (result["bytes_per_s"] / 1e9) if result["bytes_per_s"] else 0.0


# ---- relay ----

def relay_runs(b, **options):
    """Contenders that relay bench/in to bench/out, the edge, and no relay at all."""
    c = b.cluster

    def reference(program, *args):
        def run():
            c.edge_stop()
            p = c.reference(program, *args)
            try:
                return c.load("live", [c.broker, p], **{**REF, **options})
            finally:
                c.end(p)
        return run

    def ours():
        e = c.edge()
        return c.load("live", [c.broker, e], **options)

    def raw():
        c.edge_stop()
        return c.load("live", [c.broker], **{**RAW, **options})

    return {"raw": raw,
            "libmosquitto": reference("relay_mosquitto"),
            "Paho": reference("relay_paho"),
            "libmosquitto, verifying": reference("relay_mosquitto", "verify"),
            "Paho, verifying": reference("relay_paho", "verify"),
            "edge": ours}


def knee(b):
    """Parts per second that the edge relays flat out: measured once per bench."""
    if "knee" not in b.shared:
        runs = relay_runs(b, seconds=b.seconds)
        b.shared["knee"] = {k: runs[k]()["parts_per_s"] for k in ("edge", "Paho")}
    return b.shared["knee"]


def relay(b):
    got = b.contend("relay throughput", relay_runs(b, seconds=b.seconds))
    b.shared["knee"] = {k: b.median(got[k], "parts_per_s") for k in ("edge", "Paho")}
    b.row("relay", "throughput, 1 live, 1 viewer, 60 KiB parts", "MB/s", got, "bytes_per_s",
          scale=1e-6)
    for name, least, text in (("Paho, verifying", 0.95, "≥ 0.95 (the identical relay)"),
                              ("Paho", 0.95, "≥ 0.95, though that one verifies nothing"),
                              ("libmosquitto", None, "aim 0.9; that one verifies nothing")):
        b.ratio("relay", f"throughput over that of {name}", got, name, "bytes_per_s", least, text)
    names = {"edge": "edge", "Paho": "relay_paho", "Paho, verifying": "relay_paho",
             "libmosquitto": "relay_mosquitto", "libmosquitto, verifying": "relay_mosquitto"}
    for k, prefix in names.items():
        for r in got[k]:
            r["cost"] = gb_cost(r, prefix)
    b.row("cost", "CPU of the relay per GB", "s/GB", {k: got[k] for k in names}, "cost")
    for runs in got.values():
        for r in runs:
            r["broker_cost"] = gb_cost(r, "broker")
    b.row("cost", "CPU of the broker per GB relayed", "s/GB", got, "broker_cost")
    relay_latency(b)


def relay_latency(b):
    rate = round(0.55 * min(knee(b).values()))
    runs = relay_runs(b, seconds=b.seconds, rate=rate)
    got = b.contend("relay latency", {k: runs[k] for k in ("raw", "Paho", "Paho, verifying", "edge")},
                    rounds=b.rounds)
    at = f"at {rate} parts/s (55 % of the knee)"
    for name, runs in got.items():
        held = sum(r["parts"] for r in runs) / (len(runs) * b.seconds * rate)
        if held < 0.99:
            b.note("relay", f"{name} carried only {100 * held:.0f} % of the {rate} parts/s offered")
    for key, ms, limit in (("p50_us", "p50", 0.1), ("p99_us", "p99", 1)):
        b.row("relay", f"delay {ms} {at}", "ms", got, key, scale=1e-3)
        for name, text in (("Paho, verifying", "(the identical relay)"),
                           ("Paho", "(that one verifies nothing)")):
            b.paired("relay", f"delay {ms} over that of {name}", "ms",
                     [(a[key] - r[key]) / 1e3 for a, r in zip(got["edge"], got[name])],
                     f"≤ {limit:g} {text}", lambda ms, limit=limit: ms <= limit)


# ---- fan-out ----

def fanout(b):
    curve = []
    for n in b.pick((1, 10, 100, 500), (1, 10)):
        options = {"viewers": n, "window": 64 if n <= 10 else 16, "seconds": b.seconds}
        runs = relay_runs(b, **options)
        got = b.contend(f"fan-out to {n}", {k: runs[k] for k in ("raw", "edge")},
                        rounds=min(b.rounds, 3))
        raw, edge = (b.median(got[k], "bytes_per_s") for k in ("raw", "edge"))
        b.row("fanout", f"delivered to {n} viewers", "MB/s", got, "bytes_per_s", scale=1e-6)
        b.ratio("fanout", f"delivered to {n} viewers over that of raw", got, "raw", "bytes_per_s",
                round(0.95 * (n + 1) / (n + 3), 3), f"≥ {0.95 * (n + 1) / (n + 3):.3f} "
                "= 0.95 × (N+1)/(N+3)")
        curve.append((n, raw / 1e6, edge / 1e6))
    b.curve("fanout", "viewers", "delivered MB/s", ("raw", "edge"), curve)


# ---- many lives ----

def lives_run(b, lives, rate, seconds):
    c = b.cluster
    e = c.edge()
    r = c.load("live", [c.broker, e], streams=lives, viewers=1, part_bytes=8192, parts=1,
               keyframe_every=2, rate=rate, warm_ms=1000, seconds=seconds)
    r["rss"], r["peak"] = r["memory"][e.name]
    return r


def too_slow(r):
    return r["lost"] or r["missing"] or r["p99_us"] > 20000


def lives(b):
    n = b.pick(1000, 200)
    r = lives_run(b, n, 2, b.pick(5, 2))
    what = f"{n} lives × 2 parts/s × 8 KiB, groups of 1 s"
    b.value("lives", f"{what}: parts lost", "parts", r["lost"] + r["missing"], "0",
            r["lost"] + r["missing"] == 0)
    b.value("lives", f"{what}: delay p99", "ms", r["p99_us"] / 1e3, "≤ 20 ms", r["p99_us"] <= 20000)
    b.value("lives", f"{what}: resident, peak", "MiB", r["peak"] / MIB, "≤ 64", r["peak"] <= 64 * MIB)
    if r["late"]:
        b.note("lives", f"the generator was late with {r['late']} of {r['published']} parts")
    curve, last = [], None
    for rate in b.pick((3, 4, 6, 8, 12), (2, 4)):
        r = lives_run(b, n, rate, 2)
        if too_slow(r):  # one stall of the machine is no knee
            r = lives_run(b, n, rate, 2)
        curve.append((n * rate, r["p50_us"] / 1e3, r["p99_us"] / 1e3))
        if too_slow(r):
            break
        last = n * rate
    b.value("lives", f"knee with {n} lives: the last step without loss and p99 ≤ 20 ms", "parts/s",
            last or 0)
    b.curve("lives", "parts/s", "delay, ms", ("p50", "p99"), curve)


# ---- upload ----

def upload_runs(b, streams, **options):
    c = b.cluster
    options = {"streams": streams, "seconds": b.seconds, **options}

    def reference(program):
        def run():
            c.edge_stop()
            path = c.folder / "ref.db"
            p = c.reference(program, path)
            try:
                return c.load("upload", [c.broker, p], window=MIB, **{**REF, **options})
            finally:
                c.end(p)
                for f in c.folder.glob("ref.db*"):
                    f.unlink()
        return run

    def ours():
        e = c.edge()
        return c.load("upload", [c.broker, e], **options)

    return {"libmosquitto": reference("ingest_mosquitto"), "Paho": reference("ingest_paho"),
            "edge": ours}


def alone(b):
    """What the disk and the cipher would allow."""
    for group in (1, 8, 64):
        path = b.cluster.folder / "alone.db"
        r = b.program("sqlite_alone", path, group, b.pick(1, 0.5))
        for f in b.cluster.folder.glob("alone.db*"):
            f.unlink()
        b.value("upload", f"SQLite alone, {group} blobs of 60 KiB per commit (FULL)", "MB/s",
                r["bytes_per_s"] / 1e6)
    r = b.program("sodium_alone")
    b.value("upload", "libsodium alone: BLAKE2b", "MB/s", r["hash_bytes_per_s"] / 1e6)
    b.value("upload", "libsodium alone: Ed25519 verify", "µs", r["verify_us"])


def upload(b):
    alone(b)
    got = b.contend("upload", upload_runs(b, 8))
    b.row("upload", "8 streamers, verified, on disk (FULL), acknowledged", "MB/s", got,
          "bytes_per_s", scale=1e-6)
    b.ratio("upload", "throughput over that of Paho", got, "Paho", "bytes_per_s", 0.95)
    for k, prefix in {"edge": "edge", "Paho": "ingest_paho", "libmosquitto": "ingest_m"}.items():
        for r in got[k]:
            r["cost"] = gb_cost(r, prefix)
    b.row("cost", "CPU of the ingest per GB", "s/GB", got, "cost")


def link(b):
    link_module.measure(b)


# ---- watch ----

def watch(b):
    c = b.cluster
    chunks = b.pick(100, 20)
    e = c.edge()
    c.load("upload", streams=1, chunks=chunks, id="one")
    one = {"id": "one", "window": MIB, "seconds": b.seconds}
    server = c.reference("serve_paho", chunks, 8, PART)

    def paho():
        return c.load("watch", [c.broker, server], **{**one, "in": "bench/in", "out": "bench/out"})

    def ours():
        return c.load("watch", [c.broker, e], **one)

    runs = {"Paho from memory": paho, "edge": ours}
    nginx = b.nginx(chunks * 8 * PART)
    if nginx:
        runs["nginx"] = nginx
    got = b.contend("watch", runs)
    c.end(server)
    b.row("watch", "1 viewer pulls a stored video", "MB/s", got, "bytes_per_s", scale=1e-6)
    b.ratio("watch", "throughput over that of Paho from memory", got, "Paho from memory",
            "bytes_per_s", 0.9)
    for k, prefix in {"edge": "edge", "Paho from memory": "serve_paho", "nginx": "nginx"}.items():
        for r in got.get(k, ()):
            r["cost"] = gb_cost(r, prefix)
    b.row("cost", "CPU of the server per GB watched", "s/GB", got, "cost")
    first_part(b)
    fairness(b)


def first_part(b):
    c = b.cluster
    r = c.load("watch", viewers=b.pick(40, 10), id="one", window=65536, seconds=0)
    trip = c.ping(seconds=1)["p50_us"]
    most = 2 * trip + 1000
    b.value("watch", "time to the first part, p50", "ms", r["first_p50_us"] / 1e3,
            f"≤ {most / 1e3:.2f} = 2 round trips (ping p50 {trip / 1e3:.2f}) + 1 ms",
            r["first_p50_us"] <= most)


def fairness(b):
    c = b.cluster
    n = b.pick(50, 10)
    for k in range(0, n, 10):
        c.load("upload", streams=10, chunks=b.pick(20, 5), id=f"many{k // 10}")
    # Watchers name their video ID-(k mod streams): one group of ten per set of uploads.
    groups = [c.background("watch", id=f"many{k // 10}", streams=10, viewers=10, window=MIB,
                           warm_ms=2000, seconds=b.pick(4, 2)) for k in range(0, n, 10)]
    got = [c.end_load(p) for p in groups]
    mean = sum(g["bytes"] for g in got) / n
    least = min(g["viewer_min_bytes"] for g in got) / mean
    most = max(g["viewer_max_bytes"] for g in got) / mean
    b.value("watch", f"{n} viewers of {n} videos together", "MB/s",
            sum(g["bytes_per_s"] for g in got) / 1e6)
    b.value("watch", f"{n} viewers: the slowest, of the mean", "×", least, "≥ 0.90", least >= 0.9)
    b.value("watch", f"{n} viewers: the fastest, of the mean", "×", most, "≤ 1.10", most <= 1.1)


# ---- control under load, starvation ----

def control(b):
    c = b.cluster
    seconds = b.pick(2.5, 1)

    def under(**live):
        def run():
            c.edge()
            busy = c.background("live", seconds=seconds + 1, warm_ms=800, **live)
            time.sleep(0.8)  # the load's own start
            r = c.ping(seconds=seconds, warm_ms=200)
            r["busy"] = c.end_load(busy)
            return r
        return run

    def beside_paho(**live):
        """The same ping of an edge that has nothing else to do, while the reference relays."""
        def run():
            c.edge()
            relay_paho = c.reference("relay_paho", "verify")
            busy = c.background("live", seconds=seconds + 1, warm_ms=800, **REF, **live)
            time.sleep(0.8)
            r = c.ping(seconds=seconds, warm_ms=200)
            c.end_load(busy)
            c.end(relay_paho)
            return r
        return run

    rate = round(0.8 * knee(b)["edge"])
    got = b.contend("control", {"saturated": under(), "80 % of the knee": under(rate=rate),
                                "the same by Paho": beside_paho(rate=rate)},
                    rounds=min(b.rounds, 3))
    for name, most in (("saturated", 20), ("80 % of the knee", 5)):
        carried = b.median([r["busy"] for r in got[name]], "parts_per_s")
        b.note("control", f"relay {name}: {carried:.0f} parts/s went through meanwhile")
        p99 = b.median(got[name], "p99_us") / 1e3
        b.value("control", f"ping p99, relay {name}", "ms", p99, f"≤ {most} ms", p99 <= most)
    b.value("control", "  while a Paho relay does that, and the edge nothing", "ms",
            b.median(got["the same by Paho"], "p99_us") / 1e3)
    starvation(b)


def starvation(b):
    """A live at a quarter of the knee, alone; beside 8 uploads; beside fetches from another edge."""
    c = b.cluster
    rate = round(0.25 * knee(b)["edge"])
    seconds = b.pick(3, 1.5)
    source = c.edge()
    source_id = c.edge_id
    c.load("upload", streams=4, chunks=b.pick(150, 20), id="far")
    c.edge(keep=True)
    c.listed(4)
    offered = rate * seconds
    for name, load in (
            ("alone", None),
            ("beside 8 uploads", {"mode": "upload", "streams": 8, "seconds": seconds + 2}),
            ("beside 4 views that are fetched", {"mode": "watch", "streams": 4, "viewers": 4,
                                                 "id": "far", "window": MIB,
                                                 "seconds": seconds + 2})):
        other = c.background(load.pop("mode"), **load) if load else None
        r = c.load("live", rate=rate, seconds=seconds)
        b.value("control", f"live of {rate} parts/s {name}: delivered", "%",
                100 * r["parts"] / offered, "≥ 99", r["parts"] >= 0.99 * offered
                and not r["lost"] and not r["missing"])
        b.value("control", f"live of {rate} parts/s {name}: delay p99", "ms", r["p99_us"] / 1e3)
        if other:
            b.value("control", f"  and what runs beside it ({name})", "MB/s",
                    c.end_load(other)["bytes_per_s"] / 1e6)
    c.end(source)
    shutil.rmtree(c.folder / source_id, ignore_errors=True)


# ---- what it costs to stand there ----

def resources(b):
    c = b.cluster
    e = c.edge()
    before = e.memory()[0]
    cpu = e.cpu_s()
    seconds = b.pick(5, 2)
    time.sleep(seconds)
    share = 100 * (e.cpu_s() - cpu) / seconds
    b.value("resources", "idle CPU", "% of a core", share, "< 0.5", share < 0.5)
    b.value("resources", "resident after start", "MiB", before / MIB)
    n = b.pick(1000, 200)
    c.load("live", streams=n, viewers=0, rate=0.001, seconds=0.1, part_bytes=1024, parts=1)
    b.value("resources", f"memory per idle live (of {n})", "KiB", (e.memory()[0] - before) / n / 1024)
    e = c.edge()
    c.load("upload", streams=1, chunks=1, part_bytes=1024, parts=1, id="one")
    before = e.memory()[0]
    c.load("watch", viewers=n, id="one", window=65536, seconds=0)
    b.value("resources", f"memory per viewer (of {n})", "KiB", (e.memory()[0] - before) / n / 1024)


def inflate(path, n):
    """Make n videos of the one that is there: all its rows again, under other ids."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA foreign_keys=0")
    db.execute("PRAGMA synchronous=0")
    db.execute("BEGIN")
    old = db.execute("SELECT id FROM video").fetchone()[0]
    copy = db.execute("SELECT n FROM copy").fetchone()[0]
    for table in ("video", "claim", "holding", "copy", "chunk", "part", "chunk_proof"):
        cursor = db.execute(f"SELECT * FROM {table}")
        names = [d[0] for d in cursor.description]
        rows = cursor.fetchall()
        marks = ",".join("?" * len(names))

        def renamed(k, row, names=names):
            out = []
            for name, value in zip(names, row):
                if isinstance(value, str) and value.startswith(old):
                    value = f"v{k}" + value[len(old):]
                elif name == "copy" or (name == "n" and value == copy):
                    value = copy + k
                elif name == "stream":
                    value = k.to_bytes(32, "big")
                out.append(value)
            return out
        for row in rows:
            db.executemany(f"INSERT INTO {table} VALUES ({marks})",
                           (renamed(k, row) for k in range(1, n)))
    db.execute("COMMIT")
    db.close()


def catalogue(b):
    c = b.cluster
    seed = c.folder / "seed"
    c.edge()
    c.load("upload", streams=1, chunks=1, part_bytes=1024, parts=1, id="seed")
    edge_id = c.edge_id
    c.edge_process.stop()
    shutil.copytree(c.edge_data, seed)
    curve = []
    for n in b.pick((1, 1000, 10000, 100000), (1, 10000)):
        data = c.folder / "grown"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(seed, data)
        inflate(next(data.glob("*.db")), n)
        command = c.edge_command(edge_id, data)
        took = sorted(b.tool_json("bench/load", "ready", "--broker", f"127.0.0.1:{c.port}",
                                  "--edge", edge_id, "--id", f"ready{k}", "--", *command)["ready_us"]
                      for k in range(5))[2] / 1e3
        e = c.start(f"grown-{n}", command)
        wait_until("the edge's connection", lambda e=e: e.said("broker: connected"))
        r = c.load("upload", [e], streams=8, seconds=b.pick(1.5, 1), edge=edge_id)
        curve.append((n, took, r["bytes_per_s"] / 1e6, e.memory()[1] / MIB))
        c.end(e)
    n, took = curve[-1][:2]
    b.value("resources", f"start to ready, {n:,} videos in the database", "ms", took, "≤ 100",
            took <= 100)
    b.curve("catalogue", "videos", "ready ms, upload MB/s, peak MiB", ("ready ms", "MB/s", "MiB"),
            curve)
    shutil.rmtree(c.folder / "grown", ignore_errors=True)


def growth(b):
    relays, uploads = [], []
    for size in b.pick((4096, 12288, 30720, 61440), (4096, 61440)):
        options = {"part_bytes": size, "seconds": b.pick(0.8, 0.7)}
        runs = relay_runs(b, **options)
        relays.append((size / 1024, *(runs[k]()["bytes_per_s"] / 1e6
                                      for k in ("raw", "Paho", "edge"))))
        runs = upload_runs(b, 8, **options)
        uploads.append((size / 1024, *(runs[k]()["bytes_per_s"] / 1e6 for k in ("Paho", "edge"))))
    b.curve("relay by part size", "KiB", "MB/s", ("raw", "Paho", "edge"), relays)
    b.curve("upload by part size", "KiB", "MB/s", ("Paho", "edge"), uploads)
    broker_model(b)


def broker_model(b):
    """What the broker spends on a small message: for the model in docs/PERFORMANCE.md."""
    c = b.cluster
    c.edge_stop()
    r = c.load("live", [c.broker], **{**RAW, "viewers": 100, "part_bytes": 1024, "parts": 1,
                                      "window": 16, "seconds": b.pick(1.5, 1)})
    b.shared["model"] = {"small_us": r["cpu_share"]["broker"] / r["parts_per_s"] * 1e6}
    b.value("cost", "CPU of the broker per small message delivered", "µs",
            b.shared["model"]["small_us"])


def profile(b):
    b.profile()


ITEMS = {f.__name__: f for f in (relay, fanout, lives, upload, link, watch, control, resources,
                                 catalogue, growth, profile)}

__all__ = ["ITEMS", "BenchError"]
