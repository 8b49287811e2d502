"""Turn restrictions of an OpenStreetMap extract: relations of the type ``restriction``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import osmium

from riskmap.errors import InputError
from riskmap.roads.edges import RoadEdges, RowNote, Turn

# The edges that each way was cut into.
Pieces = dict[int, list[int]]

_VEHICLES: Final = ("motorcar", "motor_vehicle", "vehicle")  # the narrowest word decides
_HOURS: Final = ("day_on", "day_off", "hour_on", "hour_off")  # how hours were told before 2013
_SHOWN: Final = 5


class RestrictionTags:
    """What the tags of a restriction say to an ordinary vehicle.

    Attributes
    ----------
    value
        ``no_left_turn``, ``only_straight_on`` and the like; empty if none binds a car.
    conditional
        It holds at some hours or for some vehicles only.
    """

    __slots__ = ("conditional", "value")

    def __init__(self, tags: Mapping[str, str]) -> None:
        keys = (*(f"restriction:{kind}" for kind in _VEHICLES), "restriction")
        value = next((word for key in keys if (word := tags.get(key))), "")
        exempt = {word.strip() for word in tags.get("except", "").split(";")}
        # Emergency vehicles and buses in `except` change nothing: the first obey none anyway, and
        # no profile is a bus.
        if not value.startswith(("no_", "only_")) or exempt & set(_VEHICLES):
            value = ""
        timed = any(key in tags for key in _HOURS)
        self.conditional = timed or (
            not value and any(f"{key}:conditional" in tags for key in keys)
        )
        self.value = "" if timed else value


def read_turns(
    path: Path, edges: RoadEdges, pieces: Pieces
) -> tuple[tuple[Turn, ...], tuple[RowNote, ...]]:
    """Read the turn restrictions of an extract.

    Parameters
    ----------
    path
        The file that the edges came from.
    pieces
        The edges of each way.

    Returns
    -------
    turns, notes
        Restrictions over a node that bind a car at all hours; a note for each reason why others
        were left out, with their number.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    turns: dict[tuple[str, int, str], Turn] = {}
    left_out: dict[str, list[int]] = {}
    try:
        relations = osmium.FileProcessor(str(path), osmium.osm.RELATION)
        relations.with_filter(osmium.filter.TagFilter(("type", "restriction")))
        for relation in relations:
            if not isinstance(relation, osmium.osm.Relation):
                continue
            tags = RestrictionTags(cast("Mapping[str, str]", relation.tags))
            members = [(one.role, one.type, one.ref) for one in relation.members]
            if tags.conditional:
                left_out.setdefault("roads.turns_conditional", []).append(relation.id)
            elif not tags.value:
                continue  # for lorries, for buses: none of our profiles
            elif any(role == "via" and kind == "w" for role, kind, _ in members):
                left_out.setdefault("roads.turns_via_way", []).append(relation.id)
            elif not (found := _resolved(relation.id, tags.value, members, edges, pieces)):
                left_out.setdefault("roads.turns_unresolved", []).append(relation.id)
            else:
                for turn in found:
                    # Said twice, and once as a ban: the ban holds.
                    key = turn[:3]
                    if key not in turns or turns[key].mandatory:
                        turns[key] = turn
    except (RuntimeError, OSError) as error:
        raise InputError("roads.file_unreadable", parameter=str(path), reason=str(error)) from error
    notes = (
        RowNote(ids[0], reason, {"count": len(ids), "examples": _examples(ids)})
        for reason, ids in left_out.items()
    )
    return tuple(turns.values()), tuple(notes)


def _examples(ids: list[int]) -> str:
    more = ", …" if len(ids) > _SHOWN else ""
    return ", ".join(f"relation/{number}" for number in ids[:_SHOWN]) + more


def _resolved(
    number: int,
    value: str,
    members: list[tuple[str, str, int]],
    edges: RoadEdges,
    pieces: Pieces,
) -> list[Turn]:
    """Return the turns of a relation; none where a member is missing or could mean two edges."""
    nodes = [ref for role, kind, ref in members if role == "via" and kind == "n"]
    sides: dict[str, list[int]] = {"from": [], "to": []}
    if len(nodes) != 1:
        return []
    for role, kind, ref in members:
        if role in sides:
            edge = _touching(pieces.get(ref, []), nodes[0], edges, role) if kind == "w" else None
            if edge is None:
                return []
            sides[role].append(edge)
    # Several of one side: no_entry from many roads, no_exit into many.
    return [
        Turn(
            edges.source_id[start],
            nodes[0],
            edges.source_id[end],
            value.startswith("only_"),
            f"OSM relation/{number} {value}",
        )
        for start in sides["from"]
        for end in sides["to"]
    ]


def _touching(candidates: list[int], node: int, edges: RoadEdges, role: str) -> int | None:
    """Return the one edge of a way that a turn at the node comes from, or goes to.

    Of a way that passes the node, a one-way street's direction tells which half is meant.
    """
    there = [e for e in candidates if node in (edges.from_node[e], edges.to_node[e])]
    if len(there) > 1:
        arriving = role == "from"
        there = [
            e
            for e in there
            if edges.oneway[e] != "both"
            and ((edges.oneway[e] == "forward") == arriving) == (edges.to_node[e] == node)
        ]
    return there[0] if len(there) == 1 else None
