"""``motel-locust doctor``: what the settings come to, and whether an item is accepted."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

import click

from motel_locust.commands import console
from motel_locust.commands.console import Mark, Written, json_option
from motel_locust.commands.diagnosis import HIDDEN, Finding, diagnose
from motel_locust.commands.otlp_options import otlp_options
from motel_locust.otlp.settings import Flags, resolve

if TYPE_CHECKING:
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.settings import Settings

SIGNALS: Final = ("traces", "metrics", "logs")


def _signals(text: str) -> tuple[Signal, ...]:
    words = [word.strip() for word in text.split(",")]
    unknown = [word for word in words if word not in SIGNALS]
    if unknown:
        raise ValueError(f'"{unknown[0]}" is not a signal; use {", ".join(SIGNALS)}')
    return cast("tuple[Signal, ...]", tuple(dict.fromkeys(words)))


@click.command(
    cls=console.Command,
    example="""
    motel-locust doctor
    motel-locust doctor --endpoint https://collector.example:4317 --protocol grpc
    motel-locust doctor --signals traces,metrics,logs --json
    """,
)
@click.option(
    "--signals",
    type=Written("list", _signals),
    default="traces",
    show_default=True,
    help="What to look at, separated by commas: traces, metrics, logs.",
)
@otlp_options
@json_option
def doctor(flags: Flags, signals: tuple[Signal, ...], *, as_json: bool) -> None:
    """Show what the OTLP settings come to, and prove that an item is accepted.

    Every value is shown with where it came from: a flag, a variable or the default; values of
    headers never. Then, for each signal: name lookup, connection, TLS, one item sent, and the
    endpoint's clock. Status 0: all are accepted. 1: something stands between. 2: the settings
    themselves are wrong.
    """
    every = [resolve(flags, os.environ, signal) for signal in signals]
    findings: list[Finding] = []
    with console.progress("asking") as shown:
        for settings in every:
            shown.turn_to(f"asking {settings.endpoint}")
            findings += diagnose(settings)
    if as_json:
        console.show_json(_report(every, findings))
    else:
        _show(every, findings)
    if any(finding.verdict == "bad" for finding in findings):
        raise click.exceptions.Exit(console.BAD_VERDICT)


def described(settings: Settings) -> dict[str, tuple[str, str]]:
    """Return every setting as text and where it came from, secrets hidden."""
    shown = {"endpoint": str(settings.endpoint)}
    if settings.endpoint.on_network:
        shown["protocol"] = settings.protocol
        shown["timeout"] = f"{settings.timeout_s:g}s"
        shown["compression"] = settings.compression
    for name, value in sorted(settings.headers):
        shown[f"header {name}"] = HIDDEN if value else "<empty>"
    for name in ("certificate", "client_certificate", "client_key"):
        if path := getattr(settings, name):
            shown[name.replace("_", " ")] = path
    described = {
        name: (
            text,
            settings.source("headers" if name.startswith("header ") else name.replace(" ", "_")),
        )
        for name, text in shown.items()
    }
    if settings.endpoint.on_network:
        # Not a setting of its own: the scheme says it.
        described["tls"] = ("yes" if settings.endpoint.tls else "no", settings.source("endpoint"))
    return described


def _report(every: list[Settings], findings: list[Finding]) -> dict[str, Any]:
    return {
        "good": all(finding.verdict != "bad" for finding in findings),
        "settings": {
            settings.signal: {
                name: {"value": value, "source": source}
                for name, (value, source) in described(settings).items()
            }
            for settings in every
        },
        "findings": [asdict(finding) for finding in findings],
    }


def _show(every: list[Settings], findings: list[Finding]) -> None:
    console.show_table(
        ("signal", "setting", "value", "from"),
        [
            (settings.signal, name, value, source)
            for settings in every
            for name, (value, source) in described(settings).items()
        ],
    )
    console.show("")
    console.show_table(
        ("", "signal", "step", "ms", "found"),
        [
            (
                Mark({"good": "ok", "warning": "look", "bad": "FAIL"}[each.verdict], each.verdict),
                each.signal,
                each.step,
                f"{each.took_ms:.1f}",
                each.text,
            )
            for each in findings
        ],
        right=("ms",),
    )
    for finding in findings:
        if finding.ids:
            trace_id, span_id = finding.ids
            console.show(f"look it up: trace {trace_id}, span {span_id}, service motel-doctor")
