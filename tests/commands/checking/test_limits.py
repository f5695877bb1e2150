from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from motel_locust.commands.checking.limits import MEASURES, read_limits
from motel_locust.topology.diagnostics import TopologyError

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, content: str) -> str:
    path = folder / "checks.yaml"
    path.write_text(content)
    return str(path)


def test_a_checks_file_holds_limits(tmp_path: Path) -> None:
    content = "version: 1\nchecks: {max_depth: 6, p99_spans: 150, p50_depth: 2, max_fan_out: 0}\n"
    limits = read_limits(written(tmp_path, content))
    assert [limits.greatest(measure) for measure in MEASURES] == [6, 0, None]
    assert list(limits.percentiles()) == [("depth", 50, 2), ("spans", 99, 150)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("checks: {max_depth: 6}", "version is missing; write version: 1 [missing-key]"),
        ("version: 2\nchecks: {max_depth: 6}", "version 2 is not supported; write version: 1"),
        ("version: 1", "checks is missing; write checks: {max_depth: 6, p99_spans: 150}"),
        ("version: 1\nchecks: {}", "checks is empty, at least one limit is needed: max_depth, "),
        (
            "version: 1\nchecks: {max_deph: 6}",
            'unknown key "max_deph" in checks; did you mean "max_depth"',
        ),
        ("version: 1\nchecks: {max_depth: -1}", "max_depth -1 is below 0; write 0 or more"),
        ("version: 1\nchecks: {p95_spans: 1.5}", "p95_spans"),
        ("version: 1\nchecks: {max_depth: 1, max_depth: 2}", "is defined twice; first at line 2"),
        ("version: 1\nlimits: {}\nchecks: {max_depth: 1}", 'unknown key "limits" in checks file'),
        ("[1]", "must be a mapping that describes a checks file"),
        ("version: 1\nchecks: {max_depth: ", "invalid-yaml"),
    ],
)
def test_what_is_wrong_with_one_is_told_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    source = written(tmp_path, content)
    with pytest.raises(TopologyError) as error:
        read_limits(source)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{source}:")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_limits(str(tmp_path / "nowhere.yaml"))
