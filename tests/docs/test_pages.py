"""Every page of the tutorial and the how-tos is run as it is written, with other ports."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import missing, read_page
from tests.integration.child import bare_environment, free_port

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / "tutorial.md",
    ROOT / "docs" / "replay.md",
    *sorted(ROOT.glob("docs/how-to/*.md")),
]
MARK = "--- the next block ---"
LIMIT_S = 150


def checkout(directory: Path, collector: Path) -> dict[str, str]:
    """Fill *directory* with what a reader has, and return the variables of the reader's shell."""
    for name in ("topologies", "locustfiles", "docs"):
        (directory / name).symlink_to(ROOT / name)
    programs = directory / "bin"
    programs.mkdir()
    (programs / "otelcol").symlink_to(collector)
    for name, start in {
        "motel-locust": "from motel_locust.commands import main; main(prog_name='motel-locust')",
        "locust": "from locust.main import main; main()",
    }.items():
        program = programs / name
        program.write_text(f"#!{sys.executable}\nimport sys; sys.argv[0] = {name!r}\n{start}\n")
        program.chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return bare_environment({"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_right_to_the_letter(path: Path, tmp_path: Path, otelcol: Path) -> None:
    page = read_page(path, free_port)
    assert page.steps
    environment = checkout(tmp_path, otelcol)
    written = tmp_path / "written"
    written.mkdir()
    for number, (_, _, content) in enumerate(page.files):
        (written / str(number)).write_text(content)
    bash = shutil.which("bash")
    assert bash
    shell = subprocess.Popen(
        [bash, "-euo", "pipefail", "-c", page.script(MARK, written)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = shell.communicate(timeout=LIMIT_S)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.communicate()
    assert shell.returncode == 0, out
    for step, printed in zip(page.steps, out.split(f"{MARK}\n")[1:], strict=True):
        line = missing(step.prints, printed)
        assert line is None, f"{step.commands} does not print {line!r}, but\n{printed}"
