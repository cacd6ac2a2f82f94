"""The Kubernetes objects that tests make, as plain JSON values.

Owns their shape, nothing of the server. Must not do more than the tests need:
what the API server fills in by itself is not written here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Object = dict[str, Any]
    Rule = Mapping[str, Sequence[str]]

NETWORKS = "k8s.v1.cni.cncf.io/networks"
NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status"
NAD_VERSION = "k8s.cni.cncf.io/v1"
NAD_KIND = "NetworkAttachmentDefinition"
GRANTED = "rig-granted"  # the label of what `rights` returns

# As in Multus' own deployments/multus-daemonset.yml (v4.2.2): `update` on pods, and no `patch`.
MULTUS_RULES: tuple[Rule, ...] = (
    {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["get", "update"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
)


def pod(name: str, annotations: Mapping[str, str] | None = None) -> Object:
    """Return a pod bound to a node, for which no scheduler is needed."""
    container = {"name": "app", "image": "app", "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
        "spec": {"nodeName": "node", "containers": [container]},
    }


def network(name: str, config: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> Object:
    """Return a NetworkAttachmentDefinition whose config is this plugin or list of plugins."""
    return {
        "apiVersion": NAD_VERSION,
        "kind": NAD_KIND,
        "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
        "spec": {"config": json.dumps(config)},
    }


def network_kind() -> Object:
    """Return the CustomResourceDefinition of NetworkAttachmentDefinition, from the same file."""
    spec = {"type": "object", "properties": {"config": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
        "spec": {
            "group": "k8s.cni.cncf.io",
            "scope": "Namespaced",
            "names": {
                "plural": "network-attachment-definitions",
                "singular": "network-attachment-definition",
                "kind": NAD_KIND,
                "shortNames": ["net-attach-def"],
            },
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def service_account(name: str = "default", namespace: str = "default") -> Object:
    """Return a ServiceAccount: a pod is refused without its own, which a controller would make."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }


def rights(user: str, rules: Sequence[Rule]) -> tuple[Object, Object]:
    """Return a ClusterRole with these rules and the binding that gives it to a user."""
    version = "rbac.authorization.k8s.io/v1"
    name = f"rig:{user}"
    about = {"name": name, "labels": {GRANTED: "yes"}}
    role = {"apiVersion": version, "kind": "ClusterRole", "metadata": about, "rules": list(rules)}
    binding = {
        "apiVersion": version,
        "kind": "ClusterRoleBinding",
        "metadata": about,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    return role, binding
