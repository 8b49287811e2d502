"""What the tags of an OSM way say about a road."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from riskmap.roads.edges import FOOT_CLASSES, MOTOR_CLASSES, NO_WALK_CLASSES

# Rare values that are roads all the same; what is neither here nor a class of ours (construction,
# proposed, platform, raceway, elevator) is no road.
_SYNONYMS: Final = {
    "busway": "service",
    "bridleway": "path",
    "corridor": "footway",
}
_CLASSES: Final = {name: name for name in MOTOR_CLASSES | FOOT_CLASSES} | _SYNONYMS
_BARRED: Final = frozenset({"no", "agricultural", "forestry"})
_LIMITED: Final = frozenset({"private", "destination", "customers", "delivery", "permit"})
_EMERGENCY: Final = frozenset({"yes", "designated", "official"})
_WELCOME: Final = frozenset({"yes", "designated", "permissive", "official"})
_SPEED: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(km/h|kmh|kph|mph|knots)?")
_KMH: Final = {"mph": 1.609344, "knots": 1.852}


class RoadTags(NamedTuple):
    """A way's tags read: see `riskmap.roads.edges.RoadEdges` for the meaning of each."""

    road_class: str
    name: str
    oneway: str
    maxspeed_kmh: float
    bridge: bool
    tunnel: bool
    layer: int
    motor: bool
    foot: bool
    restricted: bool


def read_tags(tags: Mapping[str, str]) -> RoadTags | None:
    """Read the tags of a way; None if it is no road (an area, a building site, a wall)."""
    ferry = tags.get("route") == "ferry"
    road_class = "ferry" if ferry else _CLASSES.get(tags.get("highway", ""))
    if road_class is None or tags.get("area") == "yes":
        return None
    motor, limited = _motor(tags, road_class)
    return RoadTags(
        road_class=road_class,
        name=tags.get("name:zh") or tags.get("name") or "",
        oneway=_oneway(tags, road_class),
        maxspeed_kmh=_limit(tags, _oneway(tags, road_class)),
        bridge=tags.get("bridge", "no") != "no",
        tunnel=tags.get("tunnel", "no") != "no",
        layer=_layer(tags.get("layer", "")),
        motor=motor,
        foot=_foot(tags, road_class),
        restricted=limited,
    )


def speed_kmh(text: str) -> float:
    """Read a maxspeed: ``50``, ``30 mph``; NaN for ``none``, ``walk``, ``BR:urban``, 0, lists."""
    match = _SPEED.fullmatch(text.strip())
    if match is None:
        return math.nan
    return float(match[1]) * _KMH.get(match[2] or "", 1.0) or math.nan


def _motor(tags: Mapping[str, str], road_class: str) -> tuple[bool, bool]:
    """Return whether motor vehicles may, and whether only some of them."""
    # A boat must say that it takes cars: a passenger ferry would bring an engine over on paper.
    usual = road_class in MOTOR_CLASSES
    # A road for buses alone, and one kept for those on duty.
    limited = tags.get("highway") == "busway" or tags.get("service") == "emergency_access"
    value = ""
    for key in ("motorcar", "motor_vehicle", "vehicle", "access"):  # the narrowest word decides
        if key in tags:
            value = tags[key]
            break
    if value in _BARRED:
        motor = False
    elif value == "emergency":
        motor, limited = True, True
    elif value in _WELCOME and key != "access":
        motor, limited = True, False
    else:
        motor = usual
        limited = limited or value in _LIMITED
    on_duty = tags.get("emergency", "")
    # What is barred, or too narrow by its class, but open to emergency vehicles.
    if not motor and on_duty in _EMERGENCY:
        motor, limited = True, True
    # Open to some, and those on duty are not among them: to none that a profile knows.
    if limited and on_duty == "no":
        motor = False
    # Whatever the tags say, no vehicle climbs stairs.
    motor = motor and road_class != "steps"
    return motor, motor and limited


def _foot(tags: Mapping[str, str], road_class: str) -> bool:
    value = tags.get("foot") or tags.get("access") or ""
    if value == "no":
        return False
    fast = road_class in NO_WALK_CLASSES or tags.get("motorroad") == "yes"
    return not fast or tags.get("foot") in _WELCOME


def _limit(tags: Mapping[str, str], oneway: str) -> float:
    """Return the limit of a way; of two directions' limits the lower, since one is stored."""
    both = speed_kmh(tags.get("maxspeed", ""))
    if not math.isnan(both):
        return both
    directions = ("forward", "backward") if oneway == "both" else (oneway,)
    told = [speed_kmh(tags.get(f"maxspeed:{direction}", "")) for direction in directions]
    return min((limit for limit in told if not math.isnan(limit)), default=math.nan)


def _oneway(tags: Mapping[str, str], road_class: str) -> str:
    # What holds for cars goes before what holds for all; oneway:psv, oneway:bicycle do not matter,
    # and oneway:emergency is what the emergency profile may do by its own table.
    narrow = (tags.get(f"oneway:{kind}") for kind in ("motorcar", "motor_vehicle", "vehicle"))
    value = next((word for word in narrow if word), None) or tags.get("oneway", "")
    if value in ("yes", "true", "1"):
        return "forward"
    if value in ("-1", "reverse"):
        return "backward"
    round_about = tags.get("junction") in ("roundabout", "circular")
    # An explicit "no" beats what a motorway or a roundabout implies; "reversible" and
    # "alternating" are open both ways at some time of the day.
    if value == "" and (round_about or road_class == "motorway"):
        return "forward"
    return "both"


def _layer(text: str) -> int:
    try:
        return max(-100, min(100, int(float(text))))
    except (ValueError, OverflowError):
        return 0
