from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motel_locust.otlp.settings import Flags, SettingsError, resolve


def url(text: str, signal: str = "traces") -> str:
    return str(resolve(Flags(endpoint=text), {}, signal).endpoint)


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ("collector", "http://collector:4318/v1/traces"),
        ("collector:9000", "http://collector:9000/v1/traces"),
        ("collector:9000/base", "http://collector:9000/base/v1/traces"),
        ("http://collector", "http://collector:4318/v1/traces"),
        ("http://collector:80", "http://collector:80/v1/traces"),
        ("http://collector:80/", "http://collector:80/v1/traces"),
        ("http://collector/base", "http://collector:4318/base/v1/traces"),
        ("http://collector/base/", "http://collector:4318/base/v1/traces"),
        ("http://collector/base?key=1", "http://collector:4318/base/v1/traces?key=1"),
        ("HTTP://Collector", "http://Collector:4318/v1/traces"),
        ("https://vendor.example", "https://vendor.example:443/v1/traces"),
        ("https://vendor.example:4318", "https://vendor.example:4318/v1/traces"),
        ("127.0.0.1:1", "http://127.0.0.1:1/v1/traces"),
        ("[::1]", "http://[::1]:4318/v1/traces"),
        ("http://[::1]:9", "http://[::1]:9/v1/traces"),
        (" collector ", "http://collector:4318/v1/traces"),
        ("stdout://", "stdout://"),
        ("discard://", "discard://"),
        ("file:///tmp/spans.json", "file:///tmp/spans.json"),
        ("file://spans.json", "file://spans.json"),
        ("", "http://localhost:4318/v1/traces"),
    ],
)
def test_an_endpoint_is_read_in_all_its_forms(given: str, reached: str) -> None:
    assert url(given) == reached


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ftp://host", '"ftp://" is not known; write host:port, http://'),
        ("grpc://host", '"grpc://" is not known'),
        ("http://", "it names no host"),
        (":4318", "it names no host"),
        ("/v1/traces", "it names no host"),
        ("host:port", '"port" is not a port; write a number from 1 to 65535'),
        ("host:0", '"0" is not a port'),
        ("host:65536", '"65536" is not a port'),
        ("host:", '"" is not a port'),
        ("::1", "write an IPv6 address in brackets"),
        ("[::1", "it is not an address"),
        ("ho st", '"ho st" is not a host name or address'),
        ("http://user:secret@host", "a user or password cannot stand in an endpoint"),
        ("http://host/#top", '"#" has no meaning'),
        ("http://host/a b", "its path holds blanks"),
        ("file://", '"file://" names no file'),
        ("stdout://x", '"stdout://" takes nothing after it'),
    ],
)
def test_an_endpoint_that_cannot_be_read_says_what_would_be_right(given: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        url(given)
    assert str(caught.value).startswith("--host: ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_each_signal_has_its_own_path() -> None:
    assert url("http://c/base", "metrics") == "http://c:4318/base/v1/metrics"
    assert url("c", "logs") == "http://c:4318/v1/logs"


def test_the_signals_own_variable_names_the_whole_path() -> None:
    def reached(text: str) -> str:
        environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": text}
        return str(resolve(Flags(), environ).endpoint)

    assert reached("http://c/base") == "http://c:4318/base"
    assert reached("http://c/base/") == "http://c:4318/base/"
    assert reached("http://c/") == "http://c:4318/v1/traces"
    assert reached("http://c") == "http://c:4318/v1/traces"


GENERAL, OWN = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("flag", "own", "general", "host", "source"),
    [
        ("flag", "own", "general", "flag", "--host"),
        (None, "own", "general", "own", OWN),
        (None, None, "general", "general", GENERAL),
        (None, " ", "general", "general", GENERAL),
        (None, None, None, "localhost", "default"),
        (None, "", "  ", "localhost", "default"),
        ("", "own", "general", "localhost", "default"),
    ],
)
def test_the_most_specific_source_wins(flag, own, general, host, source) -> None:
    given = {OWN: own, GENERAL: general}
    environ = {name: text for name, text in given.items() if text is not None}
    settings = resolve(Flags(endpoint=flag), environ)
    assert settings.endpoint.host == host
    assert settings.source("endpoint") == source
    assert settings.endpoint_is_default == (source == "default")


def test_variables_of_another_signal_do_not_count() -> None:
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://metrics"}
    assert resolve(Flags(), environ).endpoint_is_default


def test_settings_are_looked_for_one_by_one() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    settings = resolve(Flags(compression="zstd"), environ)
    assert (settings.endpoint.host, settings.timeout_s, settings.compression) == (
        "general",
        2.5,
        "zstd",
    )


def headers(text: str, variable: bool = True) -> dict[str, str]:
    if variable:
        return dict(resolve(Flags(), {"OTEL_EXPORTER_OTLP_HEADERS": text}).headers)
    return dict(resolve(Flags(headers=text), {}).headers)


def test_headers_are_a_list_of_key_and_value() -> None:
    assert headers("a=1, b = 2 ,,c=x=y") == {"a": "1", "b": "2", "c": "x=y"}
    assert headers("a=") == {"a": ""}


def test_headers_of_variables_are_percent_decoded_those_of_flags_are_not() -> None:
    assert headers("authorization=Basic%20abc%3D") == {"authorization": "Basic abc="}
    assert headers("authorization=Basic%20abc%3D", variable=False) == {
        "authorization": "Basic%20abc%3D"
    }


def test_lists_of_headers_are_not_merged_and_an_empty_flag_is_final() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=3",
    }
    assert dict(resolve(Flags(), environ).headers) == {"a": "3"}
    assert resolve(Flags(headers=""), environ).headers == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("token", "header 1 is not key=value"),
        ("a=1,=secret", "header 2 is not key=value"),
        ("a b=secret", "the name of header 1 holds characters"),
        ("a=secret%0d%0ax", 'the value of header "a" holds characters'),
        ("a=secret€", 'the value of header "a" holds characters'),
        ("Content-Length=3", 'header "Content-Length" is set by the exporter itself'),
    ],
)
def test_headers_that_http_does_not_allow_are_told_without_their_values(
    text: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        headers(text)
    assert str(caught.value).startswith(f"OTEL_EXPORTER_OTLP_HEADERS: {message}")
    assert "secret" not in str(caught.value)


def test_settings_do_not_show_their_headers() -> None:
    assert "secret" not in repr(resolve(Flags(headers="authorization=secret"), {}))


@pytest.mark.parametrize(
    ("flag", "variable", "seconds"),
    [
        (None, None, 10.0),
        (None, "1500", 1.5),
        (None, "2s", 2.0),
        ("2s", "1500", 2.0),
        ("1m30s", None, 90.0),
        ("250ms", None, 0.25),
        ("", "1500", 10.0),
    ],
)
def test_a_timeout_is_a_duration_or_in_a_variable_milliseconds(flag, variable, seconds) -> None:
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": variable} if variable else {}
    assert resolve(Flags(timeout=flag), environ).timeout_s == seconds


WRONG = [
    (Flags(timeout="10"), "--otlp-timeout: "),
    (Flags(timeout="0"), "--otlp-timeout: 0 is no time to answer; write 10s"),
    (Flags(timeout="-1s"), "--otlp-timeout: -1s is no time to answer"),
    (Flags(compression="lz4"), '--otlp-compression: "lz4" is not a compression; use none, gzip, z'),
    (Flags(protocol="http/json"), '"http/json" is not a protocol; use http/protobuf or grpc'),
    (
        Flags(endpoint="h/base", protocol="grpc"),
        "--host: gRPC has no path; leave out what follows host and port, or use http/protobuf",
    ),
    (
        Flags(protocol="grpc", compression="zstd"),
        "--otlp-compression: gRPC cannot compress with zstd; use gzip or none, or http/protobuf",
    ),
    (
        Flags(endpoint="https://h", insecure=True),
        "--otlp-insecure asks for plaintext, --host for https://",
    ),
    (
        Flags(endpoint="h", certificate="ca.pem"),
        "--otlp-certificate is for TLS, but http://h:4318/v1/traces has none; write https://",
    ),
    (
        Flags(endpoint="https://h", client_key="key.pem"),
        "--otlp-client-key: a client key needs its client certificate too",
    ),
]


@pytest.mark.parametrize(("flags", "message"), WRONG)
def test_a_flag_that_cannot_be_used_is_named(flags: Flags, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(flags, {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("PROTOCOL", "http/json", 'OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is not a protocol'),
        ("INSECURE", "maybe", 'OTEL_EXPORTER_OTLP_INSECURE: "maybe" is not a yes or no'),
        ("TIMEOUT", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT: "),
        ("TRACES_ENDPOINT", "x://y", 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "x://" is not known'),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(Flags(), {f"OTEL_EXPORTER_OTLP_{name}": text})
    assert message in str(caught.value)


def test_the_commands_have_flags_of_other_names() -> None:
    with pytest.raises(SettingsError, match=r"^--endpoint: "):
        resolve(Flags(endpoint="x://y", style="command"), {})
    with pytest.raises(SettingsError, match=r'^--protocol: "http/json" is not a protocol'):
        resolve(Flags(protocol="http/json", style="command"), {})


@pytest.mark.parametrize("text", ["1", "t", "true", "TRUE", "0", "f", "False"])
def test_insecure_is_redundant_for_plaintext(text: str) -> None:
    environ = {"OTEL_EXPORTER_OTLP_INSECURE": text, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}
    assert not resolve(Flags(), environ).endpoint.tls


def test_a_flag_lifts_a_variable_that_would_contradict() -> None:
    environ = {"OTEL_EXPORTER_OTLP_INSECURE": "true"}
    settings = resolve(Flags(endpoint="https://h", insecure=False), environ)
    assert settings.endpoint.tls


def test_certificates_come_from_variables_even_where_one_endpoint_has_no_tls() -> None:
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem"}
    assert resolve(Flags(endpoint="h"), environ).certificate == "ca.pem"


def test_endpoints_without_a_network_have_no_protocol() -> None:
    for url in ("stdout://", "discard://", "file://spans.json"):
        flags = Flags(endpoint=url, protocol="grpc", compression="zstd", headers="a-bin=1")
        assert not resolve(flags, {}).over_grpc


# gRPC


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ("", "http://localhost:4317"),
        ("collector", "http://collector:4317"),
        ("collector:9000", "http://collector:9000"),
        ("http://collector", "http://collector:4317"),
        ("http://collector/", "http://collector:4317"),
        ("https://vendor.example", "https://vendor.example:443"),
        ("https://vendor.example:4317/", "https://vendor.example:4317"),
        ("[::1]", "http://[::1]:4317"),
    ],
)
def test_an_endpoint_of_grpc_has_another_port_and_no_path(given: str, reached: str) -> None:
    settings = resolve(Flags(endpoint=given, protocol="grpc"), {})
    assert str(settings.endpoint) == reached
    assert settings.over_grpc


@pytest.mark.parametrize("given", ["h/v1/traces", "http://h/base/", "https://h?token=secret"])
def test_a_path_with_grpc_is_an_error_that_does_not_show_it(given: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: gRPC has no path"
    ):
        resolve(Flags(protocol="grpc"), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": given})


def test_the_protocol_may_be_that_of_one_signal() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    }
    assert resolve(Flags(), environ).over_grpc
    assert not resolve(Flags(), environ, "logs").over_grpc
    assert not resolve(Flags(protocol="http/protobuf"), environ).over_grpc
    assert resolve(Flags(), environ).source("protocol") == "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"


def test_headers_are_metadata_with_names_in_lower_case() -> None:
    given = Flags(protocol="grpc", headers="X-Key=a=b, x_tenant.id = c")
    assert resolve(given, {}).headers == (("x-key", "a=b"), ("x_tenant.id", "c"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a!=secret", 'header "a!" cannot be sent over gRPC; use letters'),
        ("Trace-Bin=secret", 'header "Trace-Bin" cannot be sent over gRPC'),
        ("grpc-timeout=secret", 'header "grpc-timeout" cannot be sent over gRPC'),
        ("a=secret\xe4", 'the value of header "a" holds characters that gRPC does not allow'),
    ],
)
def test_headers_that_grpc_does_not_allow_are_told_without_their_values(
    text: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(Flags(protocol="grpc", headers=text), {})
    assert str(caught.value).startswith(f"--otlp-headers: {message}")
    assert "secret" not in str(caught.value)


@given(
    st.text(max_size=40),
    st.sampled_from(["traces", "metrics", "logs"]),
    st.sampled_from(["http/protobuf", "grpc"]),
)
def test_any_endpoint_resolves_or_is_refused_in_one_line(
    text: str, signal: str, protocol: str
) -> None:
    try:
        settings, refusal = resolve(Flags(endpoint=text, protocol=protocol), {}, signal), ""
    except SettingsError as error:
        settings, refusal = None, str(error)
    if settings is None:
        assert refusal.startswith("--host: ")
    elif settings.over_grpc:
        assert settings.endpoint.path == ""
    elif settings.endpoint.on_network:
        assert settings.endpoint.path.startswith("/")
