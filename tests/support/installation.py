"""Installations of the built executable in a directory of plugins that belongs to a test.

Owns the directory and two versions to install there, `a` and `b`: the built one under
two numbers, for what install.sh calls a version is the text in its file VERSION.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support import built

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60


class Installation:
    """A directory of plugins and what is installed in it."""

    def __init__(self, place: Path) -> None:
        """Make the directory below `place`."""
        self._place = place
        self.bin = str(place / "bin")
        os.mkdir(self.bin)
        self.plugin = f"{self.bin}/userspace"

    def unpacked(self, name: str) -> Path:
        """Return the directory that the archive of version `name` unpacks to."""
        place = self._place / f"unpacked-{name}"
        if not place.exists():
            shutil.copytree(built.folder(), place, symlinks=True)
            (place / "VERSION").write_text(f"{self.version(name)}\n", encoding="utf-8")
        return place

    def version(self, name: str) -> str:
        """Return the text that tells version `name` from others."""
        return f"0.1.0-{name * 12}"

    def install(self, name: str, *arguments: str) -> str:
        """Install version `name`; return what the script says. A program may stand before its options."""
        done = self._script(name, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, name: str, *arguments: str) -> str:
        """Install in vain; return the reason."""
        done = self._script(name, *arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def uninstall(self) -> None:
        """Take everything away."""
        self.install("a", "--uninstall")

    def versions(self) -> set[str]:
        """Return the versions that are there."""
        return {name for name in os.listdir(f"{self.bin}/.userspace") if not name.startswith(".")}

    def current(self) -> str:
        """Return the version that the link leads to."""
        return os.path.basename(os.path.dirname(os.path.realpath(self.plugin)))

    def call(self, name: str = "userspace") -> dict[str, Any]:
        """Ask the installed plugin for its VERSION, as a runtime does."""
        done = subprocess.run(
            [f"{self.bin}/{name}"],
            env={"CNI_COMMAND": "VERSION"},
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def answers(self, name: str = "userspace") -> bool:
        """Tell whether the installed plugin works."""
        return "1.1.0" in self.call(name)["supportedVersions"]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the installed plugin run: as a plugin that waits for its stdin."""
        process = subprocess.Popen(
            [self.plugin],
            env={"CNI_COMMAND": "DEL", "CNI_CONTAINERID": "c", "CNI_IFNAME": "net1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.kill()
            process.communicate()

    def _script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = [*arguments]
        before: list[str] = []
        if options and not options[0].startswith("--"):
            before, options = options, []
        script = str(self.unpacked(name) / "install.sh")
        command = [*before, script, "--bin", self.bin, *options]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
