"""What a real Collector's file exporter writes, in all its forms, can be imported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from click.testing import CliRunner

from benchmarks.importing import bodies
from motel_locust.commands import main
from motel_locust.topology.reading import read_topology
from tests.integration.child import Child, free_port

if TYPE_CHECKING:
    from pathlib import Path

FORMS = {
    "lines.json": {},
    "messages.binpb": {"format": "proto"},
    "lines.zst": {"compression": "zstd"},
    "messages.zst": {"format": "proto", "compression": "zstd"},
}
TRACES = 200


def config(folder: Path, port: int) -> str:
    exporters = {
        f"file/{name}": {"path": str(folder / name), **form} for name, form in FORMS.items()
    }
    otlp = {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}
    return json.dumps(
        {
            "receivers": {"otlp": otlp},
            "exporters": exporters,
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}},
            },
        }
    )


def test_every_form_of_the_file_exporter_tells_the_same(otelcol: Path, tmp_path: Path) -> None:
    folder, port = tmp_path / "out", free_port()
    folder.mkdir()
    (tmp_path / "config.yaml").write_text(config(folder, port))
    child = Child("collector", [otelcol, "--config", "config.yaml"], directory=tmp_path)
    try:
        child.until(lambda: "Everything is ready" in child.stderr, "ready")
        topology = read_topology("topologies/retries-and-timeouts.yaml").topology
        requests = list(bodies(topology, traces=TRACES))
        for content in requests:
            headers = {"Content-Type": "application/x-protobuf"}
            request = Request(f"http://127.0.0.1:{port}/v1/traces", content, headers)
            with urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        # The exporter flushes each second; all forms hold all spans once they are complete.
        frames = b"".join(len(each).to_bytes(4, "big") + each for each in requests)
        wanted = imported("-", stdin=frames)
        child.until(lambda: all(told(folder / name) == wanted for name in FORMS), "all written")
    finally:
        child.end()
    # Three of them came again, and were dropped. Values of attributes are counted before that.
    assert imported(str(folder), attributes="none") == imported("-", "none", stdin=frames)


def told(path: Path) -> str | None:
    """The topology in *path*, None while it is not complete."""
    result = CliRunner().invoke(main, ["import", str(path), "--attributes", "all"])
    return result.stdout if result.exit_code == 0 else None


def imported(source: str, attributes: str = "all", *, stdin: bytes | None = None) -> str:
    result = CliRunner().invoke(main, ["import", source, "--attributes", attributes], input=stdin)
    assert result.exit_code == 0, result.stderr
    return result.stdout
