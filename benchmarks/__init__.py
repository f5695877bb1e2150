"""What the machine can do: run with ``make bench``, judged by people and never by tests."""
