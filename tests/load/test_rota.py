from __future__ import annotations

import random
from collections import Counter

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.engine.statistics import Durations, OperationCounts, Statistics
from motel_locust.load.attendance import Attendance
from motel_locust.load.figures import Figures
from motel_locust.load.rota import CELLS, Rota

MOST_BYTES = 20_000
"""What a report may take, whatever the number of operations."""


def with_cells(cells: int) -> OperationCounts:
    """Counts of an operation whose spans took so many different times, two spans each."""
    taken = np.arange(cells)
    return OperationCounts(2 * cells, 0, Durations(taken, np.full(cells, 2)))


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 2000).map(with_cells), max_size=40))
def test_everybody_has_its_turn_before_anybody_has_two(operations: dict[str, OperationCounts]):
    rota, told = Rota(), Counter[str]()
    while len(told) < len(operations):
        taken = rota.take(operations)
        assert taken  # one at the least
        assert len(taken) == 1 or sum(operations[each].durations.cells.size for each in taken) <= (
            CELLS
        )
        told.update(taken)
    # The last turn may begin anew.
    assert sum(told.values()) <= len(operations) + len(taken if operations else ())


def test_few_operations_are_all_told_each_time():
    operations = {f"web.{n}": with_cells(200) for n in range(20)}
    rota = Rota()
    assert [rota.take(operations) for _ in range(3)] == [set(operations)] * 3
    assert rota.take({}) == set()


@pytest.fixture(scope="module")
def busy() -> Figures:
    """Figures of 200 operations with 100,000 spans each."""
    statistics, draws = Statistics(), np.random.Generator(np.random.PCG64(5))
    for operation in range(200):
        durations = draws.lognormal(17, 0.5, 100_000).astype(np.float32)
        statistics.add(f"web.{operation}", durations, draws.random(durations.size) < 0.01)
    return Figures(operations=statistics.operations())


def test_reports_of_many_operations_are_small_and_come_to_the_same(busy: Figures):
    """Though some are lost and some come twice."""
    rota, attendance = Rota(), Attendance("run", ["a"])
    attendance.enter("a", "x")
    for times in random.Random(3).choices((0, 1, 2), k=40):
        report = msgpack.packb(busy.message(rota.take(busy.operations)))
        assert len(report) < MOST_BYTES
        for _ in range(times):
            told = Figures.from_message(msgpack.unpackb(report))
            attendance.report("a", told, skew_s=0.0, over=False)
            known = attendance.reports["a"].figures.operations
            assert {name: (each.spans, each.errors) for name, each in known.items()} == {
                name: (each.spans, each.errors) for name, each in busy.operations.items()
            }
    assert attendance.reports["a"].figures.operations == busy.operations


def test_the_last_report_tells_everything(busy: Figures):
    attendance = Attendance("run", ["a"])
    attendance.enter("a", "x")
    told = Figures.from_message(msgpack.unpackb(msgpack.packb(busy.message())))
    attendance.report("a", told, skew_s=0.0, over=True)
    assert attendance.reports["a"].figures.operations == busy.operations


def test_durations_that_were_told_once_stay_known_and_new_ones_replace_them():
    attendance = Attendance("run", ["a"])
    attendance.enter("a", "x")
    for cells, told in ((3, True), (5, False), (8, True), (9, False)):
        figures = Figures(operations={"web.get": with_cells(cells)})
        message = figures.message(figures.operations if told else ())
        attendance.report("a", Figures.from_message(message), skew_s=0.0, over=False)
        known = attendance.reports["a"].figures.operations["web.get"]
        assert known.spans == 2 * cells
        assert known.durations.cells.size == {3: 3, 5: 3, 8: 8, 9: 8}[cells]
