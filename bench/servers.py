"""The servers that people would pick instead, fed with the same clip as an edge, in turn."""

import os
import shutil
import socket
import statistics
import time
from functools import partial
from pathlib import Path

from cluster import BenchError, Cluster, free_port, wait_until
from stage import RATE, Clip, PipeViewer, RtmpViewer, Stage

MIB = 1 << 20
MANY = 20
JOIN_EVERY_S = 0.05  # MANY of them: once around a group of pictures
BEFORE_S = 1.5  # the live goes on for so long before anybody looks
FIRST_S_MAX = 5
SETTLE_S = 0.3  # what joiners are owed has been sent by then
STEP, MIDDLE = 5, 2  # edgectl sends so many pictures at a time; measured is in between
GROUPS = 2  # that are measured
NGINX, NGINX_RTMP = Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


def cpu_s(process):
    """The kernel's own count for a process and all its threads: ticks are too coarse here."""
    return time.clock_gettime((~process.pid << 3) | 2)


# ---- contenders: processes that serve, a publisher, viewers ----

class Rtmp:
    """A server that listens for RTMP at `port`."""

    def __init__(self, cluster, name, command, port, env=None):
        self.c, self.port = cluster, port
        process = cluster.start(name, command, env=env)
        self.processes = {name: process}
        wait_until(f"the start of {name}", lambda: process.said("") and self._answers())

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def publish(self, stdin):
        return self.c.start("publisher", [
            "ffmpeg", "-loglevel", "error", "-analyzeduration", "0", "-fpsprobesize", "0",
            "-f", "mp4", "-i", "pipe:0", "-c", "copy", "-flush_packets", "1", "-tcp_nodelay", "1",
            "-f", "flv", f"rtmp://127.0.0.1:{self.port}/live/clip"], stdin=stdin)

    def viewer(self, stage, tracks):
        return RtmpViewer(stage, self.port, tracks)


def nginx(c):
    folder, port = c.folder / "nginx-rtmp", free_port()
    folder.mkdir(exist_ok=True)
    (folder / "conf").write_text(
        f"load_module {NGINX_RTMP};\n"
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\n"
        f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port};\n"
        f"  application live {{ live on; }} }} }}\n")
    return Rtmp(c, "nginx-rtmp", [NGINX, "-e", "stderr", "-p", folder, "-c", folder / "conf"], port)


def mediamtx(c):
    port = free_port()
    conf = c.folder / "mediamtx.yml"
    conf.write_text(f"rtmp: yes\nrtmpAddress: 127.0.0.1:{port}\nrtsp: no\nhls: no\nwebrtc: no\n"
                    "srt: no\nwriteQueueSize: 1024\npaths:\n  all_others:\n")
    return Rtmp(c, "MediaMTX", [shutil.which("mediamtx"), conf], port)


class Moq:
    """A relay of Media over QUIC, and its own command-line client at both ends."""

    def __init__(self, c):
        self.c, self.port = c, free_port()
        relay = c.start("MoQ relay", [
            shutil.which("moq-relay"), "--listen", f"127.0.0.1:{self.port}",
            "--listen-tls-generate", "localhost", "--auth-public", "**"])
        self.processes = {"MoQ relay": relay}
        wait_until("the start of the MoQ relay", lambda: relay.said("listening"))

    def _client(self, *args, **kw):
        return self.c.start("moq", [
            shutil.which("moq"), "--connect", f"https://127.0.0.1:{self.port}",
            "--connect-tls-insecure", "--broadcast", "clip.hang", *args], **kw)

    def publish(self, stdin):
        return self._client("import", "fmp4", stdin=stdin)

    def viewer(self, stage, tracks):
        # Raw, because it writes fragments of MP4 only when a group is whole.
        return PipeViewer(stage, lambda stdout: self._client("export", "h264", stdout=stdout),
                          tracks)


class Ours:
    """An edge and the broker that it is at."""

    def __init__(self, cluster):
        self.c = cluster
        self.processes = {"broker": cluster.broker, "edge": cluster.edge()}

    def _edgectl(self, home, *args, **kw):
        return self.c.start("edgectl", [
            self.c.build / "edgectl", *args, "--edge", self.c.edge_id], env={
                "EDGECTL_HOME": str(self.c.folder / "homes" / home),
                "MQTT_BROKER": f"127.0.0.1:{self.c.port}"}, **kw)

    def publish(self, stdin):
        return self._edgectl("0", "live", "-", "--id", "clip", "--no-delegate", stdin=stdin)

    def viewer(self, stage, tracks):
        return PipeViewer(stage, lambda stdout: self._edgectl(
            "1", "watch", "clip", "-o", "-", stdout=stdout), tracks)


# ---- one run ----

def join(stage, server, n, tracks):
    joined = []
    for _ in range(n):
        joined.append(server.viewer(stage, tracks and not joined))
        stage.run(JOIN_EVERY_S)
    end = time.monotonic() + FIRST_S_MAX

    def all_see():
        if time.monotonic() > end:
            raise BenchError(f"a viewer sees nothing after {FIRST_S_MAX} s")
        return all(v.first_s is not None for v in joined)
    stage.run_until(all_see)
    return joined


def window(stage, server):
    """Bytes that all viewers together got during GROUPS, and CPU-seconds by process."""
    stage.run(SETTLE_S)
    stage.run_until(lambda: stage.fed % STEP == MIDDLE)
    first = stage.fed
    before = {k: cpu_s(p) for k, p in server.processes.items()}
    had = [v.bytes for v in stage.viewers]
    stage.run_until(lambda: stage.fed >= first + GROUPS * RATE)
    cost = {k: cpu_s(p) - before[k] for k, p in server.processes.items()}
    got = [v.bytes - h for v, h in zip(stage.viewers, had)]
    fed = sum(map(len, stage.clip.pieces[first:stage.fed]))
    return {"bytes": sum(got), "least": min(got) / fed, "cpu": cost, "first": first}


def measure(clip, server):
    read, write = os.pipe()
    stage = Stage(clip, write)
    try:
        server.publish(read)
        os.close(read)
        stage.run(BEFORE_S)
        join(stage, server, 1, False)
        one = window(stage, server)
        joined = join(stage, server, MANY - 1, True)
        many = window(stage, server)
        delays = sorted(s for k, s in joined[0].delays_s if k >= many["first"])
        firsts = sorted(v.first_s for v in joined)
        return {"one": one, "many": many, "least": min(one["least"], many["least"]),
                "memory": {k: p.memory()[0] for k, p in server.processes.items()},
                "first_p50": statistics.median(firsts), "first_max": firsts[-1],
                "delay_p50": statistics.median(delays),
                "delay_p95": delays[len(delays) * 95 // 100], "seen": len(delays)}
    finally:
        stage.close()


def split(runs, names):
    """What of a run belongs to the named processes; what viewers saw belongs to all of them."""
    out = []
    for r in runs:
        of = {"memory": sum(r["memory"][n] for n in names)}
        for key in ("one", "many"):
            of[key] = r[key]["bytes"] / sum(r[key]["cpu"][n] for n in names)
        out.append(of)
    return out


# ---- the item ----

def contenders(b):
    out = {"edge": Ours}
    for name, make, there, why in (
            ("nginx-rtmp", nginx, NGINX.exists() and NGINX_RTMP.exists(),
             "libnginx-mod-rtmp is not installed"),
            ("MediaMTX", mediamtx, shutil.which("mediamtx"), "mediamtx is not in PATH"),
            ("MoQ relay", Moq, shutil.which("moq-relay") and shutil.which("moq"),
             "moq-relay and moq (moq-cli) are not in PATH")):
        if there:
            out[name] = make
        else:
            b.skip("servers", name, why)
    return out


def run(b, c, clip, name, make):
    """Nothing if it failed: what others wrote may do so, and the rest is still worth its time."""
    try:
        return measure(clip, make(c))
    except BenchError as e:
        if name == "edge":
            raise
        b.skip("servers", name, f"it failed: {e}")
        return None
    finally:
        for process in c.processes:
            if process not in (c.broker, c.auth):
                process.popen.terminate()  # all at once: clear() waits for one after the other
        c.clear()


def servers(b):
    if not shutil.which("ffmpeg"):
        b.skip("servers", "the item as a whole", "ffmpeg is not installed")
        return
    with Cluster(b.cluster.build) as c:  # the broker has nothing behind it
        clip = Clip(c.folder / "clip.mp4")

        runs = {name: partial(run, b, c, clip, name, make)
                for name, make in contenders(b).items()}
        got = b.contend("servers", runs, rounds=min(b.rounds, 2 if len(runs) < 3 else 1))
    got = {name: done for name, runs in got.items() if (done := [r for r in runs if r])}
    report_costs(b, got)
    for key, what in (
            ("first_p50", f"viewer's start to its first whole keyframe, p50 of {MANY - 1}"),
            ("first_max", "  the slowest of them"),
            ("delay_p50", "age of a picture when a viewer has it, p50"), ("delay_p95", "  p95")):
        b.row("servers", what, "ms", got, key, scale=1e3)
    for name, runs in got.items():
        least = min(r["least"] for r in runs)
        if least < 0.97:
            b.note("servers", f"{name}: a viewer got only {100 * least:.0f} % of what was fed")


def report_costs(b, got):
    shares = {}
    for name, runs in got.items():
        if name == "edge":
            shares["edge"] = split(runs, ("edge", "broker"))
            shares["the edge's process alone"] = split(runs, ("edge",))
            shares["the broker's alone"] = split(runs, ("broker",))
        else:
            shares[name] = split(runs, (name,))
    b.row("servers", "delivered per CPU-second, 1 viewer of 8 Mbit/s", "MB", shares, "one", 1e-6)
    b.row("servers", f"delivered per CPU-second, {MANY} viewers of 8 Mbit/s", "MB", shares, "many",
          1e-6)
    b.row("servers", f"resident with {MANY} viewers", "MiB", shares, "memory", 1 / MIB)


ITEMS = {"servers": servers}

__all__ = ["ITEMS"]
