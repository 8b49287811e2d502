"""What came packed: read from where it was unpacked, and its rejected rows packed again."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from riskmap.ingest.batches import Batch, Source


class Packed:
    """A source out of an archive or a folder.

    Parameters
    ----------
    name
        Of the dataset's file within a new archive: its ending is the inner format's.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name

    @property
    def headings(self) -> tuple[str, ...] | None:
        """The headings of the dataset."""
        return self._source.headings

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of the dataset."""
        return self._source.batches()

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the rows with these numbers, as the dataset's source does, into a zip."""
        folder = target.with_suffix(".parts")
        folder.mkdir()
        try:
            written = self._source.write_rejected(folder / self._name, reasons)
            if written:
                _pack(folder, target)
        finally:
            shutil.rmtree(folder)
        return written


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
