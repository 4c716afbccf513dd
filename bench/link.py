"""A streamer, then an edge, behind 100 Mbit/s and 20 ms: a namespace of the bench's own, tbf on both ends of
its only cable, and a user-space relay for the delay (kernels here have no netem)."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time

from cluster import BenchError, free_port, wait_until

RATE = "100mbit"
DELAY_MS = 10  # each way: 20 ms from end to end and back


class Link:
    made = 0  # a namespace's cable goes some time after it: every one has its own name

    def __init__(self):
        Link.made += 1
        self.name = f"ec{os.getpid()}n{Link.made}"
        n = os.getpid() % 16000
        self.near = f"10.213.{n // 64}.{n % 64 * 4 + 1}"  # ours
        self.far = f"10.213.{n // 64}.{n % 64 * 4 + 2}"  # the streamer's
        self.prefix = ("ip", "netns", "exec", self.name)

    def __enter__(self):
        veth = self.name
        try:
            self._run("ip", "netns", "add", self.name)
            self._run("ip", "link", "add", veth, "type", "veth", "peer", "name", "up0", "netns",
                      self.name)
            self._run("ip", "addr", "add", f"{self.near}/30", "dev", veth)
            self._run("ip", "link", "set", veth, "up")
            for command in (["ip", "addr", "add", f"{self.far}/30", "dev", "up0"],
                            ["ip", "link", "set", "up0", "up"], ["ip", "link", "set", "lo", "up"]):
                self._run(*self.prefix, *command)
            shape = ["root", "tbf", "rate", RATE, "burst", "32kb", "latency", "50ms"]
            self._run("tc", "qdisc", "add", "dev", veth, *shape)
            self._run(*self.prefix, "tc", "qdisc", "add", "dev", "up0", *shape)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")


def possible():
    if os.geteuid() != 0:
        return "not root"
    if not (shutil.which("ip") and shutil.which("tc")):
        return "no ip or tc (iproute2)"
    try:
        with Link():
            return None
    except BenchError as e:
        return str(e)


class Sink(threading.Thread):
    """Counts what one connection brings, between two moments."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.bytes = 0
        self.start()

    def run(self):
        conn, _ = self.socket.accept()
        buf = bytearray(1 << 16)
        while n := conn.recv_into(buf):
            self.bytes += n
        conn.close()
        self.socket.close()


SEND = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end: s.sendall(bytes(65536))
"""


def measure(b):
    why = possible()
    if why:
        b.skip("link", f"upload over {RATE}, 20 ms", why)
        return
    c = b.cluster
    seconds = b.pick(3, 2)
    with Link() as link:
        def wire(to_port):
            port = free_port()
            p = c.start(f"delay-{port}", [c.build / "bench/load", "delay", "--in",
                                          f"{link.near}:{port}", "--out", f"127.0.0.1:{to_port}",
                                          "--rate", DELAY_MS])
            wait_until("the delay relay", lambda: p.said("ready"))
            return p, port

        def bulk():
            sink = Sink()
            p, port = wire(sink.port)
            sender = subprocess.Popen([*link.prefix, sys.executable, "-c", SEND, link.near,
                                       str(port), str(seconds + 2)])
            try:
                time.sleep(1)  # slow start
                before, start = sink.bytes, time.monotonic()
                time.sleep(seconds)
                return {"bytes_per_s": (sink.bytes - before) / (time.monotonic() - start)}
            finally:
                sender.kill()
                sender.wait()
                c.end(p)

        def ours():
            c.edge()
            p, port = wire(c.port)
            try:
                return c.load("upload", prefix=link.prefix, broker=f"{link.near}:{port}",
                              streams=1, seconds=seconds, warm_ms=1500)
            finally:
                c.end(p)

        got = b.contend("link", {"bulk TCP": bulk, "edge": ours}, rounds=min(b.rounds, 2))
        edge_behind(b, link, wire)
    what = "1 streamer over 100 Mbit/s, 10 ms each way, acknowledged"
    b.row("link", what, "MB/s", got, "bytes_per_s", scale=1e-6)
    b.ratio("link", f"{what}, over bulk TCP", got, "bulk TCP", "bytes_per_s", 0.95)


def edge_behind(b, link, wire):
    """The edge's own line is full, with what comes in and with what goes out: lives go on."""
    c = b.cluster
    seconds = b.pick(3, 2)
    p, port = wire(c.port)
    try:
        c.edge(broker=f"{link.near}:{port}", prefix=link.prefix)
        c.load("upload", streams=2, chunks=40, id="kept")
        for name, load in (
                ("alone", None),
                ("beside 4 uploads", {"mode": "upload", "streams": 4}),
                ("beside 2 views", {"mode": "watch", "streams": 2, "viewers": 2, "id": "kept",
                                    "window": 1 << 20})):
            other = c.background(load.pop("mode"), seconds=seconds + 2, **load) if load else None
            time.sleep(1)  # until the line is full
            r = c.load("live", rate=40, part_bytes=10000, parts=1, keyframe_every=20,
                       seconds=seconds)
            rest = f"; {c.end_load(other)['bytes_per_s'] / 1e6:.1f} MB/s beside it" if other else ""
            b.value("link", f"edge behind the link, live of 3 Mbit/s {name}: delay p99{rest}", "ms",
                    r["p99_us"] / 1e3, "nothing lost", not r["lost"] and not r["missing"])
    finally:
        c.edge_stop()
        c.end(p)


__all__ = ["measure"]
