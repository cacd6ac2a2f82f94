"""Multus 4.2 (thin): delegates in its configuration, or a pod's networks from a Kubernetes API.

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
- With a kubeconfig there must be a delegate all the same: it is the pod's own
  network, and the networks of the pod's annotation come after it.
- Each question for the pod has 250 ms, and all of them 2.5 s (multus.go).
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

    def configuration(
        self, delegates: Sequence[Mapping[str, Any]], device_id: str = "", kubeconfig: str = ""
    ) -> dict[str, Any]:
        """Return a Multus configuration with these delegates, each a plugin or a list.

        With the text of a kubeconfig it asks that API for the pod that `add` names.
        """
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
        if kubeconfig:
            conf["kubeconfig"] = os.path.join(self.directory, "kubeconfig")
            with open(conf["kubeconfig"], "w", encoding="utf-8", opener=_for_us_alone) as file:
                file.write(kubeconfig)
        return conf

    def add(
        self, conf: Mapping[str, Any], container: str, netns: str, pod: str = "vnf", uid: str = ""
    ) -> dict[str, Any]:
        """ADD all networks of a pod; return the first one's result. Raises MultusError."""
        result: dict[str, Any] = json.loads(self._run("ADD", conf, container, netns, pod, uid))
        return result

    def delete(
        self, conf: Mapping[str, Any], container: str, netns: str, pod: str = "vnf", uid: str = ""
    ) -> None:
        """DEL all networks from Multus' cache. Raises MultusError."""
        self._run("DEL", conf, container, netns, pod, uid)

    def cached(self) -> list[str]:
        """Return what is left in Multus' cache: delegates by container, results by attachment."""
        names = []
        for root, _, files in os.walk(self.cache):
            names += [os.path.relpath(os.path.join(root, name), self.cache) for name in files]
        return sorted(names)

    def _run(  # noqa: PLR0913, PLR0917  as many as CNI has
        self, command: str, conf: Mapping[str, Any], container: str, netns: str, pod: str, uid: str
    ) -> str:
        args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
        if uid:  # as containerd's CRI plugin writes it
            args += f";K8S_POD_INFRA_CONTAINER_ID={container};K8S_POD_UID={uid}"
        env = {
            **self._env,
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": self.cni_path,
            "CNI_ARGS": args,
        }
        line = shadowed({DEVICE_INFO_ROOT: self.device_info}, [self._program])
        done = subprocess.run(
            line, env=env, input=json.dumps(conf), check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise MultusError(f"multus {command}: {done.stdout.strip()} {done.stderr.strip()}")
        return done.stdout


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that holds a key."""
    return os.open(path, flags, 0o600)
