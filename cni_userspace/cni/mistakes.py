"""Words for mistakes: loaded only after one was made.

Owns the sentence about a key that nobody knows.
"""

from __future__ import annotations

from difflib import get_close_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.getter import Getter

SRIOV = (  # keys of the sriov engine, which this version does not have yet
    "link_state",
    "master",
    "max_tx_rate",
    "min_tx_rate",
    "pfOnly",
    "spoofchk",
    "trust",
    "vlanProto",
    "vlanQoS",
)


def unknown(key: str, path: str, getter: Getter, engine: str, *, misplaced: bool) -> str:
    """Say what is wrong with a key that is not known where it stands."""
    if misplaced:
        return f"{path}: counts only in the network configuration itself"
    owner = engine_of(key)
    if owner and owner != engine:
        return f"{path}: is a key of the engine {owner}, and this network's engine is {engine}"
    near = close(key, list(getter.asked.values()))
    return f"{path}: unknown key" + (f"; did you mean `{near}`?" if near else "")


def engine_of(key: str) -> str:
    """Return the engine whose key this is, "" if it is nobody's."""
    return "sriov" if key.lower() in {name.lower() for name in SRIOV} else ""


def close(word: str, known: list[str]) -> str:
    """Return the known word that is most like another, "" if none is."""
    folded = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else ""
