"""Values on a logarithmic scale: which of the 2**20 buckets of its octave each of them lies in.

The buckets are those of OpenTelemetry's data model
(https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram): at scale *s*,
bucket *i* has what lies above ``2**(i / 2**s)`` and not above ``2**((i + 1) / 2**s)``. So it is two
of scale s + 1, the buckets ``2 * i`` and ``2 * i + 1``, and the indexes of the finest scale tell
all others: shifted to the right by n bits, they are those of the scale n below.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINEST: Final = 20
"""The finest scale: beyond it, the indexes of some float64 need more than 32 bits."""
COARSEST: Final = -10
"""The scale at which two buckets hold all positive float64, but for subnormal ones."""

# A logarithm is at most 4 of its units off, each 2**-43 or less: 2**-21 of a finest bucket.
_DOUBT: Final = 2.0**-19
# Much more than a float64 has; what is cut off in 20 squarings is then less than 2**-200 of all.
_BITS: Final = 256


def indexes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bucket of each value at the finest scale: int64[rows].

    values float64[rows], finite and above 0. In plain Python:
    ``[exact_index(value) for value in values.tolist()]``
    """
    places = np.log2(values)
    places *= 1 << FINEST
    found = np.ceil(places).astype(np.int64)
    found -= 1
    doubtful = (np.abs(places - np.rint(places)) < _DOUBT).nonzero()[0]
    if doubtful.size:
        mantissas, exponents = np.frexp(values[doubtful])
        found[doubtful] = ((exponents.astype(np.int64) - 1) << FINEST) - 1
        rest = doubtful[mantissas != 0.5]  # that was the bucket of powers of two
        distinct, which = np.unique(values[rest], return_inverse=True)
        found[rest] = np.array([exact_index(each) for each in distinct.tolist()], np.int64)[which]
    return found


def exact_index(value: float) -> int:
    """Return the bucket of *value*, finite and above 0, at the finest scale.

    That is ``ceil(log2(value) * 2**20) - 1``, the number of whole octaves below the value's power
    of 2**20. Squared 20 times, a value that is no power of two never comes to lie on a bound.
    """
    fraction, exponent = math.frexp(value)
    if fraction == 0.5:
        return ((exponent - 1) << FINEST) - 1
    mantissa, exponent = int(math.ldexp(fraction, 53)), exponent - 53
    for _ in range(FINEST):
        mantissa, exponent = mantissa * mantissa, 2 * exponent
        excess = max(mantissa.bit_length() - _BITS, 0)
        mantissa, exponent = mantissa >> excess, exponent + excess
    return exponent + mantissa.bit_length() - 1
