"""Spans of an import as columns, and the names that they refer to by number."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

SPAN: Final = np.dtype(
    [
        ("trace_high", "<u8"),
        ("trace_low", "<u8"),
        ("span", "<u8"),
        ("parent", "<u8"),  # 0: no parent
        ("start_ns", "<i8"),
        ("end_ns", "<i8"),
        ("operation", "<i4"),
        ("flags", "u1"),
    ]
)
"""A span as it was read: ids as their bytes, times in Unix time, the operation by its number."""

FAILED: Final = 1
DETACHED: Final = 2
"""The reference to the parent was FOLLOWS_FROM: the parent did not wait."""
KIND_SHIFT: Final = 2
"""The bits above hold ``Span.SpanKind``, 0 where it was not told."""

Spans: TypeAlias = NDArray[np.void]
"""SPAN[rows]"""

TREE: Final = np.dtype(
    [
        ("parent", "<i4"),
        ("operation", "<i4"),
        ("start_ns", "<i8"),
        ("end_ns", "<i8"),
        ("failed", "?"),
        ("kind", "u1"),
        ("detached", "?"),
        ("entry", "?"),
    ]
)
"""A span in its tree: ``parent`` is the row of the caller, ROOT where there is none; ``entry`` is
True for the root at which the trace began."""

ROOT: Final = -1

Forest: TypeAlias = NDArray[np.void]
"""TREE[rows], sorted by parent, operation and start: roots first, then the children of one span
together, and of these the calls of one target together, in the order of their starts."""

Column: TypeAlias = NDArray[Any]
