"""Whatever traces hold, what is written is a topology, and holds the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from motel_locust.commands.importing.inference import infer
from motel_locust.commands.importing.intake import LEFT_OUT, Intake
from motel_locust.commands.importing.shelf import Shelf
from motel_locust.commands.importing.writing import written
from motel_locust.topology.model import Chance, Choice, Constant
from motel_locust.topology.reading import Source, parse_topology

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology

texts = st.text(max_size=12) | st.sampled_from(
    ["null", "~", "12", "1e3", "0x1F", "yes", "a: b", "- a", "#", "{n}", "[x]", "*a", "&b", "!c",
     "|", ">", "%", "@", "`", "'", "\"", "\\", "a\nb", "\u2028", "\x00", "\x85", "\ufeff"]
)  # fmt: skip
values = (
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
names = texts.filter(lambda text: text.strip() != "")
spans = st.lists(
    st.tuples(names, names, st.dictionaries(names, values, max_size=3)), min_size=1, max_size=6
)


def imported(made: list[tuple[str, str, dict[str, object]]]) -> Topology:
    with Shelf() as shelf:
        intake = Intake(shelf, most_values=20)
        for number, (service, name, attributes) in enumerate(made):
            owner = intake.service(service)
            owner.resources.add(attributes.items())  # type: ignore[arg-type]
            intake.add(
                owner.operation(name),
                attributes.items(),  # type: ignore[arg-type]
                trace_id=number.to_bytes(16, "big"),
                span_id=bytes(7) + b"1",
                parent_id=bytes(8),
                start_ns=number,
                end_ns=number + 5,
                failed=False,
            )
        intake.settle()
        draft = infer(shelf, intake, min_traces=1, everything=True, break_cycles=False)
    return parse_topology(Source("imported", written(draft).encode())).topology


@settings(max_examples=120, deadline=None)
@given(spans)
def test_any_names_and_values_make_a_topology(
    made: list[tuple[str, str, dict[str, object]]],
) -> None:
    topology = imported(made)
    assert {
        (service, name)
        for service in topology.services
        for name in topology.services[service].operations
    } == {(service, name) for service, name, _ in made}
    for service_name, name, _ in made:
        service = topology.services[service_name]
        every = [each for *where, each in made if where == [service_name, name]]
        told = {key: Constant(value=value) for key, value in service.attributes.items()}
        told |= service.operations[name].attributes
        for key, generator in told.items():
            seen = [each[key] for each in every if key in each]
            assert possible(generator) == {(type(value), value) for value in seen}, key
        missing = {key for each in every for key in each} - told.keys() - LEFT_OUT
        # Left out are those that most spans lack, and what is reserved.
        assert all(
            2 * sum(key in each for each in every) < len(every) or key.startswith("telemetry.")
            for key in missing
        )


def possible(generator: object) -> set[tuple[type, object]]:
    match generator:
        case Constant(value=value):
            return {(type(value), value)}
        case Choice(values=pairs):
            return {(type(value), value) for value, _ in pairs}
        case Chance():
            return {(bool, True), (bool, False)}
    raise AssertionError(generator)


def test_a_value_may_be_as_long_as_it_likes() -> None:
    topology = imported([("s", "o", {"k": "x" * 100_000, "f": math.pi})])
    (operation,) = topology.services["s"].operations.values()
    assert operation.attributes["f"] == Constant(value=math.pi)
    assert len(topology.services["s"].attributes["k"]) == 100_000
