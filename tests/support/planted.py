"""What a hostile container plants where root will work, and whether anything behind it came to harm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.plugin import Plugin


def plant(what: str, path: str, plugin: Plugin) -> None:
    """Put something hostile under a name."""
    if what == "file":
        with open(path, "w", encoding="utf-8") as file:
            file.write("planted")
    elif what == "directory":
        os.makedirs(f"{path}/planted")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "dangling link":
        os.symlink("/nowhere/at/all", path)
    else:
        os.makedirs(victim(plugin), exist_ok=True)
        with open(f"{victim(plugin)}/precious", "w", encoding="utf-8") as file:
            file.write("precious")
        os.symlink(victim(plugin), path)


def victim(plugin: Plugin) -> str:
    """Return the directory that a planted link leads to."""
    return f"{plugin.directory}/victim"


def unharmed(plugin: Plugin) -> bool:
    """Tell whether the directory that a planted link leads to is as it was."""
    if not os.path.isdir(victim(plugin)):
        return True
    with open(f"{victim(plugin)}/precious", encoding="utf-8") as file:
        return file.read() == "precious" and os.listdir(victim(plugin)) == ["precious"]
