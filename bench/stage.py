"""A clip, fed to a publisher picture by picture as each is due, and viewers that count what comes.

One loop does both, so that one clock tells when a picture was due and when a viewer had it. A
picture is known by its last bytes, which every container carries as they are: the viewers
need to understand no container.
"""

import fcntl
import os
import random
import selectors
import socket
import struct
import subprocess
import time
from pathlib import Path

from cluster import BenchError

RATE = 25  # pictures per second, and in a group: a keyframe each second
CLIP_S = 14
BITS_PER_S = 8_000_000
TAIL = 16  # bytes by which a picture is known
LOST_MAX = 12  # pictures in a row that a viewer may miss (or see the tail of cut in two)
PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 18


class Clip:
    """pieces: what is fed, a picture each, the first with the head; tails: how they are known."""

    def __init__(self, path):
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i",
             f"testsrc2=size=640x360:rate={RATE}:duration={CLIP_S},noise=alls=40:allf=t",
             "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0",
             "-g", str(RATE), "-keyint_min", str(RATE), "-sc_threshold", "0",
             "-b:v", str(BITS_PER_S), "-maxrate", str(BITS_PER_S), "-bufsize", str(BITS_PER_S // 2),
             "-movflags", "frag_every_frame+empty_moov+default_base_moof", path],
            check=True, timeout=60, stdin=subprocess.DEVNULL)
        data = Path(path).read_bytes()
        self.pieces, self.tails = [], []
        at = begin = 0
        while at < len(data):
            end = at + int.from_bytes(data[at:at + 4], "big")
            if data[at + 4:at + 8] == b"mdat":
                self.pieces.append(data[begin:end])
                self.tails.append(data[end - TAIL:end])
                begin = end
            at = end
        if len(set(self.tails)) < len(self.tails):
            raise BenchError("two pictures of the clip have the same last bytes")


class Viewer:
    """Reads one descriptor. first_s: from its start to the whole first keyframe; delays_s: of every
    picture after that, if wanted."""

    def __init__(self, stage, fd, started, tracks):
        self.stage, self.fd, self.started, self.tracks = stage, fd, started, tracks
        self.bytes, self.first_s, self.delays_s = 0, None, []
        self.next, self.rest = 0, b""
        os.set_blocking(fd, False)
        stage.add(self)

    def readable(self, now):
        data = os.read(self.fd, READ_BYTES)
        if not data:
            raise BenchError("a viewer was sent away")
        self.bytes += len(data)
        if self.first_s is None or self.tracks:
            self._look(self.rest + data, now)
            self.rest = data[-TAIL + 1:]

    def _look(self, data, now):
        clip, fed = self.stage.clip, self.stage.fed
        if self.first_s is None:
            shown = [k for k in range(0, fed, RATE) if clip.tails[k] in data]
            if not shown:
                return
            self.first_s, self.next = now - self.started, shown[0] + 1
        k = self.next
        while self.tracks and k < min(self.next + LOST_MAX, fed):
            if clip.tails[k] in data:
                self.delays_s.append((k, now - self.stage.due(k)))
                self.next = k + 1
            k += 1

    def close(self):
        self.stage.remove(self)


class PipeViewer(Viewer):
    """Whatever a program of its own writes to standard output, which must be stdout."""

    def __init__(self, stage, start, tracks=False):
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        started = time.monotonic()
        start(write)
        os.close(write)
        super().__init__(stage, read, started, tracks)

    def close(self):
        super().close()
        os.close(self.fd)


# ---- RTMP, as far as a player needs it to be sent a stream ----

def amf(value):
    if value is None:
        return b"\x05"
    if isinstance(value, dict):
        return b"\x03" + b"".join(struct.pack(">H", len(k)) + k.encode() + amf(v)
                                  for k, v in value.items()) + b"\0\0\x09"
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    return b"\0" + struct.pack(">d", value)


def message(kind, stream, body):
    """A message in chunks of 128 bytes, which is what counts before anybody says another size."""
    head = b"\x03" + bytes(3) + len(body).to_bytes(3, "big") + bytes([kind])
    chunks = [body[k:k + 128] for k in range(0, len(body), 128)]
    return head + struct.pack("<I", stream) + b"\xc3".join(chunks)


class RtmpViewer(Viewer):
    """Asks for everything at once after the handshake; then counts, and acknowledges."""
    HANDSHAKE = 1536
    COMMAND, ACKNOWLEDGEMENT = 20, 3
    ACKNOWLEDGED_EVERY = 1 << 20

    def __init__(self, stage, port, tracks=False):
        started = time.monotonic()
        self.port, self.greeting, self.acknowledged = port, b"", 0
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.sendall(b"\x03" + bytes(8) + random.randbytes(self.HANDSHAKE - 8))
        super().__init__(stage, self.socket.fileno(), started, tracks)

    def readable(self, now):
        if self.greeting is not None:
            self._greet()
            return
        super().readable(now)
        if self.bytes - self.acknowledged > self.ACKNOWLEDGED_EVERY:
            self.acknowledged = self.bytes
            self.socket.send(message(self.ACKNOWLEDGEMENT, 0,
                                     struct.pack(">I", self.bytes & 0xffffffff)))

    def _greet(self):
        """The server's three parts of the handshake; what we want follows them."""
        whole = 1 + 2 * self.HANDSHAKE
        got = self.socket.recv(whole - len(self.greeting))
        if not got:
            raise BenchError("the server ended the handshake")
        self.greeting += got
        if len(self.greeting) < whole:
            return
        app = {"app": "live", "tcUrl": f"rtmp://127.0.0.1:{self.port}/live"}
        self.socket.send(
            self.greeting[1:1 + self.HANDSHAKE] +
            message(self.COMMAND, 0, amf("connect") + amf(1) + amf(app)) +
            message(self.COMMAND, 0, amf("createStream") + amf(2) + amf(None)) +
            message(self.COMMAND, 1, amf("play") + amf(0) + amf(None) + amf("clip")))
        self.greeting = None

    def close(self):
        super().close()
        self.socket.close()


# ---- the loop ----

class Stage:
    """Feeds `pipe` (taken over: closed by close()) from now on; runs its viewers."""

    def __init__(self, clip, pipe):
        self.clip, self.pipe = clip, pipe
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(pipe, False)
        self.selector = selectors.DefaultSelector()
        self.viewers, self.fed, self.unwritten = [], 0, b""
        self.begun = time.monotonic()

    def due(self, k):
        return self.begun + k / RATE

    def add(self, viewer):
        self.viewers.append(viewer)
        self.selector.register(viewer.fd, selectors.EVENT_READ, viewer)

    def remove(self, viewer):
        self.viewers.remove(viewer)
        self.selector.unregister(viewer.fd)

    def _feed(self):
        """What is due; what the pipe does not take at once goes with the next."""
        while self.fed < len(self.clip.pieces) and time.monotonic() >= self.due(self.fed):
            self.unwritten += self.clip.pieces[self.fed]
            self.fed += 1
        if self.fed == len(self.clip.pieces):
            raise BenchError("the clip is over, and not everything is measured")
        try:
            if self.unwritten:
                self.unwritten = self.unwritten[os.write(self.pipe, self.unwritten):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            raise BenchError("the publisher ended early") from None

    def run_until(self, test):
        """Goes on until test() holds, looked at after everything that happens."""
        while not test():
            self._feed()
            wait = max(0.0, min(self.due(self.fed) - time.monotonic(), 0.02))
            for key, _ in self.selector.select(wait):
                key.data.readable(time.monotonic())

    def run(self, seconds):
        end = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= end)

    def close(self):
        for viewer in self.viewers[:]:
            viewer.close()
        os.close(self.pipe)
        self.selector.close()


__all__ = ["RATE", "Clip", "PipeViewer", "RtmpViewer", "Stage"]
