"""Tables in a Markdown page: what stands between ``<!-- NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = re.compile(r"(?P<begin><!-- (?P<name>[a-z]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def with_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """Return *page* with its blocks replaced by those of the same name in *blocks*.

    A block that *blocks* does not have stays as it is. Raises ValueError where the page has no
    place for one of *blocks*.
    """
    places = {match["name"] for match in BLOCK.finditer(page)}
    if missing := [name for name in blocks if name not in places]:
        raise ValueError(f"no place for {', '.join(missing)}; write <!-- {missing[0]} --> and end")

    def replaced(match: re.Match[str]) -> str:
        if match["name"] not in blocks:
            return match[0]
        return f"{match['begin']}{blocks[match['name']].strip()}\n{match['end']}"

    return BLOCK.sub(replaced, page)
