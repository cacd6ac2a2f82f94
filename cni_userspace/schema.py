"""The JSON Schema of the netconf and of the node file: read, assembled, printed, applied.

Owns the published form of both. The generic keys are described in
cni/*.schema.json, each engine's own in engines/*/netconf.schema.json; one
schema is assembled of them. The ADD path never comes here unless a mistake
was made: the parsers of `cni.netconf` and of the engines are the fast form of
the same rules, and a test holds the two to the same verdicts.

Annotations: x-node (the node file may set a default), x-origin (who invented
the key), x-group (the part of the reference), x-shown (the type in words),
x-fold (any case of the value), x-engine (the engine's name; on a generic key
the one engine that it belongs to), x-when (which networks are an engine's).
"""

from __future__ import annotations

import os

from cni_userspace.jsontext import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Schema = dict[str, Any]

HERE = os.path.dirname(__file__)
NETCONF_FILE = "netconf.schema.json"
NETCONF_ID = "urn:cni-userspace:netconf"
NODE_ID = "urn:cni-userspace:nodefile"


def _read(*path: str) -> Schema:
    with open(os.path.join(HERE, *path), encoding="utf-8") as file:
        schema: Schema = loads(file.read())
    return schema


def engines() -> dict[str, Schema]:
    """Return the schema of each engine by its name."""
    folder = os.path.join(HERE, "engines")
    files = [(entry, os.path.join(folder, entry, NETCONF_FILE)) for entry in sorted(os.listdir(folder))]
    schemas = [_read("engines", entry, NETCONF_FILE) for entry, path in files if os.path.exists(path)]
    return {schema["x-engine"]: schema for schema in schemas}


def properties() -> dict[str, Schema]:
    """Return every key of a netconf with its schema, the engines' keys last."""
    return _with_those_of(engines(), _read("cni", NETCONF_FILE)["properties"])


def _with_those_of(parts: dict[str, Schema], generic: Schema) -> dict[str, Schema]:
    """Add the engines' keys; what several have is one key, described for each of them."""
    found = dict(generic)
    for name, part in parts.items():
        for key, value in part["properties"].items():
            others = [other for other, p in parts.items() if key in p["properties"] and other != name]
            words = f"With {name}: {value['description']}" if others else value["description"]
            before = f"{found[key]['description']} " if key in found else ""
            found[key] = {**value, "description": before + words}
    return found


def keys_of_one_engine() -> dict[str, list[str]]:
    """Return, for each engine, the keys that no other has, the generic ones that mean it among them."""
    parts, generic = engines(), _read("cni", NETCONF_FILE)["properties"]
    found = {name: [k for k, v in generic.items() if v.get("x-engine") == name] for name in parts}
    for name, part in parts.items():
        others = {key for other, p in parts.items() if other != name for key in p["properties"]}
        found[name] += [key for key in part["properties"] if key not in others]
    return found


def node_keys() -> list[str]:
    """Return the keys of a netconf that the node file may set."""
    return [key for key, schema in properties().items() if schema.get("x-node")]


def netconf() -> Schema:
    """Return the schema of a network configuration."""
    schema = _read("cni", NETCONF_FILE)
    parts = engines()
    schema = {"$schema": schema.pop("$schema"), "$id": NETCONF_ID, **schema}
    schema["properties"]["engine"]["enum"] = ["", *parts]
    schema["properties"] = _with_those_of(parts, schema["properties"])
    for part in parts.values():
        schema["allOf"] += part["allOf"]
        schema["$defs"].update(part["$defs"])
    for name, own in keys_of_one_engine().items():
        none = {"propertyNames": {"not": {"enum": own}}}
        schema["$defs"][f"no-key-of-{name}"] = none
        rule = {"description": f"Keys of {name} do not go with another engine.", "if": parts[name]["x-when"]}
        schema["allOf"].append({**rule, "else": {"$ref": f"#/$defs/no-key-of-{name}"}})
    return schema


def node_file() -> Schema:
    """Return the schema of the node file."""
    schema, network = _read("cni", "nodefile.schema.json"), netconf()
    schema = {"$schema": schema.pop("$schema"), "$id": NODE_ID, **schema}
    for key, value in network["properties"].items():
        if value.get("x-node"):
            schema["properties"][key] = value
    schema["$defs"] = {**network["$defs"], **schema["$defs"]}
    return schema


def canonical(value: Any, schema: Schema) -> Any:  # noqa: ANN401  any JSON value
    """Return a configuration as the schema spells it.

    Go programs match keys without case, and an empty string is an absent key:
    JSON Schema knows neither rule.
    """
    return _canonical(value, schema, schema["$defs"])


def _canonical(value: Any, schema: Schema, defs: Schema) -> Any:  # noqa: ANN401
    parts = list(_parts(schema, defs))
    if isinstance(value, list):
        items: Schema = next((part["items"] for part in parts if "items" in part), {})
        return [_canonical(item, items, defs) for item in value]
    if not isinstance(value, dict):
        folds = isinstance(value, str) and any(part.get("x-fold") for part in parts)
        return value.lower() if folds else value
    known: dict[str, Schema] = {}
    for part in reversed(parts):  # what stands beside a $ref counts first
        known.update(part.get("properties", {}))
    spelled = {key.lower(): key for key in known}
    found = {}
    for key, item in value.items():
        name = str(spelled.get(key.lower(), key))
        if item == "" and name in known and _may_be_empty(known[name], defs):
            continue
        found[name] = _canonical(item, known.get(name, {}), defs)
    return found


def _parts(schema: Schema, defs: Schema) -> Iterable[Schema]:
    yield schema
    if "$ref" in schema:
        yield from _parts(defs[schema["$ref"].rpartition("/")[2]], defs)


def _may_be_empty(schema: Schema, defs: Schema) -> bool:
    parts = list(_parts(schema, defs))
    return any("string" in part.get("type", ()) or "" in part.get("enum", ()) for part in parts)


def mistakes(config: Any, schema: Schema) -> list[str]:  # noqa: ANN401  any JSON value
    """Return what the schema says against a configuration, one line each; none if it is valid."""
    from jsonschema import Draft202012Validator

    found = Draft202012Validator(schema).iter_errors(canonical(config, schema))
    return sorted(f"{error.json_path}: {error.message}" for error in found)
