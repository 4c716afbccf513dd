#!/usr/bin/python3
"""`make bench`: every figure beside its references, measured in the same run, in turn.

A table on standard output; with all items, bench/results/latest.json, latest.svg and the
generated part of docs/PERFORMANCE.md. With --only, a table and bench/results/ITEM.json.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import catalogue  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
from cluster import BenchError, Cluster, ROOT, free_port, wait_until  # noqa: E402
from items import ITEMS as RELAY_ITEMS  # noqa: E402
from profiler import profile  # noqa: E402

AGREE_MIN = 0.8  # of the rounds of a comparison; fewer say nothing
FILES = 20000
ITEMS = {**RELAY_ITEMS, **servers.ITEMS, **catalogue.ITEMS}


class Bench:
    def __init__(self, cluster, args):
        self.cluster = cluster
        self.quick = args.quick
        self.rounds = args.rounds or self.pick(5, 1)
        self.seconds = self.pick(1.2, 0.7)
        self.rows, self.curves, self.notes, self.profiles = [], [], [], []
        self.shared = {}  # what one item measures and others need

    def pick(self, full, quick):
        return quick if self.quick else full

    @staticmethod
    def median(runs, key):
        return statistics.median(r[key] for r in runs)

    def contend(self, what, contenders, rounds=None):
        """Every contender once per round, each round begun by another. Returns the results by
        name."""
        got = {name: [] for name in contenders}
        names = list(contenders)
        for n in range(rounds or self.rounds):
            for name in names[n % len(names):] + names[:n % len(names)]:
                self.progress(f"{what}: round {n + 1}, {name}")
                got[name].append(contenders[name]())
        self.progress("")
        return got

    @staticmethod
    def progress(text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def row(self, item, what, unit, got, key, scale=1.0):
        """The median of every contender, and how far its rounds were apart."""
        cells = {}
        for name, runs in got.items():
            values = [r[key] * scale for r in runs if key in r]
            if not values:
                continue
            mid = statistics.median(values)
            spread = (max(values) - min(values)) / mid if mid else 0.0
            cells[name] = {"median": mid, "spread": spread, "rounds": values}
        self.add(item, what, unit, cells)

    def add(self, item, what, unit, cells, target=None, ok=None, noisy=False):
        self.rows.append({"item": item, "what": what, "unit": unit, "cells": cells,
                          "target": target, "ok": ok, "noisy": noisy})
        report.print_row(self.rows[-1])

    def paired(self, item, what, unit, rounds, target=None, ok=None):
        """What the edge did and a reference did in the same round, compared: whatever the machine
        did meanwhile, it did to both. rounds: one figure of each; ok: whether a figure meets the
        target. Nobody can tell unless four fifths of the rounds say what their median says."""
        mid = statistics.median(rounds)
        verdict = ok(mid) if ok else None
        noisy = ok is not None and sum(ok(r) == verdict for r in rounds) < AGREE_MIN * len(rounds)
        cell = {"median": mid, "least": min(rounds), "most": max(rounds), "rounds": rounds}
        self.add(item, what, unit, {"edge": cell}, target, verdict, noisy)

    def ratio(self, item, what, got, reference, key, least=None, text=None):
        """The edge over a reference, round by round. least: the target, and its text."""
        if any(not r[key] for r in got[reference]):
            raise BenchError(f"{what}: {reference} did nothing in one of the rounds")
        self.paired(item, what, "×", [a[key] / b[key] for a, b in zip(got["edge"], got[reference])],
                    text or (f"≥ {least}" if least else None),
                    (lambda r: r >= least) if least else None)

    def value(self, item, what, unit, value, target=None, ok=None):
        cell = {"median": value, "spread": 0.0, "rounds": [value]}
        self.add(item, what, unit, {"edge": cell}, target, ok)

    def curve(self, title, x, y, names, points):
        self.curves.append({"title": title, "x": x, "y": y, "names": list(names),
                            "points": [list(p) for p in points]})
        report.print_curve(self.curves[-1])

    def note(self, item, text):
        self.notes.append({"item": item, "text": text})
        print(f"  {item}: {text}", flush=True)

    def skip(self, item, what, why):
        self.rows.append({"item": item, "what": what, "unit": "", "cells": {}, "target": None,
                          "ok": None, "noisy": False, "skipped": why})
        print(f"  {item}: {what}: skipped: {why}", flush=True)

    def program(self, name, *args):
        return self.tool_json(f"bench/{name}", *args)

    def tool_json(self, program, *args):
        done = subprocess.run([str(self.cluster.build / program), *map(str, args)],
                              capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise BenchError(f"{program}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def profile(self):
        profile(self)

    def nginx(self, size):
        """A contender: nginx serves a file of `size` bytes to one client. None: not installed."""
        program = Path("/usr/sbin/nginx")
        if not program.exists():
            self.note("watch", "nginx is not installed: no such reference")
            return None
        c = self.cluster
        folder, port = c.folder / "nginx", free_port()
        folder.mkdir(mode=0o755)
        (folder / "file").write_bytes(os.urandom(1 << 20) * (size >> 20))
        (folder / "conf").write_text(
            f"daemon off; master_process off; worker_processes 1; pid {folder}/pid;\n"
            f"error_log stderr; events {{}}\n"
            f"http {{ access_log off; sendfile on; client_body_temp_path {folder}/b;\n"
            f"  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n"
            f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
            f"  server {{ listen 127.0.0.1:{port}; location / {{ root {folder}; }} }} }}\n")
        p = c.start("nginx", [program, "-e", "stderr", "-p", folder, "-c", folder / "conf"])
        get = [sys.executable, str(ROOT / "bench/get.py"), str(port)]
        wait_until("nginx", lambda: subprocess.run([*get, "0"], capture_output=True).returncode == 0)

        def run():
            before = p.cpu_s()
            done = subprocess.run([*get, str(self.seconds)], capture_output=True, text=True)
            if done.returncode:
                raise BenchError(f"nginx: {done.stderr}")
            r = json.loads(done.stdout)
            r["cpu_share"] = {"nginx": (p.cpu_s() - before) / r["seconds"]}
            return r
        return run


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="ascii")
                  if line.startswith("model name")), "?")
    memory = int(open("/proc/meminfo", encoding="ascii").readline().split()[1]) // (1 << 20)
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    versions = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}; ", "mosquitto", "libpaho-mqtt1.3",
         "libmosquitto1", "libsodium23", "libsqlite3-0", "nginx-light", "libnginx-mod-rtmp"],
        capture_output=True, text=True).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": memory,
            "kernel": os.uname().release, "commit": commit, "versions": versions,
            "load_before": os.getloadavg()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default=ROOT / "build", type=Path)
    p.add_argument("--only", help=f"items, with commas: {', '.join(ITEMS)}; unless "
                   f"named, all but {', '.join(catalogue.NAMED_ONLY)}")
    p.add_argument("--rounds", type=int, help="of each comparison (5; --quick: 1)")
    p.add_argument("--quick", action="store_true", help="short and few: to try the bench itself")
    p.add_argument("--json", action="store_true", help="print the results as JSON, too")
    p.add_argument("--write", action="store_true", help="write the document even with --quick")
    args = p.parse_args()
    args.items = args.only.split(",") if args.only else [
        i for i in ITEMS if i not in catalogue.NAMED_ONLY]
    for item in args.items:
        if item not in ITEMS:
            p.error(f"there is no '{item}'; there are {', '.join(ITEMS)}")
    return args


def run_items(b, items):
    failed = []
    for item in items:
        start = time.monotonic()
        print(f"{item}", flush=True)
        try:
            ITEMS[item](b)
        except BenchError as e:
            failed.append(item)
            b.skip(item, "the item as a whole", f"it failed: {e}")
        finally:
            b.cluster.clear()
        print(f"  ({time.monotonic() - start:.0f} s)", flush=True)
    return failed


def main():
    args = arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    about = machine()
    start = time.monotonic()
    with Cluster(args.build) as cluster:
        b = Bench(cluster, args)
        failed = run_items(b, args.items)
    about["took_s"] = round(time.monotonic() - start)
    results = {"machine": about, "quick": args.quick, "rounds": b.rounds, "rows": b.rows,
               "curves": b.curves, "notes": b.notes, "profiles": b.profiles, "shared": b.shared}
    whole = not args.only and (not args.quick or args.write)
    report.write(results, "latest" if whole else args.only or "quick", whole)
    report.print_summary(results)
    if args.json:
        print(json.dumps(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
