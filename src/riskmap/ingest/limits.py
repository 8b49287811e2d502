"""How much one file may cost. Each number says why it is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_MEMBERS: Final = 10_000
"""Entries of an archive. A large geodatabase has some hundred files; a bomb has millions."""

MAX_DIRECTORY_BYTES: Final = 4 << 20
"""An archive's list of entries, which is held in memory: 10,000 entries of about 400 bytes."""

MAX_RATIO: Final = 200
RATIO_FROM_BYTES: Final = 10 << 20
"""Unpacked : packed, where more than 10 MB come out. Sparse attribute tables reach 100 : 1;
deflate can do 1,032 : 1, and only bombs come near that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """What may be set otherwise where there is more memory or disk.

    Parameters
    ----------
    max_unpacked_bytes
        All that is unpacked of one archive. Counted while it is written: headers can lie.
    max_kml_bytes
        A KML file, unpacked. Only one placemark is held in memory, but a KML of that size is no
        list of places any more: it comes from a program that also writes other formats.
    max_feature_bytes
        One feature of GeoJSON or one placemark: 64 MB are about two million vertices.
    """

    max_unpacked_bytes: int = 4 << 30
    max_kml_bytes: int = 100_000_000
    max_feature_bytes: int = 1 << 26


def in_mb(size: int) -> str:
    """Return a number of bytes in MB, as messages name it."""
    return f"{size / 1e6:,.0f}"
