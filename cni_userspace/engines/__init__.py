"""The engines: one module or small package each, loaded by name.

Each fulfils the contract `attach.engine.Engine`. A new engine is one place
here, one line in MODULES, its tests and one example.
"""

from __future__ import annotations

import sys

from cni_userspace.errors import UnsupportedFieldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cni_userspace.attach.engine import Engine

MODULES = {"ovs-dpdk": "cni_userspace.engines.ovs_dpdk", "sriov": "cni_userspace.engines.sriov"}


def load(name: str) -> Engine:
    """Import an engine; raise UnsupportedFieldError (code 2) for an unknown name."""
    if name not in MODULES:
        raise UnsupportedFieldError(
            f"the engine {name!r} is not supported",
            details=f"engine = {name!r}; this version has {', '.join(MODULES)}",
        )
    __import__(MODULES[name])  # importlib.import_module without importlib, which costs 0.5 ms
    return sys.modules[MODULES[name]]  # held to the contract by a test


def every() -> Iterator[Engine]:
    """Import and yield all engines."""
    return map(load, MODULES)
