"""A small client of the Kubernetes API: JSON over HTTPS with a client certificate.

Owns one user's way of talking to one server. Knows nothing of the objects'
kinds but the paths they are kept under. Must never trust another authority
than the rig's.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Object = dict[str, Any]

SECONDS = 30.0
NOT_FOUND = 404
_FOLDERS = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Namespace"): "namespaces",
    ("v1", "Node"): "nodes",
    ("v1", "Pod"): "pods",
    ("v1", "Secret"): "secrets",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "customresourcedefinitions",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition"): "network-attachment-definitions",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "clusterroles",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "clusterrolebindings",
}
_WITHOUT_NAMESPACE = {
    "clusterrolebindings",
    "clusterroles",
    "customresourcedefinitions",
    "namespaces",
    "nodes",
}


class ApiError(Exception):
    """The server refused; `code` is the HTTP status, the text what it said."""

    def __init__(self, code: int, said: str) -> None:
        """Keep both."""
        super().__init__(f"{code}: {said}")
        self.code = code


class KubeClient:
    """One user of one API server."""

    def __init__(self, server: str, authority: str, certificate: str = "", key: str = "") -> None:
        """Talk to `server` (https://HOST:PORT), known by `authority`; without a certificate as nobody."""
        self.server = server
        context = ssl.create_default_context(cafile=authority)
        if certificate:
            context.load_cert_chain(certificate, key)
        # the machine's proxy is for elsewhere
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, kind: str, name: str, namespace: str = "default", version: str = "v1") -> Object:
        """Return an object. Raises ApiError, with code 404 where there is none."""
        return self.ask("GET", _path(version, kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str = "default", version: str = "v1") -> Object | None:
        """Return an object, or None where there is none. Raises ApiError."""
        try:
            return self.get(kind, name, namespace, version)
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def all(self, kind: str, version: str = "v1") -> list[Object]:
        """Return the objects of a kind in the namespace `default`. Raises ApiError."""
        items: list[Object] = self.ask("GET", _path(version, kind, "default"))["items"]
        return items

    def create(self, thing: Mapping[str, Any]) -> Object:
        """Make an object, and return it as the server keeps it. Raises ApiError."""
        namespace = thing["metadata"].get("namespace", "default")
        return self.ask("POST", _path(thing["apiVersion"], thing["kind"], namespace), thing)

    def patch(self, thing: Mapping[str, Any], change: Mapping[str, Any]) -> Object:
        """Merge a change into an object (RFC 7396). Raises ApiError."""
        return self.ask("PATCH", path_of(thing), change, "application/merge-patch+json")

    def delete(self, thing: Mapping[str, Any]) -> None:
        """Delete an object at once, without the grace that a kubelet would give. Raises ApiError."""
        self.ask("DELETE", path_of(thing) + "?gracePeriodSeconds=0")

    def delete_all(self, kind: str, version: str = "v1", *, labelled: str = "") -> None:
        """Delete all objects of a kind in the namespace `default`, or those with a label. Raises ApiError."""
        path = _path(version, kind, "default")
        self.ask("DELETE", f"{path}?gracePeriodSeconds=0&labelSelector={labelled}")

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        form: str = "application/json",
    ) -> Object:
        """Send one request and return the answer. Raises ApiError, or OSError where nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, {"Content-Type": form}, method=method)  # noqa: S310  the rig's own address
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None
        answered: Object = json.loads(text) if text.startswith(b"{") else {"text": text.decode()}
        return answered


def path_of(thing: Mapping[str, Any]) -> str:
    """Return the path of an object."""
    about = thing["metadata"]
    return _path(thing["apiVersion"], thing["kind"], about.get("namespace", "default"), about["name"])


def _path(version: str, kind: str, namespace: str, name: str = "") -> str:
    folder = _FOLDERS[version, kind]
    words = ["/apis" if "/" in version else "/api", version]
    if folder not in _WITHOUT_NAMESPACE:
        words += ["namespaces", namespace]
    return "/".join([*words, folder, *([name] if name else [])])
