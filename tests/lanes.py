"""All tests, in several runs of pytest side by side: ``python tests/lanes.py``.

Tests of whole runs mostly wait, the others compute. Each lane is a process of its own, because
gevent, which whole runs bring along, and pytest-xdist do not go together. What a lane prints is
shown whole, one lane after the other, the first of them while it runs. At the end stands what is
to be read first: which tests failed, how each lane closed, and the total.

SIGINT and its like end all lanes with their teardown and their report; a second one ends them at
once.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LANES = {
    "integration": ("tests/integration",),
    "load": (
        "tests/load",
        "tests/docs",
        # Minutes of waiting; where it is done decides only which lane takes longest.
        "tests/integration/test_composed.py",
        "tests/integration/test_robustness.py",
    ),
}
"""The folders and files of each lane. One more, ``others``, has all the rest, whatever there is."""

GRACE_S = 45
"""The most that lanes may take to end after a signal: .ci/run has a minute for it."""
LOOK_S = 0.2

CLOSING = re.compile(r"=* ?(\w.* in [\d.]+s(?: \(.*\))?) ?=*")
"""pytest's last line, such as ``== 2 failed, 7 passed in 61.20s (0:01:01) ==``; quiet without =."""
COUNT = re.compile(r"(\d+) (passed|failed|error|skipped)")


class Lane:
    """A run of pytest, with its output in a file."""

    def __init__(self, name: str, arguments: Sequence[str], directory: Path) -> None:
        self.name, self.arguments = name, arguments
        self._path = directory / name
        # pytest's cache is a whole that each run writes anew.
        cache = f"cache_dir=.pytest_cache/{name}"
        with self._path.open("wb") as output:
            # In a session of its own, so that Ctrl-C comes to it once, from here.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "--durations=15", "-o", cache, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def passed(self) -> bool:
        """Whether it has ended, and well."""
        return self._process.poll() == 0

    def show(self) -> None:
        """Print what it prints, until it has ended."""
        print(f"\nlane {self.name}: pytest {' '.join(self.arguments)}", flush=True)
        with self._path.open("rb") as output:
            ended = False
            while not ended:
                ended = not self.running  # looked at first, so that the last copy has the end
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
                time.sleep(0 if ended else LOOK_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal: a SIGKILL to all that it has started, another one to itself alone."""
        if number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def closing(self) -> str:
        """Return the line that pytest closed with, or how it ended without one."""
        *_, last = ["", *filter(None, self._lines())]
        closed, code = CLOSING.fullmatch(last), self._process.poll()
        # 1 is that of a test that failed, which the line says itself.
        ended = "" if closed and code in (0, 1) else f"ended with {code}"
        return ", ".join(filter(None, (closed[1] if closed else "no closing line", ended)))

    def failures(self) -> list[str]:
        """Return the lines of pytest's summary that name a test which failed."""
        _, _, summary = "\n".join(self._lines()).rpartition(" short test summary info ")
        return [line for line in summary.splitlines() if line.startswith(("FAILED ", "ERROR "))]

    def _lines(self) -> list[str]:
        return self._path.read_text(errors="replace").splitlines()


def arguments_of_lanes() -> dict[str, list[str]]:
    """Return what each lane is called with: every test is in one of them, and in no two.

    What lies in a folder of one lane may be named in another one, and belongs to that.
    """
    named = [path for paths in LANES.values() for path in paths]
    lanes = {}
    for name, paths in {**LANES, "others": ()}.items():
        elsewhere = [path for path in named if path not in paths]
        lanes[name] = [*paths, *(f"--ignore={path}" for path in elsewhere)]
    return lanes


def end_on_signals(lanes: Sequence[Lane]) -> None:
    """Let the signals that end a process end *lanes*, in good order at first."""
    ways = iter([signal.SIGINT])

    def end(*_: object) -> None:
        way = next(ways, signal.SIGKILL)
        for lane in lanes:
            lane.send(way)
        signal.alarm(GRACE_S)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)


def closing_lines(lanes: Sequence[Lane], *, took_s: float) -> list[str]:
    """Return what a run of all lanes came to, what went wrong before what did not.

    The last line is the one that a single pytest would have closed with.
    """
    lines = [line for lane in lanes for line in lane.failures()]
    counts: Counter[str] = Counter()
    for lane in sorted(lanes, key=lambda lane: lane.passed):
        closing = lane.closing()
        lines.append(f"{lane.name}: {closing}")
        for count, what in COUNT.findall(closing):
            counts["failed" if what == "error" else what] += int(count)
    total = ", ".join(
        f"{counts[what]} {what}" for what in ("failed", "passed", "skipped") if counts[what]
    )
    took = f"{took_s:.2f}s ({timedelta(seconds=round(took_s))})"
    return [*lines, f" {total or 'no tests ran'} in {took} ".center(80, "=")]


def main() -> int:
    """Run all lanes and return 0 if all of them passed."""
    with tempfile.TemporaryDirectory() as directory:
        began_s = time.monotonic()
        lanes: list[Lane] = []
        end_on_signals(lanes)
        for name, arguments in arguments_of_lanes().items():
            lanes.append(Lane(name, arguments, Path(directory)))
        for lane in lanes:
            lane.show()
        took_s = time.monotonic() - began_s
        print("", *closing_lines(lanes, took_s=took_s), sep="\n", flush=True)
    return 0 if all(lane.passed for lane in lanes) else 1


if __name__ == "__main__":
    sys.exit(main())
