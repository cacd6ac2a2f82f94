"""The package in a virtual environment of its own, as pip lays it down.

An environment for development is no measure of a start: its editable install
and its tools' .pth files import 15 ms worth of modules (re, enum, pathlib)
before the plugin begins, and would hide what the plugin imports itself.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import sysconfig
import venv

import cni_userspace
from tests.support.child import RigError


def installed(directory: str) -> str:
    """Make the environment in an empty directory; return its interpreter. Raises RigError."""
    venv.create(directory, with_pip=False, symlinks=True)
    library = sysconfig.get_path("purelib", "venv", vars={"base": directory})
    target = os.path.join(library, "cni_userspace")
    source = os.path.dirname(cni_userspace.__file__)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    if not compileall.compile_dir(target, quiet=1):
        raise RigError(f"{target} does not compile for {sys.version}")
    return os.path.join(directory, "bin", "python")
