"""Which instance of a service a process says that it is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from motel_locust.engine.instances import owner_of
from motel_locust.load.feeds import resources
from motel_locust.load.run import STRIDE, Part, Run
from motel_locust.load.run_options import plain_values
from motel_locust.topology.instances import INSTANCE_ID as INSTANCE
from motel_locust.topology.model import Topology

OPERATIONS = {"operations": {"o": {"duration": "1ms"}}}


def named(
    *, worker: int = 0, classes: tuple[str, ...] = ("A",), of: str = "A", **more: Any
) -> dict[str, str | None]:
    """The instance of each service, on one process of a run."""
    written = more.pop("written", {})
    topology = Topology.model_validate(
        {
            "version": 1,
            "services": {"a": {**OPERATIONS, "resource_attributes": written}, "b": OPERATIONS},
            "traffic": {"rate": "1/s"},
        }
    )
    parts = {name: Part(name, "", "0" * 64, "", "", "") for name in classes}
    run = Run(
        **{
            "name": "",
            "epoch_ns": 0,
            "seed": 1,
            "stride": STRIDE,
            "users": 1,
            "parts": tuple(parts.values()),
            "options": plain_values({"signals": more.pop("signals", "traces,metrics")}),
            "environ": {},
            **more,
        }
    )
    found = resources(run, parts[of], topology, worker=worker)
    return {service: attributes.get(INSTANCE) for service, attributes in found.items()}


def test_every_process_class_and_seed_is_an_instance_of_its_own() -> None:
    both = ("A", "B")
    ids = [
        *named(classes=both).values(),
        *named(classes=both, of="B").values(),
        *named(classes=both, worker=1).values(),
        *named(classes=both, seed=2).values(),
    ]
    assert len(set(ids)) == 8
    assert all(UUID(each).version == 5 for each in ids)
    assert named() == named()


def test_what_a_person_wrote_is_kept_alone_and_comes_first_in_a_cluster() -> None:
    written = {INSTANCE: "pod-1"}
    assert named(written=written, stride=1)["a"] == "pod-1"
    made = [named(written=written, worker=worker)["a"] for worker in (0, 1)]
    assert len(set(made)) == 2
    assert all(each.startswith("pod-1-") for each in made)
    beside = named(written=written, stride=1, classes=("A", "B"))["a"]
    assert beside is not None
    assert beside.startswith("pod-1-")
    everywhere = named(environ={"OTEL_RESOURCE_ATTRIBUTES": f"{INSTANCE}=host"}, stride=1)
    assert everywhere == {"a": "host", "b": "host"}


def test_instances_are_the_same_on_every_worker_and_others_for_every_class_and_seed() -> None:
    def ids(*, seed: int = 1, name: str = "A", worker: int = 0, signals: str = "traces") -> Any:
        topology = Topology.model_validate(
            {
                "version": 1,
                "services": {
                    "a": {
                        **OPERATIONS,
                        "resource_attributes": {"zone": "x", "pod": "none"},
                        "instances": {"count": 3, "restart_every": "1m"},
                        "instance_attributes": {"pod": "a-{n}-{id}", "restarts": "{restart}"},
                    }
                },
                "traffic": {"rate": "1/s"},
            }
        )
        options = plain_values({"signals": signals})
        part = Part(name, "", "0" * 64, "", "", "")
        run = Run("", 0, seed, STRIDE, 1, (part,), options, {})
        found = resources(run, part, topology, worker=worker)
        return [found[owner_of("a", resource)] for resource in range(6)]

    assert ids() == ids(worker=5) == ids(signals="traces,metrics,logs")
    known = [each[INSTANCE] for each in ids() + ids(seed=2) + ids(name="B")]
    assert len(set(known)) == 18
    assert all(UUID(each).version == 5 for each in known)
    for resource, found in enumerate(ids()):
        assert found == {
            "service.name": "a",
            "zone": "x",
            INSTANCE: known[resource],
            "pod": f"a-{resource % 3 + 1}-{known[resource][:8]}",
            "restarts": str(resource // 3),
        }


def test_without_metrics_nothing_is_added() -> None:
    assert named(signals="traces,logs") == {"a": None, "b": None}
