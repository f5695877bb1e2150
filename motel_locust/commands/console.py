"""What every command has in common: how it speaks, what it is asked with, and how it ends.

The result, and nothing else, goes to standard output: a table on a terminal, the same as aligned
text in a pipe, JSON with ``--json``. Everything else (warnings, progress, errors) goes to standard
error. A command ends with GOOD, with BAD_VERDICT if what it looked at is bad, or with BAD_INPUT if
it could not look at all; :class:`Command` turns whatever stops one into its message.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TextIO, TypeVar

import click
from click.shell_completion import CompletionItem

from motel_locust.otlp.settings import SettingsError
from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.quantities import parse_duration, parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from motel_locust.topology.reading import Reading

GOOD: Final = 0
BAD_VERDICT: Final = 1
BAD_INPUT: Final = 2

PATIENCE_S: Final = 1.0
"""Work that takes longer shows how far it is."""
NS_PER_S: Final = 1_000_000_000

Parsed = TypeVar("Parsed")


class BadInput(click.ClickException):
    """What the command was given cannot be used: one message, and the status BAD_INPUT."""

    exit_code = BAD_INPUT


class Command(click.Command):
    """A command whose help ends with an example, and whose errors are messages.

    *example* is one command line or several, a line each. TopologyError, SettingsError and OSError
    may leave the callback: they become their message and the status BAD_INPUT.
    """

    def __init__(self, *arguments: Any, example: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = tuple(example.strip().splitlines())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        formatter.write_paragraph()
        formatter.write(f"Example{'s' * (len(self.examples) > 1)}:\n")
        for line in self.examples:
            formatter.write(f"  {line.strip()}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback; raise BadInput or Exit for what stopped it."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # a closed pipe is noticed here, not at the interpreter's end
        except TopologyError as error:
            say(str(error))
            raise click.exceptions.Exit(BAD_INPUT) from None
        except SettingsError as error:
            raise BadInput(str(error)) from None
        except BrokenPipeError:
            # Whoever read the result has gone, as `head` does: nobody is left to tell. What is
            # still buffered must not be written again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(BAD_INPUT) from None
        except OSError as error:
            raise BadInput(_told(error)) from None


def _told(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename is not None else reason


# --- what a command says ---


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell or text that is good, bad or less important, and coloured so on a terminal."""

    text: str
    kind: Literal["good", "bad", "warning", "faint"]

    def __str__(self) -> str:
        return self.text


_STYLES: Final = {"good": "green", "bad": "bold red", "warning": "yellow", "faint": "dim"}

Cell = str | int | Mark
"""Whole numbers stand at the right with separators; other numbers the caller writes as text."""


def show(text: str) -> None:
    """Write a line of the result."""
    click.echo(text)


def show_json(value: Any, *, err: bool = False) -> None:
    """Write the result as JSON for machines; texts as they are, in UTF-8.

    *err* is for commands whose standard output is taken by telemetry, here and below.
    """
    click.echo(json.dumps(value, indent=2, ensure_ascii=False), err=err)


def show_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    title: str = "",
    right: Collection[str] = (),
    err: bool = False,
) -> None:
    """Write *rows* below *headings*: a rich table on a terminal, else aligned text.

    Columns of whole numbers and those named in *right* stand at the right.
    """
    table = [list(row) for row in rows]
    aligned = [
        heading in right or (bool(table) and all(isinstance(row[column], int) for row in table))
        for column, heading in enumerate(headings)
    ]
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        _show_rich(headings, table, aligned, title, stream)
        return
    if title:
        click.echo(title, err=err)
    lines = [list(headings), *([_written(cell) for cell in row] for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, aligned, strict=True)
        )
        click.echo("  ".join(padded).rstrip(), err=err)


def _show_rich(
    headings: Sequence[str],
    rows: list[list[Cell]],
    aligned: list[bool],
    title: str,
    stream: TextIO,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for heading, to_right in zip(headings, aligned, strict=True):
        table.add_column(heading, justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(
                Text(_written(cell), style=_STYLES[cell.kind] if isinstance(cell, Mark) else "")
                for cell in row
            )
        )
    Console(file=stream).print(table)


def _written(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def say(text: str) -> None:
    """Write a line to standard error."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    click.secho(f"warning: {text}", err=True, fg="yellow" if sys.stderr.isatty() else None)


class Progress(Protocol):
    """How far some work is."""

    def advance(self, amount: float = 1) -> None:
        """Count *amount* as done."""

    def turn_to(self, text: str) -> None:
        """Say that the work is now about *text*."""


@contextmanager
def progress(text: str, total: float | None = None, *, unit: str = "") -> Iterator[Progress]:
    """Show on standard error how far the work is, once it takes over a second.

    *total* is what ``advance`` adds up to, in *unit* (``"bytes"`` are shown as kB and MB); None
    where nobody knows. Without a terminal nothing is shown.
    """
    if not sys.stderr.isatty():
        yield _Silence()
        return
    line = _Line(text, total, unit)
    # A thread, because the work may be one long call; commands run without gevent's patches.
    begin = threading.Timer(PATIENCE_S, line.begin)
    begin.daemon = True
    begin.start()
    try:
        yield line
    finally:
        begin.cancel()
        begin.join()
        line.end()


class _Silence:
    def advance(self, amount: float = 1) -> None:
        """Show nothing."""

    def turn_to(self, text: str) -> None:
        """Show nothing."""


class _Line:
    """A line of rich that goes away at the end."""

    def __init__(self, text: str, total: float | None, unit: str) -> None:
        from rich import progress as bars
        from rich.console import Console

        in_bytes = unit == "bytes"
        count = f"{{task.completed:,.0f}} {unit}" if total is None else "{task.percentage:.0f} %"
        self._bars = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=24),
            bars.DownloadColumn() if in_bytes else bars.TextColumn(count),
            bars.TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task(text, total=total)
        self._begun = False

    def begin(self) -> None:
        self._begun = True
        self._bars.start()

    def end(self) -> None:
        if self._begun:
            self._bars.stop()

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)

    def turn_to(self, text: str) -> None:
        self._bars.update(self._task, description=text)


# --- what a command is asked with ---


class Written(click.ParamType[Parsed]):
    """A value that *parse* reads; what it raises as ValueError is the message."""

    def __init__(self, name: str, parse: Callable[[str], Parsed]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Parsed:
        """Return what *value* says."""
        if not isinstance(value, str):
            converted: Parsed = value
            return converted
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _seconds(text: str) -> float:
    seconds = parse_duration(text) / NS_PER_S
    if seconds < 0:
        raise ValueError(f"{text} is below 0")
    return seconds


SECONDS: Final = Written("duration", _seconds)
"""A duration such as 30s or 1m30s that is not negative; the value is in seconds."""

rate_option: Final = click.option(
    "--rate",
    type=Written("rate", parse_rate),
    help="Expect this base rate, such as 50/s, as a run with --rate has it.",
)
"""--rate N/unit: the base rate in place of the topology's own."""

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)


class Source(click.ParamType[str]):
    """A file, a URL or - for standard input, which shells complete as a file."""

    name = "source"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete names of files."""
        del ctx, param
        return [CompletionItem(incomplete, type="file")]


source_argument: Final = click.argument("source", metavar="SOURCE", type=Source())
"""SOURCE: the topology as ``read`` takes it."""


semconv_option: Final = click.option(
    "--semconv",
    metavar="DIR",
    type=click.Path(),
    help="A folder of semantic conventions in the public YAML format, for domains.",
)
"""--semconv DIR: conventions as ``read`` takes them."""


def fetch(source: str, semconv: str | None) -> Reading:
    """Return the topology that SOURCE names; a URL that takes long is seen to be waited for.

    The conventions in the folder *semconv* come before the published ones.

    Raises:
        TopologyError: if one of both cannot be read or is wrong.
    """
    # Only here: the models of the language take as long to import as everything else together.
    from motel_locust.topology.conventions import read_conventions
    from motel_locust.topology.reading import read_topology

    typed = source == "-"  # what a person types must not be drawn over
    with nullcontext() if typed else progress(f"reading {source}"):
        return read_topology(source, read_conventions(semconv))


def read(source: str, semconv: str | None) -> Reading:
    """Return the topology that SOURCE names, as :func:`fetch` does, with its warnings said."""
    reading = fetch(source, semconv)
    for warning in reading.warnings:
        say(str(warning))
    return reading
