"""STATUS: could an ADD with this config work now?

Owns nothing but the order: the engine first, then the IPAM plugin. Nothing
relies on STATUS having been called.
"""

from __future__ import annotations

from cni_userspace.cni import ipam

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.attach.call import Call

IPAM_SECONDS = 15  # for each of the two questions that an old plugin is asked


def status(call: Call) -> None:
    """Raise NotAvailableError (50), LimitedError (51), or the IPAM plugin's own error."""
    call.engine.status(call.conf, call.node, call.deadline.within(call.conf.timeout))
    if call.conf.ipam_type:
        request = call.request.replace(config=call.conf.raw)
        ipam.status(request, call.conf.ipam_type, deadline_seconds=IPAM_SECONDS)
