"""cnitool v1.3.0, the CNI project's own runtime, against a private cache.

Owns the directory of network configurations, libcni's cache and the command
line. Must never read /etc/cni/net.d or write to /var/lib/cni.
Environment and container ID: cnitool/cnitool.go of containernetworking/cni.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support import gotools
from tests.support.shadow import shadowed

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBCNI_CACHE = "/var/lib/cni"  # libcni.CacheDir; cnitool has no option for it


class CnitoolError(Exception):
    """cnitool ended with an error; the text is what it said."""


def container_id(netns: str) -> str:
    """Return the containerID that cnitool makes of a namespace's absolute path."""
    return "cnitool-" + hashlib.sha512(netns.encode()).digest()[:10].hex()


class Cnitool:
    """Calls plugins as a runtime does, through libcni."""

    def __init__(self, directory: str, cni_path: str, env: Mapping[str, str] | None = None) -> None:
        """Keep everything below `directory`; find plugins on `cni_path`; run with `env` (default: ours)."""
        self.configurations = os.path.join(directory, "net.d")
        self.cache = os.path.join(directory, "libcni")
        self.cni_path = cni_path
        self._env = dict(os.environ if env is None else env)
        self._program = os.path.join(gotools.build(), "cnitool")
        os.makedirs(self.configurations, exist_ok=True)

    def define(self, network: Mapping[str, Any]) -> None:
        """Write a network's configuration: a list where it has `plugins`, else a single plugin."""
        suffix = "conflist" if "plugins" in network else "conf"
        path = os.path.join(self.configurations, f"{network['name']}.{suffix}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(network, file)

    def add(self, network: str, netns: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401  see run
        """ADD; return the result. Raises CnitoolError."""
        result: dict[str, Any] = json.loads(self._expect_success("add", network, netns, **options))
        return result

    def check(self, network: str, netns: str, **options: Any) -> None:  # noqa: ANN401  see run
        """CHECK. Raises CnitoolError, also when there was no ADD (nothing in the cache)."""
        self._expect_success("check", network, netns, **options)

    def delete(self, network: str, netns: str, **options: Any) -> None:  # noqa: ANN401  see run
        """DEL. Raises CnitoolError."""
        self._expect_success("del", network, netns, **options)

    def status(self, network: str) -> None:
        """STATUS (from cniVersion 1.1.0 on; below that libcni does not call the plugin)."""
        self._expect_success("status", network, "/")

    def gc(self, network: str) -> None:
        """DEL every attachment of the network that the cache knows, then GC with no list of valid ones."""
        self._expect_success("gc", network, "/")

    def run(  # noqa: PLR0913  as many as cnitool has
        self,
        verb: str,
        network: str,
        netns: str,
        *,
        ifname: str = "eth0",
        capabilities: Mapping[str, Any] | None = None,
        args: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run one verb; `capabilities` becomes runtimeConfig, `args` CNI_ARGS ("K=V;K=V")."""
        env = {
            **self._env,
            "NETCONFPATH": self.configurations,
            "CNI_PATH": self.cni_path,
            "CNI_IFNAME": ifname,
        }
        if capabilities is not None:
            env["CAP_ARGS"] = json.dumps(capabilities)
        if args:
            env["CNI_ARGS"] = args
        command = shadowed({LIBCNI_CACHE: self.cache}, [self._program, verb, network, netns])
        return subprocess.run(command, env=env, check=False, capture_output=True, text=True)

    def cached(self) -> list[str]:
        """Return the names of libcni's cached results (`network-container-ifname`)."""
        folder = os.path.join(self.cache, "results")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def _expect_success(self, verb: str, network: str, netns: str, **options: Any) -> str:  # noqa: ANN401
        done = self.run(verb, network, netns, **options)
        if done.returncode:
            raise CnitoolError(f"cnitool {verb} {network}: {done.stderr.strip()} {done.stdout.strip()}")
        return done.stdout
