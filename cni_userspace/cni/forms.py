"""Forms: what MAC addresses, PCI addresses, paths and names look like.

Pure. Each check returns what is wrong, or an empty string, so that a getter
can say it beside the path and the value.
"""

from __future__ import annotations

HEX = frozenset("0123456789abcdefABCDEF")
DIGITS = frozenset("0123456789")
NAME_BYTES = 15  # IFNAMSIZ of linux/if.h less the NUL: a bridge has a kernel device of its name
FILE_NAME_BYTES = 107  # sun_path of unix(7) less the NUL; the whole path has to fit in
GRAPHIC = frozenset(map(chr, range(33, 127)))
PORT_DIGITS = 5
PCI_PARTS = (4, 2, 2, 1)  # digits of domain, bus, device, function


def plain_mac(text: str) -> str:
    """Return a MAC address as six lower-case pairs with colons, "" if it is none.

    Reads the three forms that Go's net.ParseMAC reads: aa:bb:.., aa-bb-.., aabb.ccdd.eeff.
    """
    for separator, size in ((":", 2), ("-", 2), (".", 4)):
        groups = text.split(separator)
        if len(groups) * size == 12 and all(len(g) == size and HEX.issuperset(g) for g in groups):  # noqa: PLR2004
            digits = "".join(groups).lower()
            return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
    return ""


def mac(text: str) -> str:
    """Say what is wrong with a station's MAC address."""
    plain = plain_mac(text)
    if not plain:
        return "is no MAC address (aa:bb:cc:dd:ee:ff)"
    if int(plain[:2], 16) & 1:
        return "is a group address; a station needs a unicast one"
    if plain == "00:00:00:00:00:00":
        return "is the zero address"
    return ""


def is_pci(text: str) -> bool:
    """Tell whether a text is a PCI address: dddd:BB:DD.f."""
    parts = text.replace(".", ":").split(":")
    shape = [len(part) for part in parts] == list(PCI_PARTS) and text[-2] == "." and text.count(".") == 1
    return shape and all(HEX.issuperset(part) for part in parts)


def pci(text: str) -> str:
    """Return a PCI address in lower case with its domain, 0000 where it has none; "" if it is none."""
    full = text if text.count(":") == 2 else f"0000:{text}"  # noqa: PLR2004  domain, bus, device
    return full.lower() if is_pci(full) else ""


def path(text: str) -> str:
    """Say what is wrong with an absolute path."""
    if not text.startswith("/"):
        return "is no absolute path"
    if not text.isprintable():
        return "holds a character that cannot be printed"
    return ""


def directory(text: str) -> str:
    """Say what is wrong with a directory's absolute path: no `.`, no `..`, not the root."""
    if wrong := path(text):
        return wrong
    steps = text.split("/")
    if "." in steps or ".." in steps:
        return "holds a `.` or `..`"
    return "" if any(steps) else "is the root directory"


def squeezed(text: str) -> str:
    """Return a directory's path without doubled and trailing slashes; "" stays ""."""
    return "".join(f"/{part}" for part in text.split("/") if part)


def switch_name(text: str) -> str:
    """Say what is wrong with the name of a bridge or port (ovs-vswitchd.conf.db(5))."""
    if len(text) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    return file_name(text)


def file_name(text: str) -> str:
    """Say what is wrong with the name of a socket in its directory."""
    if not GRAPHIC.issuperset(text):
        return "holds white space or a character outside ASCII"
    if "/" in text or "\\" in text:
        return "holds a slash; it is a name, not a path"
    if len(text) > FILE_NAME_BYTES:
        return f"is longer than {FILE_NAME_BYTES} bytes"
    return "is a directory's name" if text in (".", "..") else ""


def account(text: str) -> str:
    """Say what is wrong with a user's or group's name or number."""
    if DIGITS.issuperset(text):
        return "" if len(text) <= 10 and int(text) < 2**32 - 1 else "is no number of a user or group"  # noqa: PLR2004
    known = text[0].isalpha() or text[0] == "_"
    fine = known and text.isascii() and all(c.isalnum() or c in "_.-$@" for c in text)
    return "" if fine else "is no name of a user or group"


def octal(text: str) -> str:
    """Say what is wrong with a file mode."""
    fine = 3 <= len(text) <= 4 and set(text) <= set("01234567")  # noqa: PLR2004
    return "" if fine else 'is no octal mode such as "0750"'


def remote(text: str) -> str:
    """Say what is wrong with the address of an OVSDB server."""
    kind, _, rest = text.partition(":")
    if text.startswith("/") or kind == "unix":
        return path(text if text.startswith("/") else rest)
    if kind == "ssl":
        return "is not supported: this plugin has no TLS; use a unix: or tcp: address"
    return _tcp(rest) if kind == "tcp" else "is neither a path nor unix:PATH nor tcp:HOST:PORT"


def _tcp(text: str) -> str:
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not bare or not GRAPHIC.issuperset(bare) or "/" in bare:
        return "names no tcp:HOST:PORT"
    if (":" in bare) != bracketed:
        return "names no tcp:HOST:PORT; an IPv6 address, and nothing else, goes into brackets"
    fine = port and DIGITS.issuperset(port) and len(port) <= PORT_DIGITS and port[0] != "0"
    fine = fine and int(port) < 1 << 16
    return "" if fine else "names no port within 1 and 65535"


def plain_remote(text: str) -> str:
    """Return an OVSDB address with its scheme; "" stays ""."""
    return f"unix:{text}" if text.startswith("/") else text
