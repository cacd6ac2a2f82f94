"""The least of an application: a unix socket that listens and speaks nothing.

It is enough to see the switch connect. Bound through its directory's
descriptor, because a container's directory may have a path that is longer
than a socket's may be.
"""

from __future__ import annotations

import os
import socket
from typing import Self


class Listener:
    """A listening socket at a path, from construction to `close`; its file stays."""

    def __init__(self, path: str) -> None:
        """Bind and listen."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX)
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
        self._socket.listen()

    def await_connection(self, seconds: float = 15.0) -> None:
        """Wait until somebody connects. Raises TimeoutError."""
        self._socket.settimeout(seconds)
        self._socket.accept()[0].close()

    def was_asked(self) -> bool:
        """Tell whether somebody has connected."""
        self._socket.setblocking(False)  # noqa: FBT003  its only form
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Stop listening, as a dead application does: the file stays."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the listener."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
