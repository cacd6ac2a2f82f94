"""podman 4.3 with its CNI backend, everything of it in one directory.

Owns storage, networks, locks, libcni's cache (/var/lib/cni, shadowed) and the
containers. Must never touch the system's podman. Facts that shape it:

- podman mounts the network namespace of a container and unmounts it in a later
  command, so all commands share one mount namespace.
- What is torn down when a container ends is torn down by conmon's child, which
  has none of podman's environment: what a plugin needs is set by a script in
  front of it.
- crun refuses the mixed cgroup v1/v2 mounts of many small machines; runc does not.
- There is no registry: the root of a container is a skeleton of directories
  and links, and the host's /usr is mounted into it, read-only.
- The CNI ADD of every network runs before the container exists, with
  interfaces named eth0, eth1, ... as asked for (its own order of names is not
  that of `networks`, about one run in ten), the full container ID,
  and K8S_POD_NAME=<container name> in CNI_ARGS; the hostname inside is the
  first 12 characters of that ID.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

from tests.support.cnitool import LIBCNI_CACHE
from tests.support.shadow import Namespace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLOW_DEATH = "did not die within timeout"  # podman's words
REMOVE_SECONDS = 60.0
PACKAGES = ("podman", "runc", "conmon", "containernetworking-plugins")  # Debian's names
_LINKS = ("bin", "sbin", "lib", "lib64")
_FOLDERS = ("usr", "etc/alternatives", "proc", "sys", "dev", "run", "tmp", "var")

_CONTAINERS_CONF = """\
[containers]
default_ulimits = []
seccomp_profile = "unconfined"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
lock_type = "file"
tmp_dir = "{directory}/tmp"
[network]
network_backend = "cni"
cni_plugin_dirs = {plugin_dirs}
network_config_dir = "{directory}/networks"
"""

_STORAGE_CONF = """\
[storage]
driver = "vfs"
graphroot = "{directory}/root"
runroot = "{directory}/runroot"
"""


class PodmanError(Exception):
    """podman ended with an error; the text is what it said."""


class Podman:
    """One private podman."""

    def __init__(self, directory: str, cni_path: str, plugin: str, plugin_env: Mapping[str, str]) -> None:
        """Keep everything below `directory` (best a short path).

        Plugins are found on `cni_path`, but before them `plugin`, an
        executable, which gets `plugin_env` besides what podman gives it.
        """
        self.directory = directory
        for name in ("networks", "tmp", "rootfs", "bin"):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
        _write_script(os.path.join(directory, "bin", os.path.basename(plugin)), plugin, plugin_env)
        plugin_dirs = json.dumps([os.path.join(directory, "bin"), *cni_path.split(":")])
        for name, text in (("containers.conf", _CONTAINERS_CONF), ("storage.conf", _STORAGE_CONF)):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text.format(directory=directory, plugin_dirs=plugin_dirs))
        self._env = {
            **os.environ,
            "CONTAINERS_CONF": os.path.join(directory, "containers.conf"),
            "CONTAINERS_STORAGE_CONF": os.path.join(directory, "storage.conf"),
        }
        self._namespace = Namespace({LIBCNI_CACHE: os.path.join(directory, "libcni")})

    def define(self, network: Mapping[str, Any]) -> None:
        """Add a network: a CNI list (podman takes no single plugin) with `name` and `plugins`."""
        path = os.path.join(self.directory, "networks", f"{network['name']}.conflist")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(network, file)

    def run(
        self, name: str, networks: Sequence[str], command: Sequence[str], mounts: Mapping[str, str]
    ) -> str:
        """Start a container in the background; return its full ID. Raises PodmanError.

        `mounts`: host path to container path, as podman's --volume takes it
        (append ":ro" for read-only). `command` finds the host's programs.
        """
        arguments = ["run", "--detach", "--name", name]
        for number, network in enumerate(networks):
            arguments += ["--network", f"{network}:interface_name=eth{number}"]
        for host, inside in {
            "/usr": "/usr:ro",
            "/etc/alternatives": "/etc/alternatives:ro",
            **mounts,
        }.items():
            arguments += ["--volume", f"{host}:{inside}"]
        return self.command(*arguments, "--rootfs", self._skeleton(name, mounts), *command).strip()

    def logs(self, name: str) -> str:
        """Return what the container wrote so far, both streams."""
        done = self._call("logs", name)
        return done.stdout + done.stderr

    def stop(self, name: str) -> None:
        """Stop the container (SIGKILL at once); its networks are torn down. Raises PodmanError."""
        self.command("stop", "--time", "0", name)

    def start(self, name: str) -> None:
        """Start a stopped container again, under its old ID. Raises PodmanError."""
        self.command("start", name)

    def remove(self, name: str) -> None:
        """Stop and remove the container. Raises PodmanError.

        podman gives a killed process a few seconds to be gone, which an
        application that holds hundreds of MiB on a busy machine may exceed.
        """
        end = time.monotonic() + REMOVE_SECONDS
        while True:
            try:
                self.command("rm", "--force", "--time", "0", name)
            except PodmanError as error:
                if SLOW_DEATH not in str(error) or time.monotonic() > end:
                    raise
            else:
                return

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what podman knows of the container. Raises PodmanError."""
        found: list[dict[str, Any]] = json.loads(self.command("inspect", name))
        return found[0]

    def command(self, *arguments: str) -> str:
        """Run a podman command; return its output. Raises PodmanError."""
        done = self._call(*arguments)
        if done.returncode:
            raise PodmanError(f"podman {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs `command` where podman's mounts are seen."""
        return self._namespace.command(command)

    def cached(self) -> list[str]:
        """Return the names of libcni's cached results (`network-container-ifname`)."""
        folder = os.path.join(self.directory, "libcni", "results")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def close(self) -> None:
        """Remove every container, unmount the storage, leave the namespace."""
        try:
            self.command("rm", "--all", "--force", "--time", "0")
        finally:
            self._namespace.close()

    def __enter__(self) -> Self:
        """Return the rig."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        places = [
            f"--{option}={os.path.join(self.directory, name)}"
            for option, name in (("root", "root"), ("runroot", "runroot"), ("tmpdir", "tmp"))
        ]
        line = ["podman", *places, "--storage-driver=vfs", *arguments]
        return subprocess.run(
            self._namespace.command(line), env=self._env, check=False, capture_output=True, text=True
        )

    def _skeleton(self, name: str, mounts: Mapping[str, str]) -> str:
        """Make a root file system of links into the /usr that is mounted over it."""
        root = os.path.join(self.directory, "rootfs", name)
        for folder in (*_FOLDERS, *(inside.split(":")[0].lstrip("/") for inside in mounts.values())):
            os.makedirs(os.path.join(root, folder), exist_ok=True)
        for link in _LINKS:
            if not os.path.lexists(os.path.join(root, link)):
                os.symlink(f"usr/{link}", os.path.join(root, link))
        if not os.path.lexists(os.path.join(root, "var", "run")):
            os.symlink("/run", os.path.join(root, "var", "run"))
        return root


def _write_script(place: str, program: str, env: Mapping[str, str]) -> None:
    """Write a script that runs the program with more in its environment."""
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    with open(place, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n{settings}exec {shlex.quote(program)} "$@"\n')
    os.chmod(place, 0o755)  # noqa: S103  an executable
