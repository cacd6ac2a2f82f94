"""Bounds: what the node file lets a netconf name.

A NetworkAttachmentDefinition can be written by a tenant, and its keys act as
root on the node. With `allow` in the node file, a netconf may name what is
listed there, the node file's own defaults and the built-in ones; without it,
nothing is bounded. One rule stands always: a kubeconfig whose users run
programs is refused, for it would run them as root.

A path is compared as a whole, with what is listed and with where the links in
what is listed lead: a directory inside an allowed one is another directory.
Links in what a netconf names count for nothing. A tenant can make some, in a
volume, and could turn them elsewhere between this judgement and the work.
"""

from __future__ import annotations

import os

from cni_userspace.cni import forms
from cni_userspace.cni.getter import shown
from cni_userspace.cni.netconf import DEFAULT_SHARED_DIR
from cni_userspace.cni.nodefile import default
from cni_userspace.errors import BoundsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import Allow, NodeFile

# Where Multus has the file (NPWG device-info-spec 1.1.0). A runtime overwrites runtimeConfig only
# where it has something to say, so a tenant may have written it.
DEVICE_INFO_DIR = "/var/run/k8s.cni.cncf.io/devinfo/cni"
BOUNDED = (  # kind in `allow`, key, field of NetConf, built-in default
    ("sharedDirs", "sharedDir", "shared_dir", DEFAULT_SHARED_DIR),
    ("kubeconfigs", "kubeconfig", "kubeconfig", ""),
    ("configurationPaths", "configuration_path", "configuration_path", ""),
    ("logFiles", "logFile", "log_file", ""),
    ("deviceInfoDirs", "runtimeConfig.CNIDeviceInfoFile", "device_info_file", DEVICE_INFO_DIR),
)
FIELDS = {  # the kind in `allow` -> the field of Allow
    "sharedDirs": "shared_dirs",
    "bridges": "bridges",
    "databases": "databases",
    "kubeconfigs": "kubeconfigs",
    "configurationPaths": "configuration_paths",
    "logFiles": "log_files",
    "deviceInfoDirs": "device_info_dirs",
}


def check(conf: NetConf, node: NodeFile) -> None:
    """Raise BoundsError for everything that the node file does not allow, all at once.

    Call it after a strict `netconf.parse` and before anything is done.
    """
    found = violations(conf, node)
    if found:
        raise BoundsError(
            "the network configuration names what this node does not allow",
            details="; ".join(found),
            hint=f"`allow` in {node.path} says what it may name" if node.allow else "",
        )


def violations(conf: NetConf, node: NodeFile) -> list[str]:
    """Return one line for each thing that is not allowed, with its key."""
    return [f"`{key}`: {shown(value)} {why}" for key, value, why, _ in _refused(conf, node)]


def clamped(conf: NetConf, node: NodeFile, defaults: Callable[[], NetConf]) -> NetConf:
    """Return a configuration with the defaults where it names what is not allowed.

    For the commands that must not fail for a mistake: a runtime calls DEL after
    an ADD that was refused, with the same configuration. `defaults` parses a
    configuration that says nothing.
    """
    refused = _refused(conf, node)
    if not refused:
        return conf
    plain = defaults()
    fields = {field for _, _, _, field in refused}
    engine = {field: getattr(plain.options, field) for field in fields if not hasattr(conf, field)}
    generic = {field: getattr(plain, field) for field in fields if hasattr(conf, field)}
    if "kubeconfig" in fields:
        generic["kubeconfig"] = ""  # the node file's own may be the one that runs programs
    return conf.replace(**generic, options=conf.options.replace(**engine))


def _refused(conf: NetConf, node: NodeFile) -> list[tuple[str, str, str, str]]:
    """Return (key, value, why, field) of what is not allowed."""
    own = getattr(conf.options, "BOUNDED", ())
    found = []
    for source, table in ((conf, BOUNDED), (conf.options, own)):
        for kind, key, field, built_in in table:
            value = getattr(source, field)
            why = _why_not(kind, key, value, built_in, node) if value else ""
            if why:
                found.append((key, value, why, field))
    return found


def _why_not(kind: str, key: str, value: str, built_in: str, node: NodeFile) -> str:
    if not _allowed(kind, key, value, built_in, node):
        return f"is not among `allow.{kind}`"
    if kind != "kubeconfigs":
        return ""
    from cni_userspace.cni import kubeconfig  # only where one is named

    return kubeconfig.runs_programs(value)


def refuse_pf(names: tuple[str, ...], node: NodeFile) -> None:
    """Raise BoundsError unless the node file allows a PF, known by netdev name and PCI address.

    `names` are all that the PF has; one of them has to be listed. A PCI address
    is in lower case with its domain (`forms.pci`).
    """
    if node.allow is None:
        return
    known = list(filter(None, names))
    wanted = [forms.pci(pattern) or pattern for pattern in node.allow.pfs]
    wanted += [pattern.lower() for pattern in wanted if ":" in pattern]
    if not any(_matches(name, pattern) for name in known for pattern in wanted):
        raise BoundsError(
            "the network configuration needs a PF that this node does not allow",
            details=f"{' = '.join(map(shown, known))} is not among `allow.pfs`",
            hint=f"`allow` in {node.path} says what it may name",
        )


def allows_file(path: str, node: NodeFile) -> bool:
    """Tell whether `configuration_path` may name this file."""
    return _allowed("configurationPaths", "configuration_path", path, "", node)


def _allowed(kind: str, key: str, value: str, built_in: str, node: NodeFile) -> bool:
    if node.allow is None:
        return True
    if kind == "deviceInfoDirs":
        value = os.path.dirname(value)
    set_here = default(node, key)
    more = [text for text in (built_in, set_here) if text and isinstance(text, str)]
    if kind == "bridges":
        return value in more or any(_matches(value, pattern) for pattern in _listed(node.allow, kind))
    named = _path(value)
    return any(
        named in (path, os.path.realpath(path)) for path in map(_path, (*more, *_listed(node.allow, kind)))
    )


def _listed(allow: Allow, kind: str) -> Iterable[str]:
    return getattr(allow, FIELDS[kind])  # type: ignore[no-any-return]  # every field is a tuple of strings


def _path(text: str) -> str:
    """Return a path, or the one in a database's address; a tcp: address stays as it is."""
    path = text.removeprefix("unix:")
    return forms.squeezed(path) if path.startswith("/") else path


def _matches(name: str, pattern: str) -> bool:
    if not any(c in pattern for c in "*?["):
        return name == pattern
    if "[" in pattern or "?" in pattern or pattern.count("*") > 1:
        from fnmatch import fnmatchcase  # imports `re`: only for rare patterns

        return fnmatchcase(name, pattern)
    head, _, tail = pattern.partition("*")
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)
