"""The file that `configuration_path` names: the netconf's keys, behind the netconf.

Owns reading it. The path can come from a tenant, so the file is opened
without waiting (a FIFO), read to a bound, and what is in it is repeated in
messages only where it is a key's wrong value.
"""

from __future__ import annotations

import os

from cni_userspace.cni.getter import fold
from cni_userspace.jsontext import JsonError, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.getter import Problems, Source
    from cni_userspace.cni.nodefile import NodeFile

BYTES = 1 << 20
FILE_TYPE = 0o170000  # S_IFMT and S_IFREG of stat(2), without importing `stat`
REGULAR = 0o100000


def read(path: str, node: NodeFile, problems: Problems) -> Source:
    """Return the file's keys, each with a path that names the file.

    What the node file does not allow is not read; `bounds.check` reports it.
    """
    from cni_userspace.cni import bounds

    if not bounds.allows_file(path, node):
        return {}
    text, wrong = regular_file(path)
    if not wrong:
        try:
            value = loads(text)
        except JsonError:
            wrong = "is no JSON"
        else:
            wrong = "" if isinstance(value, dict) else "holds no JSON object"
    if wrong:
        problems.add("$.configuration_path", path, wrong)
        return {}
    source = fold(value, f"{path}: $", problems)
    if "configuration_path" in source:
        _, where, nested = source.pop("configuration_path")
        problems.add(where, nested, "names another file; one is enough")
    return source


def regular_file(path: str) -> tuple[str, str]:
    """Return the text of a file, and what is wrong with it ("" if nothing)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    try:
        if os.fstat(descriptor).st_mode & FILE_TYPE != REGULAR:
            return "", "is no regular file"
        data = os.read(descriptor, BYTES + 1)
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    if len(data) > BYTES:
        return "", "is longer than a configuration can be"
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return "", "is no UTF-8 text"
