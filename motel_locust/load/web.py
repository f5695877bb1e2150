"""What is added to Locust's web UI: the Telemetry tab, its downloads, and the form's refusals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import flask
import gevent
from flask_login import current_user
from locust.runners import MasterRunner

from motel_locust.load.panel import STATIC, pieces, report_section, with_section
from motel_locust.load.preparation import PreparationError
from motel_locust.load.summary import summary
from motel_locust.load.tables import TABLES
from motel_locust.otlp.turns import TURN_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response
    from flask.typing import ResponseReturnValue
    from locust.web import WebUI
    from werkzeug.datastructures import MultiDict

    from motel_locust.load.generator import Generator

TAB: Final = "telemetry"
TOPOLOGIES: Final = "topologies"
"""The folder to choose topologies from, where none is named."""

SCRIPT: Final = (
    '<link rel="stylesheet" href="./telemetry/telemetry.css">'
    '<script defer src="./telemetry/telemetry.js"></script>'
)


def add_tab(web_ui: WebUI, generator: Generator) -> None:
    """Add the tab to *web_ui*, and what its script and its downloads ask for."""
    web_ui.template_args.update(
        extended_tabs=[{"title": "Telemetry", "key": TAB}],
        extended_csv_files=[
            *(
                {"href": f"./telemetry/{key}.csv", "title": f"Download telemetry {key} CSV"}
                for key in TABLES
            ),
            {"href": "./telemetry/summary.json", "title": "Download telemetry summary (JSON)"},
        ],
    )
    answers = _Answers(generator)
    add_routes(web_ui, base_path(generator), {
        "panel": answers.panel,
        "summary.json": answers.summary,
        "topologies": answers.topologies,
        "<name>.csv": answers.table,
        "<name>": answers.static,
    })  # fmt: skip
    add_to_pages(web_ui, base_path(generator), generator)


def base_path(generator: Generator) -> str:
    """Return what stands before every path of the web UI, without a slash at its end."""
    return str(getattr(generator.environment.parsed_options, "web_base_path", None) or "").rstrip(
        "/"
    )


def add_routes(
    web_ui: WebUI, base: str, views: dict[str, Callable[..., ResponseReturnValue]]
) -> None:
    """Serve *views* by their paths below ``telemetry``, to those whom Locust serves."""
    assert web_ui.app is not None
    for path, view in views.items():
        web_ui.app.add_url_rule(
            f"{base}/telemetry/{path}",
            endpoint=f"motel_locust {path}",
            view_func=web_ui.auth_required_if_enabled(view),
        )


def add_to_pages(web_ui: WebUI, base: str, generator: Generator) -> None:
    """Put the script into Locust's page, and the section into its report."""

    def add(response: Response) -> Response:
        path = flask.request.path
        if response.status_code != 200 or response.mimetype != "text/html":
            return response
        if path in (base, f"{base}/"):
            response.set_data(
                response.get_data(as_text=True).replace("</head>", f"{SCRIPT}</head>")
            )
        elif path == f"{base}/stats/report":
            dark = flask.request.args.get("theme") == "dark"
            report = with_telemetry(response.get_data(as_text=True), generator, dark=dark)
            response.set_data(report)
        return response

    assert web_ui.app is not None
    web_ui.app.after_request(add)


def with_telemetry(report: str, generator: Generator, *, dark: bool = False) -> str:
    """Return Locust's HTML *report* with a section about the run, if there was one."""
    run = generator.run
    if run is None:
        return report
    section = report_section(run, generator.figures(), generator.history, dark=dark)
    return with_section(report, section)


class _Answers:
    """What is answered to the tab's script and to downloads."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def panel(self) -> ResponseReturnValue:
        generator = self._generator
        drawn = []
        for piece in pieces(generator.run, generator.figures(), generator.history, live=True):
            drawn.append(piece)
            gevent.sleep(TURN_S)
        return "".join(drawn)

    def summary(self) -> ResponseReturnValue:
        generator = self._generator
        if generator.run is None:
            return flask.jsonify({})
        found = summary(generator.run, generator.figures(), generator.history)
        return _to_keep(flask.jsonify(found), "summary.json")

    def table(self, name: str) -> ResponseReturnValue:
        if name not in TABLES:
            flask.abort(404)
        generator = self._generator
        table = TABLES[name](generator.run, generator.figures(), generator.history)
        response = flask.make_response(table.csv())
        response.headers["Content-Type"] = "text/csv; charset=utf-8"
        return _to_keep(response, f"{name}.csv")

    def topologies(self) -> ResponseReturnValue:
        options = self._generator.environment.parsed_options
        return flask.jsonify(topologies_at_hand(getattr(options, "topology", "")))

    def static(self, name: str) -> ResponseReturnValue:
        return flask.send_from_directory(STATIC, name)


def _to_keep(response: Response, name: str) -> Response:
    """Let the browser save *response* as a file instead of leaving the page for it."""
    response.headers["Content-Disposition"] = f"attachment; filename=telemetry_{name}"
    return response


def topologies_at_hand(given: str) -> list[str]:
    """Return the topologies beside the *given* file, else those of the usual folder."""
    folder = Path(given).parent if given and Path(given).is_file() else Path(TOPOLOGIES)
    return sorted(str(each) for each in folder.glob("*.y*ml") if each.suffix in (".yaml", ".yml"))


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
