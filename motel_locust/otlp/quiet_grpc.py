"""grpcio, imported without its own log and without its support of forks.

What it logs, such as a server that said goodbye, goes to standard error past Python's logging, in
a form of its own; what matters of it is in the ledger. ``GRPC_VERBOSITY=debug`` brings it back.

Its support of forks aborts one of a dozen child processes that are started under gevent while calls
are under way. Whoever forks and goes on does so before the first channel, and needs none.
"""

from __future__ import annotations

import os

# Read while grpc is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

__all__ = ["grpc"]
