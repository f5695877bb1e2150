"""The options of one run: judged all together, then with their units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motel_locust.load.options import OPTIONS
from motel_locust.load.values import SIGNALS
from motel_locust.topology.quantities import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.otlp.ledger import Signal


class OptionError(ValueError):
    """Options that cannot be run with: one line for each problem."""


def plain_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain value of every option: from *given*, by name, or its default.

    *given* may hold more than our options, and text where Locust's form sends text. Raises
    OptionError with all problems at once.
    """
    values: dict[str, Any] = {}
    problems = []
    for option in OPTIONS:
        value = given.get(option.name, option.default)
        if option.parse is None:
            values[option.name] = value is True or value == "true"
        elif value is None:
            values[option.name] = None
        else:
            try:
                values[option.name] = option.parse(str(value))
            except ValueError as problem:
                problems.append(f"{option.flag}: {problem}")
    if not problems and values["realtime"] and parse_duration(values["time_offset"]):
        problems.append("--realtime and --time-offset exclude each other; leave one of them out")
    if problems:
        raise OptionError("\n".join(problems))
    return values


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run, with their units; fixed when it starts."""

    topology: str
    rate: str
    rate_per: str
    arrivals: str
    seed: int
    signals: tuple[Signal, ...]
    realtime: bool
    time_offset_ns: int
    max_spans_per_trace: int
    slow_ns: int
    label_scenarios: bool
    speed: float
    loops: int
    preserve_ids: bool
    verbatim: bool
    connections: int
    queue_bytes: int
    flush_interval_s: float
    on_full: str
    drain_s: float
    max_loss: float
    wait_for_endpoint_s: float
    summary: str
    cpu_profile: str


def run_options(plain: Mapping[str, Any]) -> RunOptions:
    """Return what the values from :func:`plain_values` mean."""
    return RunOptions(
        topology=plain["topology"],
        rate=plain["rate"],
        rate_per=plain["rate_per"],
        arrivals=plain["arrivals"],
        seed=plain["seed"],
        signals=tuple(each for each in SIGNALS if each in plain["signals"].split(",")),
        realtime=plain["realtime"],
        time_offset_ns=parse_duration(plain["time_offset"]),
        max_spans_per_trace=plain["max_spans_per_trace"] or 10_000,
        slow_ns=parse_duration(plain["slow_threshold"]),
        label_scenarios=plain["label_scenarios"],
        speed=plain["speed"],
        loops=plain["loop"],
        preserve_ids=plain["preserve_ids"],
        verbatim=plain["verbatim"],
        connections=plain["connections"],
        queue_bytes=plain["queue_size"],
        flush_interval_s=parse_duration(plain["flush_interval"]) / 1e9,
        on_full=plain["on_full"],
        drain_s=plain["drain"],
        max_loss=plain["max_loss"],
        wait_for_endpoint_s=plain["wait_for_endpoint"],
        summary=plain["summary"],
        cpu_profile=plain["cpu_profile"],
    )
