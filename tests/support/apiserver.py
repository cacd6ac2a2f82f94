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
- An emulated guest sees the host's loopback as 10.0.2.2 (QEMU's user network):
  the server's certificate carries that address, and `kubeconfig` can name it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING, Self

from tests.support import gotools, kubeobjects
from tests.support.certificates import Authority
from tests.support.child import Child, RigError, tail, wait_for
from tests.support.kubeclient import ApiError, KubeClient
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.kubeobjects import Rule

ETCD_SOCKET = "etcd:1"  # etcd 3.4 wants HOST:PORT in every URL, and makes it a name in its directory
LOOPBACK = "127.0.0.1"
QEMU_HOST = "10.0.2.2"
SERVICES = "10.96.0.0/16"
START_SECONDS = 60.0
ADMINISTRATORS = "system:masters"  # a group that every right is built into


class ApiServer:
    """One cluster's API, from `start` to `stop`; also a context manager.

    `admin` is a client with every right. The kind NetworkAttachmentDefinition
    and the ServiceAccount that pods need are there.
    """

    def __init__(self) -> None:
        """Nothing is started yet."""
        self.directory = ""
        self._port: socket.socket | None = None
        self._etcd: Child | None = None
        self._server: Child | None = None
        self._authority: Authority | None = None

    # --- life ---------------------------------------------------------------

    def start(self) -> Self:
        """Start both daemons and wait until the API is ready. Raises RigError with the logs' ends."""
        self.directory = tempfile.mkdtemp(prefix="uk-", dir="/tmp")  # the socket's path is short
        try:
            self._port = _held_port()
            self._authority = Authority(self._path("pki"))
            self._make_credentials()
            self._start_etcd()
            self.start_apiserver()
            self.admin.create(kubeobjects.service_account())
            self._offer(kubeobjects.network_kind())
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
        if self._port is not None:
            self._port.close()
            self._port = None
        if self.directory:
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
        self.admin.delete_all("Pod")
        self.admin.delete_all(kubeobjects.NAD_KIND, kubeobjects.NAD_VERSION)
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            self.admin.delete_all(kind, "rbac.authorization.k8s.io/v1", labelled=kubeobjects.GRANTED)

    # --- users --------------------------------------------------------------

    @property
    def port(self) -> int:
        """The TCP port that kube-apiserver serves on."""
        if self._port is None:
            raise RigError("the API server is not started")
        number: int = self._port.getsockname()[1]
        return number

    @property
    def server(self) -> str:
        """Its address, as a URL."""
        return f"https://{LOOPBACK}:{self.port}"

    def client(self, user: str, groups: Sequence[str] = ()) -> KubeClient:
        """Return a client for a user, who has no more rights than were granted."""
        return KubeClient(self.server, self._ca.certificate, *self._ca.client(user, groups))

    def grant(self, user: str, rules: Sequence[Rule]) -> None:
        """Give a user these rights in every namespace."""
        for thing in kubeobjects.rights(user, rules):
            self.admin.create(thing)

    def kubeconfig(self, user: str, rules: Sequence[Rule] = (), *, host: str = LOOPBACK) -> str:
        """Return the text of a kubeconfig for a user, who is granted these rights.

        It names no file, so it can be carried elsewhere; `host` is the address of
        this machine as it is seen there (loopback or QEMU's 10.0.2.2).
        """
        if rules:
            self.grant(user, rules)
        certificate, key = self._ca.client(user)
        cluster = {
            "server": f"https://{host}:{self.port}",
            "certificate-authority-data": _base64_of(self._ca.certificate),
        }
        credentials = {"client-certificate-data": _base64_of(certificate), "client-key-data": _base64_of(key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rig", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": user}}],
            "current-context": "rig",
        }
        return json.dumps(config)  # JSON is YAML

    # --- inside -------------------------------------------------------------

    def _make_credentials(self) -> None:
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        self._serving = self._ca.server("kube-apiserver", names, [LOOPBACK, QEMU_HOST, "10.96.0.1"])
        self._tokens = self._ca.pair("service-accounts")
        self.admin = self.client("rig-admin", [ADMINISTRATORS])

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
            "client-ca-file": self._ca.certificate,
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

    def _offer(self, kind: kubeobjects.Object) -> None:
        """Make a kind, and wait until its objects can be made."""
        self.admin.create(kind)

        def offered() -> bool:
            found = self.admin.get(kind["kind"], kind["metadata"]["name"], version=kind["apiVersion"])
            conditions = {c["type"]: c["status"] for c in found.get("status", {}).get("conditions", [])}
            return conditions.get("Established") == "True"

        log = self._path("kube-apiserver.log")
        wait_for("a kind is served", offered, START_SECONDS, proof=lambda: tail(log))

    def _wait_for(self, daemon: Child, name: str, ready: Callable[[], bool]) -> None:
        def look() -> bool:
            if not daemon.alive():
                raise RigError(f"{name} ended:\n{daemon.tail()}")
            return ready()

        wait_for(f"{name} is ready", look, START_SECONDS, proof=daemon.tail)

    @property
    def _ca(self) -> Authority:
        if self._authority is None:
            raise RigError("the API server is not started")
        return self._authority

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


def _base64_of(path: str) -> str:
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()
