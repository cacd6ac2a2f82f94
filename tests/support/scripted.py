"""A server on a unix socket that says what a test tells it to: for answers no sound server gives.

Owns one listening socket and one thread per test. A real ovsdb-server serves
wherever it can be made to do the same.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    Script = Callable[[socket.socket], None]

JOIN_SECONDS = 10.0


class Scripted:
    """Serves one connection by a script; a context manager."""

    def __init__(self, path: str, script: Script) -> None:
        """Listen; the script runs when somebody connects."""
        self.remote = f"unix:{path}"
        self._error: BaseException | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, args=(script,), daemon=True)
        self._thread.start()

    def _serve(self, script: Script) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:  # closed before anybody came
            return
        with connection:
            try:
                script(connection)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client has left, as it may
            except BaseException as error:  # noqa: BLE001  told where the test can see it
                self._error = error

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the script's end; raise what it raised."""
        self._listening.close()
        self._thread.join(JOIN_SECONDS)
        if self._error is not None:
            raise self._error
