"""A zone of several edges with a broker of its own, which a test may break."""
import collections
import contextlib
import re
import select
import signal
import socket
import sqlite3
import threading

from ec import roles, trust
from ec.client import Client, eventually
from ec.cluster import AuthEdge, Broker, Edge, free_port

SETTLE_S = 90  # for what takes heartbeats, silences and graces to come about

# What every edge must have alike, to the byte.
SHARED = {
    "claim": "video_id, streamer_id",
    "holding": "video_id, streamer_id, edge_id, kind",
    "video": "id",
    "streamer": "id",
}
# What a row of video says of this edge alone.
OWN_STATES = ("uploading", "unlisted")


class Fleet:
    """Names, processes, clients; everything dies in close."""

    def __init__(self, folder, edges, arguments=()):
        self.folder, self.arguments = folder, [str(a) for a in arguments]
        self.broker = Broker(folder / "broker")
        self.auth = AuthEdge(folder / "auth", self.broker)
        self.client = Client(self.broker.port)
        self.clients = [self.client]
        self.zone = self.auth.start(self.client)
        self.edges, self._people = [], {}
        for i in range(edges):
            self.add(f"node{i + 1}", start=False)
        for edge in self.edges:
            edge.spawn()
        for edge in self.edges:
            edge.wait_ready(self.client)

    def add(self, name, start=True, broker=None, arguments=None):
        arguments = self.arguments if arguments is None else arguments
        edge = Edge(
            self.folder / name, broker or self.broker, self.auth.secret_file, name, "", arguments
        )
        self.edges.append(edge)
        if start:
            edge.start(self.client)
        return edge

    def remove(self, edge):
        edge.stop()
        self.edges.remove(edge)

    def new_client(self):
        self.clients.append(Client(self.broker.port))
        return self.clients[-1]

    def streamer(self, name="lea"):
        """Somebody with a connection of their own."""
        if name not in self._people:
            added = self.auth.add_user(name, "the word of " + name)
            assert added.returncode == 0, added.stderr
            key = trust.Key()
            credential = roles.login(self.client, self.zone, key, name, "the word of " + name)
            self._people[name] = key, credential
        return roles.Streamer(self.new_client(), self.zone, *self._people[name])

    def viewer(self):
        viewer = roles.Viewer(self.broker.port, self.zone)
        self.clients.append(viewer.client)
        return viewer

    def row(self, edge, video_id):
        return roles.find_video(self.client, edge.id, video_id)

    def holders(self, edge, video_id):
        row = self.row(edge, video_id)
        return sorted(row["edges"].split(",")) if row else []

    def check(self):
        """Every process that should run does, and has nothing to complain of."""
        for edge in self.edges:
            edge.process.check_output()
            assert edge.process.alive, edge.process.output[-3000:]

    def close(self):
        try:
            for edge in self.edges:
                edge.process.kill(signal.SIGCONT)
                if edge.process.alive:
                    edge.stop()
        finally:
            for process in [*self.edges, self.auth]:
                process.reap()
            for client in self.clients:
                client.close()
            self.broker.close()


@contextlib.contextmanager
def fleet_of(edges, folder, *arguments):
    fleet = Fleet(folder, edges, arguments)
    try:
        yield fleet
        fleet.check()
    finally:
        fleet.close()


# --- what is in an edge's database ------------------------------------------


def query(edge, sql, *values):
    """Rows, read from beside the running edge."""
    path = edge.folder / "edge_cluster.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
        return db.execute(sql, values).fetchall()


def dump(edge):
    """{table: rows} of what all edges have alike."""
    path = edge.folder / "edge_cluster.db"
    tables = {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
        db.execute("BEGIN")
        for table, order in SHARED.items():
            where = f"WHERE state NOT IN {OWN_STATES}" if table == "video" else ""
            tables[table] = db.execute(f"SELECT * FROM {table} {where} ORDER BY {order}").fetchall()
    return tables


def differences(edges):
    """What is not alike, for the message of a failure; empty when all is."""
    first, found = dump(edges[0]), []
    for edge in edges[1:]:
        other = dump(edge)
        for table in SHARED:
            ours, theirs = set(first[table]), set(other[table])
            if ours != theirs:
                found.append(
                    f"{table}: only {edges[0].id} has {short(ours - theirs)}, "
                    f"only {edge.id} has {short(theirs - ours)}"
                )
    return found


def short(rows):
    return [tuple(v for v in row if not isinstance(v, bytes)) for row in rows][:3]


def agree(edges, timeout=SETTLE_S):
    """Wait until every catalogue is the same, to the byte."""
    last = []

    def alike():
        last[:] = differences(edges)
        return not last

    try:
        eventually(alike, timeout, pause=0.5)
    except AssertionError:
        raise AssertionError("they do not agree:\n" + "\n".join(last)) from None


def counters(edge):
    """{name: number}, as SIGUSR1 makes the edge print them; what is not there is 0."""
    process = edge.process
    before = len(process.lines)
    process.kill(signal.SIGUSR1)

    def printed():
        lines = [line for line in process.lines[before:] if "counters:" in line]
        return lines if any("lane1" in line for line in lines) else None

    found = re.findall(r" (\w+)=(\d+)", "\n".join(eventually(printed)))
    return collections.Counter({name: int(n) for name, n in found})


def used_bytes(edge):
    """Bytes of pages that are not free."""
    ((size,),) = query(edge, "PRAGMA page_size")
    ((pages,),) = query(edge, "PRAGMA page_count")
    ((free,),) = query(edge, "PRAGMA freelist_count")
    return size * (pages - free)


def parts_here(edge, video_id):
    """How many packets of that id are on its disk, as part of any copy."""
    sql = "SELECT count(*) FROM part JOIN copy ON part.copy = copy.n WHERE copy.video_id = ?"
    return query(edge, sql, video_id)[0][0]


def listed(edge):
    """{video id: who holds it}, as the edge's database lists them."""
    sql = "SELECT id, edges FROM video WHERE state IN ('complete', 'live')"
    return {video_id: edges.split(",") for video_id, edges in query(edge, sql)}


def no_garbage(edge):
    return query(edge, "SELECT count(*) FROM garbage") == [(0,)]


def check_copy(edge, stream):
    """Every packet of a whole copy, as it lies in the database, verifies and is what was sent."""
    sql = """SELECT packet FROM part JOIN copy ON part.copy = copy.n
             WHERE copy.video_id = ? AND copy.streamer_id = ? ORDER BY chunk_nb, part_nb"""
    packets = query(edge, sql, stream.video_id, stream.fields["streamer_id"])
    assert len(packets) == len(stream.parts), f"{edge.id} has {len(packets)} parts"
    for (packet,), part in zip(packets, stream.parts):
        assert trust.Part(packet).verify(stream.key.pk, stream.id).position == part.position
        assert packet == part.packet


def check_served(viewer, edge, stream):
    """The edge serves it from its own disk, all of it, and it verifies."""
    viewer.init(edge.id, stream.video_id, local_only=1)
    video, assembly = viewer.watch_binary(edge.id, stream.video_id)
    assert video.stream == stream.id
    assert assembly.payload() == stream.payload


# --- a network that can be cut -------------------------------------------------


class Cable:
    """A relay before the broker: what uses it is cut off, and back again."""

    def __init__(self, broker):
        self.target, self.port = broker.port, free_port()
        self._lock = threading.Lock()
        self._sockets, self._whole = set(), True
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            with self._lock:
                self._sockets |= {near, far}
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        try:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            for end in (near, far):
                end.close()
            with self._lock:
                self._sockets -= {near, far}

    def cut(self):
        self._whole = False
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self._whole = True

    def close(self):
        self.cut()
        self._listener.close()
