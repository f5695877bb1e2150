from __future__ import annotations

import gevent
from locust.env import Environment

from motel_locust.load.generator import Generator
from motel_locust.load.recorder import Recorder


def test_a_run_that_is_ended_twice_at_once_is_closed_once() -> None:
    """As by two signals, the second of which comes while the first is being obeyed."""
    environment = Environment()
    runner = environment.create_local_runner()
    recorder = Recorder(Generator.of(environment))
    gevent.sleep(1e-3)
    endings = [gevent.spawn(recorder.stop) for _ in range(2)]
    gevent.joinall(endings, timeout=5, raise_error=True)
    assert all(each.successful() for each in endings)
    assert recorder.history.closed
    runner.quit()
