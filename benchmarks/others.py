"""What other tools reach, to stand beside what is measured here: orders of magnitude, not a race.

motel's profile is its own, from another machine. The other figures were measured once on a machine
of the kind that the page was made on, 2 shared cores, and are not measured again with each run.
"""

from __future__ import annotations

from typing import Final

MOTEL_PAGE: Final = "https://andrewh.github.io/motel/docs/explanation/performance-profile/"
"""motel's own profile: four services, an Apple M1."""

MOTEL_OTLP_CPU: Final = {1_000: 0.06, 5_000: 0.13, 10_000: 0.20}
"""Cores by traces per second asked, into a Collector with the nop exporter; from that page."""
MOTEL_STDOUT_CPU: Final = {1_000: 0.14, 5_000: 0.28, 10_000: 0.39}
"""The same into standard output; at 10,000 it reaches 5,900."""

GENERATED_PER_S: Final = {"lading": 1_170_000.0, "motel, walk alone": 740_000.0}
"""Spans per second of one core, generated and, by lading, encoded."""
DELIVERED_PER_S: Final = {"telemetrygen": 111_000.0, "k6": 32_000.0, "motel": 3_600.0}
"""Spans per second that a real Collector on the same machine had accepted, at their fastest."""
