"""Texts of a topology in XML: any letter may stand in a name, but not in a document."""

from __future__ import annotations

import re
from typing import Final

# What XML cannot hold at all, not even escaped: https://www.w3.org/TR/xml/#charsets.
_IMPOSSIBLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Return *text* with what XML cannot hold replaced."""
    return _IMPOSSIBLE.sub("\ufffd", text)
