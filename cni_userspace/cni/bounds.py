"""Bounds: what the node file lets a netconf name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile


def check(conf: NetConf, node: NodeFile) -> None:
    """Raise BoundsError for everything that the node file does not allow, all at once."""
    del conf, node


def allows_file(path: str, node: NodeFile) -> bool:
    """Tell whether `configuration_path` may name this file."""
    return bool(path) and node.allow is None
