from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.diary import cpu_clock


def test_the_cpu_clock_of_a_process_is_the_one_that_it_reads_itself() -> None:
    clock = cpu_clock(os.getpid())
    instants = [time.process_time(), time.clock_gettime(clock), time.process_time()]
    assert instants == sorted(instants)


def test_the_cpu_clock_of_another_process_can_be_read() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        clock = cpu_clock(process.pid)
        assert time.clock_gettime(clock) >= 0
        process.communicate()


def test_a_process_that_has_ended_has_no_cpu_clock() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(OSError, match="No such process"):
        cpu_clock(process.pid)
