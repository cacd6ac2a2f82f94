"""The command `userspace`: the plugin for a runtime, the operator's command for a person.

Owns the choice between the two, by CNI_COMMAND, and nothing else.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the program; return its exit code."""
    if "CNI_COMMAND" in os.environ:
        from cni_userspace import plugin

        return plugin.main()
    from cni_userspace.node import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
