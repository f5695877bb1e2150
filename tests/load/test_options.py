from __future__ import annotations

import pytest
from locust.argument_parser import LocustArgumentParser

from motel_locust.load.options import OPTIONS, add_options
from motel_locust.load.run_options import OptionError, plain_values, run_options
from tests.integration.child import ROOT


def parse(*words: str) -> dict:
    parser = LocustArgumentParser(prog="locust")
    add_options(parser)
    return vars(parser.parse_args(list(words)))


# option, what was written, what the complaint says
WRONG = [
    ("rate", "50", 'rate: "50" is not of the form N/unit'),
    ("rate", "0/s", "is not above 0"),
    ("rate", "-1/s", "is not above 0"),
    ("rate", "50/fortnight", "unknown unit"),
    ("rate_per", "worker", '"worker" is not known; write user or cluster'),
    ("arrivals", "random", '"random" is not known; write paced or poisson'),
    ("seed", "x", '"x" is no whole number; write one from 0 to 9223372036854775807'),
    ("seed", "-1", "-1 is out of range"),
    ("seed", "1.5", "no whole number"),
    ("signals", "spans", '"spans" is no signal; write some of traces, metrics, logs'),
    ("signals", "", "no signal is named"),
    ("metrics_temporality", "deltas", '"deltas" is not known; write cumulative or delta'),
    ("metrics_interval", "60", "has no unit"),
    ("slow_threshold", "-1s", '"-1s" is below 0'),
    ("time_offset", "1 h", "has an unknown unit"),
    ("max_spans_per_trace", "-5", "out of range"),
    ("otlp_protocol", "http/json", '"http/json" is not known; write http/protobuf or grpc'),
    ("otlp_timeout", "10", "has no unit"),
    ("connections", "0", "0 is out of range; write one from 1 to 1024"),
    ("queue_size", "64MB", '"64MB" is no whole number'),
    ("queue_size", "1000", "out of range"),
    ("flush_interval", "-1s", "is below 0"),
    ("on_full", "block", '"block" is not known; write drop or wait'),
    ("drain", "nan", "out of range"),
    ("drain", "soon", '"soon" is no number'),
    ("max_loss", "2", "2 is above 1"),
    ("max_loss", "all", "is not a percentage or a ratio"),
    ("wait_for_endpoint", "-1", "out of range"),
]


@pytest.mark.parametrize(("name", "written", "complaint"), WRONG)
def test_a_wrong_value_names_the_option_and_what_would_be_right(
    name: str, written: str, complaint: str
) -> None:
    with pytest.raises(OptionError) as error:
        plain_values({name: written})
    assert str(error.value).startswith(f"--{name.replace('_', '-')}: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "written", "complaint"), WRONG)
def test_the_command_line_says_the_same(name, written, complaint, capsys) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(SystemExit) as end:
        parse(f"{flag}={written}")
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert f"argument {flag}: " in shown
    assert complaint.removeprefix(f"{name}: ") in shown


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("rate", " 0.5/m ", "0.5/m"),
        ("rate", "", ""),
        ("arrivals", "", ""),
        ("signals", "logs, traces,,traces", "traces,logs"),
        ("time_offset", "-1h", "-1h"),
        ("time_offset", "0", "0"),
        ("max_loss", "0.5%", 0.005),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("realtime", "true", True),
        ("realtime", "false", False),
        ("label_scenarios", True, True),
    ],
)
def test_a_right_value_becomes_plain(name, written, value) -> None:
    assert plain_values({name: written})[name] == value


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(OptionError) as error:
        plain_values({"rate": "x", "seed": "y", "drain": "z"})
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "--rate",
        "--seed",
        "--drain",
    ]


def test_real_time_has_no_offset() -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        plain_values({"realtime": True, "time_offset": "1h"})
    plain_values({"realtime": True, "time_offset": "0"})


def test_what_the_parser_gives_can_be_run_with() -> None:
    options = run_options(plain_values(parse()))
    assert options.signals == ("traces",)
    assert options.flush_interval_s == 0.1
    assert options.queue_bytes == 64 << 20
    assert options.drain_s == 10


def test_the_form_can_cast_every_value_that_it_shows() -> None:
    parsed = parse()
    for option in OPTIONS:
        if option.in_form:
            assert type(parsed[option.name]) in (str, int, float, bool)
            # Locust casts with the type of the present value.
            assert type(parsed[option.name])(str(parsed[option.name])) is not None


def test_every_option_has_a_variable(monkeypatch) -> None:
    assert len({option.variable for option in OPTIONS}) == len(OPTIONS)
    monkeypatch.setenv("LOCUST_RATE", "7/s")
    monkeypatch.setenv("LOCUST_OTLP_HEADERS", "a=b")
    assert parse()["rate"] == "7/s"
    assert parse()["otlp_headers"] == "a=b"
    assert parse("--rate", "8/s")["rate"] == "8/s"


def test_secrets_are_not_in_the_form() -> None:
    parser = LocustArgumentParser(prog="locust")
    add_options(parser)
    assert "otlp_headers" not in parser.args_included_in_web_ui
    assert {"topology", "rate", "arrivals", "signals", "otlp_protocol"} <= set(
        parser.args_included_in_web_ui
    )


def test_the_help_can_be_printed(capsys) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    assert "--topology FILE|URL" in capsys.readouterr().out


def test_the_reference_names_every_option() -> None:
    rows = (ROOT / "docs" / "locust.md").read_text().splitlines()
    named = {row.split()[1].strip("`"): "✓" in row for row in rows if row.startswith("| `--")}
    assert named == {option.flag: option.in_form for option in OPTIONS}
