"""What the guest's kernel starts with: busybox, the modules that mount the root, and the job.

Owns the archive alone (newc of cpio(5), which the kernel unpacks; Documentation
/driver-api/early-userspace/buffer-format.rst). Debian's kernel has nearly
everything as modules, so even the root's file system must be in here.
"""

from __future__ import annotations

import lzma
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = ("virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay")
FOLDERS = ("bin", "dev", "lib", "proc", "base", "upper", "new")
DIRECTORY, FILE = 0o040755, 0o100755
TRAILER = "TRAILER!!!"


class NoKernelError(Exception):
    """The machine lacks a kernel, a module or busybox; the text says which."""


def archive(version: str, job: str, busybox: str) -> bytes:
    """Return the archive for a kernel version; `job` is the script that the root runs as its init."""
    parts = [_entry(name, DIRECTORY) for name in FOLDERS]
    modules = module_files(version)
    names = [os.path.basename(path).removesuffix(".xz") for path in modules]
    parts += [_entry(f"lib/{n}", FILE, _module(p)) for n, p in zip(names, modules, strict=True)]
    parts.append(_entry("lib/order", FILE, " ".join(names).encode()))
    parts.append(_entry("bin/busybox", FILE, _read(busybox)))
    parts.append(_entry("init", FILE, _read(os.path.join(HERE, "init"))))
    parts.append(_entry("job", FILE, job.encode()))
    parts.append(_entry(TRAILER, 0))
    return b"".join(parts)


def module_files(version: str) -> list[str]:
    """Return the files of the modules in the order of loading. Raises NoKernelError."""
    found: dict[str, None] = {}
    for name in MODULES:
        command = ["modprobe", "--set-version", version, "--show-depends", name]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NoKernelError(f"kernel {version} has no module {name}: {done.stderr.strip()}")
        lines = (line.split() for line in done.stdout.splitlines())
        found.update(dict.fromkeys(words[1] for words in lines if words[0] == "insmod"))
    return list(found)


def _module(path: str) -> bytes:
    """Return a module as busybox' insmod takes it; Debian compresses them from 13 on."""
    return lzma.decompress(_read(path)) if path.endswith(".xz") else _read(path)


def _entry(name: str, mode: int, content: bytes = b"") -> bytes:
    """Return one file of the archive; everything in it is aligned to four bytes."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return _aligned(head) + _aligned(content)


def _aligned(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
