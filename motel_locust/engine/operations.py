"""Operations and their calls as visits need them, compiled for one set of scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.state import guarded
from motel_locust.topology.percentiles import PercentileDistribution

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from motel_locust.engine.pairs import Client
    from motel_locust.engine.scenarios import Effective
    from motel_locust.topology.model import Call, Operation


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One entry of an operation's calls.

    ``key`` is that of the spans it makes, whatever else is called; ``gate`` is the row of the
    operation's words that decides with ``below`` whether the call is made, None where it always is.
    """

    key: int
    target: str
    gate: int | None
    below: np.uint64
    wants_error: bool | None
    count: int
    timeout_ns: int | None
    retries: int
    backoff_ns: int
    awaited: bool
    producer: bool
    stays: bool
    """Whether the caller's instance serves it."""

    @property
    def attempts(self) -> int:
        """The most spans that one caller's span gets from this entry."""
        return self.count * (1 + self.retries)

    @property
    def plain(self) -> bool:
        """Whether every row calls exactly once and takes what comes."""
        return (
            self.gate is None
            and self.wants_error is None
            and self.attempts == 1
            and self.timeout_ns is None
            and self.awaited
        )


class OperationPlan:
    """What a visit needs to know of an operation, or of one of its variants, or on an instance.

    ``keys`` uint64[purposes, 1] gives a span its words: first the ``gates`` of the calls, which are
    the same for all of these, then rows ``duration_word`` and ``error_word``; what needs no draw
    has none. ``beside`` are the operations that the same instances serve, itself among them; none
    where the service has no instances. ``client`` tells the caller's side of a call, which has the
    service and name of the calling operation.
    """

    def __init__(
        self,
        ref: str,
        place: tuple[str, str],
        model: Operation,
        effective: Effective,
        *,
        seed: int,
        beside: Collection[str],
        client: Client | None = None,
    ) -> None:
        self.ref, (self.service, self.name) = ref, place
        self.model, self.effective, self.client = model, effective, client
        self.limit_ns = effective.limit_ns
        self.served = bool(beside)
        self.guarded = guarded(model)
        self.linked = tuple(link.ref for link in model.links)
        self.parallel = model.call_style == "parallel"
        duration = effective.duration
        self.mean_ns = self.deviation_ns = 0
        self.curve_ns: NDArray[np.float64] | None = None
        if isinstance(duration, PercentileDistribution):
            self.curve_ns = draws.curve(duration.at)
        else:
            self.mean_ns, self.deviation_ns = duration.mean_ns, duration.deviation_ns
        self.error_rate = effective.error_rate
        keys: list[int] = []

        def word(*purpose: object) -> int:
            keys.append(draws.key(seed, self.service, self.name, *purpose))
            return len(keys) - 1

        self.root_key = draws.key(seed, self.service, self.name, "root")
        self.calls = tuple(
            self._compile_call(
                draws.key(seed, self.service, self.name, "callee", name),
                call,
                None if call.probability == 1 else word("call", name),
                stays=call.target in beside,
            )
            for name, call in effective.calls
        )
        self.gates = len(keys)
        pressure = model.backpressure
        may_rise = pressure is not None and pressure.error_rate_add > 0
        varies = self.deviation_ns > 0 or self.curve_ns is not None
        self.duration_word = word("duration") if varies else None
        self.error_word = word("error") if 0 < self.error_rate < 1 or may_rise else None
        self.variants = {
            each.name: OperationPlan(ref, place, model, each.effective, seed=seed, beside=beside)
            for each in effective.variants
        }
        self.on_instances = {
            index: OperationPlan(ref, place, model, each, seed=seed, beside=beside)
            for index, each in effective.on_instances.items()
        }
        self.keys: NDArray[np.uint64] = np.array(keys, np.uint64)[:, np.newaxis]

    def own_ns(self, words: NDArray[np.uint64], factor: float) -> NDArray[np.int64] | np.int64:
        """Return its spans' own time, by their *words*; backpressure makes it longer.

        By percentiles it is *factor* times as long as a whole; else the mean is, and what varies
        around it goes on to do so by as much.
        """
        if self.duration_word is None:
            return np.int64(self.mean_ns * factor)
        word = words[self.duration_word]
        if self.curve_ns is not None:
            return (draws.draw_quantiles(word, self.curve_ns, 0) * factor).astype(np.int64)
        return draws.draw_durations(word, int(self.mean_ns * factor), self.deviation_ns)

    @staticmethod
    def _compile_call(key: int, call: Call, gate: int | None, *, stays: bool) -> CallPlan:
        return CallPlan(
            key=key,
            target=call.target,
            gate=gate,
            below=draws.threshold(call.probability),
            wants_error=None if call.condition is None else call.condition == "on-error",
            count=call.count,
            timeout_ns=call.timeout,
            retries=call.retries,
            backoff_ns=call.retry_backoff,
            awaited=not call.detached,
            producer=call.producer,
            stays=stays,
        )
