"""What `check` found, as tables for people and as plain values for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from motel_locust.commands.checking import amounts, swarm
from motel_locust.commands.checking.sets import keeps_state
from motel_locust.commands.checking.speed import PLANNED_SHARE, workers
from motel_locust.commands.console import Cell, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from motel_locust.commands.checking.expectation import Estimate
    from motel_locust.commands.checking.outlook import Outlook
    from motel_locust.commands.checking.sampling import Draw
    from motel_locust.commands.checking.sizes import Spread
    from motel_locust.commands.checking.verdict import Row
    from motel_locust.commands.checking.volume import Peak, Share, Volume
    from motel_locust.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will send.

    Attributes:
        base_per_s: Traces a second at the base rate, of all users.
        peak: The instant with the most spans.
        speed_per_s: Spans a second that one core of this machine makes; None: not measured.
        cores: How many cores it has.
    """

    base_per_s: float
    peak: Peak
    speed_per_s: float | None
    cores: int

    @property
    def workers(self) -> int | None:
        """The worker processes that the peak needs on machines like this one."""
        if self.speed_per_s is None:
            return None
        return workers(self.peak.spans_per_s, self.speed_per_s)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; no *forecast* without samples."""

    topology: Topology
    draw: Draw
    samples: int
    swarming: bool
    outlook: Outlook
    rows: list[Row]
    forecast: Forecast | None

    @property
    def passed(self) -> bool:
        """Whether everything is within its limits."""
        return all(row.passed for row in self.rows)

    def verdicts(self) -> Iterator[list[Cell]]:
        """Yield a row for each limit, below :data:`VERDICT_HEADINGS`."""
        for row in self.rows:
            verdict = Mark("ok", "good") if row.passed else Mark("FAIL", "bad")
            yield [
                verdict,
                row.name,
                row.value,
                row.limit,
                *_spread_cells(row.sampled),
            ]

    def places(self) -> Iterator[str]:
        """Yield where the value of each row was found."""
        for row in self.rows:
            where = f": {_path(row.where)}" if row.where else ""
            yield f"{row.name} {row.value:,}, {row.scenarios.label}{where}"

    def latencies(self) -> Iterator[list[Cell]]:
        """Yield the latency of each set of scenarios, below :data:`LATENCY_HEADINGS`."""
        for volume in self.outlook.volumes:
            spans = amounts.rate(volume.spans)
            yield [
                *(amounts.duration(each) for each in asdict(volume.latency).values()),
                spans,
                amounts.size(volume.size),
                volume.scenarios.label,
            ]

    def services(self) -> Iterator[list[Cell]]:
        """Yield what each service sends, and all together, below :data:`SERVICE_HEADINGS`."""
        assert self.forecast is not None, "nothing was sampled"
        base, peak = self._base, self.forecast.peak.volume
        at_base, at_peak = base.by_service(), peak.by_service()
        parts = {name: (at_base[name], at_peak[name]) for name in sorted(at_base)}
        parts |= {"all": ((base.spans, base.size), (peak.spans, peak.size))}
        per_s = self.forecast.base_per_s, self.forecast.peak.traces_per_s
        for name, part in parts.items():
            cells: list[Cell] = [name]
            for traces, (spans, size) in zip(per_s, part, strict=True):
                cells += [amounts.rate(traces * spans), f"{amounts.size(traces * size)}/s"]
            yield cells

    def notes(self) -> Iterator[str]:
        """Yield sentences: what was sampled, the peak, the machine, and what is not in there."""
        if self.forecast is None:
            yield "no traces were sampled: bounds only"
            return
        sets = len(self.outlook.findings)
        each = f" for each of {sets} sets of scenarios" if sets > 1 else ""
        yield f"{self.samples:,} traces sampled{each}, seed {self.draw.seed}"
        if self.swarming:
            yield from self._about_swarm()
        sampled = self._sampled_refs()
        if any(each.bounds.spans > self.draw.limit for each in self.outlook.findings):
            yield f"traces may reach the limit of {self.draw.limit:,} spans, where they are cut"
        if sampled:
            yield f"sampled, not computed, are the spans of {_listed(sampled)}"
        stateful = keeps_state(self.topology)
        if stateful:
            yield f"queues, backpressure and circuit breakers are left out: {_listed(stateful)}"
        peak = self.forecast.peak
        yield (
            f"peak: {amounts.rate(peak.traces_per_s)} traces/s at {amounts.clock(peak.t_ns)},"
            f" {peak.volume.scenarios.label}; base rate: {amounts.rate(self.forecast.base_per_s)}/s"
        )
        if self.forecast.speed_per_s is not None:
            yield (
                f"this machine generates about {amounts.about(self.forecast.speed_per_s)} spans/s"
                f" a core; planned at {amounts.share(PLANNED_SHARE)} of that, as sending costs more"
                f" than generating, the peak needs about {_workers(self.forecast)}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; durations in ms, shares from 0 to 1."""
        found: dict[str, Any] = {
            "passed": self.passed,
            "seed": self.draw.seed,
            "samples": self.samples,
            "strategy": "swarm" if self.swarming else "random",
            "rows": [_row_dict(row) for row in self.rows],
            "scenario_sets": [
                {"scenarios": list(each.scenarios.names), "bounds": asdict(each.bounds)}
                for each in self.outlook.findings
            ],
            "forecast": None,
        }
        for entry, volume in zip(found["scenario_sets"], self.outlook.volumes, strict=False):
            entry["expected"] = _volume_dict(volume)
        if self.forecast is not None:
            found["forecast"] = self._forecast_dict(self.forecast)
        return found

    @property
    def _base(self) -> Volume:
        return self.outlook.volumes[0]

    def _sampled_refs(self) -> list[str]:
        return [
            ref
            for ref in self._base.shares
            if not all(volume.shares[ref].spans.exact for volume in self.outlook.volumes)
        ]

    def _about_swarm(self) -> Iterator[str]:
        wanted = swarm.enough(self.outlook.points)
        yield "the values are those of a swarm: rare corners, not what production looks like"
        if self.samples < wanted:
            points = self.outlook.points
            need = "choice point needs" if points == 1 else "choice points need"
            yield f"{points} {need} {wanted:,} samples to be fixed both ways, one by one"

    def _forecast_dict(self, forecast: Forecast) -> dict[str, Any]:
        base, peak = self._base, forecast.peak
        return {
            "base": _flow_dict(forecast.base_per_s, base),
            "peak": {
                "at_s": peak.t_ns / 1e9,
                "scenarios": list(peak.volume.scenarios.names),
                **_flow_dict(peak.traces_per_s, peak.volume),
            },
            "generated_spans_per_s_per_core": forecast.speed_per_s,
            "planned_share": PLANNED_SHARE,
            "workers": forecast.workers,
            "cores": forecast.cores,
        }


VERDICT_HEADINGS: Final = ("", "limit on", "value", "limit", "p50", "p95", "p99", "max")
LATENCY_HEADINGS: Final = (
    *("p50", "p95", "p99", "max"),
    *("mean spans", "mean bytes", "scenarios"),
)
SERVICE_HEADINGS: Final = ("service", "spans/s", "bytes/s", "peak spans/s", "peak bytes/s")


_MOST_NAMES: Final = 8
"""Of a longer path or list only so many names are told."""


def _path(refs: Sequence[str]) -> str:
    if len(refs) > _MOST_NAMES:
        half = _MOST_NAMES // 2
        left_out = f"({len(refs) - 2 * half:,} more)"
        refs = (*refs[:half], left_out, *refs[-half:])
    return " > ".join(refs)


def _listed(refs: Sequence[str]) -> str:
    if len(refs) > _MOST_NAMES:
        refs = (*refs[:_MOST_NAMES], f"{len(refs) - _MOST_NAMES:,} more")
    return ", ".join(refs)


def _workers(forecast: Forecast) -> str:
    count = forecast.workers
    assert count is not None, "the machine was measured"
    noun = "worker" if count == 1 else "workers"
    return f"{count:,} {noun} (this machine has {forecast.cores} cores)"


def _spread_cells(sampled: Spread | None) -> list[Cell]:
    return [""] * 4 if sampled is None else list(asdict(sampled).values())


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "passed": row.passed,
        "value": row.value,
        "limit": row.limit,
        "where": list(row.where),
        "scenarios": list(row.scenarios.names),
        "sampled": None if row.sampled is None else _spread_dict(row.sampled),
    }


def _spread_dict(sampled: Spread, *, unit: float = 1) -> dict[str, Any]:
    values = asdict(sampled)
    values["max"] = values.pop("greatest")
    return {key: value if unit == 1 else value / unit for key, value in values.items()}


def _volume_dict(volume: Volume) -> dict[str, Any]:
    return {
        "spans_per_trace": volume.spans,
        "bytes_per_trace": volume.size,
        "exact": volume.exact,
        "latency_ms": _spread_dict(volume.latency, unit=1e6),
        "operations": {ref: _share_dict(share) for ref, share in volume.shares.items()},
    }


def _share_dict(share: Share) -> dict[str, Any]:
    latency = None if share.latency is None else _spread_dict(share.latency, unit=1e6)
    return {
        "spans_per_trace": _estimate_dict(share.spans),
        "error_share": _estimate_dict(share.errors),
        "bytes_per_span": share.size,
        "latency_ms": latency,
    }


def _estimate_dict(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "exact": estimate.exact}


def _flow_dict(traces_per_s: float, volume: Volume) -> dict[str, Any]:
    return {
        "traces_per_s": traces_per_s,
        "spans_per_s": traces_per_s * volume.spans,
        "bytes_per_s": traces_per_s * volume.size,
        "services": {
            name: {"spans_per_s": traces_per_s * spans, "bytes_per_s": traces_per_s * size}
            for name, (spans, size) in sorted(volume.by_service().items())
        },
    }
