from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from motel_locust.otlp import wire
from tests.strategies import INT64, ROUND, WIDTHS, int64s, numbers

columns = st.lists(int64s, min_size=1, max_size=20)


def items(column: np.ndarray) -> list[bytes]:
    return [item.tobytes() for item in column]


def sizes(size: wire.Size, rows: int) -> list[int]:
    return [size] * rows if isinstance(size, int) else size.tolist()


@given(int64s)
def test_a_varint_is_the_one_that_protobuf_writes(value):
    written = AnyValue(int_value=value).SerializeToString()
    assert b"\x18" + wire.varint(value) == written
    assert wire.varint_width(value) == len(written) - 1


@given(columns)
def test_widths_are_those_of_the_single_varints(values):
    widths = wire.varint_widths(np.array(values))
    assert sizes(widths, len(values)) == [wire.varint_width(value) for value in values]


@given(columns, st.integers(0, 9))
def test_varints_of_one_width_are_padded_to_it(values, padding):
    width = min(10, max(map(wire.varint_width, values)) + padding)
    unsigned = [value % 2**64 for value in values]
    assert items(wire.varints(np.array(values), width)) == [
        bytes(v >> 7 * i & 127 | 128 * (i < width - 1) for i in range(width)) for v in unsigned
    ]


@pytest.mark.parametrize("value", [*WIDTHS, -1, INT64[0]])
def test_varints_that_need_no_padding_are_the_shortest(value):
    width = wire.varint_width(value)
    assert items(wire.varints(np.array([value]), width)) == [wire.varint(value)]


@pytest.mark.parametrize("width", range(1, wire.LONGEST_PADDED + 1))
def test_protobuf_reads_padded_varints_as_what_they_were(width):
    for value in [each for each in WIDTHS if wire.varint_width(each) <= width]:
        padded = wire.varints(np.array([value]), width).tobytes()
        assert AnyValue.FromString(b"\x18" + padded).int_value == value


@given(st.lists(columns | st.just([]), max_size=5), columns)
def test_stretches_of_varints_are_those_of_single_ones(stretches, last):
    stretches = [*stretches, last]
    offsets = np.cumsum([0, *map(len, stretches)])
    values = np.array([value for stretch in stretches for value in stretch], np.int64)
    packed = wire.packed_varints(values, offsets)
    assert packed == [b"".join(map(wire.varint, values)) for values in stretches]


@given(st.lists(numbers | st.just(0), min_size=1, max_size=20))
def test_digits_are_counted(values):
    counted = wire.digit_counts(np.array(values))
    assert sizes(counted, len(values)) == [len(str(value)) for value in values]


@pytest.mark.parametrize("digits", range(1, wire.MOST_DIGITS + 1))
def test_numbers_of_any_number_of_digits_become_text(digits):
    values = [value for value in (0, *ROUND, INT64[1], 1234567890) if len(str(value)) <= digits]
    texts = [b"%0*d" % (digits, value) for value in values]
    assert items(wire.decimals(np.array(values), digits)) == texts
    many = np.resize(np.array(values), wire.FEW + len(values))
    assert items(wire.decimals(many, digits))[-len(values) :] == items(
        wire.decimals(many[-len(values) :], digits)
    )
    assert items(wire.decimals(many, digits))[: len(values)] == texts


@pytest.mark.parametrize("width", range(1, wire.LONGEST_PADDED + 1))
@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**28 - 1])
def test_a_prefix_is_tag_and_length_and_then_zeros(width, length):
    if wire.varint_width(length) <= width:
        (prefix,) = items(wire.prefixes(b"\x12", np.array([length]), width))
        assert prefix[:1] == b"\x12"
        padded = AnyValue.FromString(b"\x18" + prefix[1 : 1 + width])
        assert padded.int_value == length
        assert prefix[1 + width :] == bytes(wire.prefix_item_width(width) - 1 - width)


def test_the_tag_of_a_field_is_that_of_its_message():
    spans = ScopeSpans(spans=[Span(name="x")]).SerializeToString()
    assert spans.startswith(wire.field_tag(ScopeSpans(spans=[Span()])))
