"""The benchmark's verdict: medians, ratios, growth, targets."""

from __future__ import annotations

import json

from tests.bench import report
from tests.bench.contestants import BASELINE, PLUGIN
from tests.bench.rounds import Samples


def samples(plugin: list[tuple[int, float, float]], *, base: float = 10.0) -> list[Samples]:
    """Return runs in which ovs-vsctl takes `base` plus a hundredth of the ports for each verb."""
    found = []
    for ports, add, delete in plugin:
        theirs = base + ports / 100
        found.append(Samples(BASELINE, ports, [theirs] * 3, [theirs] * 3))
        found.append(Samples(PLUGIN, ports, [add - 1, add, add + 5], [delete] * 3))
    return found


def verdicts(found: list[Samples]) -> list[tuple[float, bool]]:
    return [(round(t.found, 2), t.holds) for t in report.targets(found)]


def test_the_worst_ratio_of_medians_decides() -> None:
    assert verdicts(samples([(0, 20, 10), (1000, 60, 20)])) == [(3.0, False), (1.0, True), (4.0, False)]


def test_growth_is_counted_in_milliseconds() -> None:
    """As a factor, a slow start would hide it: here 2.2 x against ovs-vsctl's 2.0 x."""
    assert verdicts(samples([(0, 20, 10), (1000, 44, 10)]))[-1] == (2.4, False)
    assert verdicts(samples([(0, 20, 10), (1000, 32, 10)]))[-1] == (1.2, True)


def test_one_size_has_no_growth() -> None:
    assert len(report.targets(samples([(1, 20, 10)]))) == 2
    assert report.growth(samples([(1, 20, 10)]), PLUGIN) is None


def test_without_the_plugin_nothing_is_promised() -> None:
    assert report.targets([Samples(BASELINE, 1, [1.0], [1.0])]) == []


def test_the_table_shows_everything_and_each_verdict() -> None:
    shown = report.table(samples([(0, 20, 10), (1000, 60, 20)]))
    assert shown.count(PLUGIN) == 2 + 1 + 2  # rows, growth, targets of ADD and DEL
    assert "MISSED: ADD" in shown
    assert "holds: DEL" in shown


def test_json_holds_every_sample() -> None:
    told = json.loads(json.dumps(report.summary(samples([(0, 20, 10), (1000, 60, 20)]))))
    assert [row["add"]["median"] for row in told["samples"]] == [10, 20, 20, 60]
    assert told["samples"][1]["add"]["ms"] == [19, 20, 25]
    assert [t["holds"] for t in told["targets"]] == [False, True, False]
