"""What `preview` shows of every example as text: ``golden/*.out``.

``pytest tests/commands/previewing --rewrite-previews`` writes them anew; read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from motel_locust.commands.checking.sampling import Draw, tell_nobody
from motel_locust.commands.preview import show
from motel_locust.commands.previewing.view import Wish, view
from motel_locust.topology.reading import read_topology

EXAMPLES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_shown_as_written(
    path: Path, capsys: pytest.CaptureFixture[str], rewrite_previews: bool
) -> None:
    made = read_topology(str(path)).topology
    # Not drawn as in a run, where the text of the file counts, so that comments may change.
    draw = Draw(1, "golden", 10_000)
    show(view(made, draw, Wish(samples=200), advance=tell_nobody), path.name)
    told = capsys.readouterr().out
    expected = GOLDEN / f"{path.stem}.out"
    if rewrite_previews:
        expected.write_text(told, "utf-8")
    assert told == expected.read_text("utf-8")


def test_every_golden_file_has_its_example() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {path.stem for path in EXAMPLES}
