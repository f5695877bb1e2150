"""Pairs of spans: between a call and its callee stands the caller's side, an operation of its own.

A *client* is called in the callee's place and calls it in turn. Its own time is that of the
network, half of it before the callee's span and half after, as of any operation; the timeout is a
limit to it. All else about the call (how often, under which conditions, how many attempts) stays
with the caller. So whoever follows calls, follows these too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from motel_locust.engine.columns import Kind
from motel_locust.engine.scenarios import Effective
from motel_locust.topology import linking, pairing
from motel_locust.topology.model import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from motel_locust.topology.model import Topology

HTTP_METHOD: Final = "http.request.method"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
RESEND_COUNT: Final = "synth.resend_count"
"""For what is no HTTP request, as the conventions number no others."""


@dataclass(frozen=True, slots=True)
class Client:
    """The caller's side of one entry of an operation's calls.

    Attributes:
        caller: Ref of the operation whose entry it is.
        place: That operation's service and name.
        peer: Service and name of the operation that is called.
        call: The entry.
        message: Whether it is a message that is sent, not a request.
        resend_count: The attribute that numbers further attempts.
    """

    caller: str
    place: tuple[str, str]
    peer: tuple[str, str]
    call: Call
    message: bool
    resend_count: str

    @property
    def edge(self) -> str:
        """What its spans are counted under: the service that calls, and whom."""
        return f"{self.place[0]} -> {self.call.target}"

    @property
    def kind(self) -> Kind:
        """The kind of its spans."""
        return Kind.PRODUCER if self.message else Kind.CLIENT

    @property
    def peer_kind(self) -> Kind:
        """The kind of the spans that it calls."""
        return Kind.CONSUMER if self.message else Kind.SERVER


def pair(
    topology: Topology, operations: Mapping[str, Effective]
) -> tuple[dict[str, Effective], dict[str, Client]]:
    """Return *operations* with the clients between them, and what these are, all by ref."""
    if topology.spans == "single":
        return dict(operations), {}
    places = linking.operations(topology)
    clients: dict[str, Client] = {}
    found = dict(operations)
    for ref, effective in operations.items():
        calls = []
        for name, call in effective.calls:
            peer = places[call.target]
            if not pairing.paired(topology, call, caller=places[ref][0], callee=peer[0]):
                calls.append((name, call))
                continue
            http = HTTP_METHOD in operations[call.target].attributes
            client = Client(
                caller=ref,
                place=places[ref],
                peer=peer,
                call=call,
                message=pairing.message(call),
                resend_count=HTTP_RESEND_COUNT if http else RESEND_COUNT,
            )
            # No operation's ref, as these have a dot.
            own = f"client {len(clients)}"
            clients[own] = client
            found[own] = Effective(
                duration=pairing.network(topology, call),
                error_rate=0.0,
                attributes={},
                calls=((f"{name}.peer", _arriving(call)),),
                limit_ns=call.timeout,
            )
            calls.append((name, call.model_copy(update={"target": own, "timeout": None})))
        found[ref] = _calling(effective, tuple(calls))
    return found, clients


def _calling(effective: Effective, calls: tuple[tuple[str, Call], ...]) -> Effective:
    """Return *effective* with other *calls*, whatever variant it is and wherever it runs."""
    return replace(
        effective,
        calls=calls,
        variants=tuple(
            replace(each, effective=_calling(each.effective, calls)) for each in effective.variants
        ),
        on_instances={
            index: _calling(each, calls) for index, each in effective.on_instances.items()
        },
    )


def _arriving(call: Call) -> Call:
    """Return *call* once, unconditionally: who sends it has decided about all else."""
    return Call.model_validate({"target": call.target, "async": call.detached})
