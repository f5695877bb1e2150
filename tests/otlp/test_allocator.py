from __future__ import annotations

import platform

from motel_locust.otlp.allocator import keep_memory


def test_memory_is_kept_where_the_c_library_can() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")
