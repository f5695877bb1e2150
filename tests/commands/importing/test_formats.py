"""The same four spans in every format that there is."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motel_locust.commands.importing import formats, sources
from motel_locust.commands.importing.columns import DETACHED, FAILED, KIND_SHIFT
from motel_locust.commands.importing.faults import ImportFault, Place
from motel_locust.commands.importing.intake import Intake
from motel_locust.commands.importing.recorder import Recorder
from motel_locust.commands.importing.shelf import Shelf
from motel_locust.engine.columns import Kind
from motel_locust.engine.recorded import (
    RecordedEvent,
    RecordedLink,
    RecordedSpan,
    RecordedStatus,
)
from motel_locust.otlp.recording_file import RecordingReader
from motel_locust.otlp.requests import with_base64_ids

if TYPE_CHECKING:
    from pathlib import Path

    from motel_locust.engine.recorded import RecordedTrace

START_NS = 1_772_359_200_000_000_000
TRACE = "5b8efff798038103d269b633813fc60c"
IDS = ["eee19b7ec3c1b171", "eee19b7ec3c1b172", "eee19b7ec3c1b173", "eee19b7ec3c1b174"]

# service, operation, parent, start and end in µs, failed, kind
SPANS = [
    ("shop", "GET /cart", None, 0, 50_000, False, 2),
    ("db", "query", 0, 10_000, 20_000, True, 3),
    ("db", "query", 0, 20_000, 30_125, False, 3),
    ("mail", "send", 0, 30_000, 90_000, False, 5),
]
EVENT_NS = START_NS + 1_000_000
LINKED = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
"""Trace and span that every span links to."""
ATTRIBUTES: dict[str, Any] = {"db.name": "main", "rows": 5, "cached": True, "ratio": 0.5}


def any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}


def key_values(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def otlp() -> dict[str, Any]:
    by_service: dict[str, list[dict[str, Any]]] = {}
    for span_id, (service, name, parent, start, end, failed, kind) in zip(IDS, SPANS, strict=True):
        span = {
            "traceId": TRACE,
            "spanId": span_id,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(START_NS + start * 1000),
            "endTimeUnixNano": str(START_NS + end * 1000),
            "attributes": key_values(ATTRIBUTES),
            "status": {"code": 2, "message": "no row"} if failed else {},
            "events": [
                {
                    "name": "locked",
                    "timeUnixNano": str(EVENT_NS),
                    "attributes": key_values({"n": 1}),
                }
            ],
            "links": [{"traceId": LINKED[0], "spanId": LINKED[1]}],
        }
        if parent is not None:
            span["parentSpanId"] = IDS[parent]
        by_service.setdefault(service, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": key_values({"service.name": service, "zone": "a"})},
                "scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}],
            }
            for service, spans in by_service.items()
        ]
    }


def tempo() -> dict[str, Any]:
    """Ids in base64, enumerations by name, and names of old."""
    names = ["", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
    document = with_base64_ids(otlp())
    for batch in document["resourceSpans"]:
        (scope,) = batch["scopeSpans"]
        for span in scope["spans"]:
            span["kind"] = f"SPAN_KIND_{names[span['kind']]}"
            if span["status"]:
                span["status"]["code"] = "STATUS_CODE_ERROR"
            span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
        batch["instrumentationLibrarySpans"] = [
            {"instrumentationLibrary": scope["scope"], "spans": scope["spans"]}
        ]
        del batch["scopeSpans"]
    return {"batches": document["resourceSpans"]}


def protobuf() -> bytes:
    request = ParseDict(with_base64_ids(otlp()), ExportTraceServiceRequest())
    return request.SerializeToString()


def stdouttrace() -> list[dict[str, Any]]:
    types = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}

    def listed(attributes: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"Key": key, "Value": {"Type": types[type(value)], "Value": value}}
            for key, value in attributes.items()
        ]

    def moment(micros: int) -> str:
        return f"2026-03-01T10:00:00.{micros * 1000:09}Z"

    lines = []
    for span_id, (service, name, parent, start, end, failed, kind) in zip(IDS, SPANS, strict=True):
        above = IDS[parent] if parent is not None else "0" * 16
        lines.append(
            {
                "Name": name,
                "SpanContext": {"TraceID": TRACE, "SpanID": span_id},
                "Parent": {"TraceID": TRACE, "SpanID": above},
                "SpanKind": kind,
                "StartTime": moment(start),
                "EndTime": moment(end),
                "Attributes": listed({"synth.service": service, **ATTRIBUTES}),
                "Status": {
                    "Code": "Error" if failed else "Unset",
                    "Description": "no row" if failed else "",
                },
                "Events": [
                    {"Name": "locked", "Time": moment(1000), "Attributes": listed({"n": 1})}
                ],
                "Links": [{"SpanContext": {"TraceID": LINKED[0], "SpanID": LINKED[1]}}],
                "Resource": listed({"service.name": service, "zone": "a"}),
            }
        )
    return lines


def jaeger() -> dict[str, Any]:
    kinds = ["", "internal", "server", "client", "producer", "consumer"]
    types = {bool: "bool", int: "int64", float: "float64", str: "string"}

    def tags(attributes: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"key": key, "type": types[type(value)], "value": value}
            for key, value in attributes.items()
        ]

    spans = []
    for span_id, (service, name, parent, start, end, failed, kind) in zip(IDS, SPANS, strict=True):
        references = [{"refType": "FOLLOWS_FROM", "traceID": LINKED[0], "spanID": LINKED[1]}]
        if parent is not None:
            kind_of = "FOLLOWS_FROM" if kind == 5 else "CHILD_OF"
            references.append({"refType": kind_of, "traceID": TRACE, "spanID": IDS[parent]})
        status = {"error": True, "otel.status_description": "no row"} if failed else {}
        spans.append(
            {
                "traceID": TRACE,
                "spanID": span_id,
                "operationName": name,
                "references": references,
                "startTime": START_NS // 1000 + start,
                "duration": end - start,
                "tags": tags({**ATTRIBUTES, "span.kind": kinds[kind], **status}),
                "processID": service,
                "logs": [
                    {"timestamp": EVENT_NS // 1000, "fields": tags({"event": "locked", "n": 1})}
                ],
            }
        )
    processes = {
        service: {"serviceName": service, "tags": tags({"zone": "a"})}
        for service in ("shop", "db", "mail")
    }
    return {"data": [{"traceID": TRACE, "spans": spans, "processes": processes}]}


def lines(*documents: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


LOGS = {"resourceLogs": []}
WAYS: dict[str, bytes] = {
    "otlp": lines(otlp()),
    "otlp without an end of line": lines(otlp()).rstrip(),
    "otlp, one span a line": lines(
        *(
            {"resourceSpans": [{**batch, "scopeSpans": [{**scope, "spans": [span]}]}]}
            for batch in otlp()["resourceSpans"]
            for scope in batch["scopeSpans"]
            for span in scope["spans"]
        )
    ),
    "otlp among other lines": b"\n" + lines(LOGS, otlp(), {"some": "thing"}),
    "otlp in a layout": json.dumps(otlp(), indent=2).encode(),
    "otlp with a byte order mark": b"\xef\xbb\xbf" + json.dumps(otlp(), indent=1).encode(),
    "a list of otlp": json.dumps([otlp(), LOGS], indent=2).encode(),
    "a list of otlp on a line": lines([otlp()]),
    "otlp of jaeger": lines({"result": otlp()}),
    "otlp of jaeger in a layout": json.dumps({"result": otlp()}, indent=2).encode(),
    "tempo": lines(tempo()),
    "tempo in a layout": json.dumps(tempo(), indent="\t").encode(),
    "protobuf": protobuf(),
    "protobuf with lengths": frame(protobuf()),
    "protobuf with lengths and zstd": frame(zstandard.compress(protobuf())),
    "json with lengths and zstd": frame(zstandard.compress(lines(otlp()))),
    "stdouttrace": lines(*stdouttrace()),
    "stdouttrace among other lines": lines({"Timestamp": "x"}, *stdouttrace()),
    "stdouttrace in a layout": b"\n".join(json.dumps(x, indent=1).encode() for x in stdouttrace()),
    "jaeger": lines(jaeger()),
    "jaeger in a layout": json.dumps(jaeger(), indent=4).encode(),
}


def taken(stream: Any, form: str = "auto") -> tuple[Intake, list[dict[str, Any]]]:
    """The intake, and its spans in the order of their starts."""
    with Shelf() as shelf:
        intake = Intake(shelf, most_values=20)
        assert formats.take_spans(stream, Place("traces"), intake, form)
        intake.settle()
        (spans,) = shelf.take()
    spans.sort(order=["start_ns", "span"])
    return intake, [{name: row[name] for name in row.dtype.names} for row in spans]


@pytest.mark.parametrize("way", WAYS)
def test_every_format_tells_the_same_spans(way: str) -> None:
    intake, rows = taken(io.BytesIO(WAYS[way]))
    assert len(rows) == len(SPANS)
    for row, span_id, made in zip(rows, IDS, SPANS, strict=True):
        service, name, parent, start, end, failed, kind = made
        operation = intake.operations[row["operation"]]
        above = IDS[parent] if parent is not None else "0" * 16
        assert (operation.service, operation.name) == (service, name)
        assert row["trace_high"].tobytes() + row["trace_low"].tobytes() == bytes.fromhex(TRACE)
        assert (row["span"].tobytes().hex(), row["parent"].tobytes().hex()) == (span_id, above)
        assert (row["start_ns"], row["end_ns"]) == (START_NS + start * 1000, START_NS + end * 1000)
        detached = kind == 5 and way.startswith("jaeger")
        assert row["flags"] == FAILED * failed | DETACHED * detached | kind << KIND_SHIFT
    for operation in intake.operations:
        assert operation.attributes.constants() == ATTRIBUTES
    for service in intake.services.values():
        assert service.resources.constants() == {"zone": "a"}


def recorded(content: bytes) -> list[RecordedTrace]:
    """What a recording of *content* holds, as replay reads it."""
    out = io.BytesIO()
    with Shelf() as shelf, Recorder() as recorder:
        intake = Intake(shelf, most_values=0, recorder=recorder)
        formats.take_spans(io.BytesIO(content), Place("traces"), intake, "auto")
        recorder.write(out)
    reader = RecordingReader(io.BytesIO(out.getvalue()), "recording")
    traces = list(reader)
    reader.check()
    return traces


@pytest.mark.parametrize("way", WAYS)
def test_every_format_is_recorded_whole(way: str) -> None:
    (trace,) = recorded(WAYS[way])
    assert trace.trace_id == TRACE
    for span, span_id, made in zip(trace.spans, IDS, SPANS, strict=True):
        service, name, parent, start, end, failed, kind = made
        assert span == RecordedSpan(
            span_id=span_id,
            service=service,
            operation=name,
            start_ns=START_NS + start * 1000,
            end_ns=START_NS + end * 1000,
            parent_id=IDS[parent] if parent is not None else "",
            failed=failed,
            kind=Kind(kind),
            attributes=ATTRIBUTES,
            resource={"zone": "a"},
            events=(RecordedEvent("locked", EVENT_NS, {"n": 1}),),
            links=(RecordedLink(*LINKED),),
            status=RecordedStatus("error", "no row") if failed else None,
        )


@pytest.mark.parametrize("way", ["otlp", "jaeger in a layout", "protobuf with lengths"])
@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_files_are_unpacked(way: str, compress: Any, tmp_path: Path) -> None:
    path = tmp_path / "traces"
    path.write_bytes(compress(WAYS[way]) + compress(b""))  # members may follow each other
    read = []
    with sources.opened(str(path), read.append) as (stream, _):
        assert len(taken(stream)[1]) == len(SPANS)
    assert sum(read) == path.stat().st_size


@pytest.mark.parametrize("way", ["otlp in a layout", "jaeger in a layout", "a list of otlp"])
def test_a_document_may_come_in_any_pieces(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size, 7) if size and size > 0 else size)

    assert len(taken(io.BufferedReader(sources.Pushed(b"", Dripping(WAYS[way])), 16))[1]) == 4


@pytest.mark.parametrize(
    ("form", "way"),
    [("otlp", "otlp"), ("otlp", "protobuf"), ("jaeger", "jaeger"), ("stdouttrace", "stdouttrace")],
)
def test_a_format_can_be_named(form: str, way: str) -> None:
    assert len(taken(io.BytesIO(WAYS[way]), form)[1]) == len(SPANS)


def fault(content: bytes, form: str = "auto") -> str:
    with Shelf() as shelf, pytest.raises(ImportFault) as caught:
        formats.take_spans(io.BytesIO(content), Place("t.json"), Intake(shelf, most_values=9), form)
    return str(caught.value)


def spoilt(**fields: Any) -> bytes:
    document = otlp()
    document["resourceSpans"][1]["scopeSpans"][0]["spans"][0] |= fields
    return lines(otlp(), document)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(otlp()) + b"{oops}\n", "t.json:2: not JSON: expecting property name"),
        (lines(otlp()) + b'{"resourceSpans": [', "t.json:2: not JSON: expecting value"),
        (lines(otlp(), 5), "t.json:2: a JSON object was expected, but found a number"),
        (spoilt(traceId="zz"), 't.json:2: "zz" is not an id of 16 bytes'),
        (spoilt(spanId=7), "t.json:2: an id must be a text, not 7"),
        (spoilt(startTimeUnixNano="soon"), "t.json:2: 'soon' is not a time in nanoseconds"),
        (spoilt(endTimeUnixNano=str(2**64)), "is not a time between 1970 and 2262"),
        (spoilt(attributes=[7]), "t.json:2: not otlp: a list, an object or a text stands"),
        (lines({"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}), "not otlp: 'traceId' is"),
        (json.dumps(otlp(), indent=1).encode()[:-40], "not JSON: the document is cut off"),
        (json.dumps(jaeger(), indent=1).encode().replace(b"CHILD_OF", b'CHILD"OF', 1), "not JSON"),
        (frame(protobuf()) + frame(protobuf())[:-5], "t.json:message 2: the message is cut off"),
        (frame(protobuf()) + b"\xff\xff\xff\xff12", "is longer than 128 MiB"),
        (frame(b"\x0a\x05hello"), "t.json:message 1: not OTLP traces in protobuf"),
        (b"\xef\xbb\xbf{\n\xff}", "t.json:1: not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(content: bytes, message: str) -> None:
    assert message in fault(content)


def test_the_line_of_a_mistake_inside_a_document_is_told() -> None:
    text = json.dumps(jaeger(), indent=1)
    at = text[: text.index('"duration"')].count("\n") + 1
    told = fault(text.replace('"duration":', '"duration"', 1).encode())
    assert told.startswith(f"t.json:{at}: not JSON: expecting ':'")


def test_metrics_in_protobuf_are_not_taken_for_traces() -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.sum.data_points.add(as_int=1)
    assert "not OTLP traces" in fault(frame(request.SerializeToString()))


@pytest.mark.parametrize("content", [b"hello\n", b"\x00\x01\x02\x03\x04", b"\x89PNG\r\n"])
def test_what_is_of_no_format_is_told_apart(content: bytes) -> None:
    with Shelf() as shelf:
        intake = Intake(shelf, most_values=0)
        assert not formats.take_spans(io.BytesIO(content), Place("t"), intake, "auto")
        assert not formats.take_spans(io.BytesIO(lines({"a": 1})), Place("t"), intake, "auto")


def test_damaged_compression_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "t.gz"
    for content in (gzip.compress(WAYS["otlp"])[:-9], zstandard.compress(WAYS["otlp"])[:20] + b"x"):
        path.write_bytes(content)
        with (
            pytest.raises(ImportFault, match=r"t\.gz: cannot be decompressed"),
            sources.opened(str(path), lambda _: None) as (stream, _),
        ):
            taken(stream)


def test_services_without_a_name_are_called_by_their_scope() -> None:
    document = otlp()
    for batch, name in zip(
        document["resourceSpans"], ["", "unknown_service:go", None], strict=True
    ):
        batch["resource"] = {"attributes": key_values({"service.name": name})} if name else {}
    intake, _ = taken(io.BytesIO(lines(document)))
    assert list(intake.services) == ["lib"]
