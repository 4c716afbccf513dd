"""Where the edge's time goes while it relays, takes uploads and serves a video: perf, by symbol."""

import re
import shutil
import subprocess
import time

KINDS = (  # the first that fits; what fits none is ours
    ("kernel", re.compile(r"^\[k\]")),
    ("hash", re.compile(r"blake2b|generichash")),
    ("signature", re.compile(r"ed25519|curve25519|^ge25519|^fe25519|sha512|SHA512|sc25519")),
    ("copy", re.compile(r"mem(cpy|move|set|cmp)|__memcpy|__memmove|__memset")),
    ("allocator", re.compile(r"malloc|free|calloc|realloc|_int_|sysmalloc|tcache")),
)
# Debian's libsodium has no symbols: its hash and its signatures show as one.
LIBRARIES = ("libsodium", "libsqlite3", "libpaho", "libcjson", "libcrypto")
TOP = 14
OURS_MAX = 10.0


def kind_of(dso, symbol, mark):
    if mark == "k":
        return "kernel"
    for kind, pattern in KINDS[1:]:
        if pattern.search(symbol):
            return kind
    for library in LIBRARIES:
        if library in dso:
            return library[3:]
    if dso.startswith("edge"):
        return "ours"
    return "libc" if "libc" in dso or "ld-" in dso else dso


def record(c, edge, seconds, load):
    """Samples of the edge while `load` runs; (share, kind, symbol) by share."""
    data = c.folder / "perf.data"
    busy = c.background(**load)
    time.sleep(1.2)
    done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2999", "-o", data,
                           "-p", str(edge.pid), "--", "sleep", str(seconds)],
                          capture_output=True, text=True)
    c.end_load(busy)
    if done.returncode:
        return None, done.stderr.strip()
    out = subprocess.run(["perf", "report", "-i", data, "--stdio", "-q", "--sort", "dso,symbol",
                          "--percent-limit", "0"], capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        m = re.match(r"\s*([\d.]+)%\s+(\S+)\s+\[([.k])\]\s+(\S+)", line)
        if m:
            symbol = f"{m[2]} (no symbols)" if m[4].startswith("0x") else m[4]
            key = (kind_of(m[2], symbol, m[3]), symbol)
            found[key] = found.get(key, 0.0) + float(m[1])
    return sorted(((v, *k) for k, v in found.items()), reverse=True), None


def profile(b):
    if not shutil.which("perf"):
        b.skip("profile", "perf", "it is not installed (linux-perf)")
        return
    c = b.cluster
    seconds = b.pick(3, 1.5)
    for name, load in (("relay", {"mode": "live"}), ("ingest", {"mode": "upload", "streams": 8}),
                       ("watch", {"mode": "watch", "id": "one", "window": 1 << 20})):
        edge = c.edge()
        if name == "watch":
            c.load("upload", streams=1, chunks=b.pick(100, 20), id="one")
        found, why = record(c, edge, seconds, {**load, "seconds": seconds + 1.5})
        if not found:
            b.skip("profile", name, f"perf does not work here: {why or 'no samples'}")
            continue
        kinds = {}
        for share, kind, _ in found:
            kinds[kind] = kinds.get(kind, 0) + share
        ours = [f for f in found if f[1] == "ours"]
        b.profiles.append({"name": name, "kinds": kinds, "top": found[:TOP], "ours": ours[:8]})
        b.note("profile", f"{name}: " + ", ".join(
            f"{k} {v:.0f} %" for k, v in sorted(kinds.items(), key=lambda kv: -kv[1]) if v >= 0.5))
        worst = ours[0] if ours else (0.0, "", "none")
        b.value("profile", f"{name}: the edge's own hottest function ({worst[2]})", "% of samples",
                worst[0], f"≤ {OURS_MAX:.0f}", worst[0] <= OURS_MAX)
