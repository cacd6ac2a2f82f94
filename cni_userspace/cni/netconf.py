"""The network configuration: what the user wrote, parsed once into a frozen value.

Owns the keys that mean the same whatever engine serves the network, the
choice of the engine, and the order of the sources: the netconf, then
`configuration_path`, then the node file, then the defaults. What only one
engine understands is parsed by that engine in the same pass, so that all
mistakes are reported at once. Reads `configuration_path` and nothing else.

A runtime may inject keys of its own at any time (CNI specification 1.1.0,
"Plugin configuration objects"; Multus puts deviceID and pciBusID into every
plugin of a conflist): those are never mistakes. DEL, CHECK and GC must not
fail for a mistake either: Multus calls DEL with nothing but type, name and
ipam.type.
"""

from __future__ import annotations

from cni_userspace.cni import forms, injected
from cni_userspace.cni.getter import MISSING, Getter, Problems, fold
from cni_userspace.cni.log import DEFAULT_LEVEL, LEVELS
from cni_userspace.cni.request import is_identifier
from cni_userspace.cni.result import VERSIONS
from cni_userspace.errors import (
    IncompatibleVersionError,
    InvalidConfigError,
    UnsupportedFieldError,
)
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cni_userspace.cni.getter import Source
    from cni_userspace.cni.nodefile import NodeFile

    EngineParser = Callable[[str, Getter], Value]

LEGACY = ("0.1.0", "0.2.0")  # versions whose configurations need no name
UNNAMED = "userspace-unnamed"
ENGINES = ("ovs-dpdk", "sriov")
SRIOV_TYPE = "sriov"  # sriov-cni's file name, under which this plugin may be linked
INTEL_KEYS = ("host", "container")
MOST_TOLD = 50  # mistakes in one error: a tenant can write a megabyte of them
SRIOV_KEYS = ("dpdk", "if0", "master", "pfonly", "vf")  # say sriov whatever stands beside them
SRIOV_ONLY = (  # say it where no key of ovs-dpdk does not
    *("cnidir", "dpdkdriver", "if0name", "l2enable", "link_state", "max_tx_rate", "min_tx_rate"),
    *("spoofchk", "trust", "vlanproto", "vlanqos"),
)
OVS_ONLY = (
    *("antispoofing", "bridge", "createbridge", "cvlans", "deletebridge", "dirmode", "egressshaping"),
    *("externalids", "group", "ingresspolicing", "interface_type", "ofport_request", "ovnport", "owner"),
    *("peerport", "portname", "protected", "segment", "socket_file", "socketmode", "socketname", "trunk"),
    *("txretriesmax", "vlanmode", "wiring"),
)
NO_DHCP = ": a DHCP client needs a kernel interface in the container, and there is none"
DEFAULT_SHARED_DIR = "/run/cni-userspace"
DEFAULT_TIMEOUT = 10
TIMEOUTS = (1, 40)  # all waits of a call end after 45 s: CRI-O kills a plugin after 60
UNREAD = (  # of the protocol, of runtimes, of IPAM plugins, of ovs-cni: known, and no business of this module
    "cniVersion",
    "cniVersions",
    "capabilities",
    "disableCheck",
    "disableGC",
    "link_state_check_interval",
    "link_state_check_retries",
    "loadOnlyInlinedPlugins",
)


class NetConf(Value):
    """One network, as one call of a runtime describes it."""

    cni_version: str = "0.1.0"
    name: str  # UNNAMED where a legacy config has none; "" only where a mistake was passed over
    type: str = ""
    engine: str = "ovs-dpdk"
    dialect: str = "native"  # or "intel"
    raw: Mapping[str, Any]  # as received, with the name made up; for IPAM delegates
    ipam_type: str = ""
    prev_result: Mapping[str, Any] | None = None
    mac: str = ""  # lower case, colons
    ips: tuple[str, ...] = ()
    device_id: str = ""
    device_info_file: str = ""
    valid_attachments: tuple[tuple[str, str], ...] | None = None  # (containerID, ifname); None: not said
    shared_dir: str = DEFAULT_SHARED_DIR
    container_path: str = ""  # "": as on the host
    kubeconfig: str = ""
    configuration_path: str = ""
    log_file: str = ""
    log_level: str = DEFAULT_LEVEL
    timeout: int = DEFAULT_TIMEOUT  # seconds that ADD may wait for the switch
    options: Value


def parse(
    config: Mapping[str, Any],
    args: Mapping[str, str],
    node: NodeFile,
    *,
    strict: bool,
    engine_parser: EngineParser,
) -> NetConf:
    """Parse a configuration and the CNI_ARGS that came with it.

    `engine_parser(name, getter)` reads the keys of the engine that was chosen.
    `strict` (ADD, STATUS, validate) raises UnsupportedFieldError or
    InvalidConfigError with every mistake at once; otherwise (DEL, CHECK, GC)
    what is wrong, or not allowed by the node file, counts as absent; a strict
    caller has `bounds.check` say what is not allowed. IncompatibleVersionError is raised in any case.
    """
    conf, getters = _read(config, args, node, engine_parser)
    if strict:
        _judge(getters, conf.engine)
    elif node.allow is not None or conf.kubeconfig:
        from cni_userspace.cni import bounds

        said = {"engine": conf.engine, "type": conf.type}
        conf = bounds.clamped(
            conf,
            node,
            lambda: _read(said, {}, node, engine_parser)[0],
        )
    return conf


def _read(
    config: Mapping[str, Any],
    args: Mapping[str, str],
    node: NodeFile,
    engine_parser: EngineParser,
) -> tuple[NetConf, list[Getter]]:
    """Read everything once; return it with the getters, which know what nobody asked for."""
    problems = Problems()
    top = fold(config, "$", problems)
    version = _version(top)
    getter, used, path = _sources(top, node, problems)
    getter.args = args
    fields = {**_identity(getter, version), **injected.read(getter, args)}
    engine = _engine(getter, top)
    options = engine_parser(engine, getter)
    fields["device_id"] = getattr(options, "device", fields["device_id"])
    raw = dict(config)
    if fields["name"] == UNNAMED:
        raw["name"] = UNNAMED
    conf = NetConf(
        cni_version=version,
        engine=engine,
        dialect=getter.dialect,
        raw=raw,
        ipam_type=_ipam(getter, engine, options),
        configuration_path=path,
        options=options,
        **fields,
        **_settings(getter),
    )
    return conf, [getter, *used]


def _version(top: Source) -> str:
    _, _, version = top.get("cniversion", ("", "", ""))
    if version == "":
        return VERSIONS[0]
    if version not in VERSIONS:
        raise IncompatibleVersionError(
            f"cniVersion {version!r} is not supported",
            details=f"this plugin supports {', '.join(VERSIONS)}",
        )
    return str(version)


def _sources(top: Source, node: NodeFile, problems: Problems) -> tuple[Getter, list[Getter], str]:
    """Return a getter of everything, the getters of nested objects, and `configuration_path`."""
    behind: Source = {k.lower(): (k, f"{node.path}: $.{k}", v) for k, v in node.defaults.items()}
    getter = Getter([top, behind], problems)
    getter.node = behind
    path = getter.text("configuration_path", check=forms.path)
    sources = [top, behind]
    if path:
        from cni_userspace.cni import confpath  # few networks use it

        sources.insert(1, confpath.read(path, node, problems))
    getter.sources = sources
    used: list[Getter] = []
    intel = any(key in source for key in INTEL_KEYS for source in sources[:-1])
    if intel and getter.find("engine")[1] != "sriov":
        from cni_userspace.cni import dialects  # few networks speak one

        getter.dialect = "intel"
        native, defaults, used = dialects.translate(getter)
        getter.sources = [top, native, *sources[1:], defaults]
    return getter, used, path


def _engine(getter: Getter, top: Source) -> str:
    """Choose the engine: what is said, else what the keys mean."""
    path, said = getter.find("engine")
    if said == "vpp":
        getter.problems.refuse(path, said, "is not supported: this plugin drives OVS-DPDK, not VPP")
        return ENGINES[0]
    engine = getter.choice("engine", ENGINES, "")
    theirs = {
        key
        for source in getter.sources
        if source is not getter.node
        for key, (_, _, value) in source.items()
        if value != ""
    }
    _, device_path, device = top.get("deviceid", ("", "", ""))
    pci = isinstance(device, str) and forms.is_pci(device)
    if pci and "pcibusid" not in top and "bridge" in theirs:  # written by the user: Multus injects both
        getter.problems.add(
            device_path,
            device,
            "is a PCI device, and `bridge` asks for a port of a switch; one network has one of them",
        )
    if engine or getter.dialect == "intel":
        return engine or ENGINES[0]
    if top.get("type", ("", "", ""))[2] == SRIOV_TYPE or not theirs.isdisjoint(SRIOV_KEYS):
        return "sriov"
    likely = pci or not theirs.isdisjoint(SRIOV_ONLY)
    return "sriov" if likely and theirs.isdisjoint(OVS_ONLY) else ENGINES[0]


def _identity(getter: Getter, version: str) -> dict[str, Any]:
    problems = getter.problems
    name = getter.text("name", own=True)
    if not name and version in LEGACY:
        name = UNNAMED
    elif not name:
        problems.mistakes.append("$.name: missing; every network has a name")
    elif not is_identifier(name):
        problems.add(getter.find("name")[0], name, "does not match ^[a-zA-Z0-9][a-zA-Z0-9_.\\-]*$")
    kind = getter.text("type", own=True)
    if not kind and not (version in LEGACY and getter.find("master")[1] is not MISSING):
        problems.mistakes.append("$.type: missing; it is the plugin's file name, userspace")
    return {"name": name, "type": kind}


def _ipam(getter: Getter, engine: str, options: Value) -> str:
    ipam = getter.child("ipam", own=True)
    path, kind = ipam.find("type")
    name = ipam.text("type", check=_delegate)
    if kind in (MISSING, "") and set(ipam.sources[0]) - {"type"}:
        getter.problems.mistakes.append("$.ipam.type: missing; it names the IPAM plugin")
    without = ""
    if engine == "ovs-dpdk":
        without = "ovs-dpdk"
    elif getattr(options, "dpdk", False):
        without = "`dpdk`"
    if name == "dhcp" and without:
        getter.problems.refuse(path, name, f"is not supported with {without}{NO_DHCP}")
    return "" if getattr(options, "no_addresses", False) else name


def _delegate(text: str) -> str:
    return "is a path; the runtime's CNI_PATH says where plugins are" if "/" in text else ""


def _settings(getter: Getter) -> dict[str, Any]:
    for key in UNREAD:
        getter.find(key)
    injected.mapping(getter, "dns")  # the result repeats it from `raw`
    path, masquerade = getter.find("ipMasq", own=True)
    if getter.flag("ipMasq", default=False):
        getter.problems.refuse(
            path, masquerade, "is not supported: these packets do not pass the host's kernel"
        )
    timeout = getter.integer("timeout", *TIMEOUTS)
    return {
        "shared_dir": forms.squeezed(getter.text("sharedDir", DEFAULT_SHARED_DIR, check=forms.directory)),
        "container_path": forms.squeezed(getter.text("containerPath", check=forms.directory)),
        "kubeconfig": getter.text("kubeconfig", check=forms.path),
        "log_file": getter.text("logFile", check=forms.path),
        "log_level": getter.choice("logLevel", LEVELS, DEFAULT_LEVEL, fold=True),
        "timeout": DEFAULT_TIMEOUT if timeout is None else timeout,
    }


def _judge(getters: list[Getter], engine: str) -> None:
    """Raise for the mistakes, unknown keys among them."""
    problems = getters[0].problems
    left = [(getter, *found) for getter in getters for found in getter.leftovers()]
    left = [found for found in left if not found[1].lower().startswith("cni.dev/")]
    if left:
        from cni_userspace.cni import mistakes

        few = left[:MOST_TOLD]  # looking for what was meant costs half a millisecond each
        problems.mistakes += [mistakes.unknown(key, path, g, engine, misplaced=m) for g, key, path, m in few]
    count = len(problems.mistakes) + len(left[MOST_TOLD:])
    told = problems.mistakes[:MOST_TOLD]
    told += [f"and {count - MOST_TOLD} more"] if count > MOST_TOLD else []
    if problems.unsupported:
        raise UnsupportedFieldError(
            "the network configuration asks for what this plugin does not do",
            details="; ".join([*problems.unsupported[:MOST_TOLD], *told]),
        )
    if count:
        raise InvalidConfigError(
            f"the network configuration has {count} mistake{'s' * (count > 1)}",
            hint="`userspace validate FILE` checks a file before it is used",
            mistakes=told,
        )
