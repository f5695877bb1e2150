"""Where the main thread of a process spends its time, as a file for https://www.speedscope.app.

A timer interrupts the main thread 160 times a second, in whatever greenlet it is, and the stack of
Python functions that is found there is counted. The timer is one of wall-clock time: the kernel
looks at timers of CPU time only every few milliseconds, and then always in the same part of a tick.
What it finds waiting for something to do is gevent's event loop, ``Hub.run``.

Chosen over libraries, measured at full speed into ``discard://``: pyinstrument hears of every call,
which took 10 to 30 % of the speed, and yappi 75 %; this takes 2 %. A thread of our own that looks
at the stack must wait for the interpreter's lock, and finds the functions that let go of it twice
as often as is true. py-spy, from outside, may not look into a process everywhere; where it may, it
agrees with this to two or three percent of the whole, function by function.
"""

from __future__ import annotations

import dis
import json
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from gevent.hub import Hub

from motel_locust.engine.schedule import TICK_NS

if TYPE_CHECKING:
    from types import CodeType, FrameType

ENDING: Final = ".json"
VIEWER: Final = "https://www.speedscope.app"
_SPEEDSCOPE: Final = ".speedscope"

# Most work is begun at the start of a tick. With the golden ratio to it, the samples spread evenly
# over the tick, however few they are; at a simple ratio they would meet the same work each time.
PERIOD_S: Final = round((5**0.5 - 1) / 2 * TICK_NS / 1e9, 6)

# Python looks for signals when a function has just been entered, among other places. The time
# before that was its caller's, for a call of NumPy perhaps that nothing could interrupt.
_ENTERED: Final = dis.opmap["RESUME"]


def of_worker(path: str, worker: int) -> str:
    """Return the name of a worker's own profile: ``run.worker-0.speedscope.json``."""
    start = path.removesuffix(ENDING)
    name = start.removesuffix(_SPEEDSCOPE)
    return f"{name}.worker-{worker}{start[len(name) :]}{ENDING}"


class Function(NamedTuple):
    """A Python function, as speedscope names it."""

    name: str
    file: str
    line: int
    """Where it begins."""


Seconds: TypeAlias = Mapping[tuple[Function, ...], float]
"""The time spent in each stack, outermost function first, innermost last."""


class Stacks:
    """How often each stack of Python functions was met."""

    def __init__(self) -> None:
        self._samples: Counter[tuple[int, ...]] = Counter()
        # By identity: a code object computes its hash from its contents, each time.
        self._codes: dict[int, CodeType] = {}

    def add(self, frame: FrameType, samples: int) -> None:
        """Count the stack that ends in *frame* as *samples*."""
        innermost: FrameType | None = frame
        if frame.f_back is not None and frame.f_code.co_code[frame.f_lasti] == _ENTERED:
            innermost = frame.f_back
        stack = []
        while innermost is not None:
            code = innermost.f_code
            self._codes[id(code)] = code
            stack.append(id(code))
            innermost = innermost.f_back
        self._samples[tuple(reversed(stack))] += samples

    def seconds(self, period_s: float, cpu_s: float) -> Seconds:
        """Return the CPU seconds of each stack, *cpu_s* together.

        *period_s* is the time from sample to sample. An event loop that is in no function waits or
        works, which no sample can tell apart: it gets what the functions leave. These get less than
        *period_s* a sample if others on the machine took part of the time.
        """
        loop = id(Hub.run.__code__)
        looped = sum(samples for stack, samples in self._samples.items() if stack[-1] == loop)
        busy = self._samples.total() - looped
        busy_s = min(period_s, cpu_s / busy) if busy else 0.0
        loop_s = max(0.0, cpu_s - busy * busy_s) / looped if looped else 0.0
        functions = {
            key: Function(code.co_qualname, code.co_filename, code.co_firstlineno)
            for key, code in self._codes.items()
        }
        seconds: defaultdict[tuple[Function, ...], float] = defaultdict(float)
        for stack, samples in self._samples.items():
            each_s = loop_s if stack[-1] == loop else busy_s
            seconds[tuple(functions[code] for code in stack)] += samples * each_s
        return seconds


class Profiler:
    """Samples the main thread from its making until :meth:`stop`, then writes *path*.

    It takes SIGALRM for itself. One at a time, made and stopped in the main thread.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._stacks = Stacks()
        self._sampled = 0
        self._sampling = False
        self._cpu_s, self._began_s = time.thread_time(), time.monotonic()
        signal.signal(signal.SIGALRM, self._on_alarm)
        # Other threads need not hear of it: what they wait for in the kernel is begun again.
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, PERIOD_S, PERIOD_S)

    def stop(self) -> None:
        """Write the profile; raise OSError if that cannot be done."""
        # The signal keeps its handler: one that is on its way already would end the process.
        signal.setitimer(signal.ITIMER_REAL, 0)
        cpu_s, elapsed_s = time.thread_time() - self._cpu_s, time.monotonic() - self._began_s
        name = f"process {os.getpid()}: {cpu_s:.1f} s of CPU in {elapsed_s:.1f} s"
        document = speedscope(name, self._stacks.seconds(PERIOD_S, cpu_s))
        Path(self.path).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")

    def _on_alarm(self, _signal: int, frame: FrameType | None) -> None:
        # Alarms that fall into one long call come as a single one after it.
        due = int((time.monotonic() - self._began_s) / PERIOD_S)
        samples, self._sampled = due - self._sampled, due
        # An alarm may interrupt what the one before it called.
        if frame is not None and not self._sampling:
            self._sampling = True
            self._stacks.add(frame, samples)
            self._sampling = False


def speedscope(name: str, seconds: Seconds) -> dict[str, Any]:
    """Return the *seconds* spent in each stack as speedscope reads them.

    The format is https://www.speedscope.app/file-format-schema.json, a profile of type "sampled".
    Stacks are in the order of their functions' names, so that equal beginnings stand together.
    """
    stacks = sorted(seconds)
    functions = sorted({function for stack in stacks for function in stack})
    index = {function: nth for nth, function in enumerate(functions)}
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "motel-locust",
        "activeProfileIndex": 0,
        "shared": {"frames": [function._asdict() for function in functions]},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "seconds",
                "startValue": 0,
                "endValue": sum(seconds.values()),
                "samples": [[index[function] for function in stack] for stack in stacks],
                "weights": [seconds[stack] for stack in stacks],
            }
        ],
    }
