from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

import motel_locust
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.parcels import Parcel
from tests.strategies import SERVICES

VERSION = motel_locust.__version__


def encoded(name: str) -> memoryview:
    """A span as it stands in a request."""
    return memoryview(ScopeSpans(spans=[Span(name=name)]).SerializeToString())


def parcel(spans: dict[str, list[str]]) -> Parcel:
    """Spans by service, every one with a name."""
    pieces = {service: [encoded(name) for name in names] for service, names in spans.items()}
    return Parcel(
        release_ns=0,
        items=sum(map(len, spans.values())),
        size=sum(len(piece) for found in pieces.values() for piece in found),
        pieces=pieces,
    )


def resource(own: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """The attributes of the resource of service ``shop``."""
    builder = BodyBuilder(Heads({"shop": own}, environment))
    builder.add(parcel({"shop": ["pay"]}))
    (found,) = ExportTraceServiceRequest.FromString(builder.build()).resource_spans
    return {each.key: each.value.string_value for each in found.resource.attributes}


def test_a_resource_names_its_service_and_us():
    assert resource({}, {}) == {
        "service.name": "shop",
        "motel.version": VERSION,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "motel-locust",
        "telemetry.sdk.version": VERSION,
    }


def test_a_services_own_attributes_win_over_those_of_the_environment():
    found = resource({"region": "eu", "": "ü"}, {"region": "us", "host.name": "h"})
    assert (found["region"], found["host.name"], found[""]) == ("eu", "h", "ü")


@pytest.mark.parametrize("place", ["own", "environment"])
def test_a_service_s_name_and_our_version_win(place):
    others = {"service.name": "x", "motel.version": "0"}
    found = resource(others, {}) if place == "own" else resource({}, others)
    # Of resources of one service that are told apart, each says whose it is.
    name = "x" if place == "own" else "shop"
    assert (found["service.name"], found["motel.version"]) == (name, VERSION)


def test_the_scope_is_ours_and_says_that_the_spans_are_synthetic():
    builder = BodyBuilder(Heads({"shop": {}}, {}))
    builder.add(parcel({"shop": ["pay"]}))
    (found,) = ExportTraceServiceRequest.FromString(builder.build()).resource_spans
    (scope_spans,) = found.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("motel-locust", VERSION)
    (attribute,) = scope_spans.scope.attributes
    assert (attribute.key, attribute.value.bool_value) == ("motel.synthetic", True)


names = st.text("abc", max_size=5) | st.sampled_from(["x" * 100, "y" * 20_000])
spans = st.dictionaries(st.sampled_from(SERVICES), st.lists(names, min_size=1, max_size=3))


@settings(max_examples=60)
@given(st.lists(spans, max_size=5), st.text("ab", max_size=300))
def test_a_body_has_every_service_once_and_all_of_its_spans_in_order(added, value):
    heads = Heads({service: {"key": value} for service in SERVICES}, {})
    builder = BodyBuilder(heads)
    expected: dict[str, list[str]] = {}
    for each in added:
        builder.add(parcel(each))
        for service, found in each.items():
            expected.setdefault(service, []).extend(found)
        size = len(builder.build())
        assert size <= builder.size <= size + 2 * 5 * len(expected)
    assert builder.items == sum(map(len, expected.values()))
    found = {}
    for resource_spans in ExportTraceServiceRequest.FromString(builder.build()).resource_spans:
        attributes = {each.key: each.value for each in resource_spans.resource.attributes}
        (scope_spans,) = resource_spans.scope_spans
        assert attributes["service.name"].string_value not in found
        found[attributes["service.name"].string_value] = [span.name for span in scope_spans.spans]
    assert found == expected


def test_a_body_of_nothing_is_an_empty_request():
    builder = BodyBuilder(Heads({"shop": {}}, {}))
    assert (builder.build(), builder.items, builder.size) == (b"", 0, 0)
