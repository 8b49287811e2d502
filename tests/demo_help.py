"""A demo city small enough to load in a second: the same kinds of files, some rows of each."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import osmium

WEST, SOUTH, STEP = 122.9, 35.0, 0.002
SIDE = 6
# What a tiny city holds, as `riskmap layers` and the API tell it.
COUNTS = {"geohazard-points": 7, "shelters": 3, "rescue-teams": 2, "population-cells": 16}
EDGES = 2 * SIDE * (SIDE - 1)


def write_city(folder: Path, *, hazards: int = COUNTS["geohazard-points"]) -> Path:
    """Write the files of a tiny city and their manifest; more hazards make a longer load."""
    folder.mkdir()
    _roads(folder / "roads.osm.pbf")
    _points(
        folder / "geohazard-points.geojson",
        [{"code": f"G{n}", "name": f"隐患点 {n}", "risk_level": n % 4 + 1} for n in range(hazards)],
    )
    _points(
        folder / "shelters.geojson",
        [
            {"code": f"S{n}", "name": f"场所 {n}", "capacity": 1000 * n + 100}
            for n in range(COUNTS["shelters"])
        ],
    )
    _points(
        folder / "rescue-teams.geojson",
        [{"code": f"T{n}", "name": f"队伍 {n}"} for n in range(COUNTS["rescue-teams"])],
    )
    with (folder / "population-cells.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["code", "population", "longitude", "latitude"])
        for n in range(COUNTS["population-cells"]):
            rows.writerow([f"P{n}", 100 + n, *_place(n)])
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    """List what lies in the folder."""
    files = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    listed = {path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in files}
    text = json.dumps({"seed": 1, "files": listed}, indent=1)
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _place(n: int) -> list[float]:
    return [round(WEST + n % SIDE * STEP, 6), round(SOUTH + n // SIDE % SIDE * STEP, 6)]


def _points(path: Path, rows: list[dict[str, Any]]) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {**row, "data_quality": "synthetic"},
            "geometry": {"type": "Point", "coordinates": _place(n)},
        }
        for n, row in enumerate(rows)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")


def _roads(path: Path) -> None:
    with osmium.SimpleWriter(str(path)) as writer:
        for n in range(SIDE * SIDE):
            writer.add_node(osmium.osm.mutable.Node(id=n + 1, location=tuple(_place(n))))
        tags = {"highway": "residential"}
        for line in range(SIDE):
            row = [line * SIDE + k + 1 for k in range(SIDE)]
            column = [k * SIDE + line + 1 for k in range(SIDE)]
            writer.add_way(osmium.osm.mutable.Way(id=2 * line + 1, nodes=row, tags=tags))
            writer.add_way(osmium.osm.mutable.Way(id=2 * line + 2, nodes=column, tags=tags))
