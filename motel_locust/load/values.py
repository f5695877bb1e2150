"""How the values of options are written.

Each function here returns a parser: text in, plain value out, or ValueError with what is wrong and
what would be right, in the words of the person who wrote it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from motel_locust.topology.diagnostics import listed, quoted
from motel_locust.topology.quantities import parse_duration, parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from motel_locust.otlp.ledger import Signal

Plain: TypeAlias = str | int | float | bool | None
"""What Locust's form, its messages to workers and argparse all can carry."""

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
ARRIVALS: Final = ("paced", "poisson")
_SIGNALS_FORM: Final = "write some of traces, metrics, logs, separated by commas"


def text(written: str) -> str:
    """Return *written* without the blanks around it."""
    return written.strip()


def ending_in(ending: str) -> Callable[[str], str]:
    """Return a parser of a file's name that ends so; an empty one stands for "not given"."""

    def parse(written: str) -> str:
        name = written.strip()
        if name and not name.endswith(ending):
            raise ValueError(f"{quoted(name)} does not end in {ending}; write FILE{ending}")
        return name

    return parse


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return a parser of a word; an empty one among *allowed* stands for "not given"."""

    def parse(written: str) -> str:
        word = written.strip()
        if word not in allowed:
            raise ValueError(f"{quoted(word)} is not known; write {listed(filter(None, allowed))}")
        return word

    return parse


def signals(written: str) -> str:
    """Return the signals named in *written*, separated by commas, each once."""
    words = [word.strip() for word in written.split(",") if word.strip()]
    for word in words:
        if word not in SIGNALS:
            raise ValueError(f"{quoted(word)} is no signal; {_SIGNALS_FORM}")
    if not words:
        raise ValueError(f"no signal is named; {_SIGNALS_FORM}")
    return ",".join(signal for signal in SIGNALS if signal in words)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of a whole number between two limits, both included."""

    def parse(written: str) -> int:
        try:
            number = int(written)
        except ValueError:
            raise ValueError(
                f"{quoted(written)} is no whole number; {_between(least, most)}"
            ) from None
        if not least <= number <= most:
            raise ValueError(f"{number} is out of range; {_between(least, most)}")
        return number

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of a number between two limits, both included."""

    def parse(written: str) -> float:
        try:
            value = float(written)
        except ValueError:
            raise ValueError(f"{quoted(written)} is no number; {_between(least, most)}") from None
        if math.isnan(value) or not least <= value <= most:
            raise ValueError(f"{written} is out of range; {_between(least, most)}")
        return value

    return parse


def rate(written: str) -> str:
    """Return a rate as it was written, or nothing if nothing was."""
    if written.strip():
        parse_rate(written.strip())
    return written.strip()


def duration(written: str) -> str:
    """Return a duration as it was written; none below 0."""
    if parse_duration(written.strip()) < 0:
        raise ValueError(f"{quoted(written)} is below 0; write a duration such as 1m30s")
    return written.strip()


def offset(written: str) -> str:
    """Return a duration of either sign as it was written."""
    parse_duration(written.strip())
    return written.strip()


def _between(least: float, most: float) -> str:
    return f"write one from {least} to {most}"
