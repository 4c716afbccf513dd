"""Real programs on loopback: a broker, auth_edge, edges. Everything dies with the tests."""
import ctypes
import os
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import roles, trust
from .client import TIMEOUT_S, Client, eventually, fresh_id

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("EDGE_BUILD", ROOT / "build")).resolve()
STOP_S = 2.0
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clean_environment():
    """Nothing of whoever runs the tests that the programs would take for settings."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
    return {k: os.environ[k] for k in keep if k in os.environ}


class Process:
    """A program, its output line by line as it comes."""

    def __init__(self, argv, cwd, env=None):
        self.name = Path(argv[0]).name
        self.argv = [str(a) for a in argv]
        self.lines = []
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            self.argv,
            cwd=cwd,
            env={**clean_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._popen.stdout:
            with self._changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def pid(self):
        return self._popen.pid

    @property
    def alive(self):
        return self._popen.poll() is None

    @property
    def output(self):
        return "\n".join(self.lines)

    def wait_line(self, pattern, timeout=TIMEOUT_S):
        """The first line, past or to come, in which the pattern is found."""

        def found():
            return any(re.search(pattern, line) for line in self.lines)

        with self._changed:
            ok = self._changed.wait_for(found, timeout)
            assert ok, f"{self.name} did not say {pattern!r} in {timeout} s but:\n{self.output}"
            return next(line for line in self.lines if re.search(pattern, line))

    def wait(self, timeout=TIMEOUT_S):
        """Its exit status."""
        status = self._popen.wait(timeout)
        self._reader.join(timeout)
        return status

    def kill(self, number=signal.SIGKILL):
        if self.alive:
            self._popen.send_signal(number)

    def reap(self):
        """End it whatever it takes."""
        self.kill()
        self._popen.wait()
        self._reader.join(5)
        self._popen.stdout.close()

    def check_output(self):
        assert not SANITIZER.search(self.output), f"{self.name}:\n{self.output}"

    def stop(self):
        """SIGTERM must end it with status 0 within STOP_S."""
        if not self.alive:
            status = self._popen.returncode
            self.reap()
            self.check_output()
            raise AssertionError(f"{self.name} was gone (status {status}):\n{self.output}")
        started = time.monotonic()
        self.kill(signal.SIGTERM)
        try:
            status = self._popen.wait(STOP_S + 5)
        except subprocess.TimeoutExpired:
            status = "none"
        took = time.monotonic() - started
        self.reap()
        self.check_output()
        assert status == 0, f"{self.name} ended with {status} on SIGTERM:\n{self.output}"
        assert took <= STOP_S, f"{self.name} took {took:.1f} s to stop"


class Broker:
    """Mosquitto on a port of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = None
        self.process = None
        for _ in range(5):
            self.port = free_port()
            if self.start():
                return
        raise AssertionError(self.process.output)

    @classmethod
    def reserved(cls, folder):
        """A broker that has a port but does not run yet."""
        broker = cls.__new__(cls)
        broker.folder = Path(folder)
        broker.folder.mkdir(parents=True, exist_ok=True)
        broker.port, broker.process = free_port(), None
        return broker

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\n"
            "user root\n"  # run by root it would become another user, and outlive us
            "persistence false\n"
            "max_queued_messages 100000\n"
            "max_inflight_messages 64\n"
            "set_tcp_nodelay true\n"
            "log_dest stderr\n"
            "log_type error\nlog_type warning\nlog_type notice\nlog_type information\n"
        )
        self.process = Process(["/usr/sbin/mosquitto", "-c", config], self.folder)
        deadline = time.monotonic() + TIMEOUT_S
        while self.process.alive and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                threading.Event().wait(0.01)
        self.process.reap()
        return False

    def kill(self):
        self.process.reap()

    def close(self):
        if self.process:
            self.process.reap()


class AuthEdge:
    def __init__(self, folder, broker, *arguments):
        self.folder, self.broker = Path(folder), broker
        self.folder.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments
        self.process = None

    @property
    def secret_file(self):
        return self.folder / "zone.secret"

    @property
    def secret(self):
        return bytes.fromhex(self.secret_file.read_text().strip())

    def run(self, *words):
        """One of the operator's commands, beside the serving process or without one."""
        done = subprocess.run(
            [BUILD / "auth_edge", *words, "--data", self.folder],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert not SANITIZER.search(done.stderr), done.stderr
        return done

    def must_run(self, *words):
        """Its output; it must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_user(self, name, password):
        password_file = self.folder / f"password-{secrets.token_hex(4)}"
        password_file.write_text(password + "\n")
        done = self.run("user", "add", name, "--password-file", password_file)
        password_file.unlink()
        return done

    def spawn(self):
        argv = [BUILD / "auth_edge", "--data", self.folder, "--mqtt-broker", self.broker.url]
        self.process = Process([*argv, *self.arguments], self.folder)
        return self.process

    def start(self, client):
        """Returns the zone once it answers."""
        self.spawn()
        topic = f"auth/params/{client.id}"
        client.subscribe(topic)

        def answered():
            assert self.process.alive, self.process.output
            client.publish("auth/params", {"client_id": client.id})
            try:
                return client.expect(topic, timeout=0.1)
            except AssertionError:
                return None

        reply = eventually(answered)
        return trust.open_zone(trust.unb64(reply.get("parametre")))

    def stop(self):
        self.process.stop()

    def reap(self):
        if self.process:
            self.process.reap()


class Edge:
    """One edge: its id, its data, its process (if it runs)."""

    def __init__(self, folder, broker, secret_file, edge_id=None, prefix="", arguments=()):
        self.folder, self.broker, self.secret_file = Path(folder), broker, secret_file
        self.folder.mkdir(parents=True, exist_ok=True)
        self.id = edge_id or "edge-" + secrets.token_hex(3)
        self.prefix, self.arguments = prefix, arguments
        self.process = None

    def argv(self):
        argv = [BUILD / "edge", "--data", self.folder, "--edge-id", self.id]
        argv += ["--mqtt-broker", self.broker.url, "--zone-secret-file", self.secret_file]
        if self.prefix:
            argv += ["--topic-prefix", self.prefix]
        return [*argv, *self.arguments]

    def spawn(self):
        self.process = Process(self.argv(), self.folder)
        return self.process

    def start(self, client):
        """Returns once it is enrolled and answers a ping."""
        self.spawn()
        return self.wait_ready(client)

    def wait_ready(self, client):
        def answered():
            assert self.process.alive, self.process.output
            try:
                return roles.ping_edge(client, self.id, timeout=0.1).get("zone")
            except AssertionError:
                return None

        eventually(answered)
        return self

    def kill(self):
        self.process.reap()
        self.process.check_output()

    def stop(self):
        self.process.stop()

    def reap(self):
        if self.process:
            self.process.reap()


class PyZone:
    """A zone authority in Python: enrols edges and issues whatever credential a test wants."""

    def __init__(self, broker, folder, prefix=""):
        self.id = "pyzone-" + secrets.token_hex(3)
        self.key = trust.Key()
        self.box_seed = secrets.token_bytes(32)
        self.secret = secrets.token_bytes(32)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.secret_file = Path(folder) / "pyzone.secret"
        self.secret_file.write_text(self.secret.hex() + "\n")
        self.serial = 0
        self.tamper = None  # a function of the reply to auth/zone
        self.enrolled = {}
        self.epoch = 1
        self.links = []
        self.signed = self.key.signed("zone", self.body())
        self.params = trust.open_zone(self.signed)
        self.client = Client(broker.port, prefix)
        self.client.subscribe("auth/zone", "auth/params")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def body(self):
        box_pk = trust.crypto_scalarmult_base(self.box_seed)
        return trust.encode(
            "zone", zone_id=self.id, sign_pk=self.key.pk, box_pk=box_pk,
            key_epoch=self.epoch, issued=trust.now_us(), links=self.links,
        )  # fmt: skip

    def rotate(self):
        """A new key, linked to the old one, which is returned."""
        old, self.key = self.key, trust.Key()
        self.links.append(trust.link(self.id, old, self.epoch, self.key.pk))
        self.epoch += 1
        self.signed = self.key.signed("zone", self.body())
        self.params = trust.open_zone(self.signed)
        return old

    def revoke(self, number, revoked, key=None, epoch=None):
        """Publish a list of {serial: since}; key and epoch for one that should not count."""
        data = trust.revocations(key or self.key, self.id, epoch or self.epoch, number, revoked)
        self.client.publish("auth/revocations", {"revocations": trust.b64(data)})
        return data

    def credential(self, pk, subject, kind=trust.STREAMER, name=None, key=None, **over):
        """A signed credential; `over` and `key` for those that should not exist."""
        self.serial += 1
        now = trust.now_us()
        fields = {
            "kind": kind, "subject": subject, "display_name": name or subject, "pk": pk,
            "zone_id": self.id, "key_epoch": self.epoch, "serial": self.serial,
            "not_before": now - 60_000_000, "not_after": now + 3_600_000_000,
        }  # fmt: skip
        body = trust.encode("credential", **{**fields, **over})
        return (key or self.key).signed("credential", body)

    def _serve(self):
        while not self._closing.is_set():
            try:
                message = self.client.expect("auth/+", timeout=0.2)
            except AssertionError:
                continue
            if message.topic == "auth/zone":
                self._enrol(message.json)
            elif "client_id" in message.json:
                reply = {"status": "ok", "parametre": trust.b64(self.signed)}
                self.client.publish("auth/params/" + message.json["client_id"], reply)

    def _enrol(self, request):
        request_hash = trust.check_enrolment(self.secret, request)
        pk, nonce = trust.unb64(request["pk"]), trust.unb64(request["nonce"])
        credential = self.credential(pk, request["ID"], trust.EDGE)
        self.enrolled.setdefault(request["ID"], []).append(pk)
        mac = trust.enrolment_reply_mac(self.secret, request_hash, self.signed, credential, nonce)
        reply = {
            "status": "ok", "ID": request["ID"], "parametre": trust.b64(self.signed),
            "credential": trust.b64(credential), "nonce": request["nonce"],
            "proof": trust.b64(mac),
        }  # fmt: skip
        if self.tamper:
            reply = self.tamper(reply)
        if reply:
            self.client.publish("auth/zone/" + request["ID"], reply)

    def streamer(self, client, subject=None, name="A streamer", **over):
        key = trust.Key()
        subject = subject or "s-" + fresh_id()[:12]
        credential = self.credential(key.pk, subject, name=name, **over)
        return roles.Streamer(client, self.params, key, credential)

    def close(self):
        self._closing.set()
        self._thread.join(5)
        self.client.close()
