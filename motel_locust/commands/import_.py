"""``motel-locust import``: a topology out of recorded traces."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from motel_locust.commands import console
from motel_locust.commands.importing import formats, inference, sources
from motel_locust.commands.importing.attributes import CARDINALITY_MAX
from motel_locust.commands.importing.faults import ImportFault
from motel_locust.commands.importing.figures import counted
from motel_locust.commands.importing.intake import Intake
from motel_locust.commands.importing.meta import Summary
from motel_locust.commands.importing.recorder import Recorder
from motel_locust.commands.importing.shelf import Shelf
from motel_locust.commands.importing.writing import written
from motel_locust.topology.reading import Source, parse_topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from motel_locust.commands.importing.draft import Draft

META: Final = "meta-summary"
_MOST_VALUES: Final = {"none": 0, "constant": 1, "all": CARDINALITY_MAX}


@click.command(
    name="import",
    cls=console.Command,
    example="""motel-locust import traces.json --output topology.yaml
        zcat traces.json.gz | motel-locust import --attributes all > topology.yaml""",
)
@click.argument("source", metavar="[SOURCE]...", nargs=-1, type=console.Source())
@click.option(
    "--format",
    "form",
    type=click.Choice(formats.FORMATS),
    default=formats.AUTO,
    show_default=True,
    help="The format of the traces; meta-summary is never found by itself.",
)
@click.option(
    "--attributes",
    type=click.Choice(list(_MOST_VALUES)),
    default="constant",
    show_default=True,
    help="Take over no attributes of spans, those that never vary, or all that can be made again.",
)
@click.option(
    "--min-traces",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Name what rests on fewer samples.",
)
@click.option("--break-cycles", is_flag=True, help="Leave out the rarest call of each cycle.")
@click.option(
    "--record",
    "recording",
    type=click.Path(dir_okay=False),
    help="Also write a recording of all spans, whole, for motel-locust replay.",
)
@click.option("--profile", help="meta-summary: keep the rows of this profile.")
@click.option("--include-empty", is_flag=True, help="meta-summary: keep rows without children.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    help="Write the topology to this file, whole or not at all.",
)
@console.json_option
def import_(
    source: tuple[str, ...],
    form: str,
    attributes: str,
    min_traces: int,
    recording: str | None,
    profile: str | None,
    output: str | None,
    *,
    break_cycles: bool,
    include_empty: bool,
    as_json: bool,
) -> None:
    """Infer a topology from the recorded traces of each SOURCE, and write it as YAML.

    SOURCE is a file, a folder, or - for standard input, the default; gzip and zstd are unpacked.
    Read are OTLP as JSON or protobuf, as the Collector's file exporter writes both, the lines of
    Go's stdouttrace exporter, Jaeger's JSON, and Meta's CSV. What each value rests on stands in
    comments, and what to distrust on standard error.
    """
    if not source and sys.stdin.isatty():
        raise click.UsageError("name a file or folder of traces, or pipe them in")
    if form != META and (profile is not None or include_empty):
        raise click.UsageError(f"--profile and --include-empty need --format {META}")
    if form == META and recording is not None:
        raise click.UsageError(f"--record cannot be used with --format {META}: it has no spans")
    try:
        files = sources.paths(source or (sources.STANDARD_INPUT,))
        if form == META:
            draft = _summarise(files, profile=profile, include_empty=include_empty)
        else:
            draft = _infer(
                files,
                form,
                most_values=_MOST_VALUES[attributes],
                min_traces=min_traces,
                recording=recording,
                break_cycles=break_cycles,
            )
    except ImportFault as fault:
        raise console.BadInput(str(fault)) from None
    text = written(draft)
    # What does not validate is never written. TopologyError names the line.
    parse_topology(Source("the inferred topology", text.encode()))
    for finding in draft.findings:
        if not as_json:
            console.warn(str(finding))
    if output is not None:
        with _whole(Path(output)) as out:
            out.write(text.encode())
    if as_json:
        console.show_json(_report(draft, text))
    elif output is None:
        click.echo(text, nl=False)
    if not as_json:
        console.say(_told(draft, output))


def _infer(
    files: Sequence[str],
    form: str,
    *,
    most_values: int,
    min_traces: int,
    recording: str | None,
    break_cycles: bool,
) -> Draft:
    total = sources.size(files)
    with Shelf() as shelf, Recorder() if recording else nullcontext() as recorder:
        intake = Intake(shelf, most_values=most_values, recorder=recorder)
        with console.progress("reading", total, unit="bytes") as progress:
            for file in files:
                with sources.opened(file, progress.advance) as (stream, place):
                    if formats.take_spans(stream, place, intake, form):
                        continue
                if len(files) == 1:
                    raise ImportFault(formats.unknown(place))
                intake.unknown.append(file)
        intake.settle()
        if not intake.spans:
            raise ImportFault(
                "no spans in the input; name a file or folder of traces, or pipe them in"
            )
        if recording is not None and recorder is not None:
            with _whole(Path(recording)) as out:
                recorder.write(out)
        with console.progress("putting traces together"):
            return inference.infer(
                shelf,
                intake,
                min_traces=min_traces,
                everything=most_values > 1,
                break_cycles=break_cycles,
            )


def _summarise(files: Sequence[str], *, profile: str | None, include_empty: bool) -> Draft:
    summary = Summary(profile=profile, include_empty=include_empty)
    with console.progress("reading", sources.size(files), unit="bytes") as progress:
        for file in files:
            with sources.opened(file, progress.advance) as (stream, place):
                summary.take(stream, place)
    return summary.draft()


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Open *path* to be written in one step: a reader sees the old file or the new one.

    What is no file, such as a pipe or a device, is written to as it is.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
        return
    target = path.resolve()  # of a symbolic link, what it points to
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _told(draft: Draft, output: str | None) -> str:
    operations = sum(len(service.operations) for service in draft.services.values())
    told = (
        f"{counted(draft.traces, 'traces')}, {counted(draft.spans, 'spans')}:"
        f" {counted(len(draft.services), 'services')}, {counted(operations, 'operations')}"
    )
    return f"{told}; written to {output}" if output else told


def _report(draft: Draft, text: str) -> dict[str, Any]:
    return {
        "traces": draft.traces,
        "spans": draft.spans,
        "window_s": draft.window_s,
        "services": len(draft.services),
        "statements": {
            path: {
                "value": each.value,
                "samples": each.samples,
                "counted": each.counted,
                "margin": each.margin,
            }
            for path, each in draft.statements().items()
        },
        "findings": [dataclasses.asdict(finding) for finding in draft.findings],
        "topology": text,
    }
