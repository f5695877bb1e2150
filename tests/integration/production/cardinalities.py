"""Texts and rows: how many different ones come, how often each, and which values together."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import TYPE_CHECKING, Any

from motel_locust.topology import linking, model
from tests.integration.production.arrived import Statistic, share
from tests.oracles.contents import plain
from tests.oracles.spelling import spelled, zipf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from motel_locust.topology.model import Rows
    from tests.integration.production.arrived import Arrived

RANKS = (1, 2, 3, 10, 30, 100)


def statistics(arrived: Arrived) -> Iterator[Statistic]:
    """Yield numbers of texts, shares of ranks and of rows, attribute by attribute."""
    for ref, (service, name) in linking.operations(arrived.topology).items():
        attributes = arrived.topology.services[service].operations[name].attributes
        spans = [plain(each.span.attributes) for each in arrived.by_operation[ref]]
        for key, generator in attributes.items():
            if isinstance(generator, model.Texts):
                yield from of_texts(f"{ref}, {key}", key, generator, spans)
        rows = {key: each for key, each in attributes.items() if isinstance(each, model.Rows)}
        for file in sorted({each.table.name for each in rows.values()}):
            of_file = {key: each for key, each in rows.items() if each.table.name == file}
            yield from of_rows(f"{ref}, {file}", of_file, spans)


def of_texts(
    label: str, key: str, generator: model.Texts, spans: Sequence[Mapping[str, Any]]
) -> Iterator[Statistic]:
    made, found = generator.text, Counter(each[key] for each in spans)
    chances = zipf(made.distinct, made.skew)
    wrong = sum(count for text, count in found.items() if len(text) != made.length)
    yield Statistic(f"{label}: of another length", wrong, 0)
    # Each text is missed or not, and one that comes leaves less room for the others.
    missed = [(1 - chance) ** len(spans) for chance in chances]
    error = sqrt(sum(each * (1 - each) for each in missed))
    yield Statistic(f"{label}: different ones", len(found), made.distinct - sum(missed), error)
    texts = [spelled(key, rank, made.length) for rank in range(max(RANKS))]
    for rank in RANKS:
        count = found[texts[rank - 1]]
        yield share(f"{label}: rank {rank}", count, len(spans), chances[rank - 1])
        first = sum(found[text] for text in texts[:rank])
        yield share(f"{label}: up to rank {rank}", first, len(spans), sum(chances[:rank]))


def of_rows(
    label: str, attributes: Mapping[str, Rows], spans: Sequence[Mapping[str, Any]]
) -> Iterator[Statistic]:
    table = next(iter(attributes.values())).table
    columns = [table.columns[each.rows.column].values for each in attributes.values()]
    rows = list(zip(*columns, strict=True))
    weights = table.weights or (1.0,) * len(rows)
    found = Counter(tuple(each[key] for key in attributes) for each in spans)
    apart = sum(count for row, count in found.items() if row not in rows)
    yield Statistic(f"{label}: of several rows", apart, 0)
    for row in sorted(set(rows)):
        weight = sum(each for other, each in zip(rows, weights, strict=True) if other == row)
        yield share(f"{label}: {row}", found[row], len(spans), weight / sum(weights))
