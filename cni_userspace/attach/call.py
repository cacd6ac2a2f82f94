"""One call of a verb: everything that it works with, as one value."""

from __future__ import annotations

from cni_userspace.attach.store import Key
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.attach.engine import Engine, Engines
    from cni_userspace.attach.store import Store
    from cni_userspace.cni.log import Log
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.host.deadline import Deadline


class Call(Value):
    """A runtime's request with its netconf parsed, its engine loaded, its records at hand."""

    request: Request
    conf: NetConf
    node: NodeFile
    engine: Engine  # that of the netconf; a record may name another
    engines: Engines
    store: Store
    log: Log
    deadline: Deadline  # of all that the call waits for, but for a failed ADD's way back

    @property
    def key(self) -> Key:
        """Return the identity of the attachment that the call is about."""
        return Key(
            network=self.conf.name,
            container_id=self.request.container_id,
            ifname=self.request.ifname,
        )
