"""The kubeconfig's dangers: whether reading it would run a program.

client-go runs what `users[].user.exec` or `auth-provider` names; whoever uses
such a file for this plugin would run it as root. The file's text is never
repeated in a message: its path may have been chosen to have it shown.
"""

from __future__ import annotations

from cni_userspace.cni import textfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PROGRAMS = ("exec", "auth-provider")
SUSPICIOUS = (*PROGRAMS, "\\", "!", "\0")  # without these (escapes, tags) YAML cannot spell those keys


def runs_programs(path: str) -> str:
    """Say why a kubeconfig is not to be used, "" if it runs nothing or does not exist."""
    try:
        text = textfile.read(path)
    except textfile.UnreadableError as error:
        return "" if error.missing else str(error)
    lowered = text.lower()
    if not any(word in lowered for word in SUSPICIOUS):
        return ""
    return _programs(text)


def _programs(text: str) -> str:
    import yaml  # 11 ms; only for a file that may hide something

    try:
        found = {key for document in yaml.compose_all(text, yaml.SafeLoader) for key in _keys(document)}
    except (yaml.YAMLError, ValueError, RecursionError):
        return "cannot be understood, so whether it runs programs is unknown"
    for name in sorted(found):
        if name.lower() in PROGRAMS:
            return f"makes its reader run a program (`{name}`), and that would be root's"
    return ""


def _keys(document: Any) -> Iterator[str]:  # noqa: ANN401  PyYAML's nodes
    """Yield every key of a document, however deep, repeated ones too."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:  # anchors can make loops
            continue
        seen.add(id(node))
        if node.id == "sequence":
            waiting.extend(node.value)
        elif node.id == "mapping":
            for key, value in node.value:
                yield _name(key)
                waiting += (key, value)


def _name(key: Any) -> str:  # noqa: ANN401  PyYAML's nodes
    """Return a key as a program would read it: `!!binary ZXhlYw==` is exec."""
    if key.id != "scalar":
        return ""
    if not key.tag.endswith("binary"):
        return str(key.value)
    from base64 import b64decode

    return b64decode(key.value).decode("utf-8", "replace")
