"""The parts of the benchmarks: what each measures, and how its rows are shown and kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from benchmarks import (
    compression,
    delivery,
    generation,
    memory,
    processes,
    rates,
    responsiveness,
    signals,
    users,
)
from benchmarks.table import Table, count, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """One part; a row is a frozen dataclass of plain values."""

    title: str
    row: type
    measure: Callable[[float], list[Any]]
    """Takes the length of a run, in seconds."""
    table: Callable[[list[Any]], Table]

    def kept(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return *rows* as JSON has them."""
        return [asdict(row) for row in rows]

    def rows(self, kept: Sequence[dict[str, Any]]) -> list[Any]:
        """Return the rows out of JSON; raise ValueError where they have other fields by now."""
        names = {field.name for field in fields(self.row)}
        if any(each.keys() != names for each in kept):
            raise ValueError(f"{self.title}: kept by another version; measure it anew")
        return [self.row(**each) for each in kept]


def generation_table(rows: list[generation.Speed]) -> Table:
    """Return the speeds of the engine as a table."""
    return Table(
        ("topology", "walked, spans/s", "and encoded", "bytes a span", "SDK, spans/s", "times"),
        [
            (
                *(row.name, count(row.walked_per_s), count(row.encoded_per_s)),
                count(row.bytes_per_span),
                count(row.sdk_per_s) if row.sdk_per_s else "",
                count(row.times_sdk) if row.times_sdk else "",
            )
            for row in rows
        ],
    )


def compression_table(rows: list[compression.Compressed]) -> Table:
    """Return the costs of compression as a table."""
    return Table(
        ("compression", "bytes of a body", "ns a span", "of the size"),
        [
            (row.name, count(row.body_bytes), f"{row.ns_per_span:.1f}", percent(row.ratio, 1))
            for row in rows
        ],
    )


PARTS: dict[str, Part] = {
    "generation": Part(
        "Generating and encoding, one core",
        generation.Speed,
        lambda _: generation.measure_all(),
        generation_table,
    ),
    "signals": Part(
        "Metrics and logs, one core",
        signals.Added,
        lambda _: signals.measure_all(),
        signals.table,
    ),
    "compression": Part(
        "Compressing a body, one core",
        compression.Compressed,
        lambda _: compression.measure_all(),
        compression_table,
    ),
    "delivery": Part(
        "Delivered, beside the endpoint's own ceiling",
        delivery.Delivered,
        lambda seconds: delivery.measure_all(seconds=seconds),
        delivery.table,
    ),
    "rates": Part(
        "Rates asked and reached",
        rates.Reached,
        lambda seconds: rates.measure_all(seconds=seconds),
        rates.table,
    ),
    "users": Part(
        "The same load from few users and from many",
        users.Crowd,
        lambda seconds: users.measure_all(seconds=seconds),
        users.table,
    ),
    "processes": Part(
        "Processes",
        processes.Forked,
        lambda seconds: processes.measure_all(seconds=seconds),
        processes.table,
    ),
    "responsiveness": Part(
        "Others on the event loop, under full load",
        responsiveness.Responsive,
        lambda seconds: responsiveness.measure_all(seconds=seconds),
        responsiveness.table,
    ),
    "memory": Part(
        "Memory under full load",
        memory.Resident,
        lambda seconds: memory.measure_all(seconds=seconds),
        memory.table,
    ),
}
