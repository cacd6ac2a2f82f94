"""The netconf parser as the plugin calls it, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cni_userspace import engines
from cni_userspace.cni import netconf
from cni_userspace.cni.nodefile import NodeFile
from cni_userspace.errors import InvalidConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cni_userspace.cni.getter import Getter
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf
    from cni_userspace.value import Value

NO_NODE_FILE = NodeFile()


def options(engine: str, getter: Getter) -> Value:
    return engines.load(engine).parse_options(getter)


def parse(
    config: Mapping[str, Any],
    args: Mapping[str, str] | None = None,
    node: NodeFile = NO_NODE_FILE,
    *,
    strict: bool = True,
) -> NetConf:
    return netconf.parse(config, args or {}, node, strict=strict, engine_parser=options)


def ovs(config: Mapping[str, Any], node: NodeFile = NO_NODE_FILE, *, strict: bool = True) -> OvsConf:
    conf: OvsConf = parse(config, None, node, strict=strict).options  # type: ignore[assignment]  # ovs-dpdk
    return conf


def mistakes(config: Mapping[str, Any], node: NodeFile = NO_NODE_FILE) -> tuple[str, ...]:
    """Return what a strict parse says against a configuration, one line each."""
    try:
        parse(config, None, node)
    except InvalidConfigError as error:
        return error.mistakes
    except PluginError as error:
        return (error.details,)
    return ()
