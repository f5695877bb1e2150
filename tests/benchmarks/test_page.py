from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.page import BLOCK, with_blocks
from benchmarks.parts import PARTS

PAGE = """# Figures

<!-- rates -->
old
<!-- end -->

Between.

<!-- users -->
old too
<!-- end -->
"""

PERFORMANCE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_a_block_is_replaced_and_the_rest_stays() -> None:
    page = with_blocks(PAGE, {"rates": "| new |\n"})
    assert page == PAGE.replace("old\n", "| new |\n", 1)
    assert with_blocks(page, {"rates": "| new |"}) == page


def test_backslashes_in_a_block_are_text() -> None:
    assert r"\1 \g<name>" in with_blocks(PAGE, {"users": r"\1 \g<name>"})


def test_a_block_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for memory; write <!-- memory -->"):
        with_blocks(PAGE, {"memory": ""})


def test_the_page_on_performance_has_a_place_for_every_part_in_their_order() -> None:
    places = [match["name"] for match in BLOCK.finditer(PERFORMANCE.read_text())]
    assert places == ["machine", *PARTS]
    assert len(re.findall("<!-- end -->", PERFORMANCE.read_text())) == len(places)
