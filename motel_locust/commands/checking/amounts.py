"""Numbers as people read them: rates, bytes, shares, durations."""

from __future__ import annotations

from typing import Final

_BYTES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_TIMES: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def rate(per_s: float) -> str:
    """Return *per_s* with the digits that matter: ``0.25``, ``12.3``, ``1,234``."""
    if per_s == 0 or per_s >= 100:
        return f"{per_s:,.0f}"
    return f"{per_s:.3g}"


def about(per_s: float) -> str:
    """Return *per_s* with two digits that count, as an estimate has no more: ``6,200,000``."""
    return f"{float(f'{per_s:.2g}'):,.0f}"


def size(count: float) -> str:
    """Return *count* bytes in B, kB, MB or GB (of 1,000 each)."""
    for unit, name in _BYTES:
        if count >= unit:
            return f"{rate(count / unit)} {name}"
    return f"{rate(count)} B"


def share(ratio: float) -> str:
    """Return *ratio* as a percentage: ``0.4 %``."""
    return f"{rate(ratio * 100)} %"


def duration(count_ns: float) -> str:
    """Return *count_ns* in ns, µs, ms or s."""
    for unit, name in _TIMES:
        if count_ns >= unit:
            return f"{rate(count_ns / unit)} {name}"
    return f"{count_ns:.0f} ns"


def clock(t_ns: int) -> str:
    """Return an instant of a run: ``0``, ``0.5s``, ``45s``, ``2m30s``, ``1h30m``."""
    seconds = t_ns / 1e9
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.3g}s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0"
