"""What `check` says about every example, word for word: ``golden/*.out``.

``pytest tests/commands/checking --rewrite-checks`` writes them anew; read the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from motel_locust.commands.check import show
from motel_locust.commands.checking.outlook import look
from motel_locust.commands.checking.report import Forecast, Report
from motel_locust.commands.checking.sampling import Draw, tell_nobody
from motel_locust.commands.checking.verdict import judge
from motel_locust.topology.reading import read_topology

if TYPE_CHECKING:
    from motel_locust.topology.model import Topology

EXAMPLES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"


def report(made: Topology) -> Report:
    # Not drawn as in a run, where the text of the file counts, so that comments may change.
    draw = Draw(1, "golden", 10_000)
    outlook = look(made, draw, samples=200, strategy="random", advance=tell_nobody)
    assert made.traffic is not None
    forecast = Forecast(
        made.traffic.rate.per_s, outlook.peak(made, factor=1.0), speed_per_s=4e6, cores=8
    )
    rows = judge(outlook.findings, given={}, file=None)
    return Report(made, draw, 200, False, outlook, rows, forecast)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_told_about_as_written(
    path: Path, capsys: pytest.CaptureFixture[str], rewrite_checks: bool
) -> None:
    show(report(read_topology(str(path)).topology))
    told = capsys.readouterr().out
    expected = GOLDEN / f"{path.stem}.out"
    if rewrite_checks:
        expected.write_text(told, "utf-8")
    assert told == expected.read_text("utf-8")


def test_every_golden_file_has_its_example() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {path.stem for path in EXAMPLES}
