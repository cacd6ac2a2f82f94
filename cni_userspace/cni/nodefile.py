"""The node file: defaults, places and bounds that the node's administrator sets.

Owns /etc/cni/net.d/userspace.d/userspace.conf: any setting of the netconf as
a default, three directories of our own, and `allow`, which bounds what a
netconf may name. A netconf can be written by a tenant and acts as root, so
this file is believed only if nobody but root can have written it.
"""

from __future__ import annotations

import os

from cni_userspace.cni import forms, textfile
from cni_userspace.cni.getter import MISSING, Getter, Problems, fold
from cni_userspace.errors import InvalidConfigError
from cni_userspace.jsontext import JsonError, loads
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cni_userspace.cni.getter import Source

DEFAULT_PATH = "/etc/cni/net.d/userspace.d/userspace.conf"
VARIABLE = "USERSPACE_CNI_CONF"
STATE_DIR = "/var/lib/cni/userspace"
LINK_DIR = "/run/cni-userspace-links"
KUBELET_DIR = "/var/lib/kubelet"
OWN = ("stateDir", "linkDir", "kubeletDir", "allow")
COMMON = frozenset(  # defaults that need no look into the schema
    ("sharedDir", "containerPath", "kubeconfig", "logFile", "logLevel", "timeout", "socket_file"),
)
OTHERS_WRITE = 0o022


class Allow(Value):
    """What a netconf may name beyond the defaults; a kind left out allows nothing more."""

    shared_dirs: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()  # shell patterns
    databases: tuple[str, ...] = ()
    kubeconfigs: tuple[str, ...] = ()
    configuration_paths: tuple[str, ...] = ()
    log_files: tuple[str, ...] = ()
    device_info_dirs: tuple[str, ...] = ()
    pfs: tuple[str, ...] = ()


class NodeFile(Value):
    """What the administrator of the node says."""

    path: str = ""  # "" when there is none
    defaults: Mapping[str, Any] = {}  # keys of the netconf, as written
    state_dir: str = STATE_DIR
    link_dir: str = LINK_DIR
    kubelet_dir: str = KUBELET_DIR
    allow: Allow | None = None  # None: nothing is bounded


def load(environ: Mapping[str, str], *, strict: bool = True) -> NodeFile:
    """Read the node file; without one, the defaults.

    `USERSPACE_CNI_CONF` names another path: the runtime's environment is
    root's. Raises InvalidConfigError with every mistake at once; with `strict`
    false (DEL, CHECK, GC) what is wrong counts as absent, and a file that
    cannot be believed allows nothing but the built-in defaults.
    """
    path = environ.get(VARIABLE) or DEFAULT_PATH
    problems = Problems()
    config = _read(path, problems)
    if config is not None:
        node = _parse(path, config, problems)
    else:  # a file that cannot be believed may have bounded; a file that is not there does not
        node = NodeFile(path=path, allow=Allow()) if problems.mistakes else NodeFile()
    if strict and problems.mistakes:
        count = len(problems.mistakes)
        raise InvalidConfigError(
            f"the node file {path} has {count} mistake{'s' * (count > 1)}",
            mistakes=problems.mistakes,
        )
    return node


def default(node: NodeFile, key: str) -> object:
    """Return the node file's default for a key of the netconf, None without one."""
    return next((value for name, value in node.defaults.items() if name.lower() == key.lower()), None)


def _read(path: str, problems: Problems) -> dict[str, Any] | None:
    """Return the file's object, None when there is no file or it is not to be believed."""
    try:
        config = loads(textfile.read(path, distrust=_distrust))
    except textfile.UnreadableError as error:
        if not error.missing:
            problems.mistakes.append(f"{path}: {error}")
        return None
    except JsonError as error:
        problems.mistakes.append(f"{path}: is no JSON: {error}")
        return None
    if not isinstance(config, dict):
        problems.mistakes.append(f"{path}: holds no JSON object")
        return None
    return config


def _distrust(status: os.stat_result) -> str:
    """Say why a file's word does not count, or return ""."""
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to uid {status.st_uid}; it has to be root's, for what it says is done as root"
    if status.st_mode & OTHERS_WRITE:
        return "can be written by its group or by others; chmod go-w it"
    return ""


def _parse(path: str, config: dict[str, Any], problems: Problems) -> NodeFile:
    source = fold(config, f"{path}: $", problems)
    getter = Getter([source], problems)
    own = {key.lower() for key in OWN}
    defaults = {key: value for folded, (key, _, value) in source.items() if folded not in own}
    if not COMMON.issuperset(defaults):
        _judge(source, problems)
    return NodeFile(
        path=path,
        defaults=defaults,
        state_dir=_directory(getter, "stateDir", STATE_DIR),
        link_dir=_directory(getter, "linkDir", LINK_DIR),
        kubelet_dir=_directory(getter, "kubeletDir", KUBELET_DIR),
        allow=_allow(getter),
    )


def _directory(getter: Getter, key: str, otherwise: str) -> str:
    return forms.squeezed(getter.text(key, otherwise, check=forms.directory))


def _allow(getter: Getter) -> Allow | None:
    """Return the bounds; whatever is wrong with them, they bound."""
    if getter.find("allow")[1] is MISSING:
        return None
    kinds = getter.child("allow")
    allow = Allow(
        shared_dirs=_texts(kinds, "sharedDirs", forms.directory),
        bridges=_texts(kinds, "bridges", forms.switch_name),
        databases=tuple(map(forms.plain_remote, _texts(kinds, "databases", forms.remote))),
        kubeconfigs=_texts(kinds, "kubeconfigs", forms.path),
        configuration_paths=_texts(kinds, "configurationPaths", forms.path),
        log_files=_texts(kinds, "logFiles", forms.path),
        device_info_dirs=_texts(kinds, "deviceInfoDirs", forms.directory),
        pfs=_texts(kinds, "pfs", forms.switch_name),
    )
    unknown = kinds.leftovers()
    if unknown:
        from cni_userspace.cni.mistakes import unknown_of

        getter.problems.mistakes += [
            unknown_of(key, where, kinds.asked.values()) for key, where, _ in unknown
        ]
    return allow


def _texts(getter: Getter, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
    found = []
    for path, item in getter.items(key):
        wrong = check(item) if isinstance(item, str) and item else "is no string with anything in it"
        if wrong:
            getter.problems.add(path, item, wrong)
        else:
            found.append(item)
    return tuple(found)


def _judge(source: Source, problems: Problems) -> None:
    """Find the keys that are neither the node file's nor settings of a netconf."""
    from cni_userspace import schema
    from cni_userspace.cni.mistakes import unknown_of

    settings = schema.node_keys()
    known = {key.lower() for key in (*OWN, *settings)}
    every = {key.lower() for key in schema.properties()}
    for folded, (key, path, _) in source.items():
        if folded in every and folded not in known:
            problems.mistakes.append(f"{path}: counts only in a network configuration, not for a whole node")
        elif folded not in known:
            problems.mistakes.append(unknown_of(key, path, [*OWN, *settings]))
