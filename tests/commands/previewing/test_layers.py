from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.previewing.layers import Bend, Layout, Place, lay_out

BOX, BEND = 70.0, 20.0


def laid_out(boxes: list[str], calls: list[tuple[str, str]]) -> Layout:
    return lay_out(boxes, calls, box_height=BOX, bend_height=BEND)


def height(place: Place) -> float:
    return BOX if isinstance(place, str) else BEND


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    boxes = [f"b{number}" for number in range(draw(st.integers(1, 12)))]
    pairs = [(a, b) for number, a in enumerate(boxes) for b in boxes[number + 1 :]]
    calls = draw(st.lists(st.sampled_from(pairs), max_size=20, unique=True)) if pairs else []
    return draw(st.permutations(boxes)), calls


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_boxes_never_touch_and_calls_always_point_right(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    boxes, calls = graph
    layout = laid_out(boxes, calls)
    layer_of = {place: number for number, layer in enumerate(layout.layers) for place in layer}
    assert {place for place in layer_of if isinstance(place, str)} == set(boxes)
    for layer in layout.layers:
        for upper, lower in pairwise(layer):
            room = (height(upper) + height(lower)) / 2
            assert layout.middle[lower] - layout.middle[upper] >= room - 1e-6
    for (caller, callee), route in zip(calls, layout.routes, strict=True):
        assert (route[0], route[-1]) == (caller, callee)
        assert all(isinstance(place, Bend) for place in route[1:-1])
        steps = [layer_of[place] for place in route]
        assert steps == list(range(steps[0], steps[0] + len(route)))
    tops = {place: layout.middle[place] - height(place) / 2 for place in layer_of}
    assert min(tops.values()) >= -1e-6
    assert layout == laid_out(boxes, calls)


def test_a_chain_is_a_straight_line() -> None:
    layout = laid_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert layout.layers == (("a",), ("b",), ("c",))
    assert set(layout.middle.values()) == {BOX / 2}


def test_a_caller_stands_in_the_middle_of_whom_it_calls() -> None:
    layout = laid_out(["top", "a", "b", "c"], [("top", "a"), ("top", "b"), ("top", "c")])
    assert layout.middle["top"] == layout.middle["b"] == 1.5 * BOX


def test_calls_that_need_not_cross_do_not() -> None:
    layout = laid_out(
        ["a", "b", "c", "x", "y", "z"], [("a", "z"), ("b", "y"), ("c", "x"), ("a", "y")]
    )
    first, second = layout.layers
    position = {place: number for layer in (first, second) for number, place in enumerate(layer)}
    ends = [position["z"], position["y"], position["x"]]
    ordered = [ends["abc".index(str(caller))] for caller in first]
    assert ordered == sorted(ordered)


def test_a_call_that_passes_a_layer_goes_around_its_boxes() -> None:
    layout = laid_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    assert layout.routes[2] == ("a", Bend(2, 1), "c")
    assert abs(layout.middle[Bend(2, 1)] - layout.middle["b"]) >= (BOX + BEND) / 2


def test_nothing_stands_alone_far_below() -> None:
    calls = [("a", f"x{number}") for number in range(6)]
    layout = laid_out(["a", "lone", *(callee for _, callee in calls)], calls)
    lowest = max(middle + BOX / 2 for middle in layout.middle.values())
    assert lowest <= 7 * BOX


def test_a_long_chain_needs_no_deep_stack() -> None:
    boxes = [f"b{number}" for number in range(1500)]
    assert len(laid_out(boxes, list(pairwise(boxes))).layers) == 1500
