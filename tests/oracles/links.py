"""Do links point to the latest span of their operation?

Latest is by trace; of several spans in one trace any may be linked to. Traces of the same instant
have no order that their spans would tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.oracles import contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.oracles.trees import Trace, Visit


class LinkJudge:
    """Judges the links of all *traces* of one process; numbers in them go to *numbers*.

    ``found`` counts the links by the refs of linking and linked operation.
    """

    def __init__(self, traces: Sequence[Trace], numbers: contents.Numbers) -> None:
        self.found: Counter[tuple[str, str]] = Counter()
        self._traces, self._numbers = traces, numbers
        self._by_id = {
            (trace.trace_id, visit.span.span_id): (trace, visit)
            for trace in traces
            for visit in trace.visits
        }
        self._visited: dict[str, list[int]] = defaultdict(list)
        """When traces arrived that visited an operation, in order."""
        for trace in sorted(traces, key=lambda trace: trace.arrival_ns):
            for ref in {visit.ref for visit in trace.visits if not visit.rejection}:
                self._visited[ref].append(trace.arrival_ns)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong; rejected requests have no links, as was judged with them."""
        for trace in self._traces:
            for visit in trace.visits:
                if not visit.rejection:
                    for fault in self._link_faults(trace, visit):
                        yield f"trace {trace.trace_id.hex()}: {visit.ref}: {fault}"

    def _link_faults(self, trace: Trace, visit: Visit) -> Iterator[str]:
        left = list(visit.span.links)
        for wanted in visit.rules.operation.links:
            times = self._visited[wanted.ref]
            earlier = times[: bisect_left(times, trace.arrival_ns)]
            link = left[0] if left else None
            target = self._by_id.get((link.trace_id, link.span_id)) if link is not None else None
            if target is None or target[1].ref != wanted.ref:
                if earlier:
                    yield f"no link to {wanted.ref}"
                continue
            left.pop(0)
            self.found[visit.ref, wanted.ref] += 1
            latest_ns = target[0].arrival_ns
            if latest_ns > trace.arrival_ns or (earlier and latest_ns < earlier[-1]):
                yield f"a link to {wanted.ref} that is not the latest"
            values = contents.plain(link.attributes)
            if values.keys() != wanted.attributes.keys() or link.flags != contents.SAMPLED_LOCAL:
                yield f"a link with {values} and flags {link.flags:#x}"
                continue
            yield from contents.value_faults(
                values,
                wanted.attributes,
                (visit.ref, "link", wanted.ref),
                arrival_ns=trace.arrival_ns,
                numbers=self._numbers,
            )
        if left:
            yield f"{len(left)} links to something else"
