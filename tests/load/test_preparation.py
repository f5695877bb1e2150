from __future__ import annotations

import socket
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from motel_locust import TopologyUser
from motel_locust.load.preparation import PreparationError, Surroundings, prepare
from tests.integration.child import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

OTLP = "OTEL_EXPORTER_OTLP"
SMALL = "version: 1\nservices: {a: {operations: {b: {duration: 5ms}}}}\ntraffic: {rate: 10/s}\n"


class Plain(TopologyUser):
    pass


class Own(TopologyUser):
    endpoint = "discard://"
    rate = "7/s"
    arrivals = "poisson"


class Odd(TopologyUser):
    rate = 50
    arrivals = "random"


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


def around(
    *classes: type[TopologyUser],
    host: str = "discard://",
    receiver: Callable[[str], str] | None = None,
    environ: dict[str, str] | None = None,
) -> Surroundings:
    hosts = {each.__name__: host for each in classes}
    return Surroundings(classes, hosts, receiver, environ or {})


def told(given: dict, surroundings: Surroundings) -> str:
    with pytest.raises(PreparationError) as error:
        prepare(given, surroundings)
    return str(error.value)


def test_a_class_wins_over_the_options(small: str) -> None:
    prepared = prepare({"topology": small, "rate": "3/s"}, around(Plain, Own, host="stdout://"))
    plain, own = prepared.parts
    assert (plain.rate, plain.arrivals, plain.endpoint) == ("3/s", "", "stdout://")
    assert (own.rate, own.arrivals, own.endpoint) == ("7/s", "poisson", "discard://")
    assert plain.sha256 == own.sha256
    assert plain.sha256 in prepared.readings


def test_what_a_class_says_wrong_names_the_class(small: str) -> None:
    message = told({"topology": small}, around(Odd))
    assert 'Odd.rate: "50" is not of the form N/unit' in message
    assert 'Odd.arrivals: "random" is not known' in message


def test_all_that_stands_in_the_way_is_told(tmp_path: Path) -> None:
    message = told(
        {"topology": "no.yaml", "summary": str(tmp_path / "no" / "file")},
        around(Plain, host="ftp://a", environ={"OTEL_RESOURCE_ATTRIBUTES": "team"}),
    )
    assert "no.yaml: cannot be read" in message
    assert '"ftp://" is not known' in message
    assert "--summary: the folder of" in message
    assert "OTEL_RESOURCE_ATTRIBUTES: part 1 is not key=value" in message


def test_the_receiver_stands_in_only_where_nobody_named_an_endpoint(small: str) -> None:
    started = []

    def receiver(protocol: str) -> str:
        started.append(protocol)
        return "http://127.0.0.1:1"

    prepared = prepare({"topology": small}, around(Plain, Own, host="", receiver=receiver))
    assert [part.endpoint for part in prepared.parts] == ["http://127.0.0.1:1", "discard://"]
    assert [part.built_in for part in prepared.parts] == [True, False]
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "discard://"}
    prepared = prepare({"topology": small}, around(Plain, host="", environ=named))
    assert [part.endpoint for part in prepared.parts] == [""]
    assert [part.built_in for part in prepared.parts] == [False]
    assert started == ["http/protobuf"]
    by_variable = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    prepare({"topology": small}, around(Plain, host="", receiver=receiver, environ=by_variable))
    assert started[1:] == ["grpc"]
    assert "no endpoint" in told({"topology": small}, around(Plain, host=""))


def test_a_token_in_the_topology_s_url_is_for_nobody_to_see(small: str) -> None:
    files = partial(SimpleHTTPRequestHandler, directory=Path(small).parent)
    with HTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}/{Path(small).name}"
        prepared = prepare({"topology": f"{url}?token=hunter2"}, around(Plain))
    (part,) = prepared.parts
    assert part.source == f"{url}?..."
    assert prepared.readings[part.sha256].source.name == f"{url}?..."


def test_a_token_in_the_host_is_refused_as_locust_would_show_it(small: str, tmp_path: Path) -> None:
    secret = f"http://127.0.0.1:{free_port()}/in?token=hunter2"
    message = told({"topology": small}, around(Plain, Own, host=secret))
    assert message.startswith('--host: what follows "?" may be secret')
    assert "--otlp-headers" in message
    assert "hunter" not in message
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": secret}
    assert "connection refused" in told({"topology": small}, around(Plain, host="", environ=named))
    prepare({"topology": small}, around(Plain, host=f"file://{tmp_path}/spans?.jsonl"))


def test_no_receiver_starts_for_a_run_that_cannot() -> None:
    def receiver(protocol: str) -> str:
        raise AssertionError("started")

    told({}, around(Plain, host="", receiver=receiver))


def test_what_the_form_may_still_name_is_not_missed() -> None:
    prepare({}, around(Plain, host=""), partly=True)
    with pytest.raises(PreparationError, match="rate"):
        prepare({"rate": "x"}, around(Plain, host=""), partly=True)


def test_an_endpoint_that_takes_connections_is_reached(small: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        prepare({"topology": small}, around(Plain, host=address))
    assert "cannot be reached: connection refused" in told(
        {"topology": small}, around(Plain, host=address)
    )


def test_metrics_that_nothing_defines_are_told(small: str) -> None:
    prepared = prepare({"topology": small, "signals": "traces,metrics,logs"}, around(Plain))
    assert list(prepared.warnings()) == [
        f"{small}: defines no metrics, so none of those that --signals asks for will come"
    ]
    prepared = prepare({"topology": small, "signals": "traces,logs"}, around(Plain))
    assert list(prepared.warnings()) == []


def test_an_endpoint_for_some_signals_only_is_missed_for_the_others(small: str) -> None:
    given = {"topology": small, "signals": "traces,metrics,logs"}
    surroundings = around(Plain, host="", environ={f"{OTLP}_METRICS_ENDPOINT": "discard://"})
    assert told(given, surroundings) == (
        "no endpoint for traces and logs: give --host URL or set OTEL_EXPORTER_OTLP_ENDPOINT, or"
        " OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    )
    surroundings.environ[f"{OTLP}_ENDPOINT"] = "discard://"
    prepare(given, surroundings)


def test_the_receiver_stands_in_over_one_protocol_for_all_signals(small: str) -> None:
    given = {"topology": small, "signals": "traces,logs"}
    variables = {f"{OTLP}_LOGS_PROTOCOL": "grpc"}
    surroundings = around(Plain, host="", environ=variables, receiver=lambda protocol: protocol)
    assert "where all signals have one protocol" in told(given, surroundings)
    (part,) = prepare({**given, "signals": "logs"}, surroundings).parts
    assert part.endpoint == "grpc"


def test_wrong_settings_of_metrics_are_told_where_metrics_are_asked_for(small: str) -> None:
    surroundings = around(Plain, environ={"OTEL_METRIC_EXPORT_INTERVAL": "60s"})
    prepare({"topology": small}, surroundings)
    assert told({"topology": small, "signals": "metrics"}, surroundings) == (
        'OTEL_METRIC_EXPORT_INTERVAL: "60s" is no whole number of milliseconds'
    )
