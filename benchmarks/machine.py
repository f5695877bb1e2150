"""On what was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.runs import ROOT

PACKAGES = ("numpy", "locust", "gevent", "geventhttpclient", "grpcio", "isal", "zstandard")


def describe() -> dict[str, str]:
    """Return the machine and the versions of what runs on it, by name."""
    found = {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "on": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    if program := os.environ.get("OTELCOL"):
        found["Collector"] = _output(program, "--version").split()[-1]
    if commit := _output("git", "-C", str(ROOT), "describe", "--always", "--dirty"):
        found["commit"] = commit
    return found


def sentence(machine: dict[str, str]) -> str:
    """Return *machine* as a page has it."""
    versions = (f"{name} {text}" for name, text in machine.items() if name != "processor")
    return f"{machine['processor']}; {', '.join(versions)}."


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text() if path.exists() else ""
    match = re.search(r"^model name\s*: (.+)$", lines, re.MULTILINE)
    return match[1] if match else platform.machine()


def _output(*command: str) -> str:
    """Return what *command* prints; nothing where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
