"""What happens when, in the life of a Locust process: the listeners, and nothing else.

==================  ===================================================================
event               here
==================  ===================================================================
command line        our options are added
``init``            what the command line says is checked; tab, form and messages are set up
``test_start``      a run begins (master, only process) and is entered (worker, only process)
``test_stopping``   the run ends: every process delivers what is under way
``test_stop``       the summary is printed and written
``quitting``        the exit code is settled, the HTML report is written once more
``quit``            the built-in receiver ends
==================  ===================================================================

Listeners of ``test_start`` are registered with the module, as a worker may be told to start before
its ``init``; so may what they read: there is no runner yet then.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import gevent
import locust.log
from locust.exception import StopTest
from locust.html import get_html_report, process_html_filename
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from motel_locust.load.generator import Generator
from motel_locust.load.interrupts import deliver_interrupts
from motel_locust.load.master import MasterExchange
from motel_locust.load.options import add_options
from motel_locust.load.preparation import (
    Preparation,
    PreparationError,
    Surroundings,
    checked_options,
    otel_variables,
    prepare,
)
from motel_locust.load.run import KEY, Run
from motel_locust.load.run_options import run_options
from motel_locust.load.stats import foreign_errors
from motel_locust.load.summary import loss_problem, lost_workers, table, write_summary
from motel_locust.load.web import add_tab, refuse_wrong_starts, with_telemetry
from motel_locust.load.worker import WorkerExchange
from motel_locust.otlp.allocator import keep_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locust import User
    from locust.env import Environment
    from locust.event import Events
    from locust.runners import Runner
    from locust.web import WebUI
    from werkzeug.datastructures import MultiDict

    from motel_locust.load.user import TopologyUser

logger = logging.getLogger(__name__)
console = logging.getLogger("locust.stats_logger")
"""Locust's own tables go here, without a time in front."""

WRONG_INPUT = 2

# Time for workers that --processes forked to find their master.
WORKERS_S = 3.0

# Locust rewrites its CSV files each second, and not once more at the end.
CSV_S = 1.2


def register(events: Events) -> None:
    """Let the listeners of this module hear *events*."""
    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(on_init)
    events.test_start.add_listener(on_test_start)
    events.test_stopping.add_listener(on_test_stopping)
    events.test_stop.add_listener(on_test_stop)
    events.quitting.add_listener(on_quitting)


def on_init(
    environment: Environment, runner: Runner, web_ui: WebUI | None = None, **_: Any
) -> None:
    """Check the command line before anything starts; set up pages and messages."""
    deliver_interrupts(lambda: leave_at_once(environment))
    keep_memory()
    generator = Generator.of(environment)
    if isinstance(runner, WorkerRunner):
        try:
            generator.exchange = WorkerExchange(generator, runner)
        except OSError as error:
            sys.stderr.write(
                f"locust: error: --heartbeat-file: {error.filename} cannot be written:"
                f" {error.strerror}\n"
            )
            raise SystemExit(WRONG_INPUT) from None
        generator.exchange.ask()
        return
    classes = topology_users(environment.user_classes)
    if not classes:
        return
    if isinstance(runner, MasterRunner):
        generator.exchange = MasterExchange(generator, runner)
        if environment.parsed_options is not None:
            # A rate that was asked for is to be kept: without it a lost worker's users are missing
            # for a minute, and of workers that come late only the first one gets any.
            environment.parsed_options.enable_rebalancing = True
    # Before the first start: Locust sets the host of every class to --host.
    generator.hosts = {each.__name__: each.host for each in classes if each.host}
    given = given_options(environment)
    asked = web_ui is not None and not given.get("autostart")
    try:
        prepared = prepare(
            given, surroundings(environment, environment.host or "", classes), partly=asked
        )
    except PreparationError as problem:
        refuse_to_start(environment, str(problem))
    generator.prepared = None if asked else prepared
    if generator.receiver is not None and len(classes) == len(environment.user_classes):
        # Shown, and open to change, in the form; another kind of user would take it for its own.
        environment.host = generator.receiver_endpoint
    environment.events.quit.add_listener(lambda **_: generator.stop_receiver())
    if web_ui is not None:
        add_tab(web_ui, generator)
        refuse_wrong_starts(web_ui, generator, lambda form: check_form(generator, form))
    # Locust starts the timer of --run-time next, from the event loop's idea of now. That is as old
    # as the loop's last turn, a second or so, and the run would be that much too short.
    gevent.get_hub().loop.update_now()


def on_test_start(environment: Environment, **_: Any) -> None:
    """Begin a run, on the process that decides; enter it, where users run."""
    generator, runner = Generator.of(environment), environment.runner
    if not isinstance(runner, LocalRunner | MasterRunner):
        message = given_options(environment).get(KEY)
        # Users that Locust was still dealing when the run ended may come after its end.
        if message and message["name"] != generator.exchange.ended:
            generator.enter(Run.from_message(message))
        return
    generator.forget_run()
    classes = topology_users(environment.user_classes)
    if not classes:
        return
    preparation, generator.prepared = generator.prepared, None
    if preparation is None:
        preparation = prepare_again(environment, classes)
    for warning in preparation.warnings():
        logger.warning("%s", warning)
    if environment.host and not generator.named_by_a_person(environment.host):
        environment.host = generator.receiver_endpoint  # the protocol may be another one by now
    run = generator.begin(preparation)
    if isinstance(runner, MasterRunner):
        generator.exchange.spread()
    else:
        generator.enter(run)


def on_test_stopping(environment: Environment, **_: Any) -> None:
    """End the run while its users are still there: deliver what is under way."""
    Generator.of(environment).end_run()


def on_test_stop(environment: Environment, **_: Any) -> None:
    """Print the summary and write it where it was asked for."""
    if Generator.of(environment).run is None or isinstance(environment.runner, WorkerRunner):
        return
    sum_up(environment)
    if given_options(environment).get("csv_prefix"):
        gevent.sleep(CSV_S)


def on_quitting(environment: Environment, **_: Any) -> None:
    """Settle the exit code and write the HTML report, after the run has really ended.

    Registered with the module, so ahead of the runner's own listener, and heard in reverse: after
    it. On a signal Locust decides the exit code before it stops the test, and writes the report
    before that or not at all.
    """
    runner = environment.runner
    if runner is None or isinstance(runner, WorkerRunner):
        return
    if isinstance(runner, LocalRunner):
        runner.stop()
    generator = Generator.of(environment)
    if generator.run is not None:
        settle_exit_code(environment, generator)
        write_report(environment)


def settle_exit_code(environment: Environment, generator: Generator) -> None:
    """Let the exit code tell lost items by ``--max-loss``, and all else by Locust's rule."""
    runner, run = environment.runner, generator.run
    assert runner is not None
    assert run is not None
    problems, max_loss = list(generator.troubles), run_options(run.options).max_loss
    figures = generator.figures()
    if loss := loss_problem(figures, max_loss):
        problems.append(loss)
    for problem in lost_workers(figures):
        if max_loss:
            logger.warning("%s", problem)
        else:
            # Nobody can say that nothing was lost.
            problems.append(problem)
    for problem in problems:
        logger.error("%s", problem)
    if environment.process_exit_code is None:
        if problems:
            environment.process_exit_code = 1
        elif not foreign_errors(runner.stats) and not runner.exceptions:
            # Without this, losses that are allowed would count as failed requests.
            environment.process_exit_code = 2 if locust.log.unhandled_greenlet_exception else 0


def write_report(environment: Environment) -> None:
    """Write the HTML report, if one is asked for, with what was delivered at the end."""
    options = environment.parsed_options
    if options is not None and options.html_file:
        process_html_filename(options)
        report = with_telemetry(
            get_html_report(environment, show_download_link=False), Generator.of(environment)
        )
        path = Path(options.html_file)
        # On SIGTERM without a web UI Locust goes on to write its own one, over this one.
        options.html_file = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report, encoding="utf-8")


def sum_up(environment: Environment) -> None:
    """Print the summary of the run and write it where it was asked for."""
    generator = Generator.of(environment)
    run = generator.run
    assert run is not None
    if generator.recorder is not None:
        generator.recorder.stop()
    figures = generator.figures()
    console.info("\n%s\n", table(run, figures))
    if path := run_options(run.options).summary:
        try:
            write_summary(path, run, figures, generator.history)
        except OSError as error:
            generator.exchange.tell(f"--summary: {path} cannot be written: {error.strerror}")


def leave_at_once(environment: Environment) -> None:
    """Tell what is left undelivered, as nobody waits for it any more."""
    generator = Generator.of(environment)
    pending = generator.figures().ledger.pending
    if generator.ending and not isinstance(environment.runner, WorkerRunner):
        sum_up(environment)
    logger.error("interrupted twice: ended at once, %s items are left undelivered", f"{pending:,}")


def topology_users(user_classes: Sequence[type]) -> list[type[TopologyUser]]:
    """Return those of *user_classes* that run a topology."""
    from motel_locust.load.user import TopologyUser  # here: that module registers these listeners

    return [each for each in user_classes if issubclass(each, TopologyUser)]


def given_options(environment: Environment) -> dict[str, Any]:
    """Return the parsed options by name; none where Locust is used as a library without them."""
    return vars(environment.parsed_options) if environment.parsed_options is not None else {}


def surroundings(
    environment: Environment, host: str, classes: Sequence[type[TopologyUser]]
) -> Surroundings:
    """Return what a run of *classes* depends on besides its options."""
    generator = Generator.of(environment)
    host = generator.named_by_a_person(host)
    one_machine = isinstance(environment.runner, LocalRunner) or bool(
        given_options(environment).get("processes")
    )
    return Surroundings(
        user_classes=classes,
        hosts={each.__name__: host or generator.hosts.get(each.__name__, "") for each in classes},
        receiver=generator.start_receiver if one_machine else None,
        environ=otel_variables(),
    )


def check_form(generator: Generator, form: MultiDict[str, str]) -> None:
    """Raise PreparationError if what the form says cannot be run; else keep it for the start."""
    environment = generator.environment
    given = {**given_options(environment), **form.to_dict()}
    classes = environment.user_classes
    if picked := form.getlist("user_classes"):
        # Locust calls this a dictionary of users; it is one of their classes.
        available = cast("dict[str, type[User]]", environment.available_user_classes)
        classes = [available[name] for name in picked if name in available]
    if generator.running:
        options = checked_options(given)
        running = generator.run.options if generator.run is not None else options
        if changed := [name for name in options if options[name] != running[name]]:
            logger.warning("changed for the next run, not for this one: %s", ", ".join(changed))
        return
    host = form.get("host", environment.host or "")
    users = topology_users(classes)
    generator.prepared = prepare(given, surroundings(environment, host, users)) if users else None


def prepare_again(environment: Environment, classes: Sequence[type[TopologyUser]]) -> Preparation:
    """Return the run that is to begin; stop the test if it cannot.

    Whoever starts a test by the form or the command line was told already.
    """
    try:
        return prepare(
            given_options(environment), surroundings(environment, environment.host or "", classes)
        )
    except PreparationError as problem:
        raise StopTest(str(problem)) from None


def refuse_to_start(environment: Environment, problem: str) -> NoReturn:
    """End the process with *problem* as its only message."""
    sys.stderr.write(f"locust: error: {problem}\n")
    if processes := given_options(environment).get("processes"):
        assert isinstance(environment.runner, MasterRunner)
        # Forked already, the workers would look for their master for a minute.
        until_s = time.monotonic() + WORKERS_S
        while environment.runner.worker_count < processes and time.monotonic() < until_s:
            gevent.sleep(0.05)
        environment.runner.quit()
    raise SystemExit(WRONG_INPUT)
