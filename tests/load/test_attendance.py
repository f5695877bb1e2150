from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from motel_locust.load.attendance import Attendance
from motel_locust.load.figures import LEFT, LOST, RUNNING, Figures

workers = st.sampled_from("abcdef")
entries = st.lists(st.tuples(workers, st.integers(0, 3)), max_size=40)


@given(st.sets(workers), entries)
def test_no_two_entries_have_one_place_and_none_is_left_free(
    first: set[str], entries: list[tuple[str, int]]
) -> None:
    attendance = Attendance("run", sorted(first))
    places = {each: attendance.enter(each[0], f"{each}") for each in entries}
    assert places == {each: attendance.enter(each[0], f"{each}") for each in entries}
    assert len(set(places.values())) == len(places)
    assert all(place < len(first) + len(places) for place in places.values())
    for place, worker in enumerate(sorted(first)):
        of_worker = [places[each] for each in entries if each[0] == worker]
        assert place in of_worker or not of_worker


def test_places_start_anew_with_every_run() -> None:
    """Were they to count all workers that ever connected, they would reach the stride."""
    for run in range(5000):
        assert Attendance(f"{run}", ["a"]).enter("a", "x") == 0


def test_who_goes_away_has_left_after_its_last_report_and_is_lost_before() -> None:
    attendance = Attendance("run", ["a", "b", "c"])
    for worker in "abc":
        attendance.enter(worker, worker)
    figures = replace(Figures(), users=3)
    attendance.report("a", figures, skew_s=0.25, over=True)
    attendance.report("b", figures, skew_s=0.0, over=False)
    assert list(attendance.look({"a", "b", "c"})) == []

    assert list(attendance.look(set())) == [("a", LEFT), ("b", LOST), ("c", LOST)]
    assert list(attendance.look(set())) == []
    assert attendance.reports["a"].skew_s == 0.25
    assert attendance.reports["b"].figures == figures
    assert attendance.reports["c"].figures.users == 0  # it died before its first report

    assert list(attendance.look({"b"})) == [("b", RUNNING)]


def test_who_was_there_at_the_end_was_not_one_that_left() -> None:
    attendance = Attendance("run", ["a", "b", "c"])
    for worker in "abc":
        attendance.enter(worker, worker)
    attendance.report("a", Figures(), skew_s=0.0, over=True)
    assert list(attendance.look({"b", "c"})) == [("a", LEFT)]
    attendance.report("b", Figures(), skew_s=0.0, over=True)
    assert list(attendance.look(set(), ended=True)) == [("c", LOST)]  # without its last report
    assert attendance.reports["a"].state == LEFT
    assert attendance.reports["b"].state == RUNNING
