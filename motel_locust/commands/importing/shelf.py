"""Where spans wait until all of them are read: in memory while they are few, else on disk.

A trace's spans may lie anywhere in the input. So they are dealt out by a hash of their trace's id
to files, each of which holds whole traces and few enough of them to be looked at in memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from motel_locust.commands.importing.columns import SPAN, TREE, Forest, Spans

if TYPE_CHECKING:
    from collections.abc import Iterator

SPANS_IN_MEMORY: Final = 400_000
"""Some 21 MB; putting that many together takes some 100 MB more for a moment."""
FILES: Final = 256

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: ids that only count up are dealt out evenly too."""


class Shelf:
    """Takes spans in any order and gives them back as whole traces.

    Args:
        most: spans that are held in memory.
        folder: where the files go; a folder of its own is made there, and deleted at the end.
    """

    def __init__(self, *, most: int = SPANS_IN_MEMORY, folder: str | None = None) -> None:
        self._most = most
        self._parent = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._waiting: list[Spans] = []
        self._size = 0
        self.spans = 0

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, spans: Spans) -> None:
        """Take *spans*; they must not change any more."""
        self._waiting.append(spans)
        self._size += spans.size
        self.spans += spans.size
        if self._size > self._most:
            self._deal_out()

    def take(self) -> Iterator[Spans]:
        """Yield all spans, those of a trace together; once."""
        if self._folder is None:
            if self._waiting:
                yield np.concatenate(self._waiting)
                self._waiting.clear()
            return
        self._deal_out()
        for path in self._files("spans"):
            spans = np.fromfile(path, SPAN)
            path.unlink()
            yield spans

    def keep(self, forests: Iterator[Forest]) -> Grove:
        """Return *forests*, which are made from what :meth:`take` yields, to be walked often."""
        if self._folder is None:
            return Grove(list(forests), [])
        paths = []
        for number, forest in enumerate(forests):
            path = Path(self._folder.name, f"trees-{number:03}")
            forest.tofile(path)
            paths.append(path)
        return Grove([], paths)

    def _deal_out(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(
                prefix="motel-locust-import-", dir=self._parent
            )
        if not self._waiting:
            return
        spans = np.concatenate(self._waiting)
        self._waiting.clear()
        self._size = 0
        mixed = (spans["trace_low"] ^ spans["trace_high"]) * _MIX
        file = (mixed >> np.uint64(56)).astype(np.int16)
        order = np.argsort(file, kind="stable")  # in a trace, later spans stay later
        ends = np.searchsorted(file[order], np.arange(FILES + 1))
        for number in range(FILES):
            dealt = order[ends[number] : ends[number + 1]]
            if dealt.size:
                with Path(self._folder.name, f"spans-{number:03}").open("ab") as out:
                    spans[dealt].tofile(out)

    def _files(self, kind: str) -> list[Path]:
        assert self._folder is not None
        return sorted(Path(self._folder.name).glob(f"{kind}-*"))


class Grove:
    """All trees of an import, forest by forest; it can be walked again and again."""

    def __init__(self, forests: list[Forest], paths: list[Path]) -> None:
        self._forests = forests
        self._paths = paths

    def __iter__(self) -> Iterator[Forest]:
        yield from self._forests
        for path in self._paths:
            yield np.fromfile(path, TREE)
