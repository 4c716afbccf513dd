"""The cluster that the tests share, and what each test gets of its own."""
import secrets
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from ctl import Edgectl
from ec import roles, trust
from ec.client import Client, fresh_id
from ec.cluster import BUILD, AuthEdge, Broker, Edge, PyZone

RUNNING = []  # whatever has an output worth showing when a test fails


def pytest_configure():
    """A SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for owner in RUNNING:
            if getattr(owner, "process", None):
                name = getattr(owner, "id", type(owner).__name__)
                report.sections.append((f"last lines of {name}", "\n".join(owner.process.lines[-15:])))


@pytest.fixture(scope="session")
def workplace():
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edge-cluster-test-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(workplace):
    with tempfile.TemporaryDirectory(dir=workplace) as name:
        yield Path(name)


class Cluster:
    """A broker, auth_edge and two edges."""

    def __init__(self, workplace):
        self.folder = workplace / "cluster"
        self.broker = Broker(self.folder / "broker")
        self.client = Client(self.broker.port)
        self.auth = AuthEdge(self.folder / "auth", self.broker)
        RUNNING.append(self.auth)
        self.edges = []
        self._people = {}

    def start(self):
        self.zone = self.auth.start(self.client)
        self.edge1 = self.add_edge("edge1")
        self.edge2 = self.add_edge("edge2")
        self.edges = [self.edge1, self.edge2]
        return self

    def new_edge(self, name=None, arguments=()):
        """One copy of a video is enough here; test_custody.py is about more."""
        name = name or "edge-" + secrets.token_hex(3)
        arguments = ("--replicas", "1", *arguments)
        edge = Edge(self.folder / name, self.broker, self.auth.secret_file, name, "", arguments)
        RUNNING.append(edge)
        return edge

    def add_edge(self, name=None, arguments=()):
        return self.new_edge(name, arguments).start(self.client)

    def person(self, name):
        """(key, credential) of a user, logged in once a session."""
        if name not in self._people:
            password = secrets.token_hex(8)
            added = self.auth.add_user(name, password)
            assert added.returncode == 0, added.stderr
            key = trust.Key()
            with Client(self.broker.port) as client:
                self._people[name] = key, roles.login(client, self.zone, key, name, password)
        return self._people[name]

    def stop(self):
        failures = []
        for process in [*self.edges, self.auth]:
            try:
                process.stop()
            except AssertionError as e:
                failures.append(str(e))
        assert not failures, "\n".join(failures)

    def reap(self):
        for process in [*self.edges, self.auth]:
            process.reap()
        self.client.close()
        self.broker.close()


@pytest.fixture(scope="session")
def cluster(workplace):
    for program in ("edge", "auth_edge"):
        if not (BUILD / program).exists():
            pytest.exit(f"{BUILD / program} is not built: run 'make' first, or set EDGE_BUILD", 2)
    cluster = Cluster(workplace)
    try:
        yield cluster.start()
        cluster.stop()
    finally:
        cluster.reap()


@pytest.fixture
def edge1(cluster):
    return cluster.edge1.id


@pytest.fixture
def edge2(cluster):
    return cluster.edge2.id


@pytest.fixture
def extra_edge(cluster):
    """Start further edges, which end with the test."""
    started = []

    def start(*arguments, name=None):
        edge = cluster.new_edge(name, arguments)
        started.append(edge)
        return edge.start(cluster.client)

    yield start
    try:
        for edge in started:
            if edge.process and edge.process.alive:
                edge.stop()
    finally:
        for edge in started:
            edge.reap()
            RUNNING.remove(edge)


@pytest.fixture
def client(cluster):
    with Client(cluster.broker.port) as client:
        yield client


@pytest.fixture
def streamer(cluster, client):
    return roles.Streamer(client, cluster.zone, *cluster.person("lea"))


@pytest.fixture
def other_streamer(cluster):
    with Client(cluster.broker.port) as client:
        yield roles.Streamer(client, cluster.zone, *cluster.person("noe"))


@pytest.fixture
def viewers(cluster):
    """Make viewers, who leave with the test."""
    made = []

    def make(zone=None, prefix=""):
        made.append(roles.Viewer(cluster.broker.port, zone or cluster.zone, prefix))
        return made[-1]

    yield make
    for viewer in made:
        viewer.close()


@pytest.fixture
def viewer(viewers):
    return viewers()


class HostileZone:
    """A zone whose authority is a test's, with one edge, on topics of its own."""

    def __init__(self, cluster, folder):
        self.prefix = "t" + secrets.token_hex(4) + "/zone"
        self.port = cluster.broker.port
        self.client = Client(self.port, self.prefix)
        self.zone = PyZone(cluster.broker, folder, self.prefix)
        self.edge = Edge(folder / "edge", cluster.broker, self.zone.secret_file, "hostile1", self.prefix)
        RUNNING.append(self.edge)
        self.edge.start(self.client)

    def close(self):
        try:
            self.edge.stop()
        finally:
            self.edge.reap()
            RUNNING.remove(self.edge)
            self.zone.close()
            self.client.close()


@pytest.fixture(scope="module")
def pyzone(cluster, workplace):
    with tempfile.TemporaryDirectory(dir=workplace) as name:
        zone = HostileZone(cluster, Path(name))
        try:
            yield zone
        finally:
            zone.close()


# --- edgectl


@pytest.fixture(scope="session")
def home(cluster, workplace):
    """A folder in which somebody has logged in."""
    folder = workplace / "edgectl"
    folder.mkdir()
    tool = Edgectl(cluster.broker.url, folder)
    assert cluster.auth.add_user("ctl", "a secret of 1").returncode == 0
    (folder / "password").write_text("a secret of 1\n")
    tool.run("login", "--user", "ctl", "--password-file", "password")
    return folder


@pytest.fixture
def ctl(cluster, home):
    return Edgectl(cluster.broker.url, home)


@pytest.fixture(scope="session")
def clip(workplace):
    """4 s of H.264 with a keyframe every second, and AAC."""
    path = workplace / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-y"]
        + ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=4"]
        + ["-f", "lavfi", "-i", "sine=duration=4"]
        + ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"]
        + ["-c:a", "aac", "-shortest", path],
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return path


@pytest.fixture
def video_id():
    return "ctl-" + fresh_id()[:12]
