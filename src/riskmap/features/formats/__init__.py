"""The formats that features are given in: names, media types, and how each is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Way(StrEnum):
    """How an answer of a format comes about."""

    PAGE = "page"  # a page with links to its neighbours
    STREAM = "stream"  # all that match, sent while the database reads
    SPOOL = "spool"  # all that match, written to the disk first: the format has a table at its end


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Parameters
    ----------
    name
        What `f` says.
    also
        Other media types that ask for it.
    """

    name: str
    title: str
    media_type: str
    extension: str
    way: Way
    also: tuple[str, ...] = ()

    @property
    def paged(self) -> bool:
        """Whether it comes in pages; the others have no limit unless one is asked for."""
        return self.way is Way.PAGE


GEOJSON: Final = Format(
    "geojson", "GeoJSON", "application/geo+json", "geojson", Way.PAGE, ("application/json",)
)
HTML: Final = Format("html", "HTML", "text/html", "html", Way.PAGE, ("application/xhtml+xml",))
JSONFG: Final = Format("jsonfg", "JSON-FG", "application/fg+json", "fg.json", Way.PAGE)
GEOJSONSEQ: Final = Format(
    "geojsonseq", "GeoJSON Text Sequence", "application/geo+json-seq", "geojsons", Way.STREAM
)
CSV: Final = Format("csv", "CSV", "text/csv", "csv", Way.STREAM)
XLSX: Final = Format(
    "xlsx",
    "XLSX",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xlsx",
    Way.SPOOL,
)
FLATGEOBUF: Final = Format("flatgeobuf", "FlatGeobuf", "application/flatgeobuf", "fgb", Way.SPOOL)
GEOPARQUET: Final = Format(
    "geoparquet", "GeoParquet", "application/vnd.apache.parquet", "parquet", Way.SPOOL
)

#: The first is what a caller gets who does not say.
OF_PAGE: Final = (GEOJSON, HTML, JSONFG, GEOJSONSEQ, CSV, XLSX, FLATGEOBUF, GEOPARQUET)
OF_ITEM: Final = (GEOJSON, HTML, JSONFG)

# What an import knows our own files by; it reads them in a process that loads no database.
#: The column of a feature's id. No source of ours calls its own numbers so: by this name an import
#: tells a table that riskmap wrote from any other.
ID_COLUMN: Final = "riskmap_id"
#: The sheet of a workbook that says what it holds: no import takes it for data.
ABOUT_SHEET: Final = "说明 About"
