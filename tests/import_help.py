"""What the tests of modes, undo and history share: imports into layers with their triggers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ingest_help import geojson
from riskmap.catalog.registry import load_catalog
from riskmap.db.city import City
from riskmap.db.sessions import Actor, Database
from riskmap.ingest.report import ImportReport
from riskmap.ingest.run import ImportOptions, import_file

CATALOG = load_catalog()
IMPORTER = Actor("cli:importer", "import-1")


@dataclass
class Desk:
    """Where files come in: one source, one layer."""

    database: Database
    city: City
    folder: Path
    layer: str = "shelters"

    def bring(self, *features: dict[str, Any], layer: str = "", **options: Any) -> ImportReport:
        path = geojson(self.folder, *features)
        return import_file(
            self.database,
            self.city,
            CATALOG[layer or self.layer],
            path,
            ImportOptions(**{"crs": "EPSG:4326", "source_system": "bureau", **options}),
            actor=IMPORTER,
        )

    def rows(self, statement: str) -> list[Any]:
        with self.database.read() as session:
            return list(session.execute(text(statement)).all())

    def column(self, statement: str) -> list[Any]:
        return [row[0] for row in self.rows(statement)]

    @property
    def revision(self) -> int:
        return self.rows("SELECT coalesce(max(revision), 0) FROM feed")[0][0]

    def stored(self) -> dict[str, tuple[int, int, str | None]]:
        """Code -> id, version, name."""
        found = self.rows(f"SELECT code, id, version, name FROM {self.layer} ORDER BY code")
        return {row.code: tuple(row)[1:] for row in found}

    def everything(self) -> list[Any]:
        """All that a second import must not touch: rows to the bit, history, feed."""
        return [
            self.rows(f"SELECT *, xmin, ctid, geom::text AS hex FROM {self.layer} ORDER BY id"),
            self.rows("SELECT id FROM history ORDER BY id"),
            self.revision,
        ]


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.inserted, report.updated, report.unchanged, report.deleted


def division(code: str, level: str, west: float, south: float, size: float) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"code": code, "level": level, "name": code},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
