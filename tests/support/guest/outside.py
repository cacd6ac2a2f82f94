"""The guest's way to the machine that it runs on: a network device of QEMU's user network.

On the bus only where the guest was started with an invitation to a Kubernetes
API; a network device only while `outside` lasts, and without a route to
anywhere else.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.child import RigError
from tests.support.guest.nic import await_carrier, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "10.0.2.15/24"  # of QEMU's user network, where the machine's loopback is apiserver.QEMU_HOST
MAC = "52:54:00:00:09:00"
INTERFACES = "/sys/class/net"


@contextmanager
def outside() -> Iterator[None]:
    """Have the way while the context lasts. Raises RigError where there is none."""
    _run("modprobe", "virtio_net")
    settle()  # udev gives it another name
    try:
        name = _device()
        _run("ip", "address", "add", ADDRESS, "dev", name)
        _run("ip", "link", "set", name, "up")
        await_carrier(name)
        yield
    finally:
        _run("modprobe", "-r", "virtio_net")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _device() -> str:
    for name in os.listdir(INTERFACES):
        with open(os.path.join(INTERFACES, name, "address"), encoding="ascii") as file:
            if file.read().strip() == MAC:
                return name
    raise RigError("the guest has no way outside: it was started without a Kubernetes API")
