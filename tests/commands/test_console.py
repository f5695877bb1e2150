from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from gevent.monkey import get_original

from motel_locust.commands import _COMMANDS, console, main
from motel_locust.commands.console import Mark
from motel_locust.otlp.settings import SettingsError
from motel_locust.topology.diagnostics import Diagnostic, TopologyError
from tests.commands.invoked import START, environment

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [(Mark("ok", "good"), "a", 12_345), (Mark("FAIL", "bad"), "[b]", 1)]


# Where Locust was imported by other tests, os.close leaves the closing to the event loop.
close = get_original("os", "close")


def on_a_terminal(script: str) -> str:
    """Return what *script* writes to a terminal that is its standard output and error."""
    leader, follower = pty.openpty()
    env = environment({"TERM": "xterm-256color", "COLUMNS": "80"})
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=follower, stderr=follower, env=env
    )
    close(follower)
    written = bytearray()
    while True:
        try:
            read = os.read(leader, 65536)
        except OSError:  # Linux: the last follower has closed
            break
        if not read:
            break
        written += read
    close(leader)
    assert process.wait(60) == 0
    return written.decode()


def command(raised: Exception) -> click.Command:
    @click.command(cls=console.Command, example="one\ntwo")
    def fails() -> None:
        """Fail."""
        raise raised

    return fails


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table(("", "name", "count"), ROWS, title="Things")
    assert capsys.readouterr().out == (
        "Things\n      name   count\nok    a     12,345\nFAIL  [b]        1\n"
    )


def test_a_column_can_be_asked_to_stand_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table(("ms", "x"), [("0.5", "a"), ("12.0", "b")], right=("ms",), err=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "  ms  x\n 0.5  a\n12.0  b\n"


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table(("a", "b"), [])
    assert capsys.readouterr().out == "a  b\n"


def test_a_table_on_a_terminal_is_rich_and_takes_no_markup_from_cells() -> None:
    written = on_a_terminal(
        "from motel_locust.commands.console import *\n"
        "show_table(('', 'name'), [(Mark('ok', 'good'), '[b]')], title='Things')"
    )
    assert "\x1b[32mok" in written
    assert "─" in written
    assert "[b]" in written


def test_progress_is_shown_on_a_terminal_once_it_takes_long() -> None:
    script = (
        "from motel_locust.commands import console\n"
        "console.PATIENCE_S = {}\n"
        "import time\n"
        "with console.progress('counting', 4, unit='things') as shown:\n"
        "    {}\n"
        "    shown.advance(); shown.turn_to('more')\n"
    )
    slow = on_a_terminal(script.format(0.0, "[time.sleep(0.01) for _ in range(30)]"))
    assert "counting" in slow
    quick = on_a_terminal(script.format(60.0, "pass"))
    assert quick == ""


def test_progress_says_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("counting") as shown:
        shown.advance()
        shown.turn_to("more")
    assert capsys.readouterr().err == ""


def test_json_keeps_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_json({"größe": [1, None]})
    out = capsys.readouterr().out
    assert "größe" in out
    assert json.loads(out) == {"größe": [1, None]}


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            TopologyError([Diagnostic("a.yaml", 2, 1, "is odd", "wrong-type")]),
            "a.yaml:2:1: is odd [wrong-type]\n",
        ),
        (SettingsError("--timeout: no"), "Error: --timeout: no\n"),
        (FileNotFoundError(2, "No such file", "x.yaml"), "Error: x.yaml: No such file\n"),
        (OSError("out of luck"), "Error: out of luck\n"),
        (console.BadInput("that is wrong"), "Error: that is wrong\n"),
    ],
)
def test_what_stops_a_command_is_one_message_and_status_2(raised: Exception, message: str) -> None:
    done = CliRunner().invoke(command(raised), [])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", message)


def test_a_bug_is_not_hidden() -> None:
    done = CliRunner().invoke(command(ZeroDivisionError()), [])
    assert isinstance(done.exception, ZeroDivisionError)


def test_a_reader_that_goes_away_ends_a_command_without_a_word() -> None:
    reading, writing = os.pipe()
    close(reading)
    process = subprocess.Popen(
        [sys.executable, "-c", START, "schema"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"")


def test_several_examples_are_listed() -> None:
    assert (
        CliRunner()
        .invoke(command(OSError()), ["--help"])
        .stdout.endswith("\nExamples:\n  one\n  two\n")
    )


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_shows_an_example_and_takes_json(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    assert f"\n  motel-locust {name}" in done.stdout
    assert "--json" in done.stdout


def test_help_lists_every_command_without_importing_one() -> None:
    script = (
        "import sys\n"
        "from motel_locust.commands import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('motel_locust.commands.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n[]\n")
    for name, (_, line) in _COMMANDS.items():
        assert name in done.stdout
        assert " ".join(line.split()) in " ".join(done.stdout.split())


def test_the_version_names_what_it_stands_on() -> None:
    line = CliRunner().invoke(main, ["version"]).stdout
    assert line.startswith("motel-locust ")
    assert line.count("\n") == 1
    told = json.loads(CliRunner().invoke(main, ["version", "--json"]).stdout)
    assert {"motel-locust", "python", "locust", "opentelemetry-proto"} <= told.keys()
    assert all(f"{name} {version}" in line for name, version in told.items())


def test_the_schema_goes_to_standard_output_or_a_file(tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["schema"])
    written = CliRunner().invoke(main, ["schema", "--json", "-o", f"{tmp_path}/schema.json"])
    assert (written.exit_code, written.stdout) == (0, "")
    assert json.loads((tmp_path / "schema.json").read_text()) == json.loads(printed.stdout)
    refused = CliRunner().invoke(main, ["schema", "-o", f"{tmp_path}/no/schema.json"])
    assert refused.exit_code == 2
