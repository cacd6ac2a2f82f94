"""A real Kubernetes API: etcd and kube-apiserver with RBAC, on loopback, for one rig.

Owns both daemons, their certificates and everything they write. No kubelet, no
controllers: an object stays as it was made until somebody changes it, so the
rig itself makes what controllers would (the ServiceAccount `default`). Must
never use a fixed port, nor the machine's own etcd. Facts that shape it
(Kubernetes 1.34, etcd 3.4):

- etcd serves on a unix socket in the rig's directory: one port less to be free,
  and nobody else on the machine reaches it.
- A port that is merely found free may be taken before kube-apiserver binds it:
  the rig keeps it bound itself, without listening, and both share it
  (SO_REUSEPORT, --permit-port-sharing). It stays ours over a restart, too.
- An emulated guest sees the host's loopback as 10.0.2.2 (QEMU's user network,
  without `restrict`): the server's certificate carries that address, too.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING, Self

from tests.support import gotools, kubeobjects
from tests.support.child import Child, RigError, tail, wait_for
from tests.support.kubeapi import KubeApi
from tests.support.kubeclient import ApiError
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Callable

ETCD_SOCKET = "etcd:1"  # etcd 3.4 wants HOST:PORT in every URL, and makes it a name in its directory
LOOPBACK = "127.0.0.1"
QEMU_HOST = "10.0.2.2"
SERVICES, SERVICE = "10.96.0.0/16", "10.96.0.1"
START_SECONDS = 60.0


class ApiServer(KubeApi):
    """One cluster's API, from `start` to `stop`; also a context manager.

    The kind NetworkAttachmentDefinition and the ServiceAccount that pods need
    are there.
    """

    def __init__(self) -> None:
        """Make its directory, port and certificates; nothing is started yet."""
        self.directory = tempfile.mkdtemp(prefix="uk-", dir="/tmp")
        self._port = _held_port()
        self._etcd: Child | None = None
        self._server: Child | None = None
        super().__init__(self._path("pki"), LOOPBACK, self._port.getsockname()[1])

    # --- life ---------------------------------------------------------------

    def start(self) -> Self:
        """Start both daemons and wait until the API is ready. Raises RigError with the logs' ends."""
        try:
            names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
            self._serving = self.authority.server("kube-apiserver", names, [LOOPBACK, QEMU_HOST, SERVICE])
            self._tokens = self.authority.pair("service-accounts")
            self._start_etcd()
            self.start_apiserver()
            self.admin.create(kubeobjects.service_account())
            self._offer_networks()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both daemons and remove everything; once more is fine."""
        for daemon in (self._server, self._etcd):
            if daemon is not None:
                daemon.end()
        self._server = self._etcd = None
        self._port.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_apiserver(self) -> None:
        """Start kube-apiserver (again, after `kill_apiserver`) and wait until it is ready."""
        program = os.path.join(gotools.build(gotools.KUBERNETES), "kube-apiserver")
        self._server = Child([program, *self._options()], self._path("kube-apiserver.log"))
        self._wait_for(self._server, "kube-apiserver", self._ready)

    def kill_apiserver(self) -> None:
        """End kube-apiserver as a crash does (SIGKILL): connections are refused, the objects stay."""
        if self._server is None:
            raise RigError("the API server is not started")
        self._server.kill()

    def clean(self) -> None:
        """Take away pods, networks and rights, bring a killed server back: an API for the next test."""
        if self._server is not None and not self._server.alive():
            self.start_apiserver()
        super().clean()

    # --- inside -------------------------------------------------------------

    def _start_etcd(self) -> None:
        program = find("etcd")
        if program is None:
            raise RigError("there is no etcd on this machine")
        options = {
            "name": "rig",
            "data-dir": self._path("etcd"),
            "listen-client-urls": f"unix://{ETCD_SOCKET}",
            "advertise-client-urls": f"unix://{ETCD_SOCKET}",
            "listen-peer-urls": "unix://peer:1",
            "heartbeat-interval": "10",  # ms; it elects itself after ten of them
            "election-timeout": "100",
            "logger": "zap",
            "log-level": "warn",
        }
        command = ["env", f"--chdir={self.directory}", program, *_flags(options)]
        self._etcd = Child(command, self._path("etcd.log"))
        self._wait_for(self._etcd, "etcd", lambda: os.path.exists(self._path(ETCD_SOCKET)))

    def _options(self) -> list[str]:
        certificate, key = self._serving
        public, private = self._tokens
        options = {
            "authorization-mode": "Node,RBAC",
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": str(self.port),
            "permit-port-sharing": "true",
            "client-ca-file": self.authority.certificate,
            "tls-cert-file": certificate,
            "tls-private-key-file": key,
            "etcd-servers": f"unix://{self._path(ETCD_SOCKET)}",
            "endpoint-reconciler-type": "none",  # loopback is no endpoint of a service
            "service-cluster-ip-range": SERVICES,
            "service-account-issuer": "https://kubernetes",
            "service-account-key-file": public,
            "service-account-signing-key-file": private,
        }
        return _flags(options)

    def _ready(self) -> bool:
        """Tell whether it answers for itself, and has made the namespace that it makes when it starts."""
        try:
            healthy = self.admin.ask("GET", "/readyz") == {"text": "ok"}
            return healthy and self.admin.find("Namespace", "default") is not None
        except (ApiError, OSError):  # URLError is an OSError
            return False

    def _offer_networks(self) -> None:
        """Make the kind NetworkAttachmentDefinition, and wait until it is served."""
        self.admin.create(kubeobjects.network_kind())

        def served() -> bool:
            try:
                self.admin.all(kubeobjects.NAD_KIND, kubeobjects.NAD_VERSION)
            except ApiError:
                return False
            return True

        log = self._path("kube-apiserver.log")
        wait_for("networks are served", served, START_SECONDS, proof=lambda: tail(log))

    def _wait_for(self, daemon: Child, name: str, ready: Callable[[], bool]) -> None:
        def look() -> bool:
            if not daemon.alive():
                raise RigError(f"{name} ended:\n{daemon.tail()}")
            return ready()

        wait_for(f"{name} is ready", look, START_SECONDS, proof=daemon.tail)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def _held_port() -> socket.socket:
    """Return a socket bound to a free port of loopback, which another one may share and listen on."""
    holder = socket.socket(socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((LOOPBACK, 0))
    return holder


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
