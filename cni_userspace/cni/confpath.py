"""The file that `configuration_path` names: the netconf's keys, behind the netconf.

Owns reading it. The path can come from a tenant, so what is in the file is
repeated in messages only where it is a key, or a known key's wrong value.
"""

from __future__ import annotations

from cni_userspace.cni import textfile
from cni_userspace.cni.getter import fold
from cni_userspace.jsontext import JsonError, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.getter import Problems, Source
    from cni_userspace.cni.nodefile import NodeFile


def read(path: str, node: NodeFile, problems: Problems) -> Source:
    """Return the file's keys, each with a path that names the file.

    What the node file does not allow is not read; `bounds.check` reports it.
    """
    from cni_userspace.cni import bounds

    if not bounds.allows_file(path, node):
        return {}
    try:
        value = loads(textfile.read(path))
        wrong = "" if isinstance(value, dict) else "holds no JSON object"
    except textfile.UnreadableError as error:
        wrong = str(error)
    except JsonError:  # its words repeat the file's, and a tenant may have chosen the file
        wrong = "is no JSON"
    if wrong:
        problems.add("$.configuration_path", path, wrong)
        return {}
    source = fold(value, f"{path}: $", problems)
    if "configuration_path" in source:
        _, where, nested = source.pop("configuration_path")
        problems.add(where, nested, "names another file; one is enough")
    return source
