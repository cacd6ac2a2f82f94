"""A small machine with SR-IOV: QEMU's emulated Intel igb under Debian's stock kernel.

`python -m tests.support.guest [pytest arguments]` runs tests/sriov in it,
`python -m tests.support.guest --shell COMMAND...` any command. The guest sees
this machine's own files, at their own paths, as they are now; what it writes
stays in its memory and is gone with it. Must never leave a process or a file.
"""

from __future__ import annotations

import os

FIRST_PF, SECOND_PF = "0000:01:00.0", "0000:02:00.0"
SHARING_A_GROUP = ("0000:04:01.0", "0000:04:02.0")
SIGN = "/run/sriov-guest"
SHARE = "USERSPACE_TESTS_SHARE"  # "0/2": the first half of the tests is this guest's
API_TESTS = "test_arm.py"  # the first guest's, all of them: it alone has a Kubernetes API


def inside() -> bool:
    """Tell whether this is the guest."""
    return os.path.exists(SIGN)
