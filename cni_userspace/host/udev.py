"""udev: when it has done with a network device that has just appeared.

Owns the wait for it. udev works on a new device after the kernel has announced
it: it may set the MAC of one that has a random one, then renames it (seen with
systemd 252: 0.1 to 0.4 s after igbvf had made the device, which is first
`eth0`, then has its later name as an alternative name, then has it). Whoever
sets name or MAC before that is overridden. Where no udev runs, as in most
containers, there is nothing to wait for.

When it has done, it writes the device's file in its database, then tells the
second multicast group of NETLINK_KOBJECT_UEVENT (libudev's monitor; systemd,
src/udev/udev-event.c and src/libsystemd/sd-device/device-monitor.c).
"""

from __future__ import annotations

import _socket
import os
from select import POLLIN, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.host.deadline import Deadline

RUN = "/run/udev"
NETLINK_KOBJECT_UEVENT = 15  # linux/netlink.h
UDEV_GROUP = 2  # the kernel's own messages are in group 1
_MESSAGE_BYTES = 8192


def await_netdev(index: int, deadline: Deadline, run: str = RUN) -> bool:
    """Wait until udev has done with the new network device of that index; tell whether it has.

    True at once where no udev runs; False at the deadline. The device must be
    in the namespace of this process and of udev, and must not have had the
    index before: udev forgets one that went in its own time.
    """
    if not os.path.exists(f"{run}/control"):
        return True
    told = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)
    try:
        told.bind((0, UDEV_GROUP))
        told.settimeout(0)
        events = poll()
        events.register(told, POLLIN)
        while not os.path.exists(f"{run}/data/n{index}"):
            events.poll(deadline.remaining() * 1000)
            _drain(told)
    except TimeoutError:
        return False
    finally:
        told.close()
    return True


def _drain(told: _socket.socket) -> None:
    """Read what is there; what it says is in the database, too."""
    try:
        while told.recv(_MESSAGE_BYTES):
            pass
    except OSError:  # EAGAIN: no more; ENOBUFS: more than was kept
        pass
