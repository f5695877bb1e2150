"""What ends an import: one message that names the file and the line."""

from __future__ import annotations

from dataclasses import dataclass


class ImportFault(Exception):  # the input's fault, told to whoever gave it
    """Traces that cannot be imported; the text is the whole message."""


@dataclass(slots=True)
class Place:
    """Where in the input the reading is."""

    name: str
    number: int = 0
    """Of the line, or of the length-prefixed message; from 1, 0 where only the file is known."""
    unit: str = ""
    """What *number* counts if not lines."""

    def __str__(self) -> str:
        if not self.number:
            return self.name
        return f"{self.name}:{f'{self.unit} ' if self.unit else ''}{self.number}"

    def fault(self, message: str) -> ImportFault:
        """Return *message* as a fault at this place."""
        return ImportFault(f"{self}: {message}")
