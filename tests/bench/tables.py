"""The report for people: a table for each part, then the promises."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from tests.bench import report
from tests.bench.contestants import BASELINE
from tests.bench.memory import LIMIT_MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.cases import Paired
    from tests.bench.crowd import Crowd
    from tests.bench.memory import Memory
    from tests.bench.phases import Phases
    from tests.bench.rounds import Samples


def table(found: report.Findings) -> str:
    """Return the tables for people, and the verdicts."""
    blocks = [
        _samples(found.samples),
        pairs(found.pairs),
        _crowds(found.crowds),
        _memory(found.memory),
        _phases(found.phases),
        [
            f"{'holds ' if t.holds else 'MISSED'} {t.found:6.2f} (at most {t.limit:g}): {t.what}"
            for t in report.targets(found)
        ],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _samples(samples: Sequence[Samples]) -> list[str]:
    if not samples:
        return []
    wide = max(len(s.name) for s in samples)
    head = f"{'ms':>8} {'quartiles':>13} {'x':>5} {'CPU ms':>7} {'x':>5}"
    lines = [f"{'ports':>5}  {'':{wide}}  ADD {head}  DEL {head}"]
    for sample in samples:
        row = report.row(sample, report.baseline(samples, sample.ports))
        cells = [_cells(row[verb]) for verb in ("add", "delete")]
        lines.append(f"{sample.ports:>5}  {sample.name:{wide}}      {'      '.join(cells)}")
    for name in dict.fromkeys(s.name for s in samples):
        gained = report.growth(samples, name)
        if gained is not None:
            lines.append(f"ADD grew by {gained:.1f} ms: {name}")
    return lines


def pairs(found: Sequence[Paired]) -> list[str]:
    """Return a line for each pair of commands."""
    return [
        f"{p.name}: {p.ours} {median(p.ours_ms):.1f} ms {_spread(p.ours_ms)}, "
        f"{p.theirs} {median(p.theirs_ms):.1f} ms {_spread(p.theirs_ms)}: "
        f"x {report.ratio(p.ours_ms, p.theirs_ms):.2f}; "
        f"CPU x {report.ratio(p.ours_cpu, p.theirs_cpu):.2f}"
        for p in found
    ]


def _crowds(crowds: Sequence[Crowd]) -> list[str]:
    base = next((c for c in crowds if c.name == BASELINE), None)
    if base is None:
        return []
    wide = max(len(c.name) for c in crowds)
    lines = [f"{'100 by 16 at once':{wide}}    ADD s     x   CPU s     x     DEL s     x   CPU s     x"]
    for crowd in crowds:
        pairs = [(getattr(crowd, w), getattr(base, w)) for w in ("add", "add_cpu", "delete", "delete_cpu")]
        cells = [f"{median(own):7.2f} {report.ratio(own, theirs):5.2f}" for own, theirs in pairs]
        lines.append(f"{crowd.name:{wide}}  {cells[0]} {cells[1]}   {cells[2]} {cells[3]}")
    return lines


def _phases(phases: dict[str, Phases]) -> list[str]:
    return [
        f"{name}: {', '.join(f'{phase} {ms:.1f}' for phase, ms in cut.items())} ms (under strace)"
        for name, cut in phases.items()
    ]


def _cells(row: dict[str, Any]) -> str:
    cpu = f"{row['cpu']:7.1f} {row['cpu_ratio']:5.2f}"
    return f"{row['median']:8.1f} {_quartiled(row['quartiles']):>13} {row['ratio']:5.2f} {cpu}"


def _memory(found: Sequence[Memory]) -> list[str]:
    return [
        f"memory of {one.name}: {one.peak:.1f} MiB resident, {one.charged:.1f} charged to a cgroup; "
        f"twenty at once: {one.together:.1f} MiB; within {LIMIT_MIB} MiB {one.failed} of them failed"
        for one in found
    ]


def _spread(ms: Sequence[float]) -> str:
    return f"({_quartiled(report.spread(ms))})"


def _quartiled(found: tuple[float, float]) -> str:
    return f"{found[0]:.1f}-{found[1]:.1f}"
