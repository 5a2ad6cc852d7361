"""How a process is ordered from the nursery (forked.py beside this).

Whoever orders sends one end of a connection of its own to the socket that the nursery listens at,
and over the other end the order: its kind, its text, and the descriptors that go with it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

Streams = tuple[int, int, int]  # descriptors: what is read, written, and written of what is wrong
_HEAD = struct.Struct(">8sQ")
_MOST_DESCRIPTORS = 64


def send(
    orders: socket.socket, kind: bytes, text: bytes, descriptors: Sequence[int]
) -> socket.socket:
    """Send an order; returns the connection over which the nursery tells what becomes of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(orders, [b"!"], [theirs.fileno()])
    socket.send_fds(ours, [_HEAD.pack(kind, len(text))], list(descriptors))
    ours.sendall(text)
    return ours


def receive(orders: socket.socket) -> tuple[socket.socket, bytes, bytes, list[int]]:
    """The next order: the connection to whoever has sent it, its kind, text and descriptors."""
    _, (connection,), _, _ = socket.recv_fds(orders, 1, 1)
    asker = socket.socket(fileno=connection)
    head, descriptors, _, _ = socket.recv_fds(asker, _HEAD.size, _MOST_DESCRIPTORS)
    kind, length = _HEAD.unpack(head)
    text = bytearray()
    while len(text) < length:
        if not (block := asker.recv(length - len(text))):
            raise EOFError("an order breaks off")
        text += block
    return asker, kind.rstrip(b"\0"), bytes(text), descriptors
