"""The benchmark's verdict: medians, ratios, growth, promises; its phases and their picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.bench import phases, picture, report, tables
from tests.bench.cases import Paired
from tests.bench.contestants import BASELINE, BUILT, PLUGIN
from tests.bench.crowd import Crowd
from tests.bench.memory import Memory
from tests.bench.rounds import Samples
from tests.support.child import RigError


def samples(plugin: list[tuple[int, float, float]], *, name: str = PLUGIN) -> report.Findings:
    """Return runs in which ovs-vsctl takes 10 plus a hundredth of the ports for each verb."""
    found = []
    for ports, add, delete in plugin:
        theirs = 10.0 + ports / 100
        found.append(Samples(BASELINE, ports, [theirs] * 3, [theirs] * 3, [3.0], [3.0]))
        found.append(Samples(name, ports, [add - 1, add, add + 5], [delete] * 3, [6.0], [6.0]))
    return report.Findings(samples=found)


def verdicts(found: report.Findings) -> list[tuple[float, bool]]:
    return [(round(t.found, 2), t.holds) for t in report.targets(found)]


def test_the_worst_ratio_of_medians_decides() -> None:
    assert verdicts(samples([(0, 20, 10), (1000, 60, 20)])) == [(3.0, False), (1.0, True), (4.0, False)]


def test_the_executable_promises_more_than_the_package() -> None:
    assert verdicts(samples([(0, 20, 10)])) == [(2.0, True), (1.0, True)]
    assert verdicts(samples([(0, 20, 10)], name=BUILT)) == [(2.0, False), (1.0, True)]


def test_growth_is_counted_in_milliseconds() -> None:
    """As a factor, a slow start would hide it: here 2.2 x against ovs-vsctl's 2.0 x."""
    assert verdicts(samples([(0, 20, 10), (1000, 44, 10)]))[-1] == (2.4, False)
    assert verdicts(samples([(0, 20, 10), (1000, 30, 10)]))[-1] == (1.0, True)


def test_one_size_has_no_growth() -> None:
    found = samples([(1, 20, 10)])
    assert len(report.targets(found)) == 2
    assert report.growth(found.samples, PLUGIN) is None


def test_without_the_plugin_nothing_is_promised() -> None:
    found = report.Findings(
        samples=[Samples(BASELINE, 1, [1.0], [1.0])],
        crowds=[Crowd(BASELINE, [1.0], [1.0])],
        memory=[Memory("other", 99.0, 99.0, 99.0, 9)],
    )
    assert report.targets(found) == []


OTHERS = report.Findings(
    pairs=[
        Paired(
            name="VERSION",
            most=1.5,
            ours="a",
            theirs="b",
            ours_ms=[8.0],
            theirs_ms=[4.0],
            ours_cpu=[1.0],
            theirs_cpu=[1.0],
        )
    ],
    crowds=[
        Crowd(BASELINE, [4.0], [2.0], [3.0], [1.0]),
        Crowd(BUILT, [2.0], [3.0], [3.0], [3.0]),
    ],
    memory=[Memory(BUILT, 14.0, 4.0, 40.0, 0)],
)


def test_a_case_has_its_own_limit() -> None:
    assert verdicts(report.Findings(pairs=OTHERS.pairs)) == [(2.0, False)]


def test_a_crowd_is_judged_by_its_time_and_its_processor_time() -> None:
    assert verdicts(report.Findings(crowds=OTHERS.crowds)) == [(0.5, True), (1.5, True)]


def test_no_failure_is_allowed_within_the_limit_of_memory() -> None:
    assert verdicts(report.Findings(memory=OTHERS.memory)) == [(14.0, True), (0, True)]
    assert verdicts(report.Findings(memory=[Memory(BUILT, 31.0, 4.0, 40.0, 1)])) == [
        (31.0, False),
        (1, False),
    ]


def test_the_table_shows_everything_and_each_verdict() -> None:
    shown = tables.table(samples([(0, 20, 10), (1000, 60, 20)]))
    assert shown.count(PLUGIN) == 2 + 1 + 3  # rows, growth, promises
    assert "MISSED   3.00 (at most 2.5): ADD" in shown
    assert "holds    1.00 (at most 2.5): DEL" in shown
    other = tables.table(OTHERS)
    assert "VERSION: a 8.0 ms" in other
    assert f"memory of {BUILT}: 14.0 MiB resident" in other


def test_json_holds_every_sample() -> None:
    told = json.loads(json.dumps(report.summary(samples([(0, 20, 10), (1000, 60, 20)]))))
    assert [row["add"]["median"] for row in told["samples"]] == [10, 20, 20, 60]
    assert told["samples"][1]["add"]["ms"] == [19, 20, 25]
    assert [t["holds"] for t in told["targets"]] == [False, True, False]


TRACE = """\
7 100.000 execve("/x/userspace", ["/x/userspace"], 0x7ffc /* 40 vars */) = 0
7 100.001 read(3, "\\177ELF", 832) = 832
7 100.008 read(0, "{}", 162) = 161
7 100.012 connect(4, {sa_family=AF_UNIX, sun_path="/tmp/db.sock"}, 27) = 0
7 100.013 sendto(4, "select", 6, 0, NULL, 0) = 6
7 100.013 recvfrom(4, "cur_cfg before anything was asked", 64, 0, NULL, NULL) = 33
7 100.015 sendto(6, "next_cfg", 8, 0, NULL, 0) = 8
7 100.029 recvfrom(6, "cur_cfg", 64, 0, NULL, NULL) = 7
7 100.031 exit_group(0)     = ?
"""


def test_the_phases_of_an_add_are_cut_where_it_reads_connects_asks_and_hears() -> None:
    cuts = {phase: round(ms) for phase, ms in phases.cut(TRACE, "/tmp/db.sock").items()}  # noqa: S108  a text
    assert list(cuts.items()) == list(zip(phases.NAMES, (8, 4, 3, 14, 2), strict=True))


def test_a_program_that_asks_for_nothing_has_no_phases() -> None:
    with pytest.raises(RigError, match="asked ovs-vswitchd for nothing"):
        phases.cut(TRACE.replace("next_cfg", ""), "/tmp/db.sock")  # noqa: S108  a text


def test_the_picture_shows_each_contestant_and_each_phase() -> None:
    cuts = phases.cut(TRACE, "/tmp/db.sock")  # noqa: S108  a text
    drawn = picture.render({"a < b": cuts, "c": cuts})
    texts = [element.text for element in ET.fromstring(drawn).iter() if element.tag.endswith("text")]  # noqa: S314  ours
    assert {"a < b", "c", "31.0 ms", "14.0", *phases.NAMES} <= set(texts)
