"""A locustfile whose users do nothing, without anything of ours: what Locust itself costs."""

from locust import User, constant, events, task

from benchmarks.diary import Counts, keep_diary


class Idle(User):
    """Waits for ever."""

    wait_time = constant(10**9)

    @task
    def wait_to_be_stopped(self) -> None:
        """Do nothing."""
        self.wait()


@events.init.add_listener
def begin(runner, **_) -> None:
    """Keep a diary."""
    keep_diary(lambda: Counts(users=runner.user_count))
