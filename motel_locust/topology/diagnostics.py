"""What is wrong with a topology: where, in whose words, and what would be right."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Severity = Literal["error", "warning"]
Step = str | int

CODES: Final = {
    # the source
    "unreadable-source": "the file or standard input cannot be read, or the URL cannot be reached",
    "url-timeout": "the URL did not answer in full within 10 seconds",
    "url-status": "the URL answered with a status outside 200-299",
    "too-many-redirects": "the URL redirects more than three times",
    "too-large": "the source is longer than 10 MiB (10,485,760 bytes)",
    # the document
    "invalid-encoding": "the bytes are not UTF-8, nor UTF-16 with a byte-order mark",
    "invalid-yaml": "the text is not YAML",
    "unknown-anchor": "an alias names an anchor that is not defined before it",
    "invalid-merge": "a merge key (<<) is given something else than mappings",
    "invalid-key": "a list or a mapping stands where a key belongs",
    "excessive-aliases": "aliases repeat more than 100,000 nodes",
    "too-deep": "lists and mappings are nested more than 100 deep",
    # keys and values
    "duplicate-name": "a key, link, metric or segment end is given twice",
    "unknown-key": "the language has no such key here",
    "missing-key": "a required key is not set",
    "wrong-type": "a list, a mapping or another kind of scalar belongs here",
    "unsupported-version": "the version is not 1",
    "unknown-word": "the text is none of the words that this key allows",
    "invalid-duration": "the text is not a duration such as 1m30s",
    "invalid-number": "the text is not a number, or not a finite one",
    "invalid-share": "the text is neither a percentage nor a ratio",
    "invalid-rate": "the text is not a rate such as 10/s",
    "out-of-range": "the value is too small or too large",
    "empty-key": "a key that must be a name is empty",
    "invalid-name": "the name has characters that it may not have",
    "reserved-key": "the key is set by the program itself",
    "generator-form": "an attribute needs exactly one of the eight generators",
    "conflicting-keys": "two settings exclude each other",
    "incomplete-keys": "a setting needs another one that is not there",
    # references
    "invalid-reference": "the text is not of the form service.operation",
    "unknown-operation": "no operation has this name",
    "ambiguous-reference": "two operations have this name",
    "self-link": "an operation links to itself",
    "unknown-override": "an override names neither an operation nor a service",
    "misplaced-override": "an override of a service sets what only an operation has",
    "not-called": "a scenario removes a call that the operation does not make",
    "unknown-variant": "a scenario overrides a variant that the operation does not have",
    "unknown-baggage": "a variant asks for baggage that nothing sets",
    "unknown-instance": "the service has no instance of this number",
    "unknown-metric": "a scenario overrides a metric that is not defined at this place",
    "fixed-metric": "a scenario overrides a metric that has no value",
    "too-many-variants": "variants and their baggage make more than 10,000 kinds of requests",
    "call-cycle": "calls lead back to where they began",
    "unknown-domain": "the semantic conventions have no group of this name",
    "unknown-column": "a file of rows has no such column",
    "invalid-rows": "a file of rows is not CSV with a header, or has too many rows or none",
    "unknown-reference": "a group of conventions refers to an attribute or group that is not there",
    "scenario-cycle": "with the calls that scenarios add, calls lead back to where they began",
}
"""Every code of an error, and what it stands for."""

WARNING_CODES: Final = {
    "null-entry": "a null stands in a list or as a key, and is left out",
    "zero-probability": "a call has probability 0, which means always",
    "zero-multiplier": "trough_multiplier is 0, which means 0.5",
    "without-effect": "the setting can never act",
    "locks-on": "backpressure keeps itself on once it has begun",
    "never-expires": "failures of a circuit breaker never expire, or it never stays open",
    "scenario-root": "an operation is called by scenarios only, and is a root until then",
    "duplicate-scenario": "two scenarios have one name",
    "never-matches": "a segment ends before the run begins",
    "unreachable-variant": "no request brings the baggage that a variant asks for",
    "late-event": "an event lies beyond the longest likely span",
    "unfilled-placeholder": "nothing can fill a placeholder of a log body",
    "shadowed-attribute": "a later setting always replaces this attribute",
    "shared-id": "several instances of a service have one id",
    "printed-value": "an attribute's value is a list or mapping, and is sent as text",
    "other-instrument": "the semantic conventions know the metric as another instrument",
    "other-unit": "the semantic conventions know the metric in another unit",
    "deprecated-name": "the semantic conventions have deprecated an attribute or metric",
    "misspelt-name": "an attribute is called nearly as the semantic conventions call one",
    "unlisted-value": "the value is none that the semantic conventions list for the attribute",
    "dotted-service": "a service name with a dot does not work in motel",
}
"""Every code of a warning, and what it stands for."""


class Mistake(ValueError):
    """One thing that is wrong with a value, told without its place.

    *path* leads from the value that was being read to the part that is wrong; *at_key* says that
    the key there is wrong, not what it holds. The message goes on where the name of the field ends
    (``error_rate`` ``130% is above 100%``), or is *complete* without.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: tuple[Step, ...] = (),
        at_key: bool = False,
        complete: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.path = path
        self.at_key = at_key
        self.complete = complete


class Mistakes(ValueError):
    """Several mistakes that were found in one value."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(map(str, self.mistakes)))


_SHOWN: Final = 160
"""How many characters of a long line are shown."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a topology, and its place in the source."""

    file: str
    line: int
    """From 1; 0 where the whole source is meant."""
    column: int
    """From 1, in characters; 0 where the whole source is meant."""
    message: str
    code: str
    severity: Severity = "error"
    where: str = ""
    """The path inside the topology: service, operation, key."""
    excerpt: str = ""
    """The line of the source."""
    width: int = 1
    """How many characters of the line are meant."""

    def __str__(self) -> str:
        return "\n".join([self.headline, *self._picture()])

    @property
    def headline(self) -> str:
        """Place, message and code on one line."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        warning = "warning: " if self.severity == "warning" else ""
        return f"{place}: {warning}{self.message} [{self.code}]"

    def _picture(self) -> list[str]:
        if not self.excerpt:
            return []
        number = str(self.line)
        gutter = " " * len(number)
        start = max(0, self.column - 1 - _SHOWN // 2) if len(self.excerpt) > _SHOWN else 0
        shown = self.excerpt[start : start + _SHOWN]
        # Tabs are kept, so that the caret stands below its character at any tab width.
        before = self.excerpt[start : self.column - 1]
        indent = "".join("\t" if letter == "\t" else " " for letter in before)
        tildes = "~" * min(self.width - 1, len(shown) - len(before) - 1)
        lines = [f"{gutter} |", f"{number} | {shown}", f"{gutter} | {indent}^{tildes}"]
        if self.where:
            lines.append(f"{gutter} = in {self.where}")
        return lines


class TopologyError(Exception):
    """A topology that cannot be used; *problems* holds every reason, in file order."""

    def __init__(self, problems: Sequence[Diagnostic]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def with_article(noun: str) -> str:
    """Return *noun* behind "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def quoted(text: str) -> str:
    """Return *text* in double quotes, control characters escaped, shortened to about 60."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    escaped = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in shown
    )
    return f'"{escaped}"'


def listed(words: Iterable[str], last: str = "or") -> str:
    """Return *words* as a sentence lists them: ``a, b or c``."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with at most three close names, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.75)
    return f"; did you mean {listed(map(quoted, near))}?" if near else ""
