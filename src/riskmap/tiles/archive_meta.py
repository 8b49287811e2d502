"""What an archive says of itself: its layers and fields, its revision, and its maker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from riskmap import __version__
from riskmap.catalog.spec import Kind, Layer
from riskmap.db.city import City
from riskmap.i18n import say
from riskmap.tiles import cells, roads
from riskmap.tiles.grid import EXTENT

#: Counted up with every change of what is in a tile that no declaration shows.
CONTENT: Final = 2
#: Where our own members stand in the metadata.
OURS: Final = "riskmap"
# TileJSON 3 knows of three types.
_TYPES: Final = {
    Kind.INTEGER: "Number",
    Kind.NUMBER: "Number",
    Kind.BOOLEAN: "Boolean",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an archive tells of itself beside its layers.

    Parameters
    ----------
    revision
        The data's, of which all of its tiles are.
    generated_at
        ISO 8601, UTC.
    dropped
        How many features the tiles left out for want of room, by zoom.
    """

    revision: int
    schema: str
    generated_at: str
    zooms: tuple[int, int]
    dropped: Mapping[int, int]


def schema(layers: Sequence[Layer], *, with_roads: bool) -> str:
    """Return a fingerprint of what tiles of these layers hold and how a page may read them."""
    said = {
        "content": CONTENT,
        "extent": EXTENT,
        "cells": [cells.MAX_ZOOM, cells.ACROSS],
        "layers": {
            layer.id: [
                layer.geometry,
                layer.assessed,
                repr(layer.tile),
                [[field.name, field.kind] for field in _fields(layer)],
            ]
            for layer in layers
        },
        "roads": roads.FIELDS if with_roads else None,
    }
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def metadata(
    city: City, layers: Sequence[Layer], about: About, *, with_roads: bool
) -> dict[str, Any]:
    """Return the metadata of an archive (PMTiles v3 section 5, TileJSON 3 section 3.3)."""
    names = " ".join(name for name in (city.name, city.name_en) if name)
    mark = " ".join(say("archive.synthetic", lang) for lang in ("zh", "en"))
    under = [_roads(about)] if with_roads else []
    return {
        "name": f"{names} ({mark})" if city.synthetic else names,
        "description": say("archive.description", "zh") + " " + say("archive.description", "en"),
        "attribution": mark if city.synthetic else names,
        "type": "overlay",
        "version": str(about.revision),
        "vector_layers": [*under, *(_described(layer, about) for layer in layers)],
        OURS: {
            "program": __version__,
            "revision": about.revision,
            "schema": about.schema,
            "generated_at": about.generated_at,
            "synthetic": city.synthetic,
            "layers": names_of(layers, with_roads=with_roads),
            "zooms": list(about.zooms),
            "dropped": {str(zoom): count for zoom, count in sorted(about.dropped.items())},
        },
    }


def names_of(layers: Sequence[Layer], *, with_roads: bool) -> tuple[str, ...]:
    """Return the names of what is in the tiles, as an address of tiles has them."""
    return (*(layer.id for layer in layers), *([roads.NAME] if with_roads else []))


def _fields(layer: Layer) -> list[Any]:
    return [field for field in layer.visible(restricted=False) if field.in_tile]


def _described(layer: Layer, about: About) -> dict[str, Any]:
    fields = {field.name: _TYPES.get(field.kind, "String") for field in _fields(layer)}
    return {
        "id": layer.id,
        "description": f"{layer.title.zh} {layer.title.en}",
        "minzoom": max(layer.tile.min_zoom, about.zooms[0]),
        "maxzoom": min(layer.tile.max_zoom, about.zooms[1]),
        "fields": fields | cells.FIELDS if layer.tile.cluster else fields,
    }


def _roads(about: About) -> dict[str, Any]:
    return {
        "id": roads.NAME,
        "description": " ".join(say("archive.roads", lang) for lang in ("zh", "en")),
        "minzoom": about.zooms[0],
        "maxzoom": about.zooms[1],
        "fields": roads.FIELDS,
    }
