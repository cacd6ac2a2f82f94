"""Errors: one class per decision that somebody can take.

Each carries its CNI code, one sentence, details (what was tried, on what, the
answer) and a hint (the way out). Nothing here prints: `plugin` and
`node.cli` each turn an error into their program's output, at one place.
Codes: CNI specification 1.1.0, section "Error"; 100 and above are our own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class PluginError(Exception):
    """An error that a user reads. Raise a subclass; `code` is the CNI code."""

    code = 100

    def __init__(self, msg: str, *, details: str = "", hint: str = "") -> None:
        """Keep one sentence, what was tried and answered, and the way out."""
        super().__init__(msg)
        self.msg = msg
        self.details = details
        self.hint = hint


class IncompatibleVersionError(PluginError):
    """The config's cniVersion is unknown, or too old for the command."""

    code = 1


class UnsupportedFieldError(PluginError):
    """A field is understood, and this plugin does not do what it asks."""

    code = 2


class UnknownContainerError(PluginError):
    """The container or its network namespace does not exist."""

    code = 3


class BadEnvironmentError(PluginError):
    """A CNI_ variable is missing or malformed."""

    code = 4


class InputOutputError(PluginError):
    """A file, directory or pipe did not do what it was asked."""

    code = 5


class DecodeError(PluginError):
    """A text that should be JSON is not."""

    code = 6


class InvalidConfigError(PluginError):
    """The network configuration has mistakes; all of them are in `mistakes`."""

    code = 7

    def __init__(self, msg: str, *, details: str = "", hint: str = "", mistakes: Sequence[str] = ()) -> None:
        """Keep the mistakes apart, one line each, for `userspace validate`."""
        super().__init__(msg, details=details or "; ".join(mistakes), hint=hint)
        self.mistakes = tuple(mistakes)


class OwnNetnsError(PluginError):
    """CNI_NETNS is the plugin's own network namespace."""

    code = 8


class TryAgainError(PluginError):
    """Something is busy or down for now; the same call may succeed later."""

    code = 11


class TerminatedError(TryAgainError):
    """A signal asked the call to end; what it had made is taken back."""


class NotAvailableError(PluginError):
    """STATUS: ADD cannot work at all on this node."""

    code = 50


class LimitedError(PluginError):
    """STATUS: existing attachments may have limited connectivity."""

    code = 51


class SwitchError(PluginError):
    """The switch refused, or did not answer in time."""

    code = 101


class BoundsError(PluginError):
    """The node file's `allow` does not permit what the netconf names."""

    code = 102


class ConflictError(PluginError):
    """Something of that name, path or identity is there already, or the bridge is missing."""

    code = 103


class CheckError(PluginError):
    """CHECK found that something ADD made is missing or wrong."""

    code = 104


class DelegateError(PluginError):
    """An IPAM plugin failed; it carries the delegate's own code and words."""

    code = 105


class UnreachableError(PluginError):
    """vswitchd could not reach the socket's directory."""

    code = 106


class InternalError(PluginError):
    """A defect of this plugin."""

    code = 199
