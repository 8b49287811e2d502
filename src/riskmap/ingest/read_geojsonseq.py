"""GeoJSONSeq: one feature after another, by newlines or by RFC 8142's record separators.

One damaged feature is one bad row: the next one begins at the next mark (RFC 7464, section 2.3).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, Batch, ReadOptions
from riskmap.ingest.encodings import read_encoding
from riskmap.ingest.mark_json import marked
from riskmap.ingest.read_geojson import to_batch, too_long

_SEPARATOR: Final = b"\x1e"
_CHUNK: Final = 1 << 20


class GeoJsonSeq:
    """A sequence of features. Empty lines are no rows."""

    headings: tuple[str, ...] | None = None

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path = path
        self._longest = options.limits.max_feature_bytes
        self._encoding = read_encoding(options.encoding) or "utf-8"
        with path.open("rb") as file:
            first = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8).lstrip()
        self._mark = _SEPARATOR if first.startswith(_SEPARATOR) else b"\n"
        if first[:1] not in (_SEPARATOR, b"{"):
            raise InputError("ingest.geojsonseq.kind", parameter="file", value=path.name)

    def batches(self) -> Iterator[Batch]:
        """Yield all features in the order of the file.

        Raises
        ------
        InputError
            A feature is longer than any real one, or no row is a feature.
        """
        size = self._path.stat().st_size
        row = 0
        features = 0
        pending: list[Any] = []
        with self._path.open("rb") as file:
            for text in self._texts(file):
                value = _decoded(text)
                features += isinstance(value, dict) and value.get("type") == "Feature"
                pending.append(value)
                if len(pending) == BATCH_ROWS:
                    self._check_kind(features)
                    yield to_batch(row + 1, pending, (min(file.tell(), size), size))
                    row += len(pending)
                    pending = []
        if pending:
            self._check_kind(features)
            yield to_batch(row + 1, pending, (size, size))

    def _check_kind(self, features: int) -> None:
        """Refuse a whole file of something else, instead of naming its every line."""
        if not features:
            raise InputError("ingest.geojsonseq.kind", parameter="file", value=self._path.name)

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the features with these numbers as they are written, with two properties more."""
        written = 0
        separator = self._mark.decode() if self._mark == _SEPARATOR else ""
        with (
            self._path.open("rb") as file,
            # In the original's encoding, as in `GeoJson.write_rejected`.
            target.open("w", encoding=self._encoding, errors="replace", newline="\n") as copy,
        ):
            for text in marked(self._texts(file), reasons):
                # Within one text newlines are only spaces; between two they are the mark.
                line = text if separator else text.replace("\n", " ").replace("\r", " ")
                copy.write(f"{separator}{line}\n")
                written += 1
        return written

    def _texts(self, file: BinaryIO) -> Iterator[str]:
        """Yield what stands between the marks; bytes that are no text become what is no JSON."""
        first = True
        left = b""
        while True:
            chunk = file.read(_CHUNK)
            # Joined only where a mark is in sight: a long feature must not cost its square.
            pieces = [left]
            while chunk and self._mark not in chunk:
                pieces.append(chunk)
                if sum(map(len, pieces)) > self._longest:
                    raise too_long(self._path, self._longest)
                chunk = file.read(_CHUNK)
            pieces.append(chunk)
            *records, left = b"".join(pieces).split(self._mark)
            if not chunk:
                records, left = [*records, left], b""
            for record in records:
                raw = record.removeprefix(codecs.BOM_UTF8) if first else record
                first = False
                if stripped := raw.strip():
                    yield stripped.decode(self._encoding, errors="backslashreplace")
            if not chunk:
                return


def _decoded(text: str) -> Any:
    """Return the value, or the text itself where it is no JSON: that is no feature either."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
