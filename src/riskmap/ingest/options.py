"""What whoever imports a file says about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.mapping import FieldMapping

MODES: Final = ("upsert", "replace", "append")
UNSTATED: Final = "local"
"""The source system of rows whose sender states none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to import a file.

    Parameters
    ----------
    crs
        `EPSG:n`; None is refused: nothing is guessed.
    axes
        Which axis the first coordinate is: `en` (east first, the usual) or `ne` (north first, as
        Chinese survey tables write x and y).
    datum_shift
        Parameters of PROJ's towgs84 (3 or 7 numbers), which Beijing 1954 and Xian 1980 need.
    table
        Which table of a GeoPackage or geodatabase, sheet of a workbook.
    encoding
        Encoding of the file's texts; None: as it says itself, else UTF-8, else GB 18030.
    source_system
        Who the rows are from; the same code from another source is another feature.
    mode
        `upsert`: by (source_system, code). `replace`: the same, and what the file no longer has
        is deleted. `append`: a row whose code is stored already is refused.
    repair
        Make invalid geometries valid instead of refusing their rows.
    max_bad_share
        Share of rows that may be refused while the others go in, 0 to 1. 0: all or nothing.
    dry_run
        Check and count, write nothing.

    """

    crs: str | None
    axes: str = "en"
    datum_shift: tuple[float, ...] = ()
    mapping: FieldMapping = field(default_factory=FieldMapping)
    table: str | None = None
    encoding: str | None = None
    source_system: str = UNSTATED
    mode: str = "upsert"
    repair: bool = False
    max_bad_share: float = 0.0
    dry_run: bool = False

    def check_share(self) -> None:
        """Refuse a share that is none."""
        share = self.max_bad_share
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise InputError("ingest.share", parameter="max_bad_share", value=str(share))
