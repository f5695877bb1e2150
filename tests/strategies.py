"""Random spans, as columns: what an encoder may be given, its extremes included.

A column repeats a short list of drawn values as often as its rows need, so that large batches cost
no more to draw than small ones. The lists of a shape's columns differ in length, so that their
values meet in many combinations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from motel_locust.engine.columns import (
    Batch,
    Choice,
    Columns,
    Constant,
    Counts,
    Double,
    EventShape,
    Integer,
    Kind,
    LinkColumns,
    LinkShape,
    Numbered,
    Shape,
    Spelled,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motel_locust.engine.columns import Attribute, ValueColumn

SERVICES = ("gate", "shop", "Lager ß")
EPOCH_NS = 1_700_000_000_000_000_000
TICK_NS = 10_000_000

INT64 = (-(2**63), 2**63 - 1)
WIDTHS = sorted({2 ** (7 * width) + step for width in range(9) for step in (-1, 0)} | {2**63 - 1})
"""The least and the greatest numbers of every width as a varint."""
ROUND = sorted({10**power + step for power in range(19) for step in (-1, 0)} - {0})
"""The least and the greatest numbers of 1, 2, ... 18 decimal digits, and one of 19."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["x" * 127, "y" * 128, "ö" * 200, "z" * 3000, "/api/users/{id}"]
)
int64s = st.sampled_from([*WIDTHS, *(-width for width in WIDTHS), INT64[0]]) | st.integers(*INT64)
numbers = st.sampled_from([*ROUND, INT64[1]]) | st.integers(1, INT64[1])
doubles = st.floats()
values = texts | st.booleans() | int64s | doubles


@st.composite
def attributes(draw: st.DrawFn, key: str) -> Attribute:
    """One attribute of any kind."""
    kind = draw(st.sampled_from([Constant, Choice, Integer, Double, Numbered, Spelled]))
    if kind is Constant:
        arrays = st.lists(texts, max_size=3).map(tuple)
        return Constant(key, draw(values | arrays))
    if kind is Choice:
        return Choice(key, tuple(draw(st.lists(values, min_size=1, max_size=5))))
    if kind is Integer:
        low, high = sorted(draw(st.tuples(int64s, int64s)))
        return Integer(key, low, high)
    if kind is Double:
        return Double(key)
    if kind is Spelled:
        length = draw(st.sampled_from([1, 2, 11, 12, 13, 24, 40, 127, 128, 3000]))
        return Spelled(key, length, draw(st.integers(2, 32 ** min(length, 11))))
    return Numbered(key, tuple(draw(st.lists(texts, min_size=1, max_size=4))))


@st.composite
def attribute_sets(draw: st.DrawFn) -> tuple[Attribute, ...]:
    """A few attributes, each with a key of its own."""
    keys = draw(st.lists(texts, max_size=6, unique=True))
    return tuple(draw(attributes(key)) for key in keys)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """A shape with everything that a span may have."""
    events = st.builds(EventShape, texts, st.integers(0, 10**10), attribute_sets())
    links = st.builds(LinkShape, attribute_sets())
    return Shape(
        service=draw(st.sampled_from(SERVICES)),
        name=draw(texts),
        kind=draw(st.sampled_from(Kind)),
        has_parent=draw(st.booleans()),
        attributes=draw(attribute_sets()),
        events=tuple(draw(st.lists(events, max_size=2))),
        links=tuple(draw(st.lists(links, max_size=2))),
        message=draw(texts),
        exception_message=draw(texts),
    )


@st.composite
def siblings(draw: st.DrawFn, shape: Shape) -> Shape:
    """A shape that differs from *shape* in constants and choices, and has no events or links."""
    others = []
    for attribute in shape.attributes:
        if isinstance(attribute, Constant):
            others.append(Constant(attribute.key, draw(values)))
        elif isinstance(attribute, Choice):
            options = st.lists(values, min_size=1, max_size=5)
            others.append(Choice(attribute.key, tuple(draw(options))))
        else:
            others.append(attribute)
    return replace(
        shape,
        service=draw(st.sampled_from(SERVICES)),
        name=draw(texts),
        kind=draw(st.sampled_from(Kind)),
        attributes=(
            *others,
            Choice("of a sibling", tuple(draw(st.lists(values, max_size=3)) or [True])),
        ),
        events=(),
        links=(),
    )


@st.composite
def arrays(draw: st.DrawFn, elements: st.SearchStrategy[Any], dtype: str, rows: int) -> Any:
    """A column of *rows* values out of a few."""
    return np.resize(np.array(draw(st.lists(elements, min_size=1, max_size=7)), dtype), rows)


@st.composite
def value_columns(draw: st.DrawFn, attribute: Attribute, rows: int) -> ValueColumn:
    """The column of an *attribute*."""
    match attribute:
        case Constant():
            return None
        case Choice(_, options):
            return draw(arrays(st.integers(0, len(options) - 1), "i8", rows))
        case Integer(_, low, high):
            edges = [edge for edge in (low, *WIDTHS, -1, high) if low <= edge <= high]
            return draw(arrays(st.sampled_from(edges) | st.integers(low, high), "i8", rows))
        case Double():
            return draw(arrays(doubles, "f8", rows))
        case Numbered():
            return draw(arrays(numbers, "i8", rows))
        case Spelled(_, _, distinct):
            return draw(arrays(st.integers(0, distinct - 1), "i8", rows))


def ids(rows: int) -> st.SearchStrategy[NDArray[np.uint64]]:
    """A column of span ids."""
    return arrays(st.integers(1, 2**64 - 1), "u8", rows)


@st.composite
def trace_ids(draw: st.DrawFn, rows: int) -> NDArray[np.void]:
    """A column of trace ids."""
    return draw(arrays(st.binary(min_size=16, max_size=16), "V16", rows))


@st.composite
def link_columns(draw: st.DrawFn, shape: LinkShape, rows: int) -> LinkColumns:
    """The links of some of the *rows*, or of none or all of them."""
    chosen = draw(arrays(st.booleans(), "?", rows)).nonzero()[0]
    return LinkColumns(
        chosen=chosen,
        trace_id=draw(trace_ids(len(chosen))),
        span_id=draw(ids(len(chosen))),
        values=tuple(draw(value_columns(each, len(chosen))) for each in shape.attributes),
    )


@st.composite
def columns(draw: st.DrawFn, *, trace: NDArray[np.int64], shape: Shape | None = None) -> Columns:
    """Spans of one shape, given or drawn, and of the traces *trace*, int64[rows]."""
    of = draw(shapes()) if shape is None else shape
    rows = len(trace)
    start_ns = EPOCH_NS + draw(arrays(st.integers(0, 10**12), "i8", rows))
    return Columns(
        shape=of,
        trace=trace,
        span_id=draw(ids(rows)),
        parent_id=draw(ids(rows)) if of.has_parent else None,
        start_ns=start_ns,
        end_ns=start_ns + draw(arrays(st.integers(0, 10**12), "i8", rows)),
        failed=draw(arrays(st.booleans(), "?", rows)),
        values=tuple(draw(value_columns(each, rows)) for each in of.attributes),
        events=tuple(
            tuple(draw(value_columns(each, rows)) for each in event.attributes)
            for event in of.events
        ),
        links=tuple(draw(link_columns(link, rows)) for link in of.links),
    )


@st.composite
def batches(draw: st.DrawFn, *, in_order: bool = True) -> Batch:
    """A batch of a few traces in a few parts.

    *in_order* of traces, every trace whole in one part, as when traces leave at their arrival;
    else rows and parts are as a run in real time may have them.
    """
    traces = draw(st.integers(0, 12))
    blocks: list[Columns] = []
    for _ in range(draw(st.integers(0, 3)) if traces else 0):
        shape = draw(shapes())
        for of in (shape, *(draw(siblings(shape)) for _ in range(draw(st.integers(0, 2))))):
            trace = draw(st.lists(st.integers(0, traces - 1), max_size=20))
            rows = np.array(sorted(trace) if in_order else trace, np.int64)
            blocks.append(draw(columns(trace=rows, shape=of)))
    parts = draw(st.integers(1, 4))
    rows = np.zeros((len(blocks), parts + 1), np.int64)
    trace_cuts = sorted(
        draw(st.lists(st.integers(0, traces), min_size=parts - 1, max_size=parts - 1))
    )
    for block, edges in zip(blocks, rows, strict=True):
        count = len(block.trace)
        if in_order:
            edges[1:-1] = block.trace.searchsorted(trace_cuts)
        else:
            cuts = st.lists(st.integers(0, count), min_size=parts - 1, max_size=parts - 1)
            edges[1:-1] = sorted(draw(cuts))
        edges[-1] = count
    return Batch(
        trace_id=draw(trace_ids(traces)),
        arrival_ns=EPOCH_NS + np.arange(traces) * TICK_NS,
        columns=tuple(blocks),
        edges_ns=EPOCH_NS + np.arange(parts) * TICK_NS,
        rows=rows,
        counts=tuple(
            Counts(traces=part + 1, spans=int(spans))
            for part, spans in enumerate(np.diff(rows, axis=1).sum(axis=0))
        ),
    )
