"""The verdict: medians, ratios, spread, growth, and whether each target holds.

Pure. A ratio is that of the medians. A spread is the quartiles of a sample.
Growth is the milliseconds that ADD gained from the fewest to the most ports,
against what ovs-vsctl gained: as a factor, a slow start would hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from tests.bench.contestants import BASELINE, PLUGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.rounds import Samples

MOST = 2.5  # x ovs-vsctl
AIM = 2.0
GROWTH = 1.2


@dataclass(frozen=True)
class Target:
    """One promise, and what was found."""

    what: str
    found: float
    limit: float

    @property
    def holds(self) -> bool:
        """Tell whether the promise is kept."""
        return self.found <= self.limit


def summary(samples: Sequence[Samples]) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "samples": [_row(s, _baseline(samples, s.ports)) for s in samples],
        "growth": {name: growth(samples, name) for name in dict.fromkeys(s.name for s in samples)},
        "targets": [{**vars(t), "holds": t.holds} for t in targets(samples)],
    }


def targets(samples: Sequence[Samples]) -> list[Target]:
    """Return the promises about the plugin from a virtual environment."""
    ours = [s for s in samples if s.name == PLUGIN]
    found = []
    for verb, field in (("ADD", "add"), ("DEL", "delete")):
        ratios = [_ratio(getattr(s, field), getattr(_baseline(samples, s.ports), field)) for s in ours]
        if ratios:
            found.append(Target(f"{verb} of {PLUGIN}, at worst, x {BASELINE}", max(ratios), MOST))
    own = growth(samples, PLUGIN)
    theirs = growth(samples, BASELINE)
    if own is not None and theirs:
        found.append(Target(f"growth of ADD, x {BASELINE}'s own", own / theirs, GROWTH))
    return found


def growth(samples: Sequence[Samples], name: str) -> float | None:
    """Return the milliseconds that ADD gained from the fewest to the most ports, None for one size."""
    own = sorted((s for s in samples if s.name == name), key=lambda s: s.ports)
    return median(own[-1].add) - median(own[0].add) if len(own) > 1 else None


def table(samples: Sequence[Samples]) -> str:
    """Return the table for people, and the verdicts."""
    wide = max(len(s.name) for s in samples)
    head = f"{'ports':>5}  {'':{wide}}  {'ADD ms':>8} {'quartiles':>13} {'x':>5}"
    lines = [head + f"  {'DEL ms':>8} {'quartiles':>13} {'x':>5}"]
    for sample in samples:
        row = _row(sample, _baseline(samples, sample.ports))
        cells = [_cells(row[verb]) for verb in ("add", "delete")]
        lines.append(f"{sample.ports:>5}  {sample.name:{wide}}  {'  '.join(cells)}")
    for name, gained in summary(samples)["growth"].items():
        if gained is not None:
            lines.append(f"ADD grew by {gained:.1f} ms: {name}")
    for target in targets(samples):
        verdict = "holds" if target.holds else "MISSED"
        lines.append(f"{verdict}: {target.what}: {target.found:.2f} (at most {target.limit})")
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> str:
    low, high = row["quartiles"]
    return f"{row['median']:8.1f} {f'{low:.1f}-{high:.1f}':>13} {row['ratio']:5.2f}"


def _row(sample: Samples, base: Samples) -> dict[str, Any]:
    verbs = {
        verb: {
            "median": median(ms),
            "quartiles": _quartiles(ms),
            "ratio": _ratio(ms, other),
            "ms": ms,
        }
        for verb, ms, other in (("add", sample.add, base.add), ("delete", sample.delete, base.delete))
    }
    return {"name": sample.name, "ports": sample.ports, **verbs}


def _baseline(samples: Sequence[Samples], ports: int) -> Samples:
    return next(s for s in samples if s.name == BASELINE and s.ports == ports)


def _ratio(ms: Sequence[float], base: Sequence[float]) -> float:
    return median(ms) / median(base)


def _quartiles(ms: Sequence[float]) -> tuple[float, float]:
    if len(ms) == 1:
        return ms[0], ms[0]
    low, _, high = quantiles(ms, n=4)
    return low, high
