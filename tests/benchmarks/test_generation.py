"""The ratio to the SDK is honest: both make the same spans, those that the files promise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.generation import TOPOLOGIES, Stream
from benchmarks.sdk import Sdk
from motel_locust.engine.columns import Counts
from motel_locust.topology.linking import operations
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

every_topology = pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)


def body(path: Path) -> bytes:
    stream = Stream(path, body_bytes=256 << 10)
    content, _ = next(stream.bodies(stream.walk()))
    return content


def trees(contents: Iterable[bytes]) -> list[Any]:
    """Return every trace as a tree of all that its spans say but for their ids, in fixed order."""
    children: dict[tuple[bytes, bytes], list[tuple[Any, Span]]] = {}
    for content in contents:
        for resource_spans in ExportTraceServiceRequest.FromString(content).resource_spans:
            resource = exactly(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope
                origin = (resource, scope.name, scope.version, exactly(scope.attributes))
                for span in scope_spans.spans:
                    key = (span.trace_id, span.parent_span_id)
                    children.setdefault(key, []).append((origin, span))

    def tree(origin: Any, span: Span) -> Any:
        below = [tree(*each) for each in children.get((span.trace_id, span.span_id), [])]
        return (*fields(span), origin, sorted(below, key=repr))

    roots = [root for (_, parent), spans in children.items() if not parent for root in spans]
    return sorted((tree(*root) for root in roots), key=repr)


def fields(span: Span) -> tuple[Any, ...]:
    return (
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.name,
        span.kind,
        exactly(span.attributes),
        [(event.name, event.time_unix_nano, exactly(event.attributes)) for event in span.events],
        [(link.trace_id, link.span_id, exactly(link.attributes)) for link in span.links],
        (span.status.code, span.status.message),
    )


def exactly(attributes: Iterable[KeyValue]) -> list[bytes]:
    """Return *attributes* in their order, so that 1, 1.0 and true differ."""
    return [attribute.SerializeToString() for attribute in attributes]


@every_topology
def test_the_sdk_makes_the_spans_that_it_was_given(path: Path) -> None:
    content = body(path)
    sdk = Sdk(ExportTraceServiceRequest.FromString(content))
    requests = sdk.run()
    assert len(requests) == -(-len(sdk.spans) // 512)
    assert trees(requests) == trees([content])
    assert trees(sdk.run()) == trees([content]), "and again, as a benchmark asks for it"


def test_a_body_with_half_a_trace_is_refused() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\2", parent_span_id=bytes(7) + b"\1")
    with pytest.raises(ValueError, match="parent is not among the spans"):
        Sdk(request)


@every_topology
def test_a_benchmarked_topology_reads_without_warning(path: Path) -> None:
    assert read_topology(str(path)).warnings == ()


def test_the_reference_load_is_what_it_says() -> None:
    (path,) = (each for each in TOPOLOGIES if each.stem == "six-attributes")
    topology = read_topology(str(path)).topology
    made = [topology.services[s].operations[name] for s, name in operations(topology).values()]
    assert [len(operation.attributes) for operation in made] == [6] * 4
    stream = Stream(path)
    counts = sum((part for _ in range(10) for part in stream.walk().counts), Counts())
    # A trace breaks at four places, each with 0.5 %, and 3, 2, 2 and 1 of its spans fail then.
    sigma = math.sqrt(0.005 * (3**2 + 2**2 + 2**2 + 1) * counts.traces)
    assert abs(counts.errors - 0.01 * counts.spans) < 4 * sigma


def test_the_wide_topology_is_what_it_says() -> None:
    (path,) = (each for each in TOPOLOGIES if each.stem == "wide")
    topology = read_topology(str(path)).topology
    made = [topology.services[s].operations[name] for s, name in operations(topology).values()]
    calls = [call for operation in made for call in operation.calls]
    assert len(made) == 200
    assert sum(call.count > 1 for call in calls) >= 20
    assert sum(call.retries > 0 for call in calls) >= 20
    assert sum(0 < call.probability < 1 for call in calls) >= 20
    assert sum(operation.call_style == "parallel" for operation in made) >= 20
