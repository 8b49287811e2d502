"""What the tests of the import share: a layer with every kind of field, files, a whole check."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from riskmap.catalog.spec import Child, Field, Geometry, Kind, Layer, Role, Text, Value
from riskmap.crs.input import read_crs
from riskmap.ingest.batches import ReadOptions
from riskmap.ingest.checks import Checker
from riskmap.ingest.mapping import FieldMapping, Plan
from riskmap.ingest.readers import read
from riskmap.ingest.report import ProblemLog
from riskmap.units import Bbox

BOX = Bbox(118.0, 31.0, 121.0, 37.0)
PORTO_ALEGRE = Bbox(-51.4, -30.3, -51.0, -29.9)


def trial_layer(geometry: Geometry = Geometry.POINT, *, name: str = "trial-places") -> Layer:
    return Layer(
        id=name,
        title=Text("试验", "Trial"),
        description=Text("试验", "Trial"),
        geometry=geometry,
        role=Role.HAZARD,
        assessed=True,
        people="population",
        own_fields=(
            Field(name="population", zh="人口", en="Population", kind=Kind.INTEGER, minimum=0),
            Field(name="area_m2", zh="面积", en="Area", kind=Kind.NUMBER, minimum=0, maximum=1e9),
            Field(name="on_duty", zh="值班", en="On duty", kind=Kind.BOOLEAN),
            Field(name="filed_on", zh="备案日期", en="Filed on", kind=Kind.DATE),
            Field(
                name="skills",
                zh="专长",
                en="Skills",
                kind=Kind.TEXTS,
                values=(Value("fire", "消防", "Fire"), Value("water", "水上", "Water")),
            ),
            Field(name="plan", zh="预案", en="Plan", kind=Kind.JSON),
        ),
        children=(
            Child(
                name="chemicals",
                zh="化学品",
                en="Chemicals",
                fields=(
                    Field(name="cas", zh="CAS号", en="CAS", required=True),
                    Field(
                        name="quantity_t",
                        zh="数量",
                        en="Quantity",
                        kind=Kind.NUMBER,
                        minimum=0,
                    ),
                    Field(name="since", zh="起始", en="Since", kind=Kind.DATE),
                ),
            ),
        ),
    )


def point(
    code: object, x: object = 120.0, y: object = 36.0, **properties: object
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code, **properties},
        "geometry": {"type": "Point", "coordinates": [x, y]},
    }


def shape(code: object, kind: str, coordinates: object) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def geojson(folder: Path, *features: object, name: str = "a.geojson", **members: object) -> Path:
    path = folder / name
    content = {"type": "FeatureCollection", **members, "features": features}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def table(folder: Path, text: str, *, encoding: str = "utf-8", name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@dataclass
class Outcome:
    log: ProblemLog
    rows: list[int] = field(default_factory=list)
    records: list[dict[str, object]] = field(default_factory=list)

    @property
    def found(self) -> list[tuple[int, str, str | None]]:
        return [(p.row, p.key, p.field) for p in self.log.problems]


def run(
    path: Path,
    layer: Layer | None = None,
    *,
    crs: str = "EPSG:4326",
    mapping: FieldMapping | None = None,
    box: Bbox = BOX,
    repair: bool = False,
) -> Outcome:
    """Read and check a file as an import does, without a database."""
    layer = layer or trial_layer()
    mapping = mapping or FieldMapping()
    outcome = Outcome(ProblemLog())
    input_crs = read_crs(crs)
    plan = Plan(layer, mapping, ZoneInfo("Asia/Shanghai"))
    checker = Checker(layer, plan, input_crs, box, outcome.log, repair=repair)
    for batch in read(path, ReadOptions(crs=input_crs, mapping=mapping)).batches():
        ready = checker.check(batch)
        outcome.rows += ready.rows
        names = list(ready.columns)
        cells = zip(*ready.columns.values(), strict=True)
        outcome.records += [dict(zip(names, row, strict=True)) for row in cells]
    return outcome
