"""The guest's hardware: QEMU's command line.

What later tests find there, by PCI address:
two igb, each behind a root port of its own and so in IOMMU groups of their own
(01:00.0 and 02:00.0), wired to each other; two e1000 behind a conventional
bridge, which share one IOMMU group (04:01.0, 04:02.0); their driver is not
loaded; where wanted, a virtio device that leads to this machine (outside.py).
"""

from __future__ import annotations

import glob
import os
import re

from tests.support.guest import outside
from tests.support.guest.initramfs import NoKernelError

QEMU = "qemu-system-x86_64"
MEMORY = "2G"
# Without what costs an emulation more than it gains: a fifth level of page tables,
# and string instructions that work by bytes where others work by words.
PROCESSOR = "max,la57=off,erms=off,fsrm=off"
CPUS = 2
# On a busy host an emulated timer is late, and the kernel would panic ("timer
# doesn't work through Interrupt-remapped IO-APIC"): no_timer_check. Protection
# from attacks costs half of the speed: mitigations, init_on_alloc. Without
# tsc the clock is an emulated device. panic=-1 resets, which -no-reboot makes
# the end.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=4 panic=-1 no_timer_check mitigations=off init_on_alloc=0 audit=0 nokaslr"
    " tsc=reliable intel_iommu=on iommu=pt"
)


def kernel() -> tuple[str, str]:
    """Return path and version of the newest kernel with igb. Raises NoKernelError."""
    versions = [path.removeprefix("/boot/vmlinuz-") for path in glob.glob("/boot/vmlinuz-*")]
    fit = [v for v in versions if glob.glob(f"/lib/modules/{v}/kernel/drivers/net/ethernet/intel/igbvf/*")]
    if not fit:
        raise NoKernelError("no kernel with igb in /boot (apt-get install linux-image-amd64)")
    newest = max(fit, key=lambda v: [int(n) for n in re.findall(r"\d+", v)])
    return f"/boot/vmlinuz-{newest}", newest


def command(kernel_path: str, initrd: str, directory: str, *, way_outside: bool) -> list[str]:
    """Return QEMU's command line; its files are in `directory`, the job's output is its stdout."""
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-name", "sriov-guest"),
        *("-machine", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR),
        *("-smp", str(CPUS), "-m", MEMORY),
        *("-kernel", kernel_path, "-initrd", initrd, "-append", KERNEL_ARGUMENTS),
        *("-serial", f"file:{os.path.join(directory, 'console')}"),
        *("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=root,mount_tag=root"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", "file,id=output,path=/proc/self/fd/1"),
        *("-device", "virtserialport,name=output_port,chardev=output"),
        *("-chardev", f"file,id=status,path={os.path.join(directory, 'status')}"),
        *("-device", "virtserialport,name=status_port,chardev=status"),
        *("-device", "intel-iommu,intremap=on"),
        *_nics(),
        *(_way_outside() if way_outside else ()),
    ]


def _nics() -> list[str]:
    return [
        *("-device", "pcie-root-port,id=port1,chassis=1,bus=pcie.0,addr=10"),
        *("-device", "pcie-root-port,id=port2,chassis=2,bus=pcie.0,addr=11"),
        *("-device", "pcie-root-port,id=port3,chassis=3,bus=pcie.0,addr=12"),
        *("-device", "pcie-pci-bridge,id=bridge,bus=port3"),
        *("-device", "igb,bus=port1,netdev=wire1,mac=52:54:00:00:01:00"),
        *("-device", "igb,bus=port2,netdev=wire2,mac=52:54:00:00:02:00"),
        *("-device", "e1000,bus=bridge,addr=1,netdev=wire3,mac=52:54:00:00:03:00"),
        *("-device", "e1000,bus=bridge,addr=2,netdev=wire4,mac=52:54:00:00:04:00"),
        *("-netdev", "hubport,id=wire1,hubid=1", "-netdev", "hubport,id=wire2,hubid=1"),
        *("-netdev", "hubport,id=wire3,hubid=2", "-netdev", "hubport,id=wire4,hubid=2"),
    ]


def _way_outside() -> list[str]:
    return [
        *("-netdev", "user,id=outside,ipv6=off"),
        *("-device", f"virtio-net-pci,netdev=outside,mac={outside.MAC},romfile="),
    ]
