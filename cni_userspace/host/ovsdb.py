"""OVSDB over a stream socket: transactions, and the wait for vswitchd.

Owns the JSON-RPC of RFC 7047 as far as one transaction and one monitor need
it. It knows no tables but Open_vSwitch's two counters: `next_cfg` says what
was asked of vswitchd, `cur_cfg` what it has done (ovs-vswitchd.conf.db(5)).
Messages carry no length, so a reader parses until the text is whole. The
server drops a client that does not answer its `echo`.
"""

from __future__ import annotations

import _socket
from sys import byteorder

from cni_userspace.errors import SwitchError
from cni_userspace.jsontext import dumps, scan_partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any, Self

    from cni_userspace.host.deadline import Deadline

DATABASE = "Open_vSwitch"
REPLY_BYTES = 64 * 1024 * 1024  # a database with 100,000 ports answers less
CHUNK = 256 * 1024
MICROSECOND = 1e-6
WORD = 8  # bytes of a long; `struct`, which knows it, costs 0.3 ms


class DatabaseDownError(SwitchError):
    """Nothing answers at the database's socket."""


class TransactionError(SwitchError):
    """The database refused the transaction; `failed` is the refusing operation's index."""

    def __init__(self, msg: str, *, details: str = "", failed: int = -1) -> None:
        """Keep the index of the operation that failed, -1 for the whole."""
        super().__init__(msg, details=details)
        self.failed = failed


def address(remote: str) -> tuple[int, Any]:
    """Split "unix:/path" or "tcp:host:port" into a socket family and address."""
    kind, _, rest = remote.partition(":")
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        host = host.strip("[]")
        family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        return family, (host, int(port))
    return _socket.AF_UNIX, rest


class Ovsdb:
    """One connection to a database server; every call ends at the deadline."""

    def __init__(self, remote: str, deadline: Deadline) -> None:
        """Connect; raise DatabaseDownError when nobody answers."""
        self.remote = remote
        self._deadline = deadline
        self._text = ""
        self._tail = b""
        self._next_id = 0
        try:
            family, where = address(remote)
        except ValueError as error:
            raise self._down(error) from None
        self._socket = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:  # all but OSError: no address at all
            self._connect(where)
        except (
            OSError,
            OverflowError,
            ValueError,
            TypeError,
        ) as error:
            self._socket.close()
            raise self._down(error) from None

    def _down(self, error: Exception) -> DatabaseDownError:
        return DatabaseDownError(
            "the OVS database does not answer",
            details=f"connect to {self.remote}: {getattr(error, 'strerror', None) or error}",
            hint="is ovsdb-server running? `socket_file` names its socket",
        )

    def _connect(self, where: Any) -> None:  # noqa: ANN401  an address of either family
        if self._socket.family != _socket.AF_UNIX:
            self._socket.settimeout(self._deadline.remaining())
            self._socket.connect(where)
            return
        # Where so many others connect that the server's queue is full, the kernel waits, up
        # to this timeout, but only with a socket that blocks: others it refuses (unix(7)).
        self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _timeval(self._deadline.remaining()))
        try:
            self._socket.connect(where)
        except BlockingIOError:
            raise TimeoutError(f"nothing within {self._deadline.seconds:g} s") from None

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._socket.close()

    def transact(self, operations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run one transaction; return each operation's result.

        Raises TransactionError when any operation fails (then nothing was
        done), DatabaseDownError when the connection breaks, TimeoutError.
        """
        return self._results(self._reply(self._send("transact", [DATABASE, *operations])), operations)

    def transact_and_wait(self, operations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run one transaction and wait until vswitchd has caught up with it.

        Raises as `transact` does; TimeoutError means that the transaction
        stands and vswitchd has not answered.
        """
        bump: list[dict[str, Any]] = [
            {"op": "mutate", "table": DATABASE, "where": [], "mutations": [["next_cfg", "+=", 1]]},
            {"op": "select", "table": DATABASE, "where": [], "columns": ["next_cfg"]},
        ]
        bumped = [*operations, *bump]
        transaction = self._send("transact", [DATABASE, *bumped])
        name = f"wait-{self._next_id}"  # a refused transaction leaves its monitor, and two must differ
        watch = self._send("monitor", [DATABASE, name, {DATABASE: {"columns": ["cur_cfg"]}}])
        results = self._results(self._reply(transaction), bumped)
        try:
            asked = results[-1]["rows"][0]["next_cfg"]
            current = _cur_cfg(self._reply(watch).get("result") or {})
            while current < asked:
                message = self._receive()
                if message.get("method") == "update":
                    current = max(current, _cur_cfg(message["params"][1]))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise self._lost("what it says of its configuration cannot be read") from None
        return results[: len(operations)]

    def lock(self, name: str) -> None:
        """Wait for the server's lock of that name; it is held until the connection ends (RFC 7047, 4.1.8).

        The server frees the lock of a client that dies. `name` is an <id>:
        letters, digits and underscores. Raises TimeoutError.
        """
        answer = self._reply(self._send("lock", [name]))
        held = bool(answer["result"].get("locked"))
        while not held:
            message = self._receive()
            held = message.get("method") == "locked" and message["params"] == [name]

    def _send(self, method: str, params: list[Any]) -> int:
        self._next_id += 1
        self._write({"method": method, "params": params, "id": self._next_id})
        return self._next_id

    def _write(self, message: dict[str, Any]) -> None:
        try:
            self._socket.settimeout(self._deadline.remaining())
            self._socket.sendall(dumps(message).encode())
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost(str(error)) from None

    def _reply(self, number: int) -> dict[str, Any]:
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                if message.get("error") is not None:
                    raise TransactionError("the OVS database refused", details=dumps(message["error"]))
                return message

    def _results(self, message: dict[str, Any], operations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] | None = message.get("result")
        if not isinstance(results, list) or not all(r is None or isinstance(r, dict) for r in results):
            raise self._lost("what it answered are no results")
        for index, result in enumerate(results):
            if result and result.get("error"):
                raise TransactionError(
                    "the OVS database refused the transaction",
                    details=f"operation {index}: {result['error']}: {result.get('details', '')}",
                    failed=index,
                )
        if len(results) != len(operations) or not all(map(_answers, operations, results)):
            raise self._lost("what it answered are not the results that were asked for")
        return results

    def _receive(self) -> dict[str, Any]:
        while True:
            found = scan_partial(self._text) if self._text else None
            if found is None:
                if self._text.lstrip()[:1] not in ("", "{"):
                    raise self._lost("what it sent is no JSON-RPC")
                self._read()
                continue
            message, end = found
            self._text = self._text[end:].lstrip()
            if not isinstance(message, dict):
                raise self._lost("what it sent is no JSON-RPC")
            if message.get("method") == "echo":
                self._write({"result": message.get("params"), "error": None, "id": message.get("id")})
                continue
            return message

    def _read(self) -> None:
        """Read until a message may be whole: the server ends each with a brace."""
        while True:
            try:
                self._socket.settimeout(self._deadline.remaining())
                chunk = self._socket.recv(CHUNK)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._lost(str(error)) from None
            if not chunk:
                raise self._lost("it closed the connection")
            self._tail += chunk
            if len(self._tail) + len(self._text) > REPLY_BYTES:
                raise self._lost("its answer does not end")
            if chunk.rstrip().endswith(b"}"):
                break
        try:
            self._text += self._tail.decode()
        except UnicodeDecodeError:
            raise self._lost("what it sent is no UTF-8") from None
        self._tail = b""

    def _lost(self, why: str) -> DatabaseDownError:
        return DatabaseDownError("the OVS database broke off", details=f"{self.remote}: {why}")


def _timeval(seconds: float) -> bytes:
    """Return C's struct timeval, two longs; never 0, which would mean for ever."""
    whole = int(seconds)
    rest = max(1, int((seconds - whole) / MICROSECOND))
    return whole.to_bytes(WORD, byteorder) + rest.to_bytes(WORD, byteorder)


def _answers(operation: dict[str, Any], result: dict[str, Any] | None) -> bool:
    """Tell whether a result has rows with every column that a select asked for."""
    if operation["op"] != "select":
        return True
    rows = result.get("rows") if result else None
    columns = set(operation.get("columns", ()))
    return isinstance(rows, list) and all(isinstance(row, dict) and columns <= row.keys() for row in rows)


def _cur_cfg(updates: dict[str, Any]) -> int:
    rows = updates.get(DATABASE, {}).values()
    return max((int(row["new"]["cur_cfg"]) for row in rows if "new" in row), default=-1)


def atoms(value: Any) -> list[Any]:  # noqa: ANN401  OVSDB's notation: an atom or ["set", [...]]
    """Return the atoms of a column's value: a lone atom is a set of one (RFC 7047, 5.1)."""
    if isinstance(value, list) and value[:1] == ["set"]:
        return list(value[1])
    return [value]


def mapping(value: Any) -> dict[str, str]:  # noqa: ANN401  OVSDB's notation: ["map", [[k, v], ...]]
    """Return a map column as a dict."""
    return {str(k): str(v) for k, v in value[1]} if isinstance(value, list) and value[:1] == ["map"] else {}


def as_map(items: dict[str, str]) -> list[Any]:
    """Write a dict as a map column."""
    return ["map", [[k, v] for k, v in items.items()]]
