from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
import pytest
from gevent.hub import Hub

from motel_locust.load.preparation import unwritable
from motel_locust.load.profile import Function, Profiler, Stacks, of_worker, speedscope
from motel_locust.load.run_options import OptionError, plain_values
from tests.integration.child import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.locust_runs import Locusts

FOUR = ROOT / "topologies" / "four-services.yaml"
RUN = ("--headless", "--only-summary", "-u", "4", "-r", "4", "--topology", FOUR)
NOWHERE = (*RUN, "--host", "discard://")

# The alarm of pytest-timeout is the one that a profiler takes.
own_alarm = pytest.mark.timeout(method="thread")


def checked(path: Path) -> tuple[Counter[str], Counter[str]]:
    """Return a profile's seconds by function, innermost only and anywhere in the stack.

    Looks at everything that speedscope's schema asks for.
    """
    document = json.loads(path.read_text())
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    (profile,) = document["profiles"]
    assert document["activeProfileIndex"] == 0
    assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "seconds", 0)
    assert profile["name"] == document["name"]
    assert "process " in profile["name"]
    frames = document["shared"]["frames"]
    for frame in frames:
        assert frame.keys() == {"name", "file", "line"}
        assert frame["line"] >= 0
    assert len(profile["samples"]) == len(profile["weights"])
    assert profile["endValue"] == pytest.approx(sum(profile["weights"]))
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, seconds in zip(profile["samples"], profile["weights"], strict=True):
        assert seconds >= 0
        names = [frames[nth]["name"] for nth in stack]
        own[names[-1]] += seconds
        for name in set(names):
            whole[name] += seconds
    return own, whole


def here() -> Any:
    return sys._getframe()


def there() -> Any:
    return sys._getframe()


def test_samples_of_one_stack_add_up() -> None:
    stacks = Stacks()
    for frame, samples in ((here(), 2), (there(), 4), (here(), 3)):
        stacks.add(frame, samples)
    seconds = {functions[-1]: s for functions, s in stacks.seconds(0.5, cpu_s=4.5).items()}
    assert seconds == {
        Function("here", __file__, here.__code__.co_firstlineno): pytest.approx(2.5),
        Function("there", __file__, there.__code__.co_firstlineno): pytest.approx(2.0),
    }


def test_a_stack_begins_with_its_outermost_function() -> None:
    stacks = Stacks()

    def leaf() -> None:
        stacks.add(sys._getframe(), 1)

    def caller() -> None:
        leaf()

    caller()
    (functions,) = stacks.seconds(1.0, cpu_s=1)
    place = "test_a_stack_begins_with_its_outermost_function"
    assert [function.name for function in functions][-3:] == [
        place,
        f"{place}.<locals>.caller",
        f"{place}.<locals>.leaf",
    ]


def test_an_event_loop_gets_what_cpu_time_the_functions_leave() -> None:
    found: list[Any] = []
    gevent.get_hub().loop.run_callback(lambda: found.append(sys._getframe().f_back))
    gevent.sleep(0)
    (loop,) = found
    assert loop.f_code is Hub.run.__code__
    stacks = Stacks()
    stacks.add(here(), 10)
    stacks.add(loop, 300)
    for cpu_s, here_s, loop_s in ((1.5, 1.0, 0.5), (0.7, 0.7, 0.0)):
        seconds = {functions[-1].name: s for functions, s in stacks.seconds(0.1, cpu_s).items()}
        assert seconds == {"here": pytest.approx(here_s), "Hub.run": pytest.approx(loop_s)}


def test_without_samples_there_are_no_seconds() -> None:
    assert Stacks().seconds(0.1, cpu_s=0.0) == {}
    assert speedscope("run", {})["profiles"][0]["endValue"] == 0


def test_the_same_function_twice_is_one() -> None:
    def made() -> Any:
        source = "import sys\ndef twin(): return sys._getframe()"
        space: dict[str, Any] = {}
        exec(compile(source, "twins.py", "exec"), space)
        return space["twin"]()

    first, second = made(), made()
    stacks = Stacks()
    stacks.add(first, 1)
    stacks.add(second, 1)
    assert list(stacks.seconds(1.0, cpu_s=2).values()) == [2.0]


def test_equal_beginnings_stand_together() -> None:
    a, b, c = (Function(name, "f.py", 1) for name in "abc")
    document = speedscope("run", {(a, c): 1.0, (b,): 2.0, (a, b): 3.0, (a,): 4.0})
    (profile,) = document["profiles"]
    assert profile["samples"] == [[0], [0, 1], [0, 2], [1]]
    assert profile["weights"] == [4.0, 3.0, 1.0, 2.0]
    assert profile["endValue"] == 10.0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("run.speedscope.json", "run.worker-3.speedscope.json"),
        ("a.b/run.v2.json", "a.b/run.v2.worker-3.json"),
        (".json", ".worker-3.json"),
    ],
)
def test_a_worker_has_a_file_of_its_own(path: str, name: str) -> None:
    assert of_worker(path, 3) == name


def burn(until_s: float) -> None:
    while time.thread_time() < until_s:
        pass


def profiled(path: Path, work: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    profiler = Profiler(str(path))
    try:
        work()
    finally:
        profiler.stop()
    return checked(path)


@own_alarm
def test_greenlets_have_what_they_used(tmp_path: Path) -> None:
    slices = random.Random(7)
    used = Counter({"once": 0.0, "twice": 0.0})

    def part(name: str, share: int) -> None:
        while used[name] < 0.3 * share:
            began_s = time.thread_time()
            burn(began_s + share * slices.uniform(0.0005, 0.0015))
            used[name] += time.thread_time() - began_s
            gevent.sleep(0)

    def once() -> None:
        part("once", 1)

    def twice() -> None:
        part("twice", 2)

    # Begun before the profile, as most of Locust is.
    working = [gevent.spawn(once), gevent.spawn(twice)]
    gevent.sleep(0)
    _, whole = profiled(tmp_path / "p.json", lambda: gevent.joinall(working))
    shown = {name.rsplit(".", 1)[-1]: seconds for name, seconds in whole.items()}
    # 0.9 s are 145 samples; each is one of the two: sigma of the share is sqrt(2/9 / 145).
    assert shown["twice"] / (shown["once"] + shown["twice"]) == pytest.approx(2 / 3, abs=4 * 0.039)


NUMBERS = np.arange(300_000.0)


def small() -> None:
    pass


def large() -> None:
    NUMBERS * 1.5
    small()


@own_alarm
def test_what_cannot_be_interrupted_is_not_its_successors(tmp_path: Path) -> None:
    def work() -> None:
        until_s = time.thread_time() + 0.4
        while time.thread_time() < until_s:
            large()

    own, _ = profiled(tmp_path / "p.json", work)
    assert own["large"] > 10 * own["small"]


@own_alarm
def test_waiting_is_no_work(tmp_path: Path) -> None:
    began_s = time.thread_time()
    own, _ = profiled(tmp_path / "p.json", lambda: gevent.sleep(0.3))
    # All but a sample or two, of what came before and after, is CPU time.
    assert sum(own.values()) < time.thread_time() - began_s + 0.05


@own_alarm
def test_an_alarm_that_comes_late_ends_nothing(tmp_path: Path) -> None:
    profiled(tmp_path / "p.json", lambda: None)
    signal.raise_signal(signal.SIGALRM)


def test_a_run_shows_where_its_time_went(locust: Locusts, tmp_path: Path) -> None:
    path = tmp_path / "run.speedscope.json"
    finished = locust.run(
        *NOWHERE, "-t", "3s", "--rate", "500000/s",
        env={"LOCUST_CPU_PROFILE": str(path)},
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
    assert f"open {path} at https://www.speedscope.app" in finished.stderr
    assert finished.ledger["generated"] == finished.ledger["accepted"] > 0
    _, whole = checked(path)
    total_s = sum(seconds for name, seconds in whole.items() if name == "Pump._run")
    for function in ("Engine.walk", "BatchEncoder.encode", "Feed.release", "Pump._generate"):
        assert 0 < whole[function] <= total_s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_profile_with_the_run(
    locust: Locusts, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "run.json"
    run = locust.start(*NOWHERE, "--cpu-profile", path)
    run.wait_for_users()
    finished = run.stop(number)
    assert finished.code == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    checked(path)


def test_every_process_that_generates_has_a_file(locust: Locusts, tmp_path: Path) -> None:
    finished = locust.run(
        *NOWHERE, "-t", "3s", "--processes", "2", "--cpu-profile", tmp_path / "run.speedscope.json"
    )
    assert finished.code == 0, finished.stderr
    files = sorted(tmp_path.glob("*.speedscope.json"))
    assert [file.name for file in files] == [
        "run.worker-0.speedscope.json",
        "run.worker-1.speedscope.json",
    ]
    for file in files:
        _, whole = checked(file)
        assert whole["Pump._run"] > 0


def test_a_worker_without_the_folder_tells_and_generates(locust: Locusts, tmp_path: Path) -> None:
    folder, port = tmp_path / "runs", str(free_port())
    folder.mkdir()
    master = locust.start(
        *NOWHERE, "-t", "2s", "--cpu-profile", folder / "run.json",
        "--master", "--master-bind-port", port, "--expect-workers", "1",
    )  # fmt: skip
    master.child.until(lambda: "Waiting for workers" in master.child.stderr, "waiting")
    folder.rmdir()  # as on the worker's own machine
    locust.start("--worker", "--master-port", port)
    finished = master.wait()
    assert finished.code == 1
    assert f"--cpu-profile: the folder of {folder}/run.worker-0.json does not" in finished.stderr
    assert finished.ledger["accepted"] > 0


def test_why_a_file_cannot_be_written(tmp_path: Path) -> None:
    assert unwritable(str(tmp_path / "run.json")) == ""
    assert unwritable(str(tmp_path)) == f"{tmp_path} is a folder"
    assert unwritable(f"{tmp_path}/no/run.json") == (
        f"the folder of {tmp_path}/no/run.json does not exist"
    )


def test_only_a_name_that_speedscope_knows_is_taken() -> None:
    assert plain_values({"cpu_profile": " run.json "})["cpu_profile"] == "run.json"
    with pytest.raises(OptionError) as error:
        plain_values({"cpu_profile": "run.html"})
    assert str(error.value) == ('--cpu-profile: "run.html" does not end in .json; write FILE.json')


def test_a_file_that_cannot_be_written_is_refused_at_the_start(locust: Locusts) -> None:
    finished = locust.run(*NOWHERE, "-t", "2s", "--cpu-profile", "no/run.json")
    assert finished.code == 2
    assert "error: --cpu-profile: the folder of no/run.json does not exist" in finished.stderr
    assert "Ramping" not in finished.stderr
