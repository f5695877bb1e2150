"""Pieces of SVG: one style for light and dark screens, no fonts or scripts from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from motel_locust.commands.checking.markup import legal

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS: Final = (
    *("#3b82f6", "#22a06b", "#d9830f", "#a855f7"),
    *("#e0526b", "#12a4b4", "#8a9a1c", "#c2569f"),
    *("#7a86f5", "#b4743c", "#4d9f9f", "#8f8f99"),
)
"""What tells services and scenarios apart; readable on light and on dark."""

_STYLE: Final = """
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;\
font-size:12px;fill:#1f2328}
.back{fill:#ffffff}.title{font-size:15px;font-weight:600}.name{font-weight:600;font-size:13px}
.faint{fill:#656d76}.small{font-size:11px}.bad{fill:#cf222e;font-weight:600}
.halo{paint-order:stroke;stroke:#ffffff;stroke-width:3px;stroke-linejoin:round}
.grid{stroke:#d0d7de;fill:none}.rate{stroke:#0969da;fill:none;stroke-width:1.8;\
stroke-linejoin:round}.area{fill:#0969da;fill-opacity:.1}.dot{fill:#0969da}
.band{fill-opacity:.13}.box{fill:#f6f8fa;stroke:#d0d7de}.unused{opacity:.45}
.call{fill:none;stroke:#8c959f}.async{stroke-dasharray:5 4}.tip{fill:#8c959f}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.back{fill:#0d1117}.faint{fill:#8d96a0}.bad{fill:#ff7b72}.halo{stroke:#0d1117}
.grid{stroke:#30363d}.rate{stroke:#58a6ff}.area{fill:#58a6ff}.dot{fill:#58a6ff}.band{fill-opacity:.22}
.box{fill:#161b22;stroke:#3d444d}.call{stroke:#6e7681}.tip{fill:#6e7681}
}
"""

# Widths of letters in parts of the font's size, for usual fonts without serifs; a little too wide.
_NARROW: Final = frozenset("ijlft.,:;'|!()[]{}/ -·")
_WIDE: Final = frozenset("mwMW@%—…")


@dataclass(frozen=True, slots=True)
class Picture:
    """Drawn SVG elements, and the room they take from (0, 0)."""

    width: float
    height: float
    content: str


def page(pictures: Sequence[Picture]) -> str:
    """Return one SVG document with *pictures* below one another."""
    width = max(each.width for each in pictures)
    height = sum(each.height for each in pictures)
    body, top = [], 0.0
    for each in pictures:
        body.append(f'<g transform="translate(0 {number(top)})">\n{each.content}\n</g>')
        top += each.height
    size = f'width="{number(width)}" height="{number(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
        f' viewBox="0 0 {number(width)} {number(height)}">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="back" {size}/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def number(value: float) -> str:
    """Return *value* with at most one decimal, fine enough for a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def words(x: float, y: float, text: str, *, classes: str = "", anchor: str = "start") -> str:
    """Return *text* with its base line at (*x*, *y*)."""
    placed = f'x="{number(x)}" y="{number(y)}"'
    named = f' class="{classes}"' if classes else ""
    anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f"<text {placed}{named}{anchored}>{escape(legal(text))}</text>"


def tooltip(text: str) -> str:
    """Return what a browser shows while the pointer rests on the element around it."""
    return f"<title>{escape(legal(text))}</title>"


def text_width(text: str, size: float) -> float:
    """Return about how wide *text* is at a font *size* in pixels."""
    return sum(map(_letter_width, text)) * size


def _letter_width(letter: str) -> float:
    if letter in _NARROW:
        return 0.36
    if letter in _WIDE:
        return 0.92
    if letter.isupper() or ord(letter) > 0x2E80:  # from here on, scripts as wide as high
        return 0.72 if letter.isupper() else 1.0
    return 0.6
