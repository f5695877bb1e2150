from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motel_locust.commands.importing.columns import SPAN, TREE
from motel_locust.commands.importing.shelf import Shelf


def spans(traces: list[int]) -> np.ndarray:
    found = np.zeros(len(traces), SPAN)
    found["trace_high"] = traces
    found["start_ns"] = np.arange(len(traces))
    return found


@pytest.mark.parametrize("most", [10_000, 100, 1])
def test_traces_come_back_whole_and_in_order(most: int, tmp_path: Path) -> None:
    put = [list(range(40)), list(range(20, 60)), [], list(range(60))]
    with Shelf(most=most, folder=str(tmp_path)) as shelf:
        for each in put:
            shelf.put(spans(each))
        parts = list(shelf.take())
        assert shelf.spans == sum(map(len, put))
    seen: dict[int, list[int]] = {}
    for number, part in enumerate(parts):
        for trace, start in zip(
            part["trace_high"].tolist(), part["start_ns"].tolist(), strict=True
        ):
            seen.setdefault(trace, []).append(number)
            assert start < 60
    assert all(len(set(where)) == 1 for where in seen.values())
    assert {trace: len(where) for trace, where in seen.items()} == {
        trace: sum(trace in each for each in put) for trace in range(60)
    }
    if most < 100:
        assert len(parts) > 20


def test_forests_can_be_walked_again_and_nothing_is_left_on_disk(tmp_path: Path) -> None:
    with Shelf(most=1, folder=str(tmp_path)) as shelf:
        shelf.put(spans(list(range(10))))
        assert list(tmp_path.iterdir())

        def forests():
            for part in shelf.take():
                yield np.zeros(part.size, TREE)

        grove = shelf.keep(forests())
        assert [sum(each.size for each in grove) for _ in range(2)] == [10, 10]
    assert not list(tmp_path.iterdir())


def test_few_spans_never_see_the_disk(tmp_path: Path) -> None:
    with Shelf(folder=str(tmp_path)) as shelf:
        shelf.put(spans([1, 2]))
        (part,) = shelf.take()
        assert part.size == 2
        assert not list(tmp_path.iterdir())
        assert not list(shelf.take())
