"""All layers of the demo city over its ground."""

from __future__ import annotations

from typing import Final

from riskmap.demo.base import admin_divisions, land_cover, population_cells
from riskmap.demo.chemicals import major_hazard_sources
from riskmap.demo.depots import supply_depots
from riskmap.demo.floods import flash_flood_zones, flood_impact_areas
from riskmap.demo.geohazards import fault_lines, geohazard_points
from riskmap.demo.ground import Ground
from riskmap.demo.places import Layers, Places
from riskmap.demo.plants import enterprises
from riskmap.demo.records import risk_records
from riskmap.demo.shelters import link_shelters, shelters
from riskmap.demo.teams import rescue_teams

# People walk to a shelter from a geohazard, and are driven from a flooded valley.
_WALKED_M: Final = 4000.0
_DRIVEN_M: Final = 8000.0


def make_layers(ground: Ground) -> Layers:
    """Return the features of every layer, by layer id."""
    places = Places(ground)
    geohazards = geohazard_points(places)
    flash = flash_flood_zones(places)
    floods = flood_impact_areas(places)
    plants, hazardous = enterprises(places)
    refuges = shelters(places, flash, floods, hazardous)
    link_shelters(places, geohazards, refuges, _WALKED_M)
    link_shelters(places, [*flash, *floods], refuges, _DRIVEN_M)
    return {
        "admin-divisions": admin_divisions(places),
        "enterprises": plants,
        "fault-lines": fault_lines(places),
        "flash-flood-zones": flash,
        "flood-impact-areas": floods,
        "geohazard-points": geohazards,
        "land-cover": land_cover(places),
        "major-hazard-sources": major_hazard_sources(places, hazardous),
        "population-cells": population_cells(places),
        "rescue-teams": rescue_teams(places),
        "risk-records": risk_records(places, plants),
        "shelters": refuges,
        "supply-depots": supply_depots(places),
    }
