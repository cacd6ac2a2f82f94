"""A small machine with SR-IOV: QEMU's emulated Intel igb under Debian's stock kernel.

`python -m tests.support.guest [pytest arguments]` runs tests/sriov in it,
`python -m tests.support.guest --shell COMMAND...` any command. The guest sees
this machine's own files, at their own paths, as they are now; what it writes
stays in its memory and is gone with it. Must never leave a process or a file.
"""
