"""`userspace validate` and `userspace schema`: a configuration judged before it is used.

Owns finding the network configurations in a file: a netconf, a list of
plugins, a NetworkAttachmentDefinition (alone, in a List, or among other
documents), as JSON or YAML. They are judged by the very parser that ADD uses,
by the JSON Schema, and by this node's bounds. Changes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from cni_userspace import engines, schema
from cni_userspace.cni import bounds, netconf, nodefile
from cni_userspace.errors import InvalidConfigError, PluginError
from cni_userspace.jsontext import JsonError, dumps, loads
from cni_userspace.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cni_userspace.cni.getter import Getter
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile

PLUGINS = ("userspace", netconf.SRIOV_TYPE)
NAD = "NetworkAttachmentDefinition"
RESOURCE = "k8s.v1.cni.cncf.io/resourceName"  # Multus then puts in the device that the kubelet allocated
SOME_DEVICE = "0000:00:00.0"
FROM_LIST = ("cniVersion", "name")  # what libcni copies from a list into each plugin


class Found(Value):
    """A network configuration and where it stands."""

    where: str  # "" for the file itself, else "document 2", "plugins[0]", a definition's name
    config: Mapping[str, Any] = {}
    mistake: str = ""  # why there is none
    note: str = ""  # why there need not be one
    resource: str = ""  # of a device plugin


class Verdict(Value):
    """What is to be said about one network configuration, or about a file."""

    file: str
    where: str = ""
    network: str = ""
    engine: str = ""
    mistakes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def run(files: Sequence[str], *, output: str = "text") -> int:
    """Judge the files ("-" is stdin); return 0 when all are valid, 1 otherwise.

    `output` is "text" or "json": {"valid", "nodeFile", "bounded", "results"}.
    """
    node = nodefile.load(os.environ)
    verdicts = [verdict for file in files for verdict in judge_file(file, node)]
    valid = not any(verdict.mistakes for verdict in verdicts)
    if output == "json":
        print(dumps(_report(verdicts, node, valid=valid), indent=2))
    else:
        print(_text(verdicts, node))
    return 0 if valid else 1


def print_schema(which: str = "netconf") -> int:
    """Print the JSON Schema of the netconf, or of the node file ("nodefile")."""
    print(dumps(schema.node_file() if which == "nodefile" else schema.netconf(), indent=2))
    return 0


def judge_file(file: str, node: NodeFile) -> list[Verdict]:
    """Judge every network configuration in a file."""
    try:
        documents = list(_documents(_text_of(file)))
    except OSError as error:
        return [Verdict(file=file, mistakes=(f"cannot be read: {error.strerror}",))]
    except UnicodeDecodeError:
        return [Verdict(file=file, mistakes=("is no UTF-8 text",))]
    except ValueError as error:
        return [Verdict(file=file, mistakes=(f"is {error}",))]
    verdicts = []
    for index, document in enumerate(documents):
        where = f"document {index + 1}" if len(documents) > 1 else ""
        verdicts += [judge(file, found, node) for found in _configurations(document, where)]
    if not any(verdict.network or verdict.mistakes for verdict in verdicts):
        nothing = "holds no network configuration of this plugin"
        verdicts.append(Verdict(file=file, mistakes=(nothing,)))
    return verdicts


def judge(file: str, found: Found, node: NodeFile) -> Verdict:
    """Judge one network configuration: parser, bounds, schema."""
    if not found.config and (found.mistake or found.note):
        mistakes, notes = (tuple(filter(None, [said])) for said in (found.mistake, found.note))
        return Verdict(file=file, where=found.where, mistakes=mistakes, notes=notes)
    said = Verdict(file=file, where=found.where, network=str(found.config.get("name") or netconf.UNNAMED))
    config = found.config
    if _device_later(found):
        config = {**config, "deviceID": SOME_DEVICE, "pciBusID": SOME_DEVICE}
    try:
        conf = netconf.parse(config, {}, node, strict=True, engine_parser=_options)
    except InvalidConfigError as error:
        return said.replace(mistakes=error.mistakes)
    except PluginError as error:
        return said.replace(mistakes=(": ".join(filter(None, (error.msg, error.details))),))
    wrong = bounds.violations(conf, node) or schema.mistakes(config, schema.netconf())
    return said.replace(engine=conf.engine, mistakes=tuple(wrong), notes=tuple(_notes(found, conf, node)))


def _device_later(found: Found) -> bool:
    """Tell whether the runtime puts the device in: for a resource, or by the capability of that name."""
    asked = found.config.get("capabilities")
    return bool(found.resource or (isinstance(asked, dict) and asked.get("deviceID") is True))


def _options(engine: str, getter: Getter) -> Value:
    return engines.load(engine).parse_options(getter)


def _notes(found: Found, conf: NetConf, node: NodeFile) -> Iterator[str]:
    keys = {key.lower() for key in found.config}
    if {"vlan", "trunk"} <= keys:
        yield "`vlan` beside `trunk` is the native VLAN; ovs-cni ignores it there"
    if _device_later(found):
        resource = found.resource or "that its definition names"
        yield f"judged as with the PCI device that Multus puts in for the resource {resource}"
    if conf.type == netconf.SRIOV_TYPE:
        yield f"`type` {conf.type}: this plugin serves it where that file in CNI_PATH is a link to it"
    if conf.engine == "sriov" and node.allow is not None:
        yield "whether `allow.pfs` lists the PF is judged by ADD, which looks at the device"
    if getattr(conf.options, "dpdk", False):
        yield (
            "`dpdk` binds the device during ADD, "
            "too late for the kubelet to give /dev/vfio to a pod without privileges"
        )


def _text_of(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    with open(file, encoding="utf-8") as opened:
        return opened.read()


def _documents(text: str) -> Iterator[Any]:
    """Yield the documents of a text: one of JSON, or several of YAML."""
    try:
        yield loads(text)
    except JsonError as error:
        import yaml

        if text.lstrip().startswith("{"):  # meant as JSON, and its words are the better ones
            raise ValueError(f"no JSON: {error}") from None
        try:
            documents = [document for document in yaml.safe_load_all(text) if document is not None]
        except yaml.YAMLError as wrong:
            raise ValueError(f"neither JSON nor YAML: {wrong}") from None
        except RecursionError:
            raise ValueError("neither JSON nor YAML: nested too deeply") from None
        for document in documents:
            yield loads(json.dumps(document, default=str))  # dates, numbers as keys


def _configurations(document: Any, where: str) -> Iterator[Found]:  # noqa: ANN401  any JSON value
    """Yield the network configurations of a document."""
    if not isinstance(document, dict):
        yield Found(where=where, mistake="holds no object")
        return
    kind = document.get("kind")
    if isinstance(kind, str) and kind.endswith("List"):
        items = document.get("items") or []
        if not isinstance(items, list):
            yield Found(where=where, mistake="`items` is no list")
            return
        for index, item in enumerate(items):
            yield from _configurations(item, f"{where} items[{index}]".lstrip())
    elif kind == NAD:
        yield from _definition(document, where)
    elif kind is not None and "apiVersion" in document:
        yield Found(where=where, note=f"a {kind} holds no network configuration")
    elif "plugins" in document:
        yield from _plugins(document, where)
    else:
        yield Found(where=where, config=document)


def _definition(document: dict[str, Any], where: str) -> Iterator[Found]:
    metadata, spec = document.get("metadata"), document.get("spec")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, annotations = str(metadata.get("name", "")), metadata.get("annotations")
    resource = str(annotations.get(RESOURCE, "")) if isinstance(annotations, dict) else ""
    where = f"{where} {NAD} {name}".strip()
    text = spec.get("config") if isinstance(spec, dict) else None
    if not text:
        yield Found(where=where, note="no `spec.config`: Multus looks for a file of that name on the node")
        return
    try:
        config = loads(text) if isinstance(text, str) else None
    except JsonError as error:
        yield Found(where=where, mistake=f"`spec.config` is no JSON: {error}")
        return
    if not isinstance(config, dict):
        yield Found(where=where, mistake="`spec.config` is no text with a JSON object")
        return
    if not config.get("name"):  # Multus puts in the definition's name
        config["name"] = name
    for found in _configurations(config, where):
        yield found.replace(resource=resource)


def _plugins(document: dict[str, Any], where: str) -> Iterator[Found]:
    """Yield this plugin's configurations of a list, completed as libcni does."""
    plugins = document["plugins"]
    if not isinstance(plugins, list) or not all(isinstance(plugin, dict) for plugin in plugins):
        yield Found(where=where, mistake="`plugins` is no list of objects")
        return
    shared = {key: document[key] for key in FROM_LIST if key in document}
    ours = [(index, plugin) for index, plugin in enumerate(plugins) if plugin.get("type") in PLUGINS]
    if not ours:
        yield Found(where=where, note=f"a list without a plugin of type {' or '.join(PLUGINS)}")
    for index, plugin in ours:
        yield Found(where=f"{where} plugins[{index}]".lstrip(), config={**plugin, **shared})


def _report(verdicts: Sequence[Verdict], node: NodeFile, *, valid: bool) -> dict[str, Any]:
    return {
        "valid": valid,
        "nodeFile": node.path,
        "bounded": node.allow is not None,
        "results": [
            {**v.as_dict(), "mistakes": list(v.mistakes), "notes": list(v.notes), "valid": not v.mistakes}
            for v in verdicts
        ],
    }


def _text(verdicts: Sequence[Verdict], node: NodeFile) -> str:
    lines = []
    for verdict in verdicts:
        place = f"{verdict.file}: {verdict.where}: " if verdict.where else f"{verdict.file}: "
        if not verdict.mistakes and not verdict.network:
            lines += [f"{place}skipped: {note}" for note in verdict.notes]
            continue
        state = f"valid, engine {verdict.engine}" if not verdict.mistakes else "not valid"
        lines.append(f"{place}{verdict.network or 'no network'}: {state}")
        lines += [f"  {mistake}" for mistake in verdict.mistakes]
        lines += [f"  note: {note}" for note in verdict.notes]
    return "\n".join([*lines, _bounded(node)])


def _bounded(node: NodeFile) -> str:
    place = os.environ.get(nodefile.VARIABLE) or nodefile.DEFAULT_PATH
    if not node.path:
        there = os.path.islink(place)
        said = f"The node file {place} is a link to nothing" if there else f"No node file at {place}"
        return f"{said}: on this node nothing bounds what a network configuration may name."
    if node.allow is None:
        return f"The node file {place} has no `allow`: nothing bounds what a network configuration may name."
    return f"Bounded by `allow` in the node file {place}."
