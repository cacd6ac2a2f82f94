"""The plugin as a runtime runs it: an executable, an environment, a text on stdin.

Owns which executable that is (USERSPACE_PLUGIN, by default this interpreter's
`python -I -m cni_userspace`), its private node file, state and shared
directory, and a CNI_PATH of its own. Must never touch /etc/cni, /var/lib/cni
or the system's switch. Its directory is short, because sockets live below it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.support import gotools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.switch import Switch

VARIABLE = "USERSPACE_PLUGIN"
NODE_FILE_VARIABLE = "USERSPACE_CNI_CONF"
DEADLINE_SECONDS = 70.0  # a runtime's patience: CRI-O kills a plugin after 60 s
DEBIAN_PLUGINS = "/usr/lib/cni"
CNI_VERSION = "1.1.0"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one call ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """What it printed: a result, or an error with `code`, `msg` and `details`; {} for nothing."""
        parsed: dict[str, Any] = json.loads(self.stdout) if self.stdout.strip() else {}
        return parsed

    @property
    def code(self) -> int:
        """The CNI code of its error; 0 for success."""
        return int(self.answer["code"]) if self.returncode else 0

    @property
    def words(self) -> str:
        """Everything that it said about its error, for asserts and their messages."""
        answer = self.answer if self.returncode else {}
        return f"{answer.get('msg', '')}: {answer.get('details', '')}"

    def succeeded(self) -> dict[str, Any]:
        """Return the answer of a success; raise AssertionError with everything for a failure."""
        if self.returncode:
            raise AssertionError(f"exit {self.returncode}\n{self.stdout}\n{self.stderr}")
        return self.answer


class Plugin:
    """The executable on a node of its own; also a context manager."""

    def __init__(self, switch: Switch | None = None, **node: Any) -> None:  # noqa: ANN401  any key of a node file
        """Make its directory and node file; `node` are further keys of that file."""
        self.directory = tempfile.mkdtemp(prefix="up-", dir="/tmp")
        os.chmod(self.directory, 0o755)  # noqa: S103  vswitchd may run as another user
        self.shared = self._folder("s")
        self.state = self._folder("state")
        self.links = self._folder("l")
        self.bin = self._folder("bin")
        self.node_file = os.path.join(self.directory, "userspace.conf")
        places = {"stateDir": self.state, "linkDir": self.links, "sharedDir": self.shared}
        remote = {} if switch is None else {"socket_file": switch.remote}
        self.node: dict[str, Any] = {**places, **remote}
        self.set_node(**node)
        self.executable = os.path.join(self.bin, "userspace")
        _install(self.executable)

    def set_node(self, **keys: Any) -> None:  # noqa: ANN401  any key of a node file
        """Change keys of the node file; None takes one away."""
        self.node = {k: v for k, v in {**self.node, **keys}.items() if v is not None}
        with open(self.node_file, "w", encoding="utf-8") as file:
            json.dump(self.node, file)
        os.chmod(self.node_file, 0o644)

    @property
    def cni_path(self) -> str:
        """Where the runtime finds plugins: this one, then the reference plugins (the pinned ones first)."""
        places = [self.bin, gotools.directory(), DEBIAN_PLUGINS]
        return ":".join(p for p in places if os.path.isdir(p))

    @property
    def env(self) -> dict[str, str]:
        """The environment for a real runtime (cnitool, Multus, podman) that shall call this plugin."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith("CNI_")}
        return {**ours, NODE_FILE_VARIABLE: self.node_file}

    def conf(self, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
        """Return a network configuration with these keys; None leaves one out."""
        conf = {"cniVersion": CNI_VERSION, "name": "fast", "type": "userspace", "bridge": "br0", **keys}
        return {k: v for k, v in conf.items() if v is not None}

    # --- the verbs ----------------------------------------------------------

    def add(self, conf: Mapping[str, Any], container: str, netns: str, **more: str) -> Outcome:
        """ADD; `more` are `ifname` (default net1) and `args` (CNI_ARGS)."""
        return self._attachment("ADD", conf, container, netns, **more)

    def check(self, conf: Mapping[str, Any], container: str, netns: str, **more: str) -> Outcome:
        """CHECK; put the ADD's answer into `conf` as prevResult."""
        return self._attachment("CHECK", conf, container, netns, **more)

    def delete(self, conf: Mapping[str, Any], container: str, netns: str = "", **more: str) -> Outcome:
        """DEL; the namespace may be gone."""
        return self._attachment("DEL", conf, container, netns, **more)

    def gc(self, conf: Mapping[str, Any], valid: list[tuple[str, str]] | None) -> Outcome:
        """GC with (containerID, ifname) of the valid attachments; None sends no list."""
        listed = [{"containerID": c, "ifname": i} for c, i in valid or ()]
        extra = {} if valid is None else {"cni.dev/valid-attachments": listed}
        return self.run({"CNI_COMMAND": "GC", "CNI_PATH": self.cni_path}, {**conf, **extra})

    def status(self, conf: Mapping[str, Any]) -> Outcome:
        """STATUS."""
        return self.run({"CNI_COMMAND": "STATUS", "CNI_PATH": self.cni_path}, conf)

    def version(self) -> Outcome:
        """VERSION, with nothing on stdin."""
        return self.run({"CNI_COMMAND": "VERSION"}, "")

    def words(
        self, command: str, container: str, netns: str, *, ifname: str = "net1", args: str = ""
    ) -> dict[str, str]:
        """Return the CNI_ variables of a call about an attachment."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_PATH": self.cni_path,
            "CNI_ARGS": args,
        }

    def run(self, cni: Mapping[str, str], stdin: Mapping[str, Any] | str) -> Outcome:
        """Run it with just these CNI_ variables and this text or configuration on stdin."""
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        return self._call([self.executable], {**self.env, **cni}, text)

    def operator(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run it as a person does: no CNI_ variable set; stdout may be plain text."""
        return self._call([self.executable, *arguments], self.env, stdin)

    # --- what is left -------------------------------------------------------

    def files(self) -> list[str]:
        """Return every file, socket and link below shared, state and link directory; locks not counted."""
        found = []
        for place in (self.shared, self.state, self.links):
            for folder, folders, files in os.walk(place):
                names = [*files, *(f for f in folders if os.path.islink(os.path.join(folder, f)))]
                found += [os.path.relpath(os.path.join(folder, n), self.directory) for n in names]
        return sorted(path for path in found if "lock" not in path)

    def close(self) -> None:
        """Remove everything; once more is fine."""
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- inside -------------------------------------------------------------

    def _attachment(
        self,
        command: str,
        conf: Mapping[str, Any],
        container: str,
        netns: str,
        **more: str,
    ) -> Outcome:
        return self.run(self.words(command, container, netns, **more), conf)

    def _call(self, command: list[str], env: Mapping[str, str], stdin: str) -> Outcome:
        done = subprocess.run(
            command,
            env=env,
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            cwd="/",
        )
        return Outcome(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def _folder(self, name: str) -> str:
        path = os.path.join(self.directory, name)
        os.mkdir(path)
        return path

    def __enter__(self) -> Self:
        """Return the plugin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove its directory."""
        self.close()


def _install(place: str) -> None:
    """Put the executable under test where a runtime looks for it."""
    built = os.environ.get(VARIABLE)
    if built:
        os.symlink(os.path.abspath(built), place)
        return
    with open(place, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m cni_userspace "$@"\n')
    os.chmod(place, 0o755)  # noqa: S103  an executable
