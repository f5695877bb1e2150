"""Log records out of spans: which spans have which, and what they say.

Records are a pure function of the spans, the seed and the scenarios of their traces, as everything
else here: batches make no difference. A record is *observed* when it is made. Where all times are
shifted by an offset that one is not, as if telemetry of another time came in now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.engine import carry_on
from motel_locust.engine.records import LogBatch, LogColumns
from motel_locust.engine.schedule import TICK_NS
from motel_locust.engine.templates import compile_log, derived
from motel_locust.topology import linking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from motel_locust.engine.columns import Batch, Columns, Shape
    from motel_locust.engine.scenarios import Active
    from motel_locust.engine.templates import Template
    from motel_locust.topology.model import Log, Topology
    from motel_locust.topology.signals import LogOverride


class Logs:
    """Writes the log records of one topology's spans.

    Args:
        topology: what the spans are of.
        seed: fixes all draws, with *name* as the engine's own.
        name: as the engine's.
        epoch_ns: as the engine's, Unix time.
        slow_ns: spans that last longer are slow; 0 for none.
        realtime: a record is released when it is due, not with its trace.
        time_offset_ns: as the engine's.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        epoch_ns: int,
        slow_ns: int,
        name: str = "",
        realtime: bool = False,
        time_offset_ns: int = 0,
    ) -> None:
        self._topology, self._slow_ns = topology, slow_ns
        self._key = draws.key(seed, name, "logs")
        self._epoch_ns, self._realtime = epoch_ns, realtime
        self._time_offset_ns = time_offset_ns
        self._refs = linking.operations(topology)
        # By the identity of the spans' shape, which is kept beside what was made for it.
        self._found: dict[tuple[int, Active], tuple[Shape, list[Template]]] = {}
        self._made: dict[tuple[int, str], Template] = {}

    def write(
        self, batch: Batch, active: Active, pause: Callable[[], object] = carry_on
    ) -> LogBatch:
        """Return the records of *batch*, whose traces have the scenarios *active*.

        *pause* is called now and then.
        """
        written = []
        for spans, edges in zip(batch.columns, batch.rows, strict=True):
            for template in self._templates(spans.shape, active):
                rows = template.rows(spans, slow_ns=self._slow_ns)
                if isinstance(rows, slice) or rows.size:
                    written.append(self._write(template, spans, rows, edges))
                pause()
        columns = tuple(each for each, _ in written)
        cuts = [each for _, each in written]
        edges_ns = batch.edges_ns
        if self._realtime:
            ticks = np.unique(np.concatenate((np.empty(0, np.int64), *cuts)))
            cuts = [np.append(tick.searchsorted(ticks), tick.size) for tick in cuts]
            edges_ns = self._epoch_ns + ticks * TICK_NS
        matrix = np.array(cuts, np.int64).reshape(len(cuts), edges_ns.size + 1)
        return LogBatch(batch.trace_id, columns, edges_ns, matrix)

    def _write(
        self,
        template: Template,
        spans: Columns,
        rows: NDArray[np.int64] | slice,
        edges: NDArray[np.int64],
    ) -> tuple[LogColumns, NDArray[np.int64]]:
        """Return the records of *rows* of *spans*, and what cuts them into parts.

        edges int64[parts + 1]: the cuts of the spans. In real time the result has the tick of each
        record instead, int64[rows].
        """
        time_ns = template.time_ns(spans, rows)
        if self._realtime:
            tick = (time_ns - self._epoch_ns) // TICK_NS
            order = tick.argsort(kind="stable")
            if spans.resource is not None:
                order = np.lexsort((spans.resource[rows], tick))
            rows = order if isinstance(rows, slice) else rows[order]
            time_ns, edges = time_ns[order], tick[order]
        elif not isinstance(rows, slice):
            edges = rows.searchsorted(edges)
        observed_ns = time_ns
        if self._time_offset_ns:
            observed_ns = time_ns - self._time_offset_ns
        values, shown = template.values(spans, rows)
        written = LogColumns(
            shape=template.shape,
            trace=spans.trace[rows],
            span_id=spans.span_id[rows],
            time_ns=time_ns,
            observed_ns=observed_ns,
            values=values,
            shown=shown,
            resource=None if spans.resource is None else spans.resource[rows],
        )
        return written, edges

    def _templates(self, shape: Shape, active: Active) -> list[Template]:
        """Return the logs of the spans of *shape* while the scenarios *active* are."""
        key = (id(shape), active)
        if key not in self._found:
            self._found[key] = (shape, list(self._applying(shape, active)))
        return self._found[key][1]

    def _applying(self, shape: Shape, active: Active) -> Iterator[Template]:
        if shape.edge:
            return
        owner = self._topology.services[shape.service]
        ref = f"{shape.service}.{shape.name}"
        overrides = self._overrides(shape.service, active)
        muted = any(
            override.disable for key, _, override in overrides if key in (ref, shape.service)
        )
        added = [
            (key, f"s{scenario}", index, log)
            for key, scenario, override in overrides
            for index, log in enumerate(override.add)
        ]
        if not muted:
            own = [(shape.service, "o", index, log) for index, log in enumerate(owner.logs)]
            operation = owner.operations[shape.name]
            own += [(ref, "o", index, log) for index, log in enumerate(operation.logs)]
            if (
                not added
                and not owner.logs
                and not any(each.logs for each in owner.operations.values())
            ):
                yield from derived(shape, slow_ns=self._slow_ns)
            for key, where, index, log in own:
                yield from self._compiled(shape, log, key, where, index)
        for key, where, index, log in added:
            if key in (ref, shape.service):
                yield from self._compiled(shape, log, key, where, index)

    def _overrides(self, service: str, active: Active) -> list[tuple[str, int, LogOverride]]:
        """Return what *active* scenarios do to the logs of *service* and its operations.

        With the key of each; keys in the order of their names, of each the scenarios in theirs.
        """
        scenarios = [(index, self._topology.scenarios[index].override) for index in active]
        keys = {key for _, overrides in scenarios for key in overrides}
        return [
            (key, index, override.logs)
            for key in sorted(keys)
            if self._refs.get(key, (key, ""))[0] == service
            for index, overrides in scenarios
            if (override := overrides.get(key)) is not None and override.logs is not None
        ]

    def _compiled(
        self, shape: Shape, log: Log, key: str, where: str, index: int
    ) -> Iterator[Template]:
        """Yield *log* for the spans of *shape*, unless it never fires.

        *key* and *where* tell whose it is, under names that stay whatever else is active; so does
        what was made once.
        """
        if log.probability == 0 or (log.condition == "slow" and not self._slow_ns):
            return
        made = (id(shape), f"{where} {index} {key}")
        if made not in self._made:
            purpose = draws.key(self._key, key, where, index)
            self._made[made] = compile_log(shape, log, key=purpose)
        yield self._made[made]
