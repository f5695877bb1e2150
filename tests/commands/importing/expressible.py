"""What of a topology an import can tell, and how near two topologies are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.commands.importing.figures import normal_behind
from motel_locust.topology import linking
from motel_locust.topology.model import (
    Chance,
    Choice,
    Constant,
    Normal,
    PercentileDistribution,
    Range,
    Rows,
    Sequence,
    Texts,
)
from motel_locust.topology.percentiles import INNER

if TYPE_CHECKING:
    from motel_locust.commands.importing.draft import Statement
    from motel_locust.topology.model import (
        Call,
        Generator,
        Operation,
        Topology,
    )

ERRORS = 4.0
"""Standard errors that a figure may be off: by chance 1 figure in 16,000 is."""
ROUNDING = 0.005
"""Three significant digits."""
CELL = 0.008
"""Percentiles are counted in cells so wide at most."""
NORMAL = NormalDist()
SEEN = 60
"""A case that is expected so often is seen often enough by the inference, which needs 20 to 30."""


def expressible(topology: Topology) -> Topology:
    """Return *topology* without what the inference does not look for."""
    services = {}
    for name, service in topology.services.items():
        operations = {
            each: operation.model_copy(
                update={
                    "events": (),
                    "links": (),
                    "metrics": (),
                    "logs": (),
                    "queue_depth": 0,
                    "backpressure": None,
                    "circuit_breaker": None,
                    "variants": {},
                }
            )
            for each, operation in service.operations.items()
        }
        update = {"operations": operations, "metrics": (), "logs": ()}
        services[name] = service.model_copy(update=update)
    assert topology.traffic is not None
    traffic = topology.traffic.model_copy(update={"pattern": "uniform", "overlay": None})
    update = {"services": services, "scenarios": (), "traffic": traffic, "spans": "single"}
    return topology.model_copy(update=update)


def reached(topology: Topology) -> dict[str, Operation]:
    """Return the operations that traces come by."""
    places = linking.operations(topology)
    found: dict[str, Operation] = {}
    left = list(linking.roots(topology))
    while left:
        ref = left.pop()
        if ref not in found:
            service, name = places[ref]
            found[ref] = topology.services[service].operations[name]
            left += [call.target for call in found[ref].calls]
    return dict(sorted(found.items()))


@cache
def duration_errors(mean: float, deviation: float) -> tuple[float, float]:
    """Return the standard errors of mean and deviation, for one sample, of a fit to N cut at 0.

    By the delta method: the covariance of a sample's mean and deviation (from the moments of what
    is cut off, on a grid of quantiles), through the derivative of the fit.
    """
    if not deviation:
        return 0.0, 0.0
    grid = NormalDist()
    drawn = np.array([grid.inv_cdf((step + 0.5) / 4000) for step in range(4000)])
    values = np.maximum(mean + deviation * drawn, 0)
    middle, spread = values.mean(), values.std()
    third, fourth = ((values - middle) ** 3).mean(), ((values - middle) ** 4).mean()
    both = third / (2 * spread)
    covariance = np.array([[spread**2, both], [both, (fourth / spread**2 - spread**2) / 4]])
    step = spread * 1e-4
    derivative = np.column_stack(
        [
            np.subtract(
                normal_behind(middle + right, spread + up),
                normal_behind(middle - right, spread - up),
            )
            / (2 * step)
            for right, up in ((step, 0), (0, step))
        ]
    )
    found = derivative @ covariance @ derivative.T
    return math.sqrt(found[0, 0]), math.sqrt(found[1, 1])


def failure(ref: str, topology: Topology) -> float:
    """Return about how often a span of *ref* fails: by itself, or with a call that it waits for."""
    operation = reached(topology)[ref]
    good = 1 - operation.error_rate
    for call in operation.calls:
        if not call.detached and not call.condition:
            each = attempt_failure(call, topology) ** (1 + call.retries)
            good *= 1 - (call.probability or 1) * (1 - (1 - each) ** max(call.count, 1))
    return 1 - good


def attempt_failure(call: Call, topology: Topology) -> float:
    """Return how often an attempt of *call* fails or is given up."""
    given_up = 0.0
    if call.timeout:
        duration = reached(topology)[call.target].duration
        if isinstance(duration, PercentileDistribution):
            given_up = duration.share_above(call.timeout)
        else:
            law = NormalDist(duration.mean_ns, max(duration.deviation_ns, 1))
            given_up = 1 - law.cdf(call.timeout)
    return 1 - (1 - failure(call.target, topology)) * (1 - given_up)


@dataclass(frozen=True)
class Nearness:
    """Compares what an import found with the truth.

    Everything has *generations* times the sampling error of one import in its variance: a topology
    that was imported, generated and imported again carries the errors of both samples.
    """

    generations: int

    @property
    def errors(self) -> float:
        """The standard errors allowed."""
        return ERRORS * math.sqrt(self.generations)

    def share(self, found: float, true: float, samples: float) -> bool:
        """Return whether *found* may be the share *true* of *samples*; none is 0."""
        error = math.sqrt(max(true * (1 - true), 1 / samples) / samples)
        return abs(found - true) <= self.errors * error + self.generations * ROUNDING * true

    def duration(self, found: Operation, true: Operation, samples: int) -> bool:
        """Return whether the own time of *found* may be that of *true*."""
        truth, said = true.duration, found.duration
        if isinstance(truth, PercentileDistribution) or isinstance(said, PercentileDistribution):
            return (
                isinstance(truth, PercentileDistribution)
                and isinstance(said, PercentileDistribution)
                and self._percentiles(said, truth, samples)
            )
        errors = duration_errors(truth.mean_ns, truth.deviation_ns)
        slack = [self.errors * each / math.sqrt(samples) for each in errors]
        rounding = self.generations * ROUNDING
        return (
            abs(said.mean_ns - truth.mean_ns) <= slack[0] + rounding * truth.mean_ns + 2
            and abs(said.deviation_ns - truth.deviation_ns)
            <= slack[1] + rounding * truth.deviation_ns + 2
        )

    def _percentiles(
        self, found: PercentileDistribution, truth: PercentileDistribution, samples: int
    ) -> bool:
        """Return whether samples of *truth* may have the percentiles that *found* gives.

        A quantile's standard error is sqrt(p * (1 - p) / samples) over the density, which is that
        of the normal over the slope of *truth* there: the steeper one, at a kink.
        """
        for name, value_ns in found.points:
            if name in ("p0", "p100"):
                if not truth.at(-6) * (1 - ROUNDING) <= value_ns <= truth.at(6) * (1 + ROUNDING):
                    return False
                continue
            quantile = INNER[name]
            share, middle = NORMAL.cdf(quantile), truth.at(quantile)
            slope = max(middle - truth.at(quantile - 0.1), truth.at(quantile + 0.1) - middle) / 0.1
            error = math.sqrt(share * (1 - share) / samples) * slope / NORMAL.pdf(quantile)
            rounding = self.generations * (ROUNDING + CELL) * middle
            if abs(value_ns - middle) > self.errors * error + rounding + 2:
                return False
        return True

    def generator(self, found: Generator, true: Generator, samples: int) -> bool:
        """Return whether *found* may make the values of *true*."""
        values, wanted = shares(found), shares(true)
        if wanted is not None and values is not None:
            return all(
                self.share(values.get(key, 0.0), wanted.get(key, 0.0), samples)
                for key in values.keys() | wanted.keys()
            )
        match found, true:
            case Range(), Range():
                # That none of n values is nearer to the end: (1 - missed)^n = e^-16, as for ERRORS.
                missed = self.generations * ERRORS**2 / samples * (true.high - true.low) + 1
                return (
                    true.low <= found.low <= true.low + missed
                    and true.high - missed <= found.high <= true.high
                )
            case Normal(), Normal():
                error = self.errors * true.stddev / math.sqrt(samples)
                slack = error + self.generations * ROUNDING * max(abs(true.mean), true.stddev)
                return abs(found.mean - true.mean) <= slack and (
                    abs(found.stddev - true.stddev) <= slack
                )
            case Sequence(), Sequence():
                return found.sequence == true.sequence
        # With few samples, few values are told one by one whatever they come from.
        return values is not None and samples < SEEN


def shares(generator: Generator) -> dict[tuple[type, object], float] | None:
    """Return how often each value comes, if they are few."""
    match generator:
        case Constant(value=value):
            return {(type(value), value): 1.0}
        case Choice(values=pairs):
            total = sum(weight for _, weight in pairs)
            return {(type(value), value): weight / total for value, weight in pairs}
        case Rows(rows=cell, table=table) if len(table.columns[cell.column].options) <= 20:
            values = table.columns[cell.column].values
            weights = table.weights or [1.0] * len(values)
            found: dict[tuple[type, object], float] = {}
            for value, weight in zip(values, weights, strict=True):
                key = (type(value), value)
                found[key] = found.get(key, 0.0) + weight / sum(weights)
            return found
        case Chance(probability=probability):
            return {(bool, True): probability, (bool, False): 1 - probability}
        case Range(low=low, high=high) if high - low < 20:
            return {(int, value): 1 / (high - low + 1) for value in range(low, high + 1)}
    return None


def attributes(ref: str, topology: Topology) -> dict[str, Generator]:
    """Return what spans of *ref* carry, whoever declares it; no baggage, no texts without end."""
    service_name, name = linking.operations(topology)[ref]
    service = topology.services[service_name]
    texts = {key: Constant(value=value) for key, value in service.attributes.items()}
    own = service.operations[name].attributes
    return texts | {key: each for key, each in own.items() if not isinstance(each, Texts)}


def samples_of(statements: dict[str, Statement], path: str) -> int:
    """Return what the value at *path* rests on, 0 if it is not written."""
    return statements[path].samples if path in statements else 0
