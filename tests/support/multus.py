"""Multus 4.2 (thin) with its delegates in the configuration, and no Kubernetes.

Owns Multus' cache, log and device-information directory. Must never write to
/var/lib/cni/multus or /run/k8s.cni.cncf.io. Facts that shape it, from
pkg/multus/multus.go and pkg/types/conf.go of v4.2.2:

- The delegates are called with IFNAME, net1, net2, ...; only the first one's
  result is Multus' own result.
- `runtimeConfig.deviceID` of Multus makes it hand CNIDeviceInfoFile to every
  delegate that declares the capability; it removes that file after DEL.
- A list without cniVersion gets an empty one at ADD; at DEL Multus writes its
  own version into it and thereby strips every plugin of all keys but CNI's own.
- DEL answers success for a pod that is not in its cache.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support import gotools
from tests.support.shadow import shadowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEVICE_INFO_ROOT = "/run/k8s.cni.cncf.io"  # built into the NAD client library


class MultusError(Exception):
    """Multus ended with an error; the text is what it said."""


class Multus:
    """One node's Multus."""

    def __init__(self, directory: str, cni_path: str, env: Mapping[str, str] | None = None) -> None:
        """Keep everything below `directory`; find delegates on `cni_path`; run with `env` (default: ours)."""
        self.directory = directory
        self.cache = os.path.join(directory, "cni")
        self.device_info = os.path.join(directory, "devinfo")
        self.log = os.path.join(directory, "log")
        self.cni_path = cni_path
        self._env = dict(os.environ if env is None else env)
        self._program = os.path.join(gotools.build(), "multus")
        for path in (self.cache, self.device_info, os.path.join(directory, "net.d")):
            os.makedirs(path, exist_ok=True)

    def configuration(self, delegates: Sequence[Mapping[str, Any]], device_id: str = "") -> dict[str, Any]:
        """Return a Multus configuration with these delegates, each a plugin or a list."""
        conf: dict[str, Any] = {
            "cniVersion": "1.0.0",
            "name": "multus",
            "type": "multus",
            "cniDir": self.cache,
            "binDir": self.cni_path.split(":")[0],
            "confDir": os.path.join(self.directory, "net.d"),
            "logFile": self.log,
            "logLevel": "verbose",
            "logToStderr": False,
            "delegates": list(delegates),
        }
        if device_id:
            conf["capabilities"] = {"deviceID": True}
            conf["runtimeConfig"] = {"deviceID": device_id}
        return conf

    def add(self, conf: Mapping[str, Any], container: str, netns: str) -> dict[str, Any]:
        """ADD all delegates; return the first one's result. Raises MultusError."""
        result: dict[str, Any] = json.loads(self._run("ADD", conf, container, netns))
        return result

    def delete(self, conf: Mapping[str, Any], container: str, netns: str) -> None:
        """DEL all delegates from Multus' cache. Raises MultusError."""
        self._run("DEL", conf, container, netns)

    def cached(self) -> list[str]:
        """Return what is left in Multus' cache: delegates by container, results by attachment."""
        names = []
        for root, _, files in os.walk(self.cache):
            names += [os.path.relpath(os.path.join(root, name), self.cache) for name in files]
        return sorted(names)

    def _run(self, command: str, conf: Mapping[str, Any], container: str, netns: str) -> str:
        env = {
            **self._env,
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": self.cni_path,
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=vnf",
        }
        line = shadowed({DEVICE_INFO_ROOT: self.device_info}, [self._program])
        done = subprocess.run(
            line, env=env, input=json.dumps(conf), check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise MultusError(f"multus {command}: {done.stdout.strip()} {done.stderr.strip()}")
        return done.stdout
