"""The plan: every name, path and row of one attachment, decided before any is made.

Pure: from the netconf and the facts to a value that can be printed and tested
without root. A vhost-user socket path holds 107 bytes (sun_path of unix(7)
less the NUL); OVS takes a longer one silently and never connects, so a long
directory is reached through a short link, or refused.
"""

from __future__ import annotations

from cni_userspace.attach import naming, publish
from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk.conf import CLIENT
from cni_userspace.errors import ConflictError, InvalidConfigError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf

SUN_PATH = 107
RARE = (  # options that the plan takes over as they are
    *("vlan_mode", "cvlans", "protected", "ingress_policing", "egress_shaping", "tx_retries_max"),
    *("external_ids", "ovn_port", "anti_spoofing", "wiring", "segment", "peer_port"),
)


class Facts(Value):
    """What had to be looked up on the node and in the switch."""

    bridge_exists: bool
    rundir: str  # of ovsdb-server and vswitchd; "" where the database is remote
    socket_dir: str  # where vswitchd makes the sockets of dpdkvhostuser ports
    base: str  # the shared directory with its links resolved
    directory_exists: bool
    siblings_own_directory: bool
    uid: int | None = None
    gid: int | None = None
    netns_id: str = ""
    vlan_limit: int = 1  # VLAN tags of a frame that the switch sees; 0: as many as it can
    wiring_obstacle: str = ""  # "key: value reason", where it cannot be wired as asked
    attempt: str  # random: marks the rows of this very ADD


class Plan(Value):
    """What one ADD makes. Kept in the record as it is."""

    key: Key
    place: str  # the database's address
    rundir: str
    bridge: str
    create_bridge: bool
    delete_bridge: bool
    bridge_exists: bool
    port: str
    interface_type: str
    directory: str  # the container's directory on the host
    own_directory: bool
    socket_name: str
    switch_path: str  # the socket as vswitchd names it
    link: str = ""  # the directory's short link; made by those whose `switch_path` leads through it
    in_place: bool = False  # server mode: the socket stays where vswitchd made it
    container_socket: str  # the socket as the container sees it
    mac: str
    mtu: int | None = None
    vlan: int | None = None
    trunk: tuple[int, ...] = ()
    ofport_request: int | None = None
    uid: int | None = None
    gid: int | None = None
    dir_mode: int | None = None
    socket_mode: int | None = None
    vlan_mode: str = ""
    cvlans: tuple[int, ...] = ()
    protected: bool = False
    ingress_policing: tuple[int, int] | None = None
    egress_shaping: tuple[int, int] | None = None
    tx_retries_max: int | None = None
    external_ids: Mapping[str, str] = {}
    ovn_port: str = ""
    anti_spoofing: bool = False
    wiring: str = "normal"
    segment: str = ""
    peer_port: str = ""
    ips: tuple[str, ...] = ()  # with anti-spoofing: what IPAM assigned, known only after the plan
    netns: str
    netns_id: str
    pod: Mapping[str, str]
    attempt: str
    timeout: int  # seconds that ADD may wait for the switch

    def as_dict(self) -> dict[str, object]:
        """Return the plan in the record's form."""
        found = {k: list(v) if isinstance(v, tuple) else v for k, v in super().as_dict().items()}
        return {**found, "key": self.key.as_dict()}

    @property
    def has_flows(self) -> bool:
        """Tell whether the attachment has flows of its own."""
        return bool(self.anti_spoofing or self.segment or self.peer_port)

    @property
    def container_mode(self) -> str:
        """Return the role of the container's application."""
        return "server" if self.interface_type == CLIENT else "client"

    @property
    def device_info(self) -> dict[str, object]:
        """Return the NPWG device-info (device-info-spec 1.1.0); its paths are the container's."""
        return publish.device_info(self.container_mode, self.container_socket)

    @property
    def shared_directory(self) -> str:
        """Return the container's own directory, "" where the socket stays in the switch's."""
        return "" if self.in_place else self.directory

    @property
    def socketfile(self) -> str:
        """Return the socket's name in the container's directory."""
        return self.socket_name


def plan(request: Request, conf: NetConf, node: NodeFile, facts: Facts) -> Plan:
    """Decide names, paths and rows; raise InvalidConfigError or ConflictError where there is no way."""
    options: OvsConf = conf.options  # type: ignore[assignment]  # this engine's own
    if not facts.bridge_exists and not options.create_bridge:
        raise ConflictError(
            f"the bridge {options.bridge} does not exist",
            details=f"bridge = {options.bridge} in {options.socket_file}",
            hint=f"ovs-vsctl add-br {options.bridge} -- set bridge {options.bridge} datapath_type=netdev, "
            "or `createBridge`: true",
        )
    if facts.wiring_obstacle:
        raise InvalidConfigError(
            "the attachment cannot be wired as asked",
            mistakes=[facts.wiring_obstacle],
        )
    if options.cvlans and facts.vlan_limit == 1:
        raise InvalidConfigError(
            "this switch sees one VLAN tag only, so `cvlans` would let nothing reach the port",
            details="other_config:vlan-limit of the switch is 1, which is the default",
            hint="ovs-vsctl set Open_vSwitch . other_config:vlan-limit=2 (for all bridges, then restart "
            "ovs-vswitchd), or leave `cvlans` out",
        )
    server_type = options.interface_type != CLIENT
    port, socket = _names(request, options, salt=facts.attempt if server_type else "")
    in_place = server_type and facts.base == facts.socket_dir
    directory = facts.base if in_place else f"{facts.base}/{naming.directory_name(request.container_id)}"
    if in_place:
        socket = port
    elif socket == publish.INTERFACES_FILE:
        raise ConflictError(
            "the socket's name is taken",
            details=f"{directory}/{socket} is the file that tells the container of its interfaces",
            hint="`socketName` gives the socket another name",
        )
    link = "" if in_place else f"{node.link_dir}/{naming.link_name(directory)}"
    switch_path = f"{facts.socket_dir}/{port}" if server_type else _short(directory, socket, link)
    _fits(switch_path)
    inside = conf.container_path or directory
    return Plan(
        key=Key(network=conf.name, container_id=request.container_id, ifname=request.ifname),
        place=options.socket_file,
        rundir=facts.rundir,
        bridge=options.bridge,
        create_bridge=options.create_bridge,
        delete_bridge=options.delete_bridge,
        bridge_exists=facts.bridge_exists,
        port=port,
        interface_type=options.interface_type,
        directory=directory,
        own_directory=not in_place and (facts.siblings_own_directory or not facts.directory_exists),
        socket_name=socket,
        switch_path=switch_path,
        link=link,
        in_place=in_place,
        container_socket=f"{inside.rstrip('/')}/{socket}",
        mac=conf.mac or naming.stable_mac(request.container_id, request.ifname),
        mtu=options.mtu,
        vlan=options.vlan,
        trunk=options.trunk,
        ofport_request=options.ofport_request,
        uid=facts.uid,
        gid=facts.gid,
        dir_mode=options.dir_mode,
        socket_mode=options.socket_mode,
        **{name: getattr(options, name) for name in RARE},
        netns=request.netns,
        netns_id=facts.netns_id,
        pod=request.pod,
        attempt=facts.attempt,
        timeout=conf.timeout,
    )


def _names(request: Request, options: OvsConf, *, salt: str) -> tuple[str, str]:
    """Return the port's and the socket's names; Intel's dialect keeps Intel's.

    In server mode the port's name is that of the switch's socket, and `salt`
    makes it new each time: a path that vswitchd once failed to bind, as it does
    after a crash, fails until its next restart, and closes descriptors that it
    uses for other things (OVS 3.1.0 with DPDK 22.11).
    """
    if options.intel_names:
        both = f"{request.container_id[:12]}-{request.ifname}"
        port = options.port_name or naming.fitted_port_name(both)
        return port, options.socket_name or both
    port = options.port_name or naming.port_name(request.container_id, request.ifname, salt)
    return port, options.socket_name or request.ifname


def _short(directory: str, socket: str, link: str) -> str:
    path = f"{directory}/{socket}"
    return path if len(path.encode()) <= SUN_PATH else f"{link}/{socket}"


def _fits(path: str) -> None:
    length = len(path.encode())
    if length > SUN_PATH:
        raise InvalidConfigError(
            "the socket's path is too long for a unix socket",
            details=f"{path} has {length} bytes, {SUN_PATH} fit",
            hint="a shorter `sharedDir` (or `linkDir` in the node file)",
        )
