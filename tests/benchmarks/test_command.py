from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.parts import PARTS
from benchmarks.users import Crowd

CROWD = Crowd(10, 50_000.0, 50_000.0, 0.002, 0.09, 1.0)


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "figures.json"
    rows = PARTS["users"].kept([CROWD])
    machine = {"processor": "2 cores", "Python": "3.11"}
    path.write_text(
        json.dumps({"machine": machine, "parts": {"users": {"seconds": 6.0, "rows": rows}}})
    )
    return path


def test_figures_that_were_kept_are_shown_put_into_a_page_and_drawn(
    figures: Path, tmp_path: Path
) -> None:
    page, plot, again = tmp_path / "page.md", tmp_path / "plot.svg", tmp_path / "again.json"
    page.write_text("<!-- machine -->\n<!-- end -->\n\n<!-- users -->\nold\n<!-- end -->\n")
    outputs = ("--markdown", str(page), "--plot", str(plot), "--json", str(again))
    result = CliRunner().invoke(main, ["--from", str(figures), *outputs])
    assert result.exit_code == 0, result.output
    assert "The same load from few users and from many" in result.output
    assert "2 cores; Python 3.11." in page.read_text()
    assert "| 10 | 50,000 | 50,000 | 2.0 ms | 9.0 % | 1.00 |" in page.read_text()
    assert "old" not in page.read_text()
    assert plot.exists()
    assert json.loads(again.read_text()) == json.loads(figures.read_text())


def test_rows_come_back_from_json_as_they_were() -> None:
    kept = json.loads(json.dumps(PARTS["users"].kept([CROWD])))
    assert PARTS["users"].rows(kept) == [CROWD]


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    result = CliRunner().invoke(main, ["--part", "memmory"])
    assert result.exit_code == 2
    assert "'memory'" in result.output


def test_figures_of_another_version_are_refused(figures: Path) -> None:
    figures.write_text(figures.read_text().replace('"ratio"', '"share"'))
    result = CliRunner().invoke(main, ["--from", str(figures)])
    assert result.exit_code == 2
    assert "kept by another version; measure it anew" in result.output
