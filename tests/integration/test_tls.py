"""TLS with the real programs: mqtts:// and wss://, a CA of our own, and hosts that are not who
they should be."""
import secrets
import subprocess

import pytest
from conftest import RUNNING
from ctl import NOBODY, USAGE, Edgectl
from ec.client import Client
from ec.cluster import AuthEdge, Broker, Edge, Process, free_port
from ec.media import noise

NOT_THIS_HOST = "its certificate is not for this host name"
UNKNOWN_CA = "TLS: certificate verify failed"
MUCH = 1_000_000
LITTLE = 30_000  # Paho 1.3.12 loses websocket connections over bursts of large messages
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


class Authority:
    """A CA, and the certificates that it signs: NAME.pem, NAME.key."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.pem"
        openssl(
            folder, "req", "-x509", *EC, "-days", "1", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip

    def sign(self, name, extension):
        (self.folder / f"{name}.ext").write_text(extension + "\n")
        openssl(
            self.folder, "req", *EC, "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        openssl(
            self.folder, "x509", "-req", "-in", f"{name}.csr", "-days", "1",
            "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial",
            "-extfile", f"{name}.ext", "-out", f"{name}.pem",
        )  # fmt: skip


class TlsBroker(Broker):
    """One broker; its plain listener, which the others need beside them, is for the test alone."""

    def __init__(self, folder, ca):
        reserved = Broker.reserved(folder)
        self.folder, self.port, self.process = reserved.folder, reserved.port, None
        self.ports = {}
        config = [
            "user root", "per_listener_settings true",
            "log_dest stderr", "log_type all", f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
        ]  # fmt: skip
        for scheme, protocol in (("mqtts", "mqtt"), ("wss", "websockets")):
            for name in ("here", "elsewhere", "stranger"):
                config += self.listener(scheme, protocol, name)
        config += self.listener("mqtts", "mqtt", "here", "mutual")
        config += [f"cafile {ca.file}", "require_certificate true"]
        (self.folder / "tls.conf").write_text("\n".join(config) + "\n")
        self.process = Process(["/usr/sbin/mosquitto", "-c", "tls.conf"], self.folder)
        self.process.wait_line("running")

    def listener(self, scheme, protocol, certificate, name=None):
        port = self.ports[scheme, name or certificate] = free_port()
        lines = [
            f"listener {port} 127.0.0.1", f"protocol {protocol}", "allow_anonymous true",
            f"certfile {self.folder / certificate}.pem", f"keyfile {self.folder / certificate}.key",
        ]  # fmt: skip
        return lines + ["socket_domain ipv4"] * (protocol == "websockets")

    def at(self, scheme, name, host="127.0.0.1"):
        return f"{scheme}://{host}:{self.ports[scheme, name]}"


class TlsUrl:
    """What AuthEdge and Edge take for a broker."""

    def __init__(self, url):
        self.url = url


@pytest.fixture(scope="module")
def ca(workplace):
    folder = workplace / "tls"
    folder.mkdir()
    ca = Authority(folder, "ca")
    ca.sign("here", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    ca.sign("elsewhere", "subjectAltName=DNS:elsewhere.example")
    ca.sign("me", "extendedKeyUsage=clientAuth")
    Authority(folder, "other").sign("stranger", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    return ca


@pytest.fixture(scope="module")
def broker(ca):
    broker = TlsBroker(ca.folder, ca)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def cluster(workplace, broker, ca):
    """auth_edge over wss://, an edge over mqtts://, and a user."""
    trusting = ("--mqtt-ca-file", ca.file)
    auth = AuthEdge(workplace / "tls-auth", TlsUrl(broker.at("wss", "here")), *trusting)
    edge = Edge(
        workplace / "tls-edge", TlsUrl(broker.at("mqtts", "here", "localhost")), auth.secret_file,
        "tls1", "", ("--replicas", "1", *trusting),
    )  # fmt: skip
    with Client(broker.port) as client:
        try:
            for process in (auth, edge):
                RUNNING.append(process)
                process.start(client)
            assert auth.add_user("tls", "a secret of 1").returncode == 0
            yield auth, edge
            edge.stop()
            auth.stop()
        finally:
            for process in (edge, auth):
                process.reap()
                RUNNING.remove(process)


def tool(folder, broker, ca, scheme, name, host="127.0.0.1"):
    tool = Edgectl(broker.at(scheme, name, host), folder)
    tool.env["MQTT_CA_FILE"] = str(ca.file)
    return tool


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_all_three_over_tls(cluster, broker, ca, folder, scheme, host):
    """Nobody gives a zone key: a broker that was verified may be trusted the first time."""
    ctl = tool(folder, broker, ca, scheme, "here", host)
    data = noise(LITTLE if scheme == "wss" else MUCH)
    (folder / "data").write_bytes(data)
    (folder / "password").write_text("a secret of 1\n")
    ctl.run("login", "--user", "tls", "--password-file", "password")
    video_id = "tls-" + secrets.token_hex(4)
    assert ctl.json("upload", "data", "--id", video_id)["edge"] == "tls1"
    ctl.run("watch", video_id, "-o", "copy")
    assert (folder / "copy").read_bytes() == data


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
@pytest.mark.parametrize(
    ("name", "sentence"), [("elsewhere", NOT_THIS_HOST), ("stranger", UNKNOWN_CA)]
)
def test_edgectl_refuses(broker, ca, folder, scheme, name, sentence):
    done = tool(folder, broker, ca, scheme, name).run("ping", "--timeout", "1", expect=NOBODY)
    assert sentence in done.stderr


def test_an_edge_over_wss(cluster, broker, ca, folder):
    auth, _ = cluster
    url, trusting = TlsUrl(broker.at("wss", "here")), ("--mqtt-ca-file", ca.file)
    edge = Edge(folder / "edge", url, auth.secret_file, "tls3", "", trusting)
    RUNNING.append(edge)
    with Client(broker.port) as client:
        try:
            edge.start(client)
            edge.stop()
        finally:
            edge.reap()
            RUNNING.remove(edge)


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
@pytest.mark.parametrize(
    ("name", "sentence"), [("elsewhere", NOT_THIS_HOST), ("stranger", UNKNOWN_CA)]
)
@pytest.mark.parametrize("program", ["auth_edge", "edge"])
def test_daemons_refuse(broker, ca, folder, program, scheme, name, sentence):
    url, trusting = TlsUrl(broker.at(scheme, name)), ("--mqtt-ca-file", ca.file)
    if program == "auth_edge":
        daemon = AuthEdge(folder / "auth", url, *trusting)
    else:
        (folder / "secret").write_text(secrets.token_hex(32) + "\n")
        (folder / "secret").chmod(0o600)
        daemon = Edge(folder / "edge", url, folder / "secret", "tls2", "", trusting)
    try:
        daemon.spawn().wait_line(sentence)
        daemon.stop()
    finally:
        daemon.reap()


def test_a_broker_that_asks_for_a_certificate(cluster, broker, ca, folder):
    ctl = tool(folder, broker, ca, "mqtts", "mutual")
    ctl.run("ping", "--timeout", "1", expect=NOBODY)
    ours = ("--mqtt-cert-file", ca.folder / "me.pem", "--mqtt-key-file", ca.folder / "me.key")
    assert [edge["edge_id"] for edge in ctl.json("ping", *ours)] == ["tls1"]


@pytest.mark.parametrize("option", ["ca", "cert", "key"])
def test_a_file_that_is_not_there(broker, ca, folder, option):
    ctl = tool(folder, broker, ca, "mqtts", "here")
    name = f"--mqtt-{option}-file"
    assert name in ctl.run("ping", name, "no-such-file", expect=USAGE).stderr
