"""Takes spans one by one, as formats read them, and lays them down as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from motel_locust.commands.importing.attributes import Tallies
from motel_locust.commands.importing.columns import DETACHED, FAILED, KIND_SHIFT, SPAN

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from motel_locust.commands.importing.attributes import Value
    from motel_locust.commands.importing.recorder import Recorder
    from motel_locust.commands.importing.shelf import Shelf

    Resource: TypeAlias = dict[str, Value | None]

ROWS: Final = 16_384
"""As lists these take some 5 MB."""

NO_PARENT: Final = bytes(8)

MOST_RESOURCES: Final = 10_000

LEFT_OUT: Final = frozenset(
    {
        "synth.service",
        "synth.operation",
        "synth.scenarios",
        "synth.variant",
        "service.name",
        "motel.version",
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    }
)
"""Attributes that a generator adds by itself."""


class OperationIntake:
    """One operation: its number, and the attributes of its spans."""

    __slots__ = ("attributes", "name", "number", "service")

    def __init__(self, service: str, name: str, number: int, most: int) -> None:
        self.service = service
        self.name = name
        self.number = number
        self.attributes = Tallies(most, LEFT_OUT)


class ServiceIntake:
    """One service: its operations, and the attributes of its resources."""

    __slots__ = ("_intake", "name", "operations", "resources")

    def __init__(self, name: str, intake: Intake) -> None:
        self.name = name
        self.operations: dict[str, OperationIntake] = {}
        self.resources = Tallies(1, LEFT_OUT)
        self._intake = intake

    def operation(self, name: str) -> OperationIntake:
        """Return the operation *name*, a new one if need be."""
        found = self.operations.get(name)
        if found is None:
            found = self.operations[name] = self._intake.new_operation(self.name, name)
        return found


class Intake:
    """What is known of the input; the spans go to *shelf*.

    *most_values* of an attribute are told apart; 0 leaves the attributes of spans alone. With a
    *recorder*, formats hand it every span too, whole.
    """

    def __init__(self, shelf: Shelf, *, most_values: int, recorder: Recorder | None = None) -> None:
        self.recorder = recorder
        self.services: dict[str, ServiceIntake] = {}
        self.operations: list[OperationIntake] = []
        self.spans = 0
        self.backwards = 0
        """Spans that ended before they began; they count as 0 long."""
        self.skipped = 0
        """Documents without spans: logs, metrics, other lines."""
        self.unknown: list[str] = []
        """Files of no known format."""
        self.resources: dict[Hashable, tuple[Any, Resource]] = {}
        """Resources that came before, for formats that repeat them with every few spans."""
        self._shelf = shelf
        self._most = most_values
        self._traces: list[bytes] = []
        self._ids: list[bytes] = []
        self._times: list[int] = []
        self._operations: list[int] = []
        self._flags: list[int] = []

    def service(self, name: str) -> ServiceIntake:
        """Return the service *name*, a new one if need be."""
        found = self.services.get(name)
        if found is None:
            found = self.services[name] = ServiceIntake(name, self)
        return found

    def new_operation(self, service: str, name: str) -> OperationIntake:
        """Return a further operation with a number of its own."""
        operation = OperationIntake(service, name, len(self.operations), self._most)
        self.operations.append(operation)
        return operation

    def known_resource(self, key: Hashable, content: Any) -> Resource | None:
        """Return the resource that came with *key* if it had the same *content*."""
        before, resource = self.resources.get(key, (None, None))
        return resource if before == content else None

    def keep_resource(self, key: Hashable, content: Any, resource: Resource) -> None:
        """Keep *resource* for :meth:`known_resource`."""
        if len(self.resources) == MOST_RESOURCES:
            self.resources.clear()
        self.resources[key] = (content, resource)

    def add(
        self,
        operation: OperationIntake,
        attributes: Iterable[tuple[str, Value | None]],
        *,
        trace_id: bytes,
        span_id: bytes,
        parent_id: bytes,
        start_ns: int,
        end_ns: int,
        failed: bool,
        kind: int = 0,
        detached: bool = False,
    ) -> None:
        """Take a span; ids have 16 and 8 bytes, a parent of zeros is none."""
        if end_ns < start_ns:
            end_ns = start_ns
            self.backwards += 1
        operation.attributes.add(attributes)
        self._traces.append(trace_id)
        self._ids += (span_id, parent_id)
        self._times += (start_ns, end_ns)
        self._operations.append(operation.number)
        self._flags.append(FAILED * failed | DETACHED * detached | kind << KIND_SHIFT)
        self.spans += 1
        if len(self._flags) == ROWS:
            self.settle()

    def settle(self) -> None:
        """Hand everything over to the shelf."""
        if not self._flags:
            return
        rows = np.empty(len(self._flags), SPAN)
        traces = np.frombuffer(b"".join(self._traces), "<u8").reshape(-1, 2)
        ids = np.frombuffer(b"".join(self._ids), "<u8").reshape(-1, 2)
        times = np.array(self._times, np.int64).reshape(-1, 2)
        rows["trace_high"], rows["trace_low"] = traces.T
        rows["span"], rows["parent"] = ids.T
        rows["start_ns"], rows["end_ns"] = times.T
        rows["operation"] = self._operations
        rows["flags"] = self._flags
        self._shelf.put(rows)
        for each in (self._traces, self._ids, self._times, self._operations, self._flags):
            each.clear()
