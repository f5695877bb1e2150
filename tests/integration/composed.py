"""docker-compose.yml as processes of this machine: its commands and variables, hosts mapped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.integration.child import ROOT, Child, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Composed:
    """What ``docker compose`` would start, with *variables* set in its shell.

    A container's hosts and ports become ports of loopback, the same ones for everybody, and its
    folders those of this clone or of *directory*.
    """

    def __init__(self, directory: Path, collector: Path, variables: Mapping[str, str]) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        self._services = yaml.safe_load(
            VARIABLE.sub(lambda match: variables.get(match[1], match[2] or ""), text)
        )["services"]
        self._variables, self._directory, self._collector = variables, directory, collector
        self._started: list[Child] = []
        self.web_port, self.metrics_port = free_port(), free_port()
        self.jaeger_port = free_port()
        master, otlp = free_port(), free_port()
        # In this order: the longer of two texts comes first.
        self._here = {
            "http://collector:4318": f"http://127.0.0.1:{otlp}",
            "0.0.0.0:4318": f"127.0.0.1:{otlp}",
            "0.0.0.0:4317": f"127.0.0.1:{free_port()}",
            "0.0.0.0:13133": f"127.0.0.1:{free_port()}",
            "jaeger:4317": f"127.0.0.1:{self.jaeger_port}",
            ":8089": f":{self.web_port}",
            "5557": str(master),
            "/opt/motel-locust/": f"{ROOT}/",
            "/topologies/": f"{ROOT}/topologies/",
        }
        self._ports = {
            "LOCUST_MASTER_BIND_PORT": str(master),
            "LOCUST_MASTER_NODE_PORT": str(master),
            "LOCUST_WEB_HOST": "127.0.0.1",
            "LOCUST_WEB_PORT": str(self.web_port),
            "HOME": str(directory),
        }

    def replicas(self, service: str) -> int:
        """Return how many containers of *service* there are to be."""
        return int(self._services[service]["deploy"]["replicas"])

    def locust(self, service: str, name: str, **extra: str) -> Child:
        """Start a container of *service*, called *name*, with *extra* variables."""
        given = self._image_environment() | self._services[service]["environment"]
        shell = {key: self._variables.get(key) for key, value in given.items() if value is None}
        env = {
            key: self._mapped(str(value), name)
            for key, value in (given | shell).items()
            if value is not None
        }
        if env.get("LOCUST_MASTER_NODE_HOST") == "master":
            env["LOCUST_MASTER_NODE_HOST"] = "127.0.0.1"
        command = self._services[service].get("command", ["locust"])
        program = Path(sys.executable).with_name(command[0])
        return self._start(name, [program, *command[1:]], {**env, **self._ports, **extra})

    def collector(self) -> Child:
        """Start the Collector with its configuration, and with its own metrics to be read."""
        (mount,) = self._services["collector"]["volumes"]
        source, target, _ = mount.split(":")
        config = self._directory / "collector.yaml"
        config.write_text(self._mapped((ROOT / source).read_text(), ""))
        metrics = self._with_metrics({}, self.metrics_port)
        command = [each.replace(target, str(config)) for each in self._command("collector")]
        return self._start("collector", [self._collector, *command, f"--config=yaml:{metrics}"])

    def jaeger(self) -> int:
        """Start what stands in for Jaeger, and forgets; return the port of its metrics."""
        endpoint = {"endpoint": f"127.0.0.1:{self.jaeger_port}"}
        pipelines = {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}}
        config = {
            "receivers": {"otlp": {"protocols": {"grpc": endpoint}}},
            "exporters": {"nop": {}},
            "service": {"pipelines": pipelines},
        }
        port = free_port()
        self._start(
            "jaeger", [self._collector, f"--config=yaml:{self._with_metrics(config, port)}"]
        )
        return port

    def healthy(self, service: str, name: str) -> bool:
        """Tell what the health check of *service* says of the container called *name*."""
        kind, program, *words = self._services[service]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        command = [sys.executable, *(self._mapped(word, name) for word in words)]
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0

    def end(self) -> None:
        for child in reversed(self._started):
            child.end()

    def _command(self, service: str) -> list[str]:
        command: list[str] = self._services[service]["command"]
        return command

    def _image_environment(self) -> dict[str, Any]:
        """Return the variables that the image sets for Locust."""
        dockerfile = (ROOT / "Dockerfile").read_text()
        return dict(re.findall(r"(LOCUST_\w+)=(\S+)", dockerfile))

    def _mapped(self, text: str, name: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text.replace("/tmp/heartbeat", str(self._directory / f"{name}.heartbeat"))

    def _with_metrics(self, config: dict[str, Any], port: int) -> str:
        exporter = {"prometheus": {"host": "127.0.0.1", "port": port}}
        metrics = {"readers": [{"pull": {"exporter": exporter}}]}
        service = config.get("service", {}) | {"telemetry": {"metrics": metrics}}
        return yaml.safe_dump(config | {"service": service}, default_flow_style=True, width=10**6)

    def _start(
        self, name: str, command: list[str | Path], env: Mapping[str, str] | None = None
    ) -> Child:
        self._started.append(Child(name, command, directory=self._directory, env=env))
        return self._started[-1]
