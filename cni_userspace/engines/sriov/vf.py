"""What a PF sets on its VFs: VLAN, MAC, rates, spoof check, trust, link state.

Owns their order, and that each is read back. Names of settings and their
values are those of `planning.settings`. Facts that shape it: a driver may lack
any of these operations, and says so only when it is asked (igb has no link
state); some set a MAC only after they have answered (sriov-cni #232), so what
reads back otherwise is set again; and min and max rate travel in one message.
"""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP, EPROTONOSUPPORT
from time import sleep

from cni_userspace.errors import ConflictError, InputOutputError, UnsupportedFieldError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.host.deadline import Deadline
    from cni_userspace.host.netlink import Link, Netlink, Vf

KEYS = {  # the setting -> the netconf's word for it
    "vlan": "vlan",
    "mac": "mac",
    "rates": "min_tx_rate, max_tx_rate",
    "spoofchk": "spoofchk",
    "trust": "trust",
    "link_state": "link_state",
}
NO_MAC = "00:00:00:00:00:00"  # none set by the PF: the VF has one of its own
SETTLE_SECONDS = 2  # a driver that is later than this has not done it
_EACH = 0.02  # no event tells that a VF's setting has changed
_AGAIN = 5  # looks after which a setting that does not show is set anew


class Seat(Value):
    """A VF as its PF sees it: an index at a network device of the node."""

    home: Netlink
    pf: Link
    index: int

    def read(self) -> dict[str, Any]:
        """Return its settings; raise ConflictError where the PF's driver does not tell of it."""
        found = next((vf for vf in self.home.vfs(self.pf.index) if vf.index == self.index), None)
        if found is None:
            raise ConflictError(f"the driver of {self.pf.name} does not tell of its VF {self.index}")
        return settings(found)

    def write(self, name: str, value: Any) -> None:  # noqa: ANN401  a setting's value
        """Change one setting; raises OSError."""
        change: Any = {name: tuple(value) if isinstance(value, list) else value}
        self.home.set_vf(self.pf.index, self.index, **change)

    def __str__(self) -> str:
        """Name it as `ip link set PF vf N` does."""
        return f"VF {self.index} of {self.pf.name}"


def settings(vf: Vf) -> dict[str, Any]:
    """Return a VF's settings as they are; what the driver does not tell is None."""
    return {
        "vlan": [vf.vlan, vf.qos, vf.proto],
        "mac": vf.mac,
        "rates": [vf.min_tx_rate, vf.max_tx_rate],
        "spoofchk": vf.spoofchk,
        "trust": vf.trust,
        "link_state": vf.link_state or None,
    }


def apply(seat: Seat, asked: Mapping[str, Any], deadline: Deadline) -> None:
    """Set what is asked for, one after the other, and see that it is so.

    Raises UnsupportedFieldError for an operation that the driver lacks,
    ConflictError for a value that it refuses, InputOutputError for one that
    never shows. What was set before the failure stays: the caller takes it back.
    """
    for name, value in asked.items():
        now = seat.read()[name]
        wanted = _whole(name, value, now)
        if now != wanted:
            _set(seat, name, wanted)
            _await(seat, name, wanted, deadline)


def _whole(name: str, value: Any, now: Any) -> Any:  # noqa: ANN401  a setting's value
    """Return the value to set: one of two rates leaves the other as it is."""
    if name != "rates":
        return value
    return [old if new is None else new for new, old in zip(value, now, strict=True)]


def _set(seat: Seat, name: str, value: Any) -> None:  # noqa: ANN401  a setting's value
    try:
        seat.write(name, value)
    except OSError as error:
        driver = f"the driver of {seat.pf.name}"
        details = f"{KEYS[name]} = {_shown(value)} on {seat}: {error.strerror}"
        if error.errno in (EOPNOTSUPP, EPROTONOSUPPORT):
            raise UnsupportedFieldError(
                f"{driver} cannot set {KEYS[name]}",
                details=details,
                hint="leave the key out, or use a card whose driver can",
            ) from None
        hint = "many drivers take a rate only while the PF has a link" if name == "rates" else ""
        raise ConflictError(f"{driver} refuses {KEYS[name]}", details=details, hint=hint) from None


def _await(seat: Seat, name: str, value: Any, deadline: Deadline) -> None:  # noqa: ANN401  a setting's value
    until = deadline.within(SETTLE_SECONDS)
    looks = 0
    while (found := seat.read()[name]) != value:
        looks += 1
        try:
            until.remaining()
        except TimeoutError:
            raise InputOutputError(
                f"the driver of {seat.pf.name} took {KEYS[name]} and did not set it",
                details=f"{seat}: {_shown(value)} was asked for, {_shown(found)} is set",
            ) from None
        sleep(_EACH)
        if looks % _AGAIN == 0:
            _set(seat, name, value)


def restore(seat: Seat, before: Mapping[str, Any], own_mac: str) -> list[str]:
    """Set back what differs from before; return what would not go.

    `own_mac`: what the VF's own network device had. Drivers that cannot take
    an administrative MAC away get that one instead: it is the VF's alone.
    """
    failures = []
    now = seat.read()
    for name, value in before.items():
        if value is None or now[name] == value:
            continue
        try:
            seat.write(name, value)
        except OSError as error:
            if name == "mac" and value == NO_MAC and own_mac and error.errno == EINVAL:
                failures += restore(seat, {"mac": own_mac}, "")
            else:
                failures.append(f"{KEYS[name]} of {seat}: {error.strerror}")
    return failures


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return what is not as asked, one sentence each."""
    wrong = []
    for name, value in asked.items():
        wanted = _whole(name, value, found[name])
        if found[name] != wanted:
            wrong.append(f"{KEYS[name]} is {_shown(found[name])}, and {_shown(wanted)} was asked for")
    return wrong


def _shown(value: Any) -> str:  # noqa: ANN401  a setting's value
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
