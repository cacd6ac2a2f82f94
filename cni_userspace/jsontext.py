"""JSON text in and out, for the whole plugin.

Owns the choice of the parser. The standard `json` package imports `re` and
`enum`, 6 ms of a cold start; its C parts alone (`_json`) cost 0.2 ms and are
what `json` itself calls. Where an interpreter lacks them, `json` serves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WHITESPACE = " \t\n\r"
DEPTH = 200  # what is nested more deeply could be read and not written again: Python counts its own stack
INFINITE = (float("inf"), float("-inf"))
_PLAIN = (False, False, False)  # the encoder's sort_keys, skipkeys, allow_nan


class JsonError(ValueError):
    """The text is no JSON; the message says where."""


def _constant(name: str) -> Any:
    raise JsonError(f"{name} is no JSON value")


def _number(text: str) -> float:
    """Read a number with a fraction or exponent; refuse what no double holds: it could not be written."""
    value = float(text)
    if value in INFINITE:
        raise JsonError(f"{text[:20]} is no number within the range of a double")
    return value


class _Context:
    """What the C scanner reads from its JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_number)
    parse_int = int
    parse_constant = staticmethod(_constant)
    memo: dict[str, str] = {}  # noqa: RUF012  the C scanner keeps its own; this one is only looked at


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Context())  # type: ignore[arg-type]  # it reads attributes only
except ImportError:  # an interpreter without the accelerator
    import json

    _scan = json.JSONDecoder(parse_float=_number, parse_constant=_constant).scan_once  # type: ignore[attr-defined]
    make_encoder = None  # type: ignore[assignment,misc]


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def loads(text: str) -> Any:
    """Parse one JSON document; raise JsonError for anything else, and for one of more than DEPTH levels."""
    value, end = scan(text)
    if text.count("[") + text.count("{") > DEPTH and _is_deeper(value):
        raise JsonError("nested too deeply")
    rest = text[end:].strip(WHITESPACE)
    if rest:
        raise JsonError(f"text after the document, from character {end}: {rest[:20]!r}")
    return value


def _is_deeper(value: object) -> bool:
    """Tell whether a value has more than DEPTH levels, without using one of the stack for each."""
    level = [value]
    for _ in range(DEPTH + 1):
        within = [item for item in level if isinstance(item, dict | list)]
        if not within:
            return False
        level = [x for item in within for x in (item.values() if isinstance(item, dict) else item)]
    return True


def scan(text: str) -> tuple[Any, int]:
    """Parse the first document of the text; return it and where it ends.

    Raises JsonError; an empty or cut-off document raises JsonError too.
    """
    start = len(text) - len(text.lstrip(WHITESPACE))
    try:
        return _scan(text, start)
    except StopIteration as stop:
        raise JsonError(f"no value at character {stop.value}") from None
    except RecursionError:
        raise JsonError("nested too deeply") from None
    except SystemError:  # the C scanner finds its error class only where `json` is imported
        import json  # the words of a mistake may cost its import

        try:
            return json.JSONDecoder(parse_float=_number, parse_constant=_constant).raw_decode(text, start)
        except RecursionError:
            raise JsonError("nested too deeply") from None
        except ValueError as error:
            raise JsonError(str(error)) from None
    except ValueError as error:
        raise JsonError(str(error)) from None


def scan_partial(text: str) -> tuple[Any, int] | None:
    """Parse the first document of a stream, or return None while it is cut off.

    A stream's reader cannot tell a broken document from an unfinished one:
    it needs a deadline and a bound on the text.
    """
    try:
        return _scan(text, len(text) - len(text.lstrip(WHITESPACE)))
    except (StopIteration, SystemError, ValueError, RecursionError):
        return None


def dumps(value: object, *, indent: int = 0) -> str:
    """Write a value; `indent` > 0 for people (and then `json` does it).

    Raises TypeError or ValueError for what has no JSON form, NaN among it.
    """
    if indent or make_encoder is None:
        import json  # only for people's eyes

        return json.dumps(value, indent=indent or None, allow_nan=False)
    try:
        encode = make_encoder({}, _refuse, encode_basestring_ascii, None, ": ", ", ", *_PLAIN)
    except TypeError:  # another signature in a later interpreter
        import json

        return json.dumps(value, allow_nan=False)
    return "".join(encode(value, 0))
