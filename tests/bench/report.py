"""The verdict: medians, ratios, spread, growth, and whether each promise is kept.

Pure. A ratio is that of the medians. A spread is the quartiles of a sample.
Growth is the milliseconds that ADD gained from the fewest to the most ports,
against what ovs-vsctl gained: as a factor, a slow start would hide it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from tests.bench.contestants import BASELINE, BUILT, PLUGIN
from tests.bench.memory import LIMIT_MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.cases import Paired
    from tests.bench.crowd import Crowd
    from tests.bench.memory import Memory
    from tests.bench.phases import Phases
    from tests.bench.rounds import Samples

MOST = {BUILT: 1.5, PLUGIN: 2.5}  # x ovs-vsctl, of ADD and of DEL
CROWD = 2.0  # x ovs-vsctl, wall and processor
GROWTH = 1.0  # x ovs-vsctl's own
PEAK_MIB = 30


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that one run of the benchmark measured."""

    samples: Sequence[Samples] = ()
    pairs: Sequence[Paired] = ()
    crowds: Sequence[Crowd] = ()
    memory: Sequence[Memory] = ()
    phases: dict[str, Phases] = field(default_factory=dict)


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


def summary(found: Findings) -> dict[str, Any]:
    """Return everything as JSON values."""
    samples = found.samples
    return {
        "samples": [row(s, baseline(samples, s.ports)) for s in samples],
        "growth": {name: growth(samples, name) for name in dict.fromkeys(s.name for s in samples)},
        "pairs": [{**asdict(p), "ratio": ratio(p.ours_ms, p.theirs_ms)} for p in found.pairs],
        "crowds": [asdict(c) for c in found.crowds],
        "memory": [asdict(m) for m in found.memory],
        "phases": found.phases,
        "targets": [{**vars(t), "holds": t.holds} for t in targets(found)],
    }


def targets(found: Findings) -> list[Target]:
    """Return the promises about what was measured."""
    return [
        *_alone(found.samples),
        *(Target(f"{p.name}, x {p.theirs}", ratio(p.ours_ms, p.theirs_ms), p.most) for p in found.pairs),
        *_together(found.crowds),
        *_memory(found.memory),
    ]


def _alone(samples: Sequence[Samples]) -> Iterable[Target]:
    for name, most in MOST.items():
        ours = [s for s in samples if s.name == name]
        for verb, attribute in (("ADD", "add"), ("DEL", "delete")):
            ratios = [
                ratio(getattr(s, attribute), getattr(baseline(samples, s.ports), attribute)) for s in ours
            ]
            if ratios:
                yield Target(f"{verb} of {name}, at worst, x {BASELINE}", max(ratios), most)
        own, theirs = growth(samples, name), growth(samples, BASELINE)
        if own is not None and theirs:
            yield Target(f"growth of ADD of {name}, x {BASELINE}'s own", own / theirs, GROWTH)


def _together(crowds: Sequence[Crowd]) -> Iterable[Target]:
    base = next((c for c in crowds if c.name == BASELINE), None)
    ours = next((c for c in crowds if c.name == BUILT), None)
    if base is None or ours is None:
        return
    yield Target(f"100 ADDs of {BUILT} by 16 at once, x {BASELINE}", ratio(ours.add, base.add), CROWD)
    yield Target(f"their processor time, x {BASELINE}", ratio(ours.add_cpu, base.add_cpu), CROWD)


def _memory(found: Sequence[Memory]) -> Iterable[Target]:
    for one in found:
        if one.name == BUILT:
            yield Target(f"MiB of one ADD of {BUILT}", one.peak, PEAK_MIB)
            yield Target(f"failures of twenty at once of {BUILT} within {LIMIT_MIB} MiB", one.failed, 0)


def growth(samples: Sequence[Samples], name: str) -> float | None:
    """Return the milliseconds that ADD gained from the fewest to the most ports, None for one size."""
    own = sorted((s for s in samples if s.name == name), key=lambda s: s.ports)
    return median(own[-1].add) - median(own[0].add) if len(own) > 1 else None


def row(sample: Samples, base: Samples) -> dict[str, Any]:
    """Return what is to be said of one contestant at one number of ports."""
    return {"name": sample.name, "ports": sample.ports} | {
        verb: {
            "median": median(getattr(sample, verb)),
            "quartiles": spread(getattr(sample, verb)),
            "ratio": ratio(getattr(sample, verb), getattr(base, verb)),
            "cpu": median(getattr(sample, f"{verb}_cpu")),
            "cpu_ratio": ratio(getattr(sample, f"{verb}_cpu"), getattr(base, f"{verb}_cpu")),
            "ms": getattr(sample, verb),
        }
        for verb in ("add", "delete")
    }


def baseline(samples: Sequence[Samples], ports: int) -> Samples:
    """Return what ovs-vsctl took at a number of ports."""
    return next(s for s in samples if s.name == BASELINE and s.ports == ports)


def ratio(ms: Sequence[float], base: Sequence[float]) -> float:
    """Return how many times the one median is the other."""
    return median(ms) / median(base)


def spread(ms: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles."""
    if len(ms) == 1:
        return ms[0], ms[0]
    low, _, high = quantiles(ms, n=4)
    return low, high
