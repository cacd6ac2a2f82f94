"""One call of a verb: everything that it works with, as one value."""

from __future__ import annotations

from cni_userspace.attach.store import Key
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.attach.engine import Engine
    from cni_userspace.attach.store import Store
    from cni_userspace.cni.log import Log
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request


class Call(Value):
    """A runtime's request with its netconf parsed, its engine loaded, its records at hand."""

    request: Request
    conf: NetConf
    node: NodeFile
    engine: Engine
    store: Store
    log: Log

    @property
    def key(self) -> Key:
        """Return the identity of the attachment that the call is about."""
        return Key(
            network=self.conf.name,
            container_id=self.request.container_id,
            ifname=self.request.ifname,
        )
