"""A broker with the real production configuration: ports and paths alone are a test's."""
import json
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time

from .client import TIMEOUT_S, Client, eventually
from .cluster import BUILD, ROOT, Broker, Process, clean_environment, free_port

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWERS = CONTROL + "/response"


def operator(data, *arguments, expect=0):
    """A command of auth_edge."""
    done = subprocess.run(
        [str(a) for a in (BUILD / "auth_edge", *arguments, "--data", data)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == expect, (arguments, done.stdout, done.stderr)
    return done


class LockedBroker(Broker):
    def __init__(self, folder, data):
        """data: auth_edge's folder, which is made with the broker's files."""
        self.folder, self.data = folder, data
        self.certs, self.state = folder / "certs", folder / "broker"
        self.port, self.wss_port = free_port(), free_port()
        self.process = None
        folder.mkdir(parents=True)
        subprocess.run(
            [ROOT / "scripts" / "certs.sh"],
            env={**clean_environment(), "CERTS": str(self.certs)},
            check=True,
            capture_output=True,
            timeout=60,
        )
        self.set_up()
        assert self.start(), self.process.output

    def set_up(self):
        """The broker's files, made anew: whoever had an account has none."""
        shutil.rmtree(self.state, ignore_errors=True)
        operator(self.data, "broker", "init", "--out", self.state)

    @property
    def url(self):
        return f"mqtts://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.certs / "ca.pem"

    @property
    def auth_password_file(self):
        return self.state / "broker.auth"

    @property
    def auth_login(self):
        return "auth", self.auth_password_file.read_text().strip()

    def configuration(self):
        text = (ROOT / "mosquitto" / "production.conf").read_text()
        for old, new in (
            (r"^listener 8883$", f"listener {self.port} 127.0.0.1"),
            (r"^listener 9443$", f"listener {self.wss_port} 127.0.0.1\nsocket_domain ipv4"),
            (r"/etc/mosquitto/certs", str(self.certs)),
            (r"/var/lib/mosquitto/edge-cluster", str(self.state)),
            (r"^log_type notice$", "log_type notice\nlog_type information\nuser root"),
        ):
            text, n = re.subn(old, new, text, flags=re.M)
            assert n, old
        return text

    def start(self):
        config = self.folder / "mosquitto.conf"
        config.write_text(self.configuration())
        self.process = Process(["/usr/sbin/mosquitto", "-c", config], self.folder)
        deadline = time.monotonic() + TIMEOUT_S
        while self.process.alive and time.monotonic() < deadline:
            try:
                for port in (self.port, self.wss_port):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                threading.Event().wait(0.01)
        return False

    def client(self, login=None, **options):
        return Client(self.port, login=login, tls=self.ca, **options)

    def connected_as(self, user):
        """How many connections were made under that name."""
        return self.process.output.count(f"u'{user}'")


class Admin:
    """Who has broker.auth."""

    def __init__(self, broker):
        self.client = broker.client(broker.auth_login)
        self.client.subscribe(ANSWERS)

    def do(self, *commands):
        """The plugin's answers to commands, which all went well."""
        mark = secrets.token_hex(4)
        commands = [{**command, "correlationData": mark} for command in commands]
        self.client.publish(CONTROL, {"commands": commands})
        answer = self.client.expect(ANSWERS, lambda m: m.json["responses"][0].get("correlationData") == mark)
        responses = answer.json["responses"]
        assert not [r for r in responses if "error" in r], responses
        return responses

    def add(self, name, role):
        """(user, password) of a new client."""
        password = secrets.token_hex(16)
        self.do({"command": "createClient", "username": name, "password": password, "roles": [{"rolename": role}]})
        return name, password

    def witness(self):
        """A client that may read and publish everything, which nobody else may."""
        acls = [
            {"acltype": right, "topic": "#", "priority": 0, "allow": True}
            for right in ("publishClientSend", "publishClientReceive", "subscribePattern")
        ]
        self.do({"command": "createRole", "rolename": "witness", "acls": acls})
        return self.add("witness-" + secrets.token_hex(3), "witness")

    def groups(self):
        return json.dumps(self.do({"command": "listGroups"})[0]["data"])

    def close(self):
        self.client.close()


def wait_for_account(broker, user, connections=1):
    eventually(lambda: broker.connected_as(user) >= connections)
