"""Hosts of their own on one machine: network namespaces, cabled to one switch."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
from pathlib import Path


def ip(*words: str | Path) -> None:
    """Run iproute2's ``ip``."""
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True, timeout=10)


def missing() -> str:
    """Return why there can be no namespaces here; empty if there can."""
    if shutil.which("ip") is None:
        return "needs ip: apt-get install iproute2"
    probe = f"motel-{secrets.token_hex(3)}"
    try:
        ip("netns", "add", probe)
        ip("-n", probe, "link", "add", "bridge", "type", "bridge")
        ip("-n", probe, "link", "add", "port", "type", "veth", "peer", "name", "cable")
    except subprocess.CalledProcessError as refused:
        return f"needs network namespaces, as root has them: {refused.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "delete", probe], capture_output=True, timeout=10)
    return ""


class Host:
    """A network namespace with one address and one cable."""

    def __init__(self, switch: str, number: int) -> None:
        self.name = f"{switch}-{number}"
        self.address = f"10.77.0.{number}"
        self.prefix = ("ip", "netns", "exec", self.name)
        """What runs a command on this host when put in front of it."""
        self._switch, self._port = switch, f"port{number}"
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip(
            *("link", "add", "eth0", "netns", self.name, "type", "veth"),
            *("peer", "name", self._port, "netns", switch),
        )
        ip("-n", switch, "link", "set", self._port, "master", "bridge", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def cut(self) -> None:
        """Pull the cable: what is sent is lost, and nobody is told."""
        ip("-n", self._switch, "link", "set", self._port, "down")

    def mend(self) -> None:
        """Put it back."""
        ip("-n", self._switch, "link", "set", self._port, "up")


class Network:
    """A switch and the hosts at it; nothing of it is seen from outside, and all of it ends."""

    def __init__(self) -> None:
        self._switch = f"motel-{secrets.token_hex(3)}"
        self._hosts: list[Host] = []
        ip("netns", "add", self._switch)
        ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._switch, "link", "set", "bridge", "up")

    def host(self) -> Host:
        """Return a new host."""
        self._hosts.append(Host(self._switch, len(self._hosts) + 1))
        return self._hosts[-1]

    def end(self) -> None:
        """Take all of it away; processes that run there are ended before."""
        for name in (*(host.name for host in self._hosts), self._switch):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)
