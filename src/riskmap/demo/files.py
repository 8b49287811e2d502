"""Writes the demo city as files that the importer takes; equal cities give equal bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import shapely
from pyproj import Transformer

from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Layer
from riskmap.demo.ground import SRID, Ground
from riskmap.demo.places import Feature, Layers
from riskmap.demo.streets_pbf import write_pbf

# Of the whole generator: a change of what it makes of a seed counts it up.
GENERATOR: Final = 1
MANIFEST: Final = "manifest.json"
ROADS: Final = "roads.osm.pbf"
NOTICE: Final = {
    "zh": "演示数据：由程序生成，不对应任何真实地点、单位或人员。",
    "en": "Synthetic data: made by a program; no real place, firm or person is meant.",
}
# A millionth of a degree is 0.1 m.
_DECIMALS: Final = 6
# Very many points with few fields take a third of the room as a table.
_AS_TABLE: Final = ("population-cells",)

Shapes = npt.NDArray[np.object_]


def to_degrees(features: list[Feature]) -> Shapes:
    """Return the shapes in degrees, rounded as the files have them and still valid."""
    transformer = Transformer.from_crs(SRID, 4326, always_xy=True)

    def convert(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    shapes = np.array([feature.shape for feature in features], dtype=object)
    degrees = shapely.set_precision(shapely.transform(shapes, convert), 10.0**-_DECIMALS)
    # RFC 7946: outer rings run counter-clockwise.
    return np.asarray(shapely.orient_polygons(degrees))


def write_files(ground: Ground, layers: Layers, folder: Path) -> None:
    """Write roads, a file for each layer, and the manifest that names them all."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = load_catalog()
    write_pbf(ground.streets, folder / ROADS)
    names = [ROADS]
    for layer_id, features in layers.items():
        layer = catalog[layer_id]
        ending, content = (
            ("csv", _table(layer, features))
            if layer_id in _AS_TABLE
            else ("geojson", _collection(layer, features))
        )
        names.append(f"{layer_id}.{ending}")
        (folder / names[-1]).write_bytes(content)
    manifest = {
        "synthetic": True,
        "notice": NOTICE,
        "generator": GENERATOR,
        "seed": ground.seed,
        "counts": {layer_id: len(features) for layer_id, features in layers.items()},
        "roads": {"ways": len(ground.streets.ways), "nodes": len(ground.streets.node_xy)},
        "files": {name: _about(folder / name) for name in sorted(names)},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def _about(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _ordered(layer: Layer, feature: Feature) -> dict[str, Any]:
    """Return the properties in the order in which the layer declares them."""
    names = [field.name for field in layer.fields] + [child.name for child in layer.children]
    unknown = feature.properties.keys() - set(names)
    if unknown:
        raise ValueError(f"{layer.id} has no fields {sorted(unknown)}")
    return {name: feature.properties[name] for name in names if name in feature.properties}


def _collection(layer: Layer, features: list[Feature]) -> bytes:
    """Return a FeatureCollection with a feature on each line."""
    head = {"type": "FeatureCollection", "name": layer.id, "synthetic": True, "notice": NOTICE}
    lines = [
        orjson.dumps(
            {
                "type": "Feature",
                "properties": _ordered(layer, feature),
                "geometry": _geometry(shape),
            }
        )
        for feature, shape in zip(features, to_degrees(features), strict=True)
    ]
    return b'%b,"features":[\n%b\n]}\n' % (orjson.dumps(head)[:-1], b",\n".join(lines))


def _geometry(shape: Any) -> dict[str, Any]:
    geometry: dict[str, Any] = shapely.geometry.mapping(shape)
    return {"type": geometry["type"], "coordinates": _rounded(geometry["coordinates"])}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_rounded(one) for one in value]
    return round(value, _DECIMALS)


def _table(layer: Layer, features: list[Feature]) -> bytes:
    """Return a CSV of points."""
    used = {name for feature in features for name in feature.properties}
    names = [name for name in (field.name for field in layer.fields) if name in used]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "lon", "lat"])
    places = shapely.get_coordinates(to_degrees(features)).round(_DECIMALS).tolist()
    for feature, place in zip(features, places, strict=True):
        properties = _ordered(layer, feature)
        writer.writerow([*(properties.get(name) for name in names), *place])
    return text.getvalue().encode()
