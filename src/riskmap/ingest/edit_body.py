"""What an editor sends: JSON within bounds, its coordinate system, a patch laid over a feature."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from riskmap.crs.datum import Datum, check_city
from riskmap.crs.input import InputCrs, check_datum, read_crs
from riskmap.crs.served import CRS84, ServedCrs, served
from riskmap.db.city import City
from riskmap.errors import InputError
from riskmap.ingest.batches import check_declared
from riskmap.ingest.read_geojson import declared_crs
from riskmap.ingest.report import shorten

Json = dict[str, Any]

# Positions of a multipolygon lie seven deep in a feature; attributes have room for more. Python's
# own reader would stop only where its stack ends.
MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What was sent, and what was said of it.

    Parameters
    ----------
    datum
        As the query says; None: it does not.
    content_crs
        URI of the header Content-Crs; None: there is none.
    """

    content: Json
    datum: Datum | None = None
    content_crs: str | None = None


@dataclass(frozen=True, slots=True)
class System:
    """What the positions of a body are in.

    Parameters
    ----------
    datum, crs
        As a query of features has them, so that what is stored can be shown the same way.
    source
        The same as an import has it.
    """

    datum: Datum
    crs: ServedCrs
    source: InputCrs


def read_body(content: bytes) -> Json:
    """Decode a JSON object.

    Raises
    ------
    InputError
        It is none, has a name twice, a number beyond any float, or is nested too deep.
    """
    try:
        found = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_constant=_constant,
        )
    # ValueError also for an integer of more digits than Python reads.
    except (ValueError, RecursionError):
        raise InputError("edit.json", parameter="body") from None
    if not isinstance(found, dict):
        raise InputError("edit.object", parameter="body", value=shorten(found))
    if _deeper(found, MAX_DEPTH):
        raise InputError("edit.depth", parameter="body", most=MAX_DEPTH)
    return found


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("edit.twice", parameter="body", value=shorten(twice))
    return found


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InputError("edit.number", parameter="body", value=shorten(text))
    return value


def _constant(text: str) -> float:
    # NaN and Infinity are no JSON, and Python reads them all the same.
    raise InputError("edit.number", parameter="body", value=text)


def _deeper(value: object, most: int) -> bool:
    """Say whether a value is nested deeper than `most`, without going as deep oneself."""
    level: list[object] = [value]
    for _ in range(most):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def system_of(body: Body, city: City) -> System:
    """Find out what the positions are in: CRS84 where nothing says otherwise (Part 4).

    `datum` may stand in the query, or in the body as answers of this service bear it.

    Raises
    ------
    InputError
        Content-Crs names a system that is not served, a datum is not for this city, or two
        statements differ.
    """
    member = body.content.get("datum")
    datum = body.datum
    if datum is None and body.content_crs is None and member in list(Datum):
        datum = Datum(member)
    if datum is None or datum is Datum.WGS84:
        crs = _find_served(body.content_crs, city)
        source = read_crs(f"EPSG:{crs.srid}", axes="ne" if crs.north_first else "en")
    else:
        if body.content_crs is not None:
            raise InputError("edit.two_systems", parameter="Content-Crs", value=datum)
        check_city(datum, city.bbox)
        crs, source = CRS84, read_crs(datum.upper())
    check_datum(member, source, parameter="datum")
    declared = declared_crs(body.content.get("crs"))
    if declared is not None:
        check_declared(declared, source)
    return System(datum or Datum.WGS84, crs, source)


def _find_served(uri: str | None, city: City) -> ServedCrs:
    if uri is None:
        return CRS84
    known = served(city.local_srid)
    for one in known:
        if uri == one.uri:
            return one
    uris = ", ".join(one.uri for one in known)
    raise InputError("parameter.value", parameter="Content-Crs", value=uri[:80], expected=uris)


def merged(target: Any, patch: Any) -> Any:
    """Lay a merge patch over a value (RFC 7396): null takes a member away, objects are merged."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and bool(one == other)
