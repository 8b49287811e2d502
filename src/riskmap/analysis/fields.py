"""Which fields the analyses read of a layer: public ones only."""

from __future__ import annotations

from typing import Final

from riskmap.catalog.spec import Layer, Role
from riskmap.features.summary import OCCUPANCY, RISK_ROLES, STATUS, public

# Fields of a layer of teams that an answer tells, where the layer has them.
TEAM_FIELDS: Final = (
    "code",
    "name",
    "name_en",
    "kind",
    "tier",
    "level",
    "specialties",
    "personnel",
    "on_duty_personnel",
    "duty_status",
    "turnout_s",
)


def fields_of(layer: Layer) -> list[str]:
    """Return the names of the fields that the analyses read of a layer."""
    names = ["risk_level", layer.people]
    if layer.role is Role.TEAM:
        names += TEAM_FIELDS
    elif layer.role is Role.SHELTER:
        names += (STATUS[layer.role], OCCUPANCY, "code", "name", "name_en", "admin_code")
    elif layer.role in (*RISK_ROLES, Role.AREA, Role.DEPOT):
        names += ("code", "name", "name_en", "admin_code")
    return [name for name in dict.fromkeys(names) if name and public(layer, name)]
