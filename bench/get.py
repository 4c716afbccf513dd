"""Fetch http://127.0.0.1:PORT/file again and again for SECONDS; report bytes per second."""

import json
import socket
import sys
import time

REQUEST = b"GET /file HTTP/1.1\r\nHost: bench\r\n\r\n"


def fetch(sock, buf):
    """One response over a kept connection; returns its body's length."""
    sock.sendall(REQUEST)
    head = b""
    while b"\r\n\r\n" not in head:
        got = sock.recv(4096)
        if not got:
            sys.exit("closed by the server")
        head += got
    head, body = head.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= sock.recv_into(buf, min(left, len(buf)))
    return length


def main():
    seconds, total = float(sys.argv[2]), 0
    buf = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
        start = time.monotonic()
        while not total or time.monotonic() - start < seconds:
            total += fetch(sock, buf)
        took = time.monotonic() - start
    print(json.dumps({"bytes_per_s": total / took, "seconds": took}))


main()
