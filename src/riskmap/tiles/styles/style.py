"""The styles: documents of the MapLibre style specification, made from the layers' declarations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role, Text
from riskmap.crs.datum import Datum
from riskmap.errors import NotFoundError
from riskmap.tiles import roads
from riskmap.tiles.styles import clusters, dangers, ground, helpers
from riskmap.tiles.styles.expressions import Rule
from riskmap.tiles.styles.ground import Look
from riskmap.tiles.styles.kinds import Kind, kind_of
from riskmap.units import Bbox

# Tiles beyond this zoom show nothing new: the one before is drawn larger.
_TILES_TO_ZOOM: Final = 16
# A tile's address takes 16 names; one is left for the roads.
_PER_SOURCE: Final = 15
_NAMES: Final = "names"
NAMES_PATH: Final = "/styles/names.geojson"
_PEOPLE: Final = "people"
_RASTER: Final = "raster"
# What a screen of 1024 px shows at zoom 0: two worlds of 512 px.
_SCREEN_WORLDS: Final = 2

STYLES: Final = {
    "risk": Text("城市公共安全风险一张图", "City safety risks"),
    "base": Text("底图", "Base map"),
}
# What lies on the ground, and belongs to the base map alone.
_GROUND: Final = frozenset({Kind.COVER, Kind.DIVISION})


@dataclass(frozen=True, slots=True)
class RasterBase:
    """Raster tiles of somebody else beneath ours."""

    url: str
    attribution: str | None
    tile_size_px: int
    datum: Datum


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a style needs to know of the city.

    Parameters
    ----------
    base
        The service's own address.
    bounds
        Where features may lie, so that nothing is asked for elsewhere; None: anywhere.
    home
        What is shown first; None: the client's choice.
    """

    base: str
    bounds: Bbox | None
    home: Bbox | None


def find(name: str) -> Text:
    """Return the title of a style.

    Raises
    ------
    NotFoundError
        There is no such style; the message names those that there are.
    """
    if name not in STYLES:
        raise NotFoundError("style.unknown", value=name[:40], known=", ".join(STYLES))
    return STYLES[name]


def drawn(catalog: Catalog, name: str, raster: RasterBase | None = None) -> tuple[Layer, ...]:
    """Return the layers that a style draws; a raster base stands in for land cover."""
    return tuple(
        layer
        for layer in catalog.values()
        if (name != "base" or kind_of(layer) in _GROUND)
        and (raster is None or kind_of(layer) is not Kind.COVER)
    )


class _Sources:
    """The sources of a style, each of as many layers as one tile may hold."""

    def __init__(self, layers: Sequence[Layer], place: Place, raster: RasterBase | None) -> None:
        self._place, self._raster = place, raster
        self._of: dict[str, str] = {}
        self.rules: dict[str, Rule] = {}
        if raster is not None:
            self.rules[_RASTER] = _raster_source(raster)
        city = [layer.id for layer in layers if layer.role is not Role.POPULATION]
        for at in range(0, len(city), _PER_SOURCE):
            ids = city[at : at + _PER_SOURCE]
            name = "city" if at == 0 else f"city-{at // _PER_SOURCE + 1}"
            self._of |= dict.fromkeys(ids, name)
            with_roads = [roads.NAME] if at == 0 and raster is None else []
            self._add(name, [*ids, *with_roads], _TILES_TO_ZOOM)
        self.roads = next(iter(self._of.values()), "city")
        # Cells of people are heavy: nobody asks for a source whose layers are all hidden.
        if people := [layer.id for layer in layers if layer.role is Role.POPULATION]:
            self._add(_PEOPLE, people, _TILES_TO_ZOOM)
            self._of |= dict.fromkeys(people, _PEOPLE)
        if any(kind_of(layer) is Kind.DIVISION for layer in layers):
            names = f"{place.base}{NAMES_PATH}"
            self.rules[_NAMES] = {"type": "geojson", "data": names + self._datum("?")}
        for layer in layers:
            if kind_of(layer) is Kind.FAULT:
                self.rules[f"setback-{layer.id}"] = {
                    "type": "geojson",
                    "data": f"{place.base}/collections/{layer.id}/items?limit=10000"
                    + self._datum("&"),
                    "maxzoom": 14,
                    "buffer": 512,
                }

    def of(self, layer: Layer) -> str:
        """Return the source that a layer is in."""
        return self._of[layer.id]

    def _datum(self, mark: str) -> str:
        """Return the parameter that shifts ours to where a raster base has them."""
        if self._raster is None or self._raster.datum is Datum.WGS84:
            return ""
        return f"{mark}datum={self._raster.datum}"

    def _add(self, name: str, ids: list[str], maxzoom: int) -> None:
        tiles = f"{self._place.base}/tiles/{','.join(ids)}/{{z}}/{{x}}/{{y}}.mvt"
        rule: Rule = {"type": "vector", "tiles": [tiles + self._datum("?")]}
        rule |= {"minzoom": 0, "maxzoom": maxzoom}
        if self._place.bounds is not None:
            rule["bounds"] = list(self._place.bounds)
        self.rules[name] = rule


def _raster_source(raster: RasterBase) -> Rule:
    found = {"type": "raster", "tiles": [raster.url], "tileSize": raster.tile_size_px}
    return found if raster.attribution is None else {**found, "attribution": raster.attribution}


def style(
    name: str, layers: Sequence[Layer], look: Look, place: Place, raster: RasterBase | None = None
) -> dict[str, Any]:
    """Return a style of these layers.

    Parameters
    ----------
    raster
        Drawn beneath in place of our own land cover and roads, which it has itself.
    """
    sources = _Sources(layers, place, raster)
    found: dict[str, Any] = {
        "version": 8,
        "name": find(name).in_(look.lang),
        "metadata": {"riskmap:theme": look.theme, "riskmap:lang": look.lang},
        **_camera(place.home),
        "sprite": f"{place.base}/styles/sprites/{look.theme}",
        # No `glyphs`: text is drawn from the reader's own fonts.
        "sources": sources.rules,
        "layers": _rules(layers, sources, look, place, raster),
    }
    return found


def _camera(home: Bbox | None) -> dict[str, Any]:
    if home is None:
        return {}
    width = max(home.east - home.west, 1e-6)
    zoom = math.log2(_SCREEN_WORLDS * 360 / width)
    centre = [(home.west + home.east) / 2, (home.south + home.north) / 2]
    return {"center": centre, "zoom": round(min(zoom, _TILES_TO_ZOOM), 1)}


def _rules(
    layers: Sequence[Layer],
    sources: _Sources,
    look: Look,
    place: Place,
    raster: RasterBase | None,
) -> list[Rule]:
    """Return all layers, from the ground up."""

    def each(kind: Kind, draw: Callable[[Layer, str, Look], Iterable[Rule]]) -> list[Rule]:
        chosen = (layer for layer in layers if kind_of(layer) is kind)
        return [rule for layer in chosen for rule in draw(layer, sources.of(layer), look)]

    clustered = [one for one in layers if kind_of(one) is Kind.HAZARD and one.tile.cluster]
    latitude = 0.0 if place.home is None else (place.home.south + place.home.north) / 2
    if raster is None:
        land = [
            {"id": "land", "type": "background", "paint": {"background-color": look.tokens["land"]}}
        ]
        below = [*land, *each(Kind.COVER, ground.cover)]
        network = ground.road_lines(sources.roads, look)
        network_names = ground.road_names(sources.roads, look)
    else:
        below = [{"id": _RASTER, "type": "raster", "source": _RASTER}]
        network, network_names = [], []
    return [
        *below,
        *each(Kind.POPULATION, ground.population),
        *network,
        *each(Kind.DIVISION, ground.boundaries),
        *each(
            Kind.RESOURCE,
            lambda layer, source, look: dangers.outlines(layer, source, look, hazard=False),
        ),
        *each(
            Kind.HAZARD,
            lambda layer, source, look: dangers.outlines(layer, source, look, hazard=True),
        ),
        *each(Kind.ZONE, dangers.zones),
        *each(
            Kind.FAULT,
            lambda layer, _, look: dangers.setback(layer, f"setback-{layer.id}", look, latitude),
        ),
        *each(Kind.FAULT, dangers.faults),
        *network_names,
        *each(Kind.DIVISION, lambda layer, _, look: ground.division_names(layer, _NAMES, look)),
        *each(Kind.RESOURCE, helpers.resources),
        *each(Kind.HAZARD, lambda layer, source, look: dangers.symbols(layer, source, look, 0)),
        *each(Kind.HAZARD, lambda layer, source, look: dangers.symbols(layer, source, look, 1)),
        *(
            rule
            for turn, layer in enumerate(clustered)
            for rule in clusters.clusters(layer, sources.of(layer), look, turn, len(clustered))
        ),
    ]
