"""The Telemetry tab of Locust's web UI, and the start form's refusals."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import flask
from flask_login import current_user
from locust.runners import MasterRunner

from motel_locust.load.preparation import PreparationError
from motel_locust.load.stats import NAMES
from motel_locust.otlp.ledger import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response
    from locust.web import WebUI
    from werkzeug.datastructures import MultiDict

    from motel_locust.load.figures import Figures
    from motel_locust.load.generator import Generator

TAB: Final = "telemetry"

# Reports of workers come every three seconds.
WINDOW_S: Final = 10.0
SAMPLE_S: Final = 1.0


class Sample(NamedTuple):
    """How much there was at one instant."""

    at_s: float
    traces: int
    spans: int


class Meter:
    """Rates reached, over the last seconds, out of totals."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._samples: deque[Sample] = deque()

    def rates(self, figures: Figures) -> tuple[float, float]:
        """Return traces and spans per second."""
        counts, samples = figures.counts, self._samples
        last = Sample(self._now(), counts.traces, counts.spans)
        if samples and counts.traces < samples[-1].traces:
            samples.clear()  # another run
        if not samples or last.at_s - samples[-1].at_s >= SAMPLE_S:
            samples.append(last)
        while last.at_s - samples[0].at_s > WINDOW_S and len(samples) > 1:
            samples.popleft()
        seconds = last.at_s - samples[0].at_s
        if not seconds:
            return 0.0, 0.0
        traces, spans = last.traces - samples[0].traces, last.spans - samples[0].spans
        return traces / seconds, spans / seconds


def add_tab(web_ui: WebUI, generator: Generator) -> None:
    """Add the tab to *web_ui*, filled by what its pages poll."""
    meter = Meter()
    columns = [{"key": "name", "title": "Figure"}, {"key": "value", "title": "Value"}]
    web_ui.template_args.update(
        extended_tabs=[{"title": "Telemetry", "key": TAB}],
        extended_tables=[{"key": TAB, "structure": columns}],
    )

    def add_rows(response: Response) -> Response:
        if flask.request.path.endswith("/stats/requests") and response.is_json:
            table = {"key": TAB, "data": rows(generator, meter)}
            response.set_data(json.dumps({**response.get_json(), "extended_stats": [table]}))
        return response

    assert web_ui.app is not None
    web_ui.app.after_request(add_rows)


def rows(generator: Generator, meter: Meter) -> list[dict[str, str]]:
    """Return the rows of the tab."""
    figures = generator.figures()
    traces_per_s, spans_per_s = meter.rates(figures)
    cells = {
        "rate asked": f"{figures.asked_per_s:,.1f} traces/s",
        "rate reached": f"{traces_per_s:,.1f} traces/s",
        "rate reached, spans": f"{spans_per_s:,.0f} spans/s",
        "lag": f"{figures.lag_ns / 1e9:.3f} s (at most {figures.lag_max_ns / 1e9:.3f} s)",
        "queue": f"{figures.queued_bytes / 2**20:,.1f} MiB",
        "users": f"{figures.users:,}",
    }
    for signal in figures.ledger:
        counts = figures.ledger[signal].as_dict()
        cells |= {f"{NAMES[signal]} {name}": f"{counts[name]:,}" for name in COUNTS}
    run = generator.run
    if run is not None:
        for part in run.parts:
            cells[f"topology of {part.user_class}"] = part.source
            cells[f"endpoint of {part.user_class}"] = part.endpoint or "by OTEL_ variables"
        cells["seed"] = str(run.seed)
    if generator.receiver is not None:
        receiver = generator.receiver
        cells["built-in receiver"] = f"{receiver.endpoint}, gRPC {receiver.grpc_endpoint}"
    return [{"name": name, "value": value} for name, value in cells.items()]


def refuse_wrong_starts(
    web_ui: WebUI, generator: Generator, check: Callable[[MultiDict[str, str]], None]
) -> None:
    """Answer a start or an edit for which *check* raises PreparationError, in Locust's place."""

    def refuse() -> Response | None:
        request = flask.request
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        if web_ui.web_login and not current_user.is_authenticated:
            return None  # Locust refuses it
        try:
            _check_state(generator)
            check(request.form)
        except PreparationError as problem:
            return flask.jsonify(
                success=False, message=str(problem), host=generator.environment.host
            )
        return None

    assert web_ui.app is not None
    web_ui.app.before_request(refuse)


def _check_state(generator: Generator) -> None:
    """Raise PreparationError where Locust would answer "success" and start nothing."""
    runner = generator.environment.runner
    if isinstance(runner, MasterRunner) and not runner.worker_count:
        raise PreparationError("no worker is connected; try again when one is")
    if generator.ending:
        raise PreparationError("the last run is still delivering; try again in a moment")
