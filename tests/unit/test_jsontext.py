"""JSON text: the same verdicts as the `json` package, whose C parts it calls without it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from cni_userspace import jsontext
from cni_userspace.jsontext import JsonError

DOCUMENTS = (
    *("null", "true", "false", "0", "-0", "12", "-12", "1.5", "-1.5e3", "1E+2", "1e308", '""', '"a"'),
    *("[]", "{}", "[1, [2, [3]]]", '{"a": {"b": [null, true]}}', '{"a": 1, "a": 2}', ' \t\n\r{"a" :1 } \n'),
    *(
        '"\\u00e9\\n\\"\\\\\\/"',
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        '"é😀"',
        '{"": ""}',
        "123456789012345678901234567890",
    ),
    '{"cniVersion": "1.1.0", "name": "fast", "vlan": 7, "trunk": [{"id": 42}]}',
)
BROKEN = (
    *("", " ", "\n", "nul", "True", "'a'", "a", "+1", "01", "1.", ".5", "1e", "--1", "0x10", "NaN", "-NaN"),
    *("Infinity", "-Infinity", "[NaN]", "[1,]", "[1 2]", "[", "]", "{", "}", '{"a"}', '{"a":}', '{"a":1,}'),
    *("{1: 2}", "{a: 1}", '"a', '"\\x"', '"\\u12"', '"\\u12g4"', '"a\nb"', '"\t"', '"\x00"', "[1]]", "{} {}"),
    *("\ufeff{}", "\u00a0{}", "{}\u00a0", "// a\n{}", "{} // a", "\x0c{}", '{"a": 1}x', "9" * 5000),
    *("1e400", "[-1.0e999]"),
)
DEEP = (
    *("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000),
    *("[" * 201 + "]" * 201, '{"a":[' * 100 + "[]" + "]}" * 100),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e300, 2**70, "", 'é😀\ud800\x00\n"\\/', [], {}, (1, 2)),
    *([1, [2, {"a": None}]], {"a": {"b": [True]}}, {1: 2, None: 3, False: 4, 1.5: 5}),
)
UNWRITABLE: tuple[Any, ...] = (math.nan, math.inf, [-math.inf], {1, 2}, b"a", object(), {(1, 2): 3})


def verdict(text: str) -> Any:  # noqa: ANN401  whatever the text says
    """Return what `json` makes of a text, JsonError where it refuses or makes more of it than JSON.

    A number that no double holds is refused too: Go's encoding/json does, and it could not be written.
    """

    def refuse(name: str) -> None:
        raise ValueError(name)

    def number(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError(text)
        return float(text)

    try:
        return json.loads(text, parse_float=number, parse_constant=refuse)
    except (ValueError, RecursionError):
        return JsonError


def ours(text: str) -> Any:  # noqa: ANN401
    try:
        return jsontext.loads(text)
    except JsonError:
        return JsonError


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_document_means_what_json_says(text: str) -> None:
    assert ours(text) == verdict(text) != JsonError


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_document_is_refused_as_json_refuses_it(text: str) -> None:
    assert ours(text) is verdict(text) is JsonError


@pytest.mark.parametrize("text", DEEP, ids=["open", "closed", "objects", "201", "both"])
def test_a_document_nested_too_deeply_is_refused(text: str) -> None:
    assert ours(text) is JsonError


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "[" + "[], " * 300 + "{}]", '"' + "[" * 300 + '"'])
def test_what_is_nested_no_more_deeply_than_it_can_be_written_is_read(text: str) -> None:
    value = ours(text)
    assert jsontext.dumps(value) == json.dumps(value) == text


@pytest.mark.parametrize("text", [t for t in DOCUMENTS if len(t) > 1])
def test_every_beginning_of_a_document_gets_the_verdict_of_json(text: str) -> None:
    for end in range(len(text)):
        assert ours(text[:end]) == verdict(text[:end]), text[:end]


def test_the_words_of_a_refusal_say_where() -> None:
    with pytest.raises(JsonError, match="from character 2: 'x'"):
        jsontext.loads("{} x")
    with pytest.raises(JsonError, match="character 1"):
        jsontext.loads(" ")
    with pytest.raises(JsonError, match=r"line 1 column 8 \(char 7\)"):
        jsontext.loads('{"a":1 "b":2}')


def test_scan_stops_after_the_first_document() -> None:
    assert jsontext.scan(' {"a": 1}{"b": 2}') == ({"a": 1}, 9)


def test_a_cut_off_document_is_not_there_yet() -> None:
    text = '{"id": 1, "result": [{"rows": ["é"]}], "error": null}'
    assert all(jsontext.scan_partial(text[:end]) is None for end in range(len(text)))
    assert jsontext.scan_partial(text) == (json.loads(text), len(text))


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_written_as_json_writes_it(value: Any) -> None:  # noqa: ANN401
    assert jsontext.dumps(value) == json.dumps(value)
    assert jsontext.dumps(value, indent=2) == json.dumps(value, indent=2)


@pytest.mark.parametrize("indent", [0, 2])
@pytest.mark.parametrize("value", UNWRITABLE)
def test_what_has_no_json_form_is_refused(value: Any, indent: int) -> None:  # noqa: ANN401
    with pytest.raises((TypeError, ValueError)):
        jsontext.dumps(value, indent=indent)


def test_a_loop_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        jsontext.dumps(loop)


FRESH = """
import sys
{before}
from cni_userspace import jsontext
for text in {texts!r}:
    try:
        print(repr(jsontext.loads(text)))
    except jsontext.JsonError:
        print("JsonError")
for value in {values!r}:
    print(jsontext.dumps(value))
for value in (float("nan"), {{1, 2}}):
    try:
        print(jsontext.dumps(value))
    except (TypeError, ValueError):
        print("refused")
assert "json" not in sys.modules or {may_load}, "json was loaded"
"""


def fresh(*, before: str = "", broken: bool) -> list[str]:
    """Return the verdicts of an interpreter that has not imported `json`."""
    texts = DOCUMENTS + (BROKEN if broken else ())
    code = FRESH.format(before=before, texts=texts, values=VALUES, may_load=broken or bool(before))
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8:surrogatepass"},
        check=True,
        capture_output=True,
        text=True,
        errors="surrogatepass",
        encoding="utf-8",
    )
    return done.stdout.splitlines()


def expected(*, broken: bool) -> list[str]:
    verdicts = [verdict(text) for text in DOCUMENTS + (BROKEN if broken else ())]
    read = ["JsonError" if v is JsonError else repr(v) for v in verdicts]
    return [*read, *map(json.dumps, VALUES), "refused", "refused"]


def test_sound_documents_never_load_the_package_json() -> None:
    assert fresh(broken=False) == expected(broken=False)


def test_the_verdicts_hold_where_json_was_not_imported() -> None:
    assert fresh(broken=True) == expected(broken=True)


def test_the_verdicts_hold_without_the_accelerator() -> None:
    assert fresh(before="sys.modules['_json'] = None", broken=True) == expected(broken=True)
