"""Texts of ``text`` generators one letter at a time, and Zipf's law as a sum."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from itertools import accumulate

from motel_locust.engine import draws

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
BITS_64 = 2**64 - 1


def spelled(key: str, number: int, length: int) -> str:
    """The text *number* of the attribute *key*: the last twelve letters tell the number."""
    first = draws.key("text", key)
    digits = min(length, 12)
    last = permuted(number, first, 5 * digits)
    found = base_32(last, digits)
    words = [mixed(last + draws.nth(first, n)) for n in range(1, -(-length // 12))]
    return ("".join(base_32(word % 2**60, 12) for word in words) + found)[-length:]


def base_32(value: int, digits: int) -> str:
    letters = ""
    for _ in range(digits):
        value, letter = divmod(value, 32)
        letters = ALPHABET[letter] + letters
    return letters


def permuted(number: int, key: int, bits: int) -> int:
    word, half = (number + key) % 2**bits, (bits + 1) // 2
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        word ^= word >> half
        word = word * factor % 2**bits
    return word ^ word >> half


def mixed(word: int) -> int:
    """Vigna's splitmix64.c, its last three lines."""
    word &= BITS_64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & BITS_64
    word = (word ^ word >> 27) * 0x94D049BB133111EB & BITS_64
    return word ^ word >> 31


@cache
def zipf(count: int, skew: float) -> list[float]:
    """The chances of ranks 1 to *count*."""
    weights = [k**-skew for k in range(1, count + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


@cache
def _passed(count: int, skew: float) -> list[float]:
    return list(accumulate(zipf(count, skew)))


def rank(count: int, skew: float, word: int) -> int:
    """The rank, from 0, that a word draws by inversion of the sum."""
    return min(bisect_right(_passed(count, skew), word / 2**64), count - 1)
