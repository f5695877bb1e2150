from __future__ import annotations

from click.testing import CliRunner

from benchmarks.importing import main


def test_both_forms_are_imported_in_two_sizes() -> None:
    result = CliRunner().invoke(main, ["--traces", "80"])
    assert result.exit_code == 0, result.output
    lines = [line.split("  ")[0] for line in result.output.splitlines()[-4:]]
    assert lines == ["OTLP JSON lines", "OTLP protobuf"] * 2
