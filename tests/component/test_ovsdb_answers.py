"""The OVSDB client before servers that no sound one is like: torn answers, garbage, silence, crowds.

The real ovsdb-server (test_ovsdb.py) does not do that on request.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import DatabaseDownError, Ovsdb, TransactionError
from tests.support.scripted import Scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted import Script

SECONDS = 10.0
SOON = 0.3
REQUEST: list[dict[str, Any]] = [{"op": "select", "table": "Bridge", "where": []}]


def crowd(server: socket.socket, path: str) -> list[socket.socket]:
    """Fill a server's queue of connections."""
    server.bind(path)
    server.listen(0)
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)  # noqa: FBT003
        waiting.append(client)
        try:
            client.connect(path)
        except BlockingIOError:
            return waiting


def test_a_busy_server_is_waited_for(tmp_path: Path) -> None:
    """A crowd of pods that start at once fills the queue of ovsdb-server (64 connections)."""
    accepted: list[tuple[socket.socket, Any]] = []
    with socket.socket(socket.AF_UNIX) as server:
        clients = crowd(server, f"{tmp_path}/db")
        accepting = threading.Timer(SOON, lambda: accepted.append(server.accept()))
        accepting.start()
        with Ovsdb(f"unix:{tmp_path}/db", Deadline(SECONDS)):
            accepting.join()
        for client in (*clients, *(connection for connection, _ in accepted)):
            client.close()


def test_a_server_that_stays_busy_meets_the_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        clients = crowd(server, f"{tmp_path}/db")
        with pytest.raises(DatabaseDownError, match="does not answer"):
            Ovsdb(f"unix:{tmp_path}/db", Deadline(SOON))
        for client in clients:
            client.close()


# --- what no sound server does


def answer(result: Any, number: int = 1) -> bytes:  # noqa: ANN401  JSON
    return json.dumps({"id": number, "error": None, "result": result}, ensure_ascii=False).encode()


ROWS = [{"rows": [{"name": "é😀"}]}]


def dribbled(connection: socket.socket) -> None:
    """Send an answer byte by byte: its letters and braces are torn."""
    connection.recv(4096)
    for byte in answer(ROWS):
        connection.sendall(bytes([byte]))
        time.sleep(0.0005)


def among_others(connection: socket.socket) -> None:
    """Send the answer behind a notification, an answer to nobody and white space, in one piece."""
    connection.recv(4096)
    update = json.dumps({"id": None, "method": "update", "params": ["x", {}]}).encode()
    connection.sendall(update + b"\n" + answer([], 77) + b"\n\n" + answer(ROWS) + b"\n")


def behind_a_probe(connection: socket.socket) -> None:
    """Send half of a probe, then its rest with half of the answer, then the answer's rest."""
    connection.recv(4096)
    probe = b'{"id":"echo","method":"echo","params":["p"]}'
    whole = probe + answer(ROWS)
    for part in (whole[:10], whole[10 : len(probe) + 10], whole[len(probe) + 10 :]):
        connection.sendall(part)
        time.sleep(0.01)
    assert json.loads(connection.recv(4096)) == {"id": "echo", "result": ["p"], "error": None}


@pytest.mark.parametrize("script", [dribbled, among_others, behind_a_probe])
def test_an_answer_arrives_however_it_is_cut(tmp_path: Path, script: Script) -> None:
    with (
        Scripted(f"{tmp_path}/db", script) as server,
        Ovsdb(server.remote, Deadline(SECONDS)) as database,
    ):
        assert database.transact(REQUEST) == ROWS


def says(data: bytes) -> Script:
    """Return a script that reads a request, says this and closes."""

    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)

    return script


@pytest.mark.parametrize(
    "data",
    [
        b"",
        answer(ROWS)[:-1],
        answer(ROWS)[:20],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"[1, 2]}",
        b'"text"}',
        b"{]}",
        b"{\xff}",
        b"\x00" * 100,
        b'{"id":1,"error":null,"result":null}',
        b'{"id":1,"error":null,"result":7}',
        b'{"id":1,"error":null,"result":[7]}',
        b'{"id":1,"error":null,"result":[{"error":7}]}',
        b'{"id":1,"error":null}',
        b"[" * 100_000 + b"}",
    ],
)
def test_garbage_and_a_broken_off_answer_are_the_databases_fault(tmp_path: Path, data: bytes) -> None:
    with (
        Scripted(f"{tmp_path}/db", says(data)) as server,
        Ovsdb(server.remote, Deadline(SECONDS)) as database,
        pytest.raises((DatabaseDownError, TransactionError)),
    ):
        database.transact(REQUEST)


def test_garbage_is_refused_while_its_sender_stays(tmp_path: Path) -> None:
    """Not at the deadline only: something else than a database listens there."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2}\r\n")
        while connection.recv(4096):
            pass

    with Scripted(f"{tmp_path}/db", script) as server, Ovsdb(server.remote, Deadline(SECONDS)) as database:
        with pytest.raises(DatabaseDownError, match="broke off") as caught:
            database.transact([{"op": "comment", "comment": "x"}])
        assert "no JSON-RPC" in caught.value.details


def test_a_refusal_of_the_whole_request_is_told(tmp_path: Path) -> None:
    said = b'{"id":1,"error":{"error":"unknown database"},"result":null}'
    with (
        Scripted(f"{tmp_path}/db", says(said)) as server,
        Ovsdb(server.remote, Deadline(SECONDS)) as database,
        pytest.raises(TransactionError, match="refused") as caught,
    ):
        database.transact([])
    assert "unknown database" in caught.value.details


def test_silence_meets_the_deadline(tmp_path: Path) -> None:
    def script(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with (
        Scripted(f"{tmp_path}/db", script) as server,
        Ovsdb(server.remote, Deadline(SOON)) as database,
        pytest.raises(TimeoutError),
    ):
        database.transact([])


def test_an_answer_that_never_ends_meets_the_deadline(tmp_path: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b'{"id":1,"result":[')
        while True:
            connection.sendall(b"{},")
            time.sleep(0.001)

    with (
        Scripted(f"{tmp_path}/db", script) as server,
        Ovsdb(server.remote, Deadline(SOON)) as database,
        pytest.raises(TimeoutError),
    ):
        database.transact([])


def test_a_server_that_reads_nothing_meets_the_deadline(tmp_path: Path) -> None:
    done = threading.Event()

    def script(_: socket.socket) -> None:
        done.wait(SECONDS)

    comment = {"op": "comment", "comment": "x" * 10_000_000}
    with Scripted(f"{tmp_path}/db", script) as server, Ovsdb(server.remote, Deadline(SOON)) as database:
        with pytest.raises(TimeoutError):
            database.transact([comment])
        done.set()
