"""One feature's properties and geometry, judged by the rules of an import of one row.

Only what differs from what is stored is judged and written. So a client that sends back what it
got changes nothing, whatever the database holds: the seven decimals of an answer do not move the
stored position, and what no import would take (psql stores anything) is in nobody's way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from riskmap.catalog.spec import Child, Field, Kind, Layer
from riskmap.db.city import City
from riskmap.errors import InputError
from riskmap.ingest.batches import Geometries
from riskmap.ingest.checks import GEOMETRY, LONGEST
from riskmap.ingest.edit_body import Json, System, same
from riskmap.ingest.mapping import FieldMapping, Plan
from riskmap.ingest.read_geojson import to_batch
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.shapes import check_shapes
from riskmap.ingest.values import BadValueError, to_json_text

# GeoJSON's own: shapely would also take the geometry out of a Feature that stands in its place.
_KINDS: Final = frozenset(
    (
        "Point",
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
    )
)
# An import can be told to repair, and which axis comes first; an edit says that otherwise.
_OTHER_WORDS: Final = {
    "ingest.geometry.invalid": "edit.geometry.invalid",
    "ingest.outside.swapped": "edit.outside.swapped",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry as it is stored: EWKB in WGS 84, and the editor's own numbers of a point."""

    ewkb: bytes
    raw_x: float | None
    raw_y: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written: column -> value, JSON as text; None for the shape: it stays."""

    values: dict[str, Any]
    shape: Shape | None


def read_change(
    layer: Layer, feature: Json, stored: Json | None, system: System, city: City
) -> Change:
    """Judge a feature against what is stored (None: it is new) and return what differs.

    Raises
    ------
    InputError
        It is no feature, has a property that the layer lacks, sets what riskmap itself writes, or
        something is wrong with a value or the geometry; `problems` has all of the latter.
    """
    properties = _properties(feature)
    was: Mapping[str, Any] = {} if stored is None else stored["properties"]
    names = {*(field.name for field in layer.fields), *(child.name for child in layer.children)}
    for name in properties:
        if name not in names:
            known = ", ".join(sorted(names))
            raise InputError("edit.property.unknown", parameter=shorten(name), known=known)
    for field in layer.fields:
        value = properties.get(field.name)
        if field.managed and value is not None and not same(value, was.get(field.name)):
            raise InputError("edit.managed", parameter=field.name, value=shorten(value))
    problems: list[Problem] = []
    changed = {
        name: properties.get(name)
        for name in names
        if stored is None or not same(properties.get(name), was.get(name))
    }
    values = _values(layer, changed, city, problems)
    shape = None
    if stored is None or not same(feature.get("geometry"), stored["geometry"]):
        shape = _shape(layer, feature.get("geometry"), system, city, problems)
    if problems:
        raise _refused(layer, problems)
    return Change(values, shape)


def _properties(feature: Json) -> Json:
    properties = feature.get("properties")
    if feature.get("type") != "Feature" or not isinstance(properties, dict | None):
        raise InputError("ingest.feature", parameter="body", value=shorten(feature))
    if feature.get("place") is not None:
        # JSON-FG gives `place` the precedence: to pass over it would store another position.
        raise InputError("edit.place", parameter="place")
    return properties or {}


def _values(
    layer: Layer, given: Mapping[str, Any], city: City, problems: list[Problem]
) -> dict[str, Any]:
    """Convert what is given of a layer's fields and children; bad ones go to the problems."""
    plan = Plan(layer, FieldMapping(), city.tz)
    found: dict[str, Any] = {}
    declared: Collection[Field | Child] = (*layer.fields, *layer.children)
    for one in declared:
        if one.name not in given or (isinstance(one, Field) and one.managed):
            continue
        raw = given[one.name]
        try:
            found[one.name] = _value(plan, one, raw)
        except BadValueError as error:
            problems.append(Problem(1, error.key, one.name, shorten(raw), error.values))
    return found


def _value(plan: Plan, declared: Field | Child, raw: object) -> object:
    name = declared.name
    if isinstance(declared, Child):
        rows = plan.child_converters[name](raw)
        return None if rows is None else to_json_text(rows)
    value = plan.converters[name](raw)
    if value is None:
        if declared.required:
            raise BadValueError("ingest.required")
        return None
    if declared.kind is Kind.JSON:
        if name == "attributes" and not isinstance(value, dict):
            raise BadValueError("ingest.type.json")
        return to_json_text(value)
    most = LONGEST.get(name)
    if most is not None and isinstance(value, str) and len(value) > most:
        raise BadValueError("ingest.length", most=str(most), length=str(len(value)))
    return value


def _shape(
    layer: Layer, raw: Any, system: System, city: City, problems: list[Problem]
) -> Shape | None:
    """Check and convert the geometry."""
    if raw is not None and not (isinstance(raw, dict) and raw.get("type") in _KINDS):
        key = "ingest.geometry.unreadable"
        problems.append(Problem(1, key, GEOMETRY, shorten(raw)))
        return None
    batch = to_batch(1, [{"type": "Feature", "properties": {}, "geometry": raw}], (1, 1))
    if batch.problems:
        problems += batch.problems
        return None
    read: Geometries = batch.geometry
    shapes = check_shapes(read, layer.geometry, system.source, city.bbox, repair=False)
    if shapes.faults:
        problems += [
            Problem(1, fault.key, GEOMETRY, fault.value, fault.values) for fault in shapes.faults
        ]
        return None
    (ewkb,) = shapes.ewkb(None)
    x, y = (None if number != number else float(number) for number in shapes.raw[0])  # noqa: PLR0124
    return Shape(bytes.fromhex(ewkb), x, y)


def _refused(layer: Layer, problems: list[Problem]) -> InputError:
    """Return the error for what is wrong: the first one, and all of them as `problems`."""
    declared: Collection[Field | Child] = (*layer.fields, *layer.children)
    labels = {one.name: one.zh for one in declared}
    told = [
        replace(problem, key=_OTHER_WORDS.get(problem.key, problem.key)).labelled(labels)
        for problem in problems
    ]
    first = told[0]
    listed = [
        {name: value for name, value in problem.to_json().items() if name != "row"}
        for problem in told
    ]
    named = {"field": first.field, "value": first.value, "problems": listed}
    return InputError(first.key, parameter=first.field, **{**named, **first.values})
