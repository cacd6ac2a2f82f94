"""The repository as its own tests see it: what git knows of it, new files included."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cni_userspace"


def files(*patterns: str) -> list[Path]:
    """Return the files that are tracked, or new and not ignored; patterns are git's."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run([*command, "--", *patterns], check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in told.split("\0") if name]
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def shown(path: Path) -> str:
    """Return a file's path within the repository."""
    return str(path.relative_to(ROOT))
