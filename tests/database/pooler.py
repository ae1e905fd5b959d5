"""A pooler of transactions or of sessions, as far as a client can tell: it stands between a client and the server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

ENCRYPTED = {80877103, 80877104}  # what a client asks first: by TLS, by Kerberos?
MADE_UP_PID = 999_999


class Pooler:
    """Each client gets one session of the server, or two in turns, one transaction each."""

    def __init__(self, host: str, port: int, *, sessions: int) -> None:
        self._server = (host, port)
        self._sessions = sessions
        self.silent = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, struct.error):
            stack.enter_context(client)
            inward = stack.enter_context(client.makefile("rwb", buffering=0))
            startup = read_startup(inward)
            backends = []
            for _ in range(self._sessions):
                backend = stack.enter_context(socket.create_connection(self._server))
                backends.append(stack.enter_context(backend.makefile("rwb", buffering=0)))
                backends[-1].write(startup)
                greeting, _ = read_until_ready(backends[-1])
            inward.write(greeting)
            relay(inward, backends, self.silent)


def read_startup(client):
    while True:
        head = client.read(8)
        length, code = struct.unpack("!ii", head)
        if code not in ENCRYPTED:
            return head + client.read(length - 8)
        client.write(b"N")


def read_message(stream):
    kind = stream.read(1)
    (length,) = struct.unpack("!i", stream.read(4))
    body = b""
    while len(body) < length - 4:
        body += stream.read(length - 4 - len(body))
    return kind, body


def read_until_ready(backend):
    """Return what the server says until it waits for the next question, and whether a transaction is open then."""
    said = b""
    while True:
        kind, body = read_message(backend)
        if kind == b"K":
            body = struct.pack("!i", MADE_UP_PID) + body[4:]
        said += kind + struct.pack("!i", len(body) + 4) + body
        if kind == b"Z":
            return said, body != b"I"


def relay(client, backends, silent):
    """Ask one session after the other, and change only between transactions. silent: once set, nothing is asked."""
    turn, asked = 0, b""
    while True:
        kind, body = read_message(client)
        if silent.is_set():
            continue
        asked += kind + struct.pack("!i", len(body) + 4) + body
        if kind not in {b"Q", b"S"}:
            continue
        backend = backends[turn % len(backends)]
        backend.write(asked)
        said, in_transaction = read_until_ready(backend)
        client.write(said)
        asked = b""
        turn += not in_transaction
