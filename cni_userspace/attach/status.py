"""STATUS: could an ADD with this config work now?

Owns nothing but the order: the engine first, then the IPAM plugin. Nothing
relies on STATUS having been called.
"""

from __future__ import annotations

from cni_userspace.cni import ipam
from cni_userspace.host.deadline import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.attach.call import Call


def status(call: Call) -> None:
    """Raise NotAvailableError (50), LimitedError (51), or the IPAM plugin's own error."""
    call.engine.status(call.conf, call.node, Deadline(call.conf.timeout))
    if call.conf.ipam_type:
        ipam.status(call.request.replace(config=call.conf.raw), call.conf.ipam_type)
