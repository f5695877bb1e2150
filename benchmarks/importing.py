"""``python -m benchmarks.importing``: how fast an import is, and how much memory it takes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks import machine
from benchmarks.table import Table, count, mib
from motel_locust.engine.engine import Engine
from motel_locust.otlp.bodies import BodyBuilder, Heads
from motel_locust.otlp.lines import request_line
from motel_locust.otlp.parcels import BatchEncoder
from motel_locust.otlp.resources import ServiceResources
from motel_locust.otlp.spans import SpanEncoder
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motel_locust.engine.columns import Columns
    from motel_locust.topology.model import Topology

EPOCH_NS = 1_790_000_000_000_000_000
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Import:
    """One import of one file."""

    form: str
    size_bytes: int
    spans: int
    cpu_s: float
    """Of the whole command, its start too."""
    peak_bytes: int
    """Of its resident memory."""


def bodies(topology: Topology, *, traces: int, seed: int = 1) -> Iterator[bytes]:
    """Yield requests that hold at least *traces* traces, from the beginning of a run."""
    engine = Engine(topology, seed=seed, epoch_ns=EPOCH_NS)
    engine.join(0, 0)
    encoder: BatchEncoder[Columns] = BatchEncoder(SpanEncoder)
    heads = Heads(ServiceResources(topology, seed=seed), {})
    made = 0
    while made < traces:
        batch = engine.walk(engine.walked_ns + NS_PER_S)
        made += batch.trace_id.size
        for parcel in encoder.encode(batch):
            builder = BodyBuilder(heads)
            builder.add(parcel)
            yield builder.build()


def write(folder: Path, source: str, *, traces: int) -> dict[str, Path]:
    """Write *traces* traces of the topology *source* in each form; return the files."""
    files = {"OTLP JSON lines": folder / "lines.json", "OTLP protobuf": folder / "messages.binpb"}
    with files["OTLP JSON lines"].open("w") as lines, files["OTLP protobuf"].open("wb") as messages:
        for content in bodies(read_topology(source).topology, traces=traces):
            lines.write(f"{request_line(content, 'traces')}\n")
            messages.write(len(content).to_bytes(4, "big") + content)
    return files


def measure(form: str, path: Path) -> Import:
    """Import *path* in a process of its own."""
    program = "from motel_locust.commands import main; main()"
    command = [sys.executable, "-c", program, "import", str(path), "--json"]
    with path.with_suffix(".report").open("w+b") as report:
        child = os.posix_spawn(
            sys.executable,
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, report.fileno(), 1)],
        )
        _, status, used = os.wait4(child, 0)  # what this one child used, and no other
        if status:
            raise SystemExit(f"{path} could not be imported")
        report.seek(0)
        spans = json.load(report)["spans"]
    cpu_s = used.ru_utime + used.ru_stime
    return Import(form, path.stat().st_size, spans, cpu_s, used.ru_maxrss * 1024)


def table(rows: list[Import]) -> Table:
    """Return *rows* as a table."""
    return Table(
        ("form", "spans", "file", "spans/s of CPU", "MB/s of CPU", "peak memory"),
        [
            (
                row.form,
                count(row.spans),
                mib(row.size_bytes),
                count(row.spans / row.cpu_s),
                f"{row.size_bytes / row.cpu_s / 1e6:.0f}",
                mib(row.peak_bytes),
            )
            for row in rows
        ],
    )


@click.command()
@click.option("--topology", default="topologies/four-services.yaml", show_default=True)
@click.option("--traces", default=250_000, show_default=True, help="In the larger files.")
def main(topology: str, traces: int) -> None:
    """Import generated files of two sizes in each form, in a process each."""
    rows = []
    for size in (traces // 8, traces):
        with tempfile.TemporaryDirectory() as folder:
            files = write(Path(folder), topology, traces=size)
            rows += [measure(form, path) for form, path in files.items()]
    click.echo(machine.sentence(machine.describe()))
    click.echo(f"\n{table(rows).text()}")


if __name__ == "__main__":
    main()
