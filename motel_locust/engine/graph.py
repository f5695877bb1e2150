"""A plan as tables: its nodes and the entries of their calls, one array element each.

Shape words: ``nodes``; ``entries``, one per node and call of its operation. So spans of all kinds
of nodes can be treated together, each row taking what it needs by the index of its node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.engine import draws
from motel_locust.engine.choices import Choice, ChoiceTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from motel_locust.engine.choices import Landing
    from motel_locust.engine.nodes import Node
    from motel_locust.engine.operations import CallPlan, OperationPlan
    from motel_locust.engine.plan import Plan

# What a call wants of its caller, int8.
NOTHING: Final = 0
ERROR: Final = 1
SUCCESS: Final = 2

# No call waits as long.
FOR_EVER: Final = 2**63 - 1

NO_CURVE: Final = -1


class Graph:
    """What can be reached from a plan's roots.

    nodes           all that spans are made at
    choices         tell which node it is, where several are possible; see `ChoiceTable`
    root            int64[roots]     the place of each, as in there
    mean_ns         int64[nodes]     0 for a node with a curve, and so is the deviation
    deviation_ns    float64[nodes]
    curves_ns       float64[...]     those of the nodes that have one, joined; see `draws.curve`
    curve           int64[nodes]     where the node's begins in there, NO_CURVE for none
    duration_key    uint64[nodes]    of no meaning where durations do not vary
    error_key       uint64[nodes]    likewise where no chance decides
    error_below     uint64[nodes]    below it an error is drawn; 0 if never
    breaks          bool[nodes]      whether every span breaks
    limit_ns        int64[nodes]     how long a span can be, FOR_EVER if as long as it takes
    parallel        bool[nodes]
    first, calls    int64[nodes]     the node's entries: the first, and how many
    target          int64[entries]   the place called; those of further attempts come after it where
                                     ``counted`` is set
    counted         bool[entries]
    key             uint64[entries]  of the spans that the call makes
    gate_key        uint64[entries]  of no meaning where ``gated`` is not set
    gate_below      uint64[entries]
    gated           bool[entries]    whether chance decides on the call
    wants           int8[entries]    NOTHING, ERROR or SUCCESS
    count, retries  int64[entries]
    timeout_ns      int64[entries]   FOR_EVER for none
    backoff_ns      int64[entries]
    awaited         bool[entries]
    stays           bool[entries]    whether the caller's instance serves the call
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.nodes: list[Node] = []
        choices: list[Choice] = []
        places: dict[Landing, int] = {}

        def place(landing: Landing) -> int:
            if landing not in places:
                if isinstance(landing, Choice):
                    places[landing] = ~len(choices)
                    choices.append(landing)
                    for option in landing.options:
                        place(option)
                else:
                    places[landing] = len(self.nodes)
                    self.nodes.append(landing)
            return places[landing]

        self.root = np.array([place(root.landing) for root in plan.roots], np.int64)
        target: list[int] = []
        counted: list[bool] = []
        for node in self.nodes:  # grows meanwhile
            for index, callee in enumerate(node.callees):
                target.append(place(callee))
                attempts = node.attempts(index)
                counted.append(len(attempts) > 1)
                for each in attempts:
                    place(each)
        self.choices = ChoiceTable(choices, places)
        self._tabulate_nodes([node.operation for node in self.nodes])
        owners = [node.operation for node in self.nodes for _ in node.operation.calls]
        entries = [call for node in self.nodes for call in node.operation.calls]
        self.target = np.array(target, np.int64)
        self.counted = np.array(counted, np.bool_)
        self.any_counted = bool(self.counted.any())
        self._tabulate_entries(owners, entries)
        self._preceding: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def _tabulate_nodes(self, operations: list[OperationPlan]) -> None:
        self.mean_ns = np.array([each.mean_ns for each in operations], np.int64)
        self.deviation_ns = np.array([each.deviation_ns for each in operations], np.float64)
        curves = [each.curve_ns for each in operations]
        found = [each for each in curves if each is not None]
        self.curves_ns = np.concatenate(found) if found else np.empty(0)
        sizes = np.array([0 if each is None else each.size for each in curves], np.int64)
        self.curve = np.where(sizes > 0, sizes.cumsum() - sizes, NO_CURVE)
        rates = [each.error_rate for each in operations]
        self.duration_key = _keys((each, each.duration_word) for each in operations)
        self.error_key = _keys((each, each.error_word) for each in operations)
        self.error_below = np.array([draws.threshold(max(rate, 0.0)) for rate in rates], np.uint64)
        self.breaks = np.array([rate >= 1 for rate in rates])
        limits = [FOR_EVER if each.limit_ns is None else each.limit_ns for each in operations]
        self.limit_ns = np.array(limits, np.int64)
        self.any_limits = bool((self.limit_ns < FOR_EVER).any())
        self.parallel = np.array([each.parallel for each in operations])
        self.calls = np.array([len(each.calls) for each in operations], np.int64)
        self.first = self.calls.cumsum() - self.calls
        self.all_vary = bool((self.deviation_ns > 0).all())
        self.any_varies = bool((self.deviation_ns > 0).any())
        self.any_fails = bool(self.error_below.any())
        self.any_served = any(each.served for each in operations)

    def _tabulate_entries(self, owners: list[OperationPlan], calls: list[CallPlan]) -> None:
        pairs = list(zip(owners, calls, strict=True))
        self.key = np.array([call.key for call in calls], np.uint64)
        self.gate_key = _keys((owner, call.gate) for owner, call in pairs)
        self.gate_below = np.array([call.below for call in calls], np.uint64)
        self.gated = np.array([call.gate is not None for call in calls], np.bool_)
        wanted = {None: NOTHING, True: ERROR, False: SUCCESS}
        self.wants = np.array([wanted[call.wants_error] for call in calls], np.int8)
        self.count = np.array([call.count for call in calls], np.int64)
        self.retries = np.array([call.retries for call in calls], np.int64)
        timeouts = [FOR_EVER if call.timeout_ns is None else call.timeout_ns for call in calls]
        self.timeout_ns = np.array(timeouts, np.int64)
        self.backoff_ns = np.array([call.backoff_ns for call in calls], np.int64)
        self.awaited = np.array([call.awaited for call in calls], np.bool_)
        self.stays = np.array([call.stays for call in calls], np.bool_)
        self.any_gated = bool(self.gated.any())
        self.any_wants = bool(self.wants.any())
        self.any_counts = bool((self.count != 1).any())
        self.any_retries = bool(self.retries.any())
        self.any_timeouts = bool((self.timeout_ns < FOR_EVER).any())
        self.all_awaited = bool(self.awaited.all())

    def draw_own_ns(
        self, node: NDArray[np.int64], span_id: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return the own time of spans with ids *span_id* at the nodes *node*: int64[spans]."""
        own_ns = self.mean_ns[node]
        if self.all_vary:
            words = draws.draw_words(self.duration_key[node], span_id)
            own_ns = draws.draw_durations(words, own_ns, self.deviation_ns[node])
        elif self.any_varies:
            these = self.deviation_ns[node].nonzero()[0]
            some = node[these]
            words = draws.draw_words(self.duration_key[some], span_id[these])
            own_ns[these] = draws.draw_durations(words, own_ns[these], self.deviation_ns[some])
        if self.curves_ns.size:
            these = (self.curve[node] != NO_CURVE).nonzero()[0]
            some = node[these]
            words = draws.draw_words(self.duration_key[some], span_id[these])
            drawn = draws.draw_quantiles(words, self.curves_ns, self.curve[some])
            own_ns[these] = drawn.astype(np.int64)
        return own_ns

    def preceding(self, ref: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many spans of *ref* precede those of each entry, and how many each brings.

        Where all calls occur; int64[entries] both: among the descendants of the entry's caller, and
        for one span that the entry makes.
        """
        if ref not in self._preceding:
            weights, before, brought = self._plan.spans_of(ref), [], []
            for node in self.nodes:
                passed = 0
                for call in node.operation.calls:
                    before.append(passed)
                    brought.append(weights[call.target])
                    passed += call.attempts * weights[call.target]
            self._preceding[ref] = np.array(before, np.int64), np.array(brought, np.int64)
        return self._preceding[ref]


def _keys(places: Iterable[tuple[OperationPlan, int | None]]) -> NDArray[np.uint64]:
    """Return the key in row *word* of each operation's keys, 0 where there is none."""
    found = [0 if word is None else operation.keys[word, 0] for operation, word in places]
    return np.array(found, np.uint64)
