"""A broker, an auth_edge and an edge of the bench's own, and the load generators against them.

Everything listens on loopback (or in namespaces that the bench makes), keeps its
data in a folder that goes with it, and dies with this process.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
START_S_MAX = 20
LOAD_S_MAX = 120
USERS = 8


class BenchError(Exception):
    """Something that should have worked did not; the text says what."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, test, seconds=START_S_MAX):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise BenchError(f"{what} did not happen within {seconds} s")
        time.sleep(0.005)


class Process:
    """A child, its log, and what it costs."""

    def __init__(self, name, command, folder, env=None, prefix=(), stdin=None, stdout=None):
        """stdin, stdout: descriptors, lent; else nothing comes in, and what goes out is logged."""
        self.name = name
        self.log = Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                [*prefix, "setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=log if stdout is None else stdout, stderr=log,
                env={**os.environ, **(env or {})}, start_new_session=True)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        """VmRSS and VmHWM in bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return tuple(int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) * 1024
                     for key in ("VmRSS", "VmHWM"))

    def said(self, text):
        if not self.alive():
            raise BenchError(f"{self.name} ended early: {self.tail()}")
        return text in self.log.read_text(errors="replace")

    def tail(self):
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])

    def stop(self, how=signal.SIGTERM, seconds=5):
        if self.alive():
            self.popen.send_signal(how)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class Cluster:
    """Use as a context. `edge()` starts a fresh edge and stops the one before it."""

    def __init__(self, build, scratch=None):
        self.build = Path(build).resolve()
        (self.build / "bench").mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=scratch or self.build / "bench"))
        self.processes = []
        self.port = free_port()
        self.edge_process = None
        self.edge_id = None
        self.serial = 0

    def __enter__(self):
        try:
            self._start_broker()
            self._start_auth()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, command, **kw):
        process = Process(name, command, self.folder, **kw)
        self.processes.append(process)
        return process

    def end(self, process, how=signal.SIGTERM):
        process.stop(how)
        self.processes.remove(process)

    # ---- broker, authority, users ----

    def _start_broker(self):
        conf = (ROOT / "mosquitto/development.conf").read_text()
        conf = re.sub(r"^listener 1883 ", f"listener {self.port} ", conf, flags=re.M)
        conf = re.sub(r"^listener 9001 ", f"listener {free_port()} ", conf, flags=re.M)
        if os.geteuid() == 0:
            conf += "\nuser root\n"
        path = self.folder / "mosquitto.conf"
        path.write_text(conf)
        self.conf = path
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.broker = self.start("broker", [mosquitto, "-c", path])
        wait_until("the broker's start", self._broker_answers)

    def _broker_answers(self):
        if not self.broker.alive():
            raise BenchError(f"the broker ended early: {self.broker.tail()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def _tool(self, program, *args, env=None, **kw):
        done = subprocess.run([str(self.build / program), *map(str, args)], text=True,
                              capture_output=True, env={**os.environ, **(env or {})}, **kw)
        if done.returncode:
            raise BenchError(f"{program} {args[0]}: {done.stderr.strip()}")
        return done.stdout

    def _start_auth(self):
        auth = self.folder / "auth"
        password = self.folder / "password"
        password.write_text("bench-password-1\n")
        password.chmod(0o600)
        self._tool("auth_edge", "init", "--auth-data", auth)
        for k in range(USERS):
            self._tool("auth_edge", "user", "add", f"bench{k}", "--auth-data", auth,
                       "--password-file", password)
        self.auth = self.start("auth_edge", [
            self.build / "auth_edge", "--auth-data", auth,
            "--mqtt-broker", f"127.0.0.1:{self.port}"])
        with ThreadPoolExecutor(USERS) as pool:
            list(pool.map(self._login, range(USERS)))
        for k in range(USERS, 64):  # more uploads than users: the same users again
            (self.folder / "homes" / str(k)).symlink_to(str(k % USERS))

    def _login(self, k):
        home = self.folder / "homes" / str(k)
        home.mkdir(parents=True)
        self._tool("edgectl", "login", "--user", f"bench{k}", "--password-file",
                   self.folder / "password",
                   env={"EDGECTL_HOME": str(home), "MQTT_BROKER": f"127.0.0.1:{self.port}"})

    # ---- the node ----

    def edge_command(self, edge_id, data, broker=None):
        """One copy of everything: what is measured is one node, not what others copy meanwhile."""
        return [self.build / "edge", "--data", data, "--edge-id", edge_id, "--replicas", "1",
                "--mqtt-broker", broker or f"127.0.0.1:{self.port}",
                "--zone-secret-file", self.folder / "auth/zone.secret"]

    def edge(self, keep=False, broker=None, prefix=()):
        """A fresh edge, connected and with its credential. keep: the one before goes on.
        broker, prefix: where it finds the broker, and what it is started through."""
        if not keep:
            self.edge_stop()
        self.serial += 1
        self.edge_id = f"bench{self.serial}"
        self.edge_data = self.folder / self.edge_id
        self.edge_process = self.start(
            f"edge-{self.serial}", self.edge_command(self.edge_id, self.edge_data, broker),
            prefix=prefix)
        wait_until("the edge's enrolment",  # before that it answers nobody
                   lambda: self.edge_process.said("enrolled in zone"))
        self.ping(seconds=0.05)
        return self.edge_process

    def clear(self):
        """Whatever an item left behind, failed or not: only the broker and the authority stay."""
        for process in self.processes[:]:
            if process not in (self.broker, self.auth):
                self.end(process)
        self.edge_process = None

    def listed(self, n):
        """Wait until n videos stand in the list of the edge at hand."""
        path = self.edge_data / "edge_cluster.db"

        def there():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                found = db.execute("SELECT count(*) FROM video WHERE state = 'complete'").fetchone()
            return found[0] >= n
        wait_until(f"{n} videos in the list of {self.edge_id}", there, 30)

    def edge_stop(self):
        if self.edge_process:
            self.end(self.edge_process)
            shutil.rmtree(self.edge_data, ignore_errors=True)
            self.edge_process = None

    def reference(self, program, *args):
        """A reference that is subscribed (it says 'ready')."""
        self.serial += 1
        process = self.start(f"{program}-{self.serial}",
                             [self.build / "bench" / program, self.port, *args])
        wait_until(f"the start of {program}", lambda: process.said("ready"))
        return process

    # ---- load ----

    def load_command(self, mode, options):
        self.serial += 1
        home = self.folder / "homes"
        chosen = {"broker": f"127.0.0.1:{self.port}", "id": f"b{self.serial}",
                  "home": home / "0" if mode == "live" else home}
        if self.edge_id:
            chosen["edge"] = self.edge_id
        chosen.update({k.replace("_", "-"): v for k, v in options.items() if v is not None})
        command = [str(self.build / "bench/load"), mode]
        for key, value in chosen.items():
            command += [f"--{key}", str(value)]
        return command

    def load(self, mode, measured=(), prefix=(), **options):
        """Run a generator; returns what it reports, with the cost of the measured
        processes during its measurement: cpu_s and rss by process name."""
        flag = self.folder / "begun"
        flag.unlink(missing_ok=True)
        command = [*prefix, *self.load_command(mode, {**options, "report": flag})]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as popen:
            try:
                costs = self._costs(popen, flag, measured, float(options.get("seconds", 3)))
                out, err = popen.communicate(timeout=LOAD_S_MAX)
            except subprocess.TimeoutExpired:
                raise BenchError(f"load {mode} does not end") from None
            finally:
                if popen.poll() is None:
                    popen.kill()
        if popen.returncode:
            raise BenchError(f"load {mode}: {err.strip() or popen.returncode}")
        return {**json.loads(out), **costs}

    def _costs(self, popen, flag, measured, seconds):
        if not measured:
            return {}
        end = time.monotonic() + LOAD_S_MAX
        while not flag.exists() and popen.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        before = {p.name: p.cpu_s() for p in measured}
        start = time.monotonic()
        while popen.poll() is None and time.monotonic() - start < seconds:
            time.sleep(0.002)
        took = time.monotonic() - start
        return {"cpu_share": {p.name: (p.cpu_s() - before[p.name]) / took for p in measured},
                "memory": {p.name: p.memory() for p in measured}}

    def background(self, mode, **options):
        """A generator that goes on while others measure; end it with `end_load`."""
        command = self.load_command(mode, options)
        return self.start(f"load-{self.serial}", command)

    def end_load(self, process):
        """Returns what it reported, if it had ended by itself; None when it had to be killed."""
        try:
            process.popen.wait(LOAD_S_MAX if process.popen.poll() is None else 0)
        finally:
            self.processes.remove(process)
        if process.popen.returncode:
            raise BenchError(f"{process.name}: {process.tail()}")
        return json.loads(process.log.read_text().splitlines()[-1])

    def ping(self, **options):
        return self.load("ping", **{"warm_ms": 0, "rate": 100, **options})
