"""Network namespaces that tests make: a container, as far as CNI is concerned.

Owns their names (a prefix of ours and a random part, so that runs at the same
time never meet) and their end. Must never delete a namespace it did not make.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = "/run/netns"  # where ip-netns(8) binds them


class Netns:
    """One namespace, from construction to `close`; also a context manager."""

    def __init__(self, prefix: str = "us") -> None:
        """Make it, with its loopback up. Raises CalledProcessError without root."""
        self.name = f"{prefix}-{secrets.token_hex(4)}"
        self.path = os.path.join(FOLDER, self.name)
        subprocess.run(["ip", "netns", "add", self.name], check=True, capture_output=True)
        self.run("ip", "link", "set", "lo", "up")

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs `command` inside; /sys stays the host's."""
        return ["nsenter", f"--net={self.path}", "--", *command]

    def run(self, *command: str) -> str:
        """Run a program inside and return its output. Raises CalledProcessError."""
        line = self.command(command)
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    def links(self) -> list[str]:
        """Return the names of the interfaces inside, loopback not counted."""
        lines = self.run("ip", "-o", "link").splitlines()
        names = [line.split(": ")[1].split("@")[0] for line in lines]
        return [name for name in names if name != "lo"]

    def close(self) -> None:
        """Delete it; once more is fine, also when somebody else deleted it."""
        if os.path.exists(self.path):
            subprocess.run(["ip", "netns", "delete", self.name], check=True, capture_output=True)

    def __enter__(self) -> Self:
        """Return the namespace."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete it."""
        self.close()
