"""OGC API - Tiles: grids, tilesets of one layer and of all, their tiles; TileJSON for MapLibre."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.access.keys import Caller
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Language, Who, integer, parameters
from riskmap.api.documents import tagged
from riskmap.api.links import JSON, Links, base, cache_headers, link
from riskmap.api.query import feature_query
from riskmap.api.schemas import property_of
from riskmap.api.tile_edge import DROPPED, MVT
from riskmap.api.tiles import MAX_LAYERS, answer, names_of
from riskmap.catalog.spec import Geometry, Layer
from riskmap.errors import NotFoundError
from riskmap.features import read
from riskmap.i18n import Lang, say
from riskmap.tiles import cells, matrix_sets, roads
from riskmap.tiles.grid import GRIDS, MAX_ZOOM, WEB_MERCATOR_QUAD, Grid, address
from riskmap.units import Bbox

router = APIRouter(tags=["tiles"])

_REL: Final = "http://www.opengis.net/def/rel/ogc/1.0"
SCHEME: Final = f"{_REL}/tiling-scheme"
SCHEMES: Final = f"{_REL}/tiling-schemes"
TILESETS: Final = f"{_REL}/tilesets-vector"
_SPEC: Final = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"
CONFORMANCE: Final = tuple(
    f"{_SPEC}/{one}"
    for one in ("core", "tileset", "tilesets-list", "dataset-tilesets", "geodata-tilesets", "mvt")
)
TILEJSON: Final = "application/json"
_DIMENSIONS: Final = {Geometry.POINT: 0, Geometry.LINE: 1, Geometry.POLYGON: 2}
_TYPES: Final = {"String": "string", "Number": "integer"}  # of a cell's fields, in JSON Schema
_WORLD: Final = Bbox(-180, -90, 180, 90)
# All but the network, which has no fields to filter by; `collections=roads,...` asks for it.
_COLLECTIONS: Final = "collections"


def _grid(name: str) -> Grid:
    if name not in GRIDS:
        raise NotFoundError(
            "tile.grid", parameter="tileMatrixSetId", value=name[:40], known=", ".join(GRIDS)
        )
    return GRIDS[name]


def _all(ctx: Context) -> list[str]:
    return list(ctx.catalog)


# ------------------------------------------------------------------ grids


@router.get("/tileMatrixSets", summary="瓦片网格 Tile matrix sets", response_model=None)
async def grids(request: Request, lang: Language) -> Response:
    """List the grids that tiles are cut from."""
    parameters(request, set())
    root = base(request)
    body = {
        "title": say("tilesets.grids", lang),
        "tileMatrixSets": [
            {
                "id": grid.id,
                "title": say(f"tilesets.{grid.id}", lang),
                "crs": matrix_sets.crs(grid),
                **({} if (uri := matrix_sets.uri(grid)) is None else {"uri": uri}),
                "links": [link(f"{root}/tileMatrixSets/{grid.id}", "self", JSON)],
            }
            for grid in GRIDS.values()
        ],
    }
    return tagged(request, body, headers=_PUBLIC)


@router.get(
    "/tileMatrixSets/{tile_matrix_set}", summary="一个网格 A tile matrix set", response_model=None
)
async def grid(tile_matrix_set: str, request: Request) -> Response:
    """Define a grid."""
    parameters(request, set())
    return tagged(request, matrix_sets.definition(_grid(tile_matrix_set)), headers=_PUBLIC)


# ------------------------------------------------------------------ tilesets


@router.get("/tiles", summary="全部图层的瓦片 Tiles of all layers", response_model=None)
async def dataset_tilesets(request: Request, ctx: Ctx, lang: Language) -> Response:
    """List the tilesets of all layers together."""
    parameters(request, set())
    title = say("tilesets.all", lang)
    return tagged(request, _list(request, "/tiles", title, lang), headers=_PUBLIC)


@router.get("/tiles/{layers}.json", summary="TileJSON", response_model=None)
async def tilejson(layers: str, request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Describe the tiles of some layers as TileJSON 3; a filter is passed on to the tiles."""
    names = names_of(layers)
    found = _layers(ctx, names)
    if roads.NAME in names:
        parameters(request, set())
    for layer in found:
        feature_query(request, layer, who, "datum")
    box = await _box(ctx)
    carried = str(request.query_params)
    zooms = [layer.tile.min_zoom for layer in found] + [5] * (roads.NAME in names)
    url = f"{base(request)}/tiles/{layers}/{{z}}/{{x}}/{{y}}.mvt"
    body = {
        "tilejson": "3.0.0",
        "name": "、".join(layer.title.in_(lang) for layer in found) or roads.NAME,
        "tiles": [f"{url}?{carried}" if carried else url],
        "minzoom": min(zooms),
        "maxzoom": max([layer.tile.max_zoom for layer in found], default=MAX_ZOOM),
        "bounds": list(box),
        "center": [(box.west + box.east) / 2, (box.south + box.north) / 2, 10],
        "attribution": "riskmap",
        "vector_layers": [
            *(_vector_layer(layer, who, lang) for layer in found),
            *([_ROADS_LAYER] if roads.NAME in names else []),
        ],
        # What a full tile leaves out, and where it says so.
        "riskmap:dropped": {
            "header": DROPPED,
            "description": say("tilesets.dropped", lang),
            "limits": {layer.id: _limits_of(layer) for layer in found},
        },
    }
    return tagged(request, body, media=TILEJSON, headers=cache_headers(who))


@router.get("/tiles/{tile_matrix_set}", summary="瓦片集 A tileset", response_model=None)
async def dataset_tileset(
    tile_matrix_set: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Describe the tiles of all layers together in a grid."""
    parameters(request, set())
    layers = [ctx.catalog.find(name) for name in _all(ctx)]
    body = await _tileset(
        request, ctx, who, lang, _grid(tile_matrix_set), "/tiles", say("tilesets.all", lang), layers
    )
    return tagged(request, body, headers=cache_headers(who))


@router.get(
    "/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}",
    summary="一张瓦片 A tile of all layers",
    response_model=None,
)
async def dataset_tile(
    tile_matrix_set: str,
    tile_matrix: str,
    tile_row: str,
    tile_col: str,
    request: Request,
    ctx: Ctx,
    who: Who,
) -> Response:
    """Return a tile of all layers, or of those in `collections`; 204 when nothing is in it."""
    asked = request.query_params.get(_COLLECTIONS)
    names = _all(ctx) if asked is None else names_of(asked, parameter=_COLLECTIONS)
    numbers = tile_matrix, tile_row, tile_col
    return await _tile(request, ctx, who, names, _grid(tile_matrix_set), numbers, _COLLECTIONS)


@router.get(
    "/collections/{layer_id}/tiles", summary="一个图层的瓦片 Tiles of a layer", response_model=None
)
async def tilesets(layer_id: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """List the tilesets of a layer."""
    parameters(request, set())
    layer = ctx.catalog.find(layer_id)
    path = f"/collections/{layer.id}/tiles"
    return tagged(request, _list(request, path, layer.title.in_(lang), lang), headers=_PUBLIC)


@router.get(
    "/collections/{layer_id}/tiles/{tile_matrix_set}",
    summary="一个图层的瓦片集 A tileset of a layer",
    response_model=None,
)
async def tileset(
    layer_id: str, tile_matrix_set: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Describe the tiles of a layer in a grid."""
    parameters(request, set())
    layer = ctx.catalog.find(layer_id)
    path, title = f"/collections/{layer.id}/tiles", layer.title.in_(lang)
    grid_ = _grid(tile_matrix_set)
    body = await _tileset(request, ctx, who, lang, grid_, path, title, [layer])
    return tagged(request, body, headers=cache_headers(who))


@router.get(
    "/collections/{layer_id}/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}",
    summary="一个图层的瓦片 A tile of a layer",
    response_model=None,
)
async def tile(
    layer_id: str,
    tile_matrix_set: str,
    tile_matrix: str,
    tile_row: str,
    tile_col: str,
    request: Request,
    ctx: Ctx,
    who: Who,
) -> Response:
    """Return a tile of a layer; 204 when nothing is in it."""
    numbers = tile_matrix, tile_row, tile_col
    return await _tile(request, ctx, who, [layer_id], _grid(tile_matrix_set), numbers)


# ------------------------------------------------------------------ parts

_PUBLIC: Final = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
_ROADS_LAYER: Final = {
    "id": roads.NAME,
    "fields": roads.FIELDS,
    "minzoom": 5,
    "maxzoom": MAX_ZOOM,
}


async def _tile(
    request: Request,
    ctx: Context,
    who: Caller,
    names: Sequence[str],
    grid: Grid,
    numbers: tuple[str, str, str],
    *more: str,
) -> Response:
    # A number that no matrix reaches is a tile that is not there, whatever its length.
    matrix, row, column = (
        integer(text, name, least=0, most=2**31)
        for text, name in zip(numbers, ("tileMatrix", "tileRow", "tileCol"), strict=True)
    )
    place = address(grid, matrix, column, row)
    return await answer(request, ctx, who, names, place, *more)


def _layers(ctx: Context, names: Iterable[str]) -> list[Layer]:
    return [ctx.catalog.find(name) for name in names if name != roads.NAME]


async def _box(ctx: Context) -> Bbox:
    async with ctx.database.read_async() as session:
        facts = await read.facts(session, next(iter(ctx.catalog.values())))
    return facts.city or _WORLD


def _list(request: Request, path: str, title: str, lang: Lang) -> dict[str, Any]:
    root = base(request)
    return {
        "title": title,
        "links": [link(f"{root}{path}", "self", JSON)],
        "tilesets": [
            {
                "title": f"{title} ({grid.id})",
                "dataType": "vector",
                "crs": matrix_sets.crs(grid),
                **({} if (uri := matrix_sets.uri(grid)) is None else {"tileMatrixSetURI": uri}),
                "links": [
                    link(f"{root}{path}/{grid.id}", "self", JSON),
                    link(f"{root}/tileMatrixSets/{grid.id}", SCHEME, JSON),
                ],
            }
            for grid in GRIDS.values()
        ],
    }


async def _tileset(
    request: Request,
    ctx: Context,
    who: Caller,
    lang: Lang,
    grid: Grid,
    path: str,
    title: str,
    layers: Sequence[Layer],
) -> dict[str, Any]:
    box = await _box(ctx)
    least = min(layer.tile.min_zoom for layer in layers)
    most = max(layer.tile.max_zoom for layer in layers)
    return {
        "title": f"{title} ({grid.id})",
        "dataType": "vector",
        "crs": matrix_sets.crs(grid),
        **({} if (uri := matrix_sets.uri(grid)) is None else {"tileMatrixSetURI": uri}),
        "boundingBox": {
            "lowerLeft": [box.west, box.south],
            "upperRight": [box.east, box.north],
            "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        },
        "tileMatrixSetLimits": list(matrix_sets.limits(grid, box, least, most)),
        "layers": [_layer(layer, grid, who, lang) for layer in layers],
        "links": _tileset_links(request, grid, path, layers),
    }


def _tileset_links(request: Request, grid: Grid, path: str, layers: Sequence[Layer]) -> Links:
    root = base(request)
    template = f"{root}{path}/{grid.id}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    found: list[dict[str, Any]] = [
        link(f"{root}{path}/{grid.id}", "self", JSON),
        link(f"{root}/tileMatrixSets/{grid.id}", SCHEME, JSON),
        {**link(template, "item", MVT), "templated": True},
    ]
    if grid is WEB_MERCATOR_QUAD and len(layers) <= MAX_LAYERS:
        names = ",".join(layer.id for layer in layers)
        found.append(link(f"{root}/tiles/{names}.json", "describedby", TILEJSON, "TileJSON"))
    return found


def _layer(layer: Layer, grid: Grid, who: Caller, lang: Lang) -> dict[str, Any]:
    dimension = _DIMENSIONS.get(layer.geometry)
    visible = layer.visible(restricted=who.reads_restricted)
    shown = {one.name: property_of(one, lang) for one in visible if one.in_tile}
    if layer.tile.cluster:
        shown |= {name: {"type": _TYPES[kind]} for name, kind in cells.FIELDS.items()}
    names = matrix_sets.matrices(grid)
    return {
        "id": layer.id,
        "title": layer.title.in_(lang),
        "description": layer.description.in_(lang),
        "dataType": "vector",
        **({} if dimension is None else {"geometryDimension": dimension}),
        "minTileMatrix": str(max(names[0], layer.tile.min_zoom - grid.shift)),
        "maxTileMatrix": str(min(names[-1], layer.tile.max_zoom - grid.shift)),
        "propertiesSchema": {"type": "object", "properties": shown},
    }


def _limits_of(layer: Layer) -> dict[str, int]:
    return {"maxFeatures": layer.tile.max_features, "toZoom10": layer.tile.low_max_features}


def _vector_layer(layer: Layer, who: Caller, lang: Lang) -> dict[str, Any]:
    visible = layer.visible(restricted=who.reads_restricted)
    fields = {one.name: one.label.in_(lang) for one in visible if one.in_tile}
    return {
        "id": layer.id,
        "description": layer.title.in_(lang),
        "fields": fields | cells.FIELDS if layer.tile.cluster else fields,
        "minzoom": layer.tile.min_zoom,
        "maxzoom": layer.tile.max_zoom,
    }
