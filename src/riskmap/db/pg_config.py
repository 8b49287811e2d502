"""The configuration of the embedded cluster: small, and right for one city on one machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
LARGEST_BUFFERS_MIB: Final = 256
SMALLEST_BUFFERS_MIB: Final = 32
LOG_MIB: Final = 10
KEPT_LOGS: Final = 10


def configuration() -> str:
    """Return the text of riskmap.conf for the machine we are on."""
    memory = _memory_mib()
    buffers = max(SMALLEST_BUFFERS_MIB, min(LARGEST_BUFFERS_MIB, memory // 8))
    settings = {
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(buffers, memory // 2)}MB",
        "maintenance_work_mem": f"{max(16, min(128, memory // 16))}MB",
        "max_connections": "100",
        "jit": "off",  # our statements are short, compiling them takes longer than running them
        "random_page_cost": "1.1",
        "timezone": "'UTC'",
        "logging_collector": "on",
        "log_directory": "'log'",
        "log_filename": "'postgresql-%Y%m%d-%H%M%S.log'",
        "log_rotation_size": f"{LOG_MIB}MB",
        "log_rotation_age": "7d",
        "log_checkpoints": "off",
        # A refused statement's text may hold phones and names.
        "log_min_error_statement": "panic",
    }
    lines = ["# Written by riskmap at every start. Your own changes: ALTER SYSTEM."]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _memory_mib() -> int:
    """Return the memory we may use: the machine's, or our container's where that is less."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no control group, or its limit is the word "max"
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        memory = min(memory, limit)
    return memory // MIB
