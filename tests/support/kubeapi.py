"""A Kubernetes API as those see it who may sign its users' certificates.

Owns users, their rights and their kubeconfigs; not the daemons, which may run
on another machine: a guest whose files are this machine's takes part with the
line of text that `invitation` gives. Must never hand out rights that a test did
not name, but for `admin`.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

from tests.support import kubeobjects
from tests.support.certificates import Authority
from tests.support.kubeclient import KubeClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.kubeobjects import Rule

VARIABLE = "USERSPACE_TESTS_API"  # an invitation, where the API is not the run's own
ADMINISTRATORS = "system:masters"  # a group that every right is built into


class KubeApi:
    """One cluster's API at one address; `admin` is a client with every right."""

    def __init__(self, certificates: str, host: str, port: int) -> None:
        """Talk to https://HOST:PORT, whose authority is in the directory `certificates`."""
        self.authority = Authority(certificates)
        self.host = host
        self.port = port
        self.admin = self.client("rig-admin", [ADMINISTRATORS])

    def invitation(self, host: str) -> str:
        """Return the text with which a process takes part that sees this API at `host`, and our files."""
        return json.dumps({"certificates": self.authority.directory, "host": host, "port": self.port})

    @classmethod
    def invited(cls) -> KubeApi | None:
        """Return the API that the environment invites to, if it does."""
        text = os.environ.get(VARIABLE)
        return KubeApi(**json.loads(text)) if text else None

    def client(self, user: str, groups: Sequence[str] = ()) -> KubeClient:
        """Return a client for a user, who has no more rights than were granted."""
        server = f"https://{self.host}:{self.port}"
        return KubeClient(server, self.authority.certificate, *self.authority.client(user, groups))

    def grant(self, user: str, rules: Sequence[Rule]) -> None:
        """Give a user these rights in every namespace."""
        for thing in kubeobjects.rights(user, rules):
            self.admin.create(thing)

    def kubeconfig(self, user: str, rules: Sequence[Rule] = ()) -> str:
        """Return the text of a kubeconfig, which names no file, for a user who is granted these rights."""
        if rules:
            self.grant(user, rules)
        certificate, key = self.authority.client(user)
        cluster = {
            "server": f"https://{self.host}:{self.port}",
            "certificate-authority-data": _base64_of(self.authority.certificate),
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

    def clean(self) -> None:
        """Take away pods, networks and granted rights."""
        self.admin.delete_all("Pod")
        self.admin.delete_all(kubeobjects.NAD_KIND, kubeobjects.NAD_VERSION)
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            self.admin.delete_all(kind, "rbac.authorization.k8s.io/v1", labelled=kubeobjects.GRANTED)


def _base64_of(path: str) -> str:
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()
