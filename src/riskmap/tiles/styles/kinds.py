"""How a layer is drawn, by what it declares."""

from __future__ import annotations

from enum import StrEnum

from riskmap.catalog.shapes import HAZARD_GLYPHS
from riskmap.catalog.spec import Geometry, Layer, Role


class Kind(StrEnum):
    """What a layer looks like on the map."""

    COVER = "cover"
    DIVISION = "division"
    POPULATION = "population"
    ZONE = "zone"
    FAULT = "fault"
    RESOURCE = "resource"
    HAZARD = "hazard"


_OF_ROLE = {
    Role.CONTEXT: Kind.COVER,
    Role.AREA: Kind.DIVISION,
    Role.POPULATION: Kind.POPULATION,
    Role.SHELTER: Kind.RESOURCE,
    Role.TEAM: Kind.RESOURCE,
    Role.DEPOT: Kind.RESOURCE,
}


def kind_of(layer: Layer) -> Kind:
    """Return how a layer is drawn; what endangers, by its geometry."""
    kind = _OF_ROLE.get(layer.role)
    if kind is not None:
        return kind
    if layer.geometry is Geometry.LINE:
        return Kind.FAULT
    # A plant is a polygon, too, but it has a glyph to stand for it.
    if layer.geometry is Geometry.POLYGON and layer.style.symbol not in HAZARD_GLYPHS:
        return Kind.ZONE
    return Kind.HAZARD
