"""Single features created, replaced, patched and deleted (OGC API - Features part 4).

Each in the session's one transaction: the row is locked, its version compared with the one that
the editor names, and only then written. Version, history, feed and audit come from the triggers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    String,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from riskmap.catalog.spec import Layer, Role
from riskmap.crs.datum import Datum, shapes_to_geojson
from riskmap.db.base import METADATA
from riskmap.db.city import read_city
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.errors import ConflictError, InputError, NoPreconditionError, PreconditionError
from riskmap.features import history
from riskmap.features.query import FeatureQuery
from riskmap.features.statements import feature_columns
from riskmap.ingest import places
from riskmap.ingest.edit_body import Body, Json, System, merged, same, system_of
from riskmap.ingest.edit_values import Change, read_change
from riskmap.ingest.places import ADMIN_CODE
from riskmap.ingest.undo import PATIENCE_S

# What the database gives a row that states no source.
LOCAL: Final = "local"


class Mismatch(NamedTuple):
    """A division that was stated, kept as stated, and the one that the position gives."""

    stated: str
    by_position: str


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of a feature.

    Parameters
    ----------
    system
        What the positions were sent in.
    """

    feature_id: int
    version: int
    system: System
    mismatches: list[Mismatch] = field(default_factory=list)


def create_feature(session: WriteSession, layer: Layer, body: Body) -> Edited:
    """Store a new feature; its source is `local`, its id the database's.

    Raises
    ------
    InputError
        Something in the body is wrong.
    ConflictError
        The code is taken.
    UnavailableError
        There is no city yet.
    """
    _be_patient(session)
    city = read_city(session)
    system = system_of(body, city)
    table = METADATA.tables[layer.table]
    change = read_change(layer, body.content, None, system, city)
    mismatches = _place(session, layer, change, None)
    statement = insert(table).values(_columns(layer, change, system))
    code = change.values["code"]
    made = _write(session, layer, statement.returning(table.c.id, table.c.version), code, LOCAL)
    assert made is not None  # noqa: S101 - an insert without a row is an error
    return Edited(made.id, made.version, system, mismatches)


def change_feature(
    session: WriteSession,
    layer: Layer,
    feature_id: int,
    body: Body,
    *,
    expected: frozenset[int] | None,
    patch: bool,
) -> Edited:
    """Replace a feature, or lay a merge patch over it; what changes nothing makes no version.

    Parameters
    ----------
    expected
        Versions that it may be at; None: none was named, which is refused.

    Raises
    ------
    NotFoundError
        There is no such feature, or (GoneError) no more.
    NoPreconditionError, PreconditionError
        No version is named, or it is at another one.
    InputError
        Something in the body is wrong.
    ConflictError
        The code is taken.
    """
    _lock(session, layer, feature_id, expected)
    city = read_city(session)
    system = system_of(body, city)
    stored = _stored(session, layer, feature_id, system)
    _check_id(body.content, feature_id, patch=patch)
    feature = merged(stored.feature, body.content) if patch else body.content
    change = read_change(layer, feature, stored.feature, system, city)
    edited = Edited(feature_id, stored.version, system, _place(session, layer, change, stored))
    values = _columns(layer, change, system)
    if not values:
        return edited
    table = METADATA.tables[layer.table]
    # The lock alone would do. With the version in the condition, no later change of this module
    # can lose an update unseen.
    statement = (
        update(table)
        .where(table.c.id == feature_id, table.c.version == stored.version)
        .values(values)
        .returning(table.c.version)
    )
    code = change.values.get("code", stored.feature["properties"]["code"])
    source = stored.feature["properties"]["source_system"]
    row = _write(session, layer, statement, code, source)
    # No row: what was written another way is the same to the database.
    version = stored.version if row is None else int(row.version)
    return Edited(feature_id, version, system, edited.mismatches)


def delete_feature(
    session: WriteSession, layer: Layer, feature_id: int, *, expected: frozenset[int] | None
) -> None:
    """Delete a feature; the history keeps it.

    Raises
    ------
    NotFoundError
        There is no such feature, or (GoneError) no more.
    NoPreconditionError, PreconditionError
        No version is named, or it is at another one.
    """
    version = _lock(session, layer, feature_id, expected)
    table = METADATA.tables[layer.table]
    session.execute(delete(table).where(table.c.id == feature_id, table.c.version == version))


def representation(session: ReadSession, layer: Layer, edited: Edited) -> bytes:
    """Return a feature as GeoJSON, in the system in which it was sent."""
    written = _stored(session, layer, edited.feature_id, edited.system).written
    datum = edited.system.datum
    if datum is not Datum.WGS84:
        written = f'{{"datum":"{datum}",{written.removeprefix("{")}'
    return written.encode()


def _be_patient(session: WriteSession) -> None:
    """Wait for others' rows and keys for a moment only.

    An import that writes has them locked until its end, minutes later: who waits for it holds a
    connection that others need. It is told to come again (503).
    """
    session.execute(
        text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(round(PATIENCE_S * 1000))}
    )


def _lock(
    session: WriteSession, layer: Layer, feature_id: int, expected: frozenset[int] | None
) -> int:
    """Lock a feature's row and return its version, which must be one of those expected.

    That it is not there is said before anything about the version: no version would help.
    """
    _be_patient(session)
    table = METADATA.tables[layer.table]
    version = session.execute(
        select(table.c.version).where(table.c.id == feature_id).with_for_update()
    ).scalar_one_or_none()
    if version is None:
        query = FeatureQuery(layer=layer, feature_id=feature_id)
        raise history.missing(query, was_there=history.gone(session, query))
    if expected is None:
        raise NoPreconditionError("edit.if_match", parameter="If-Match", version=version)
    if version not in expected:
        raise PreconditionError("edit.stale", parameter="If-Match", version=version)
    return int(version)


class _Stored(NamedTuple):
    """A feature as an answer has it, and what the division of its code depends on."""

    version: int
    written: str
    feature: Json
    geom: ColumnElement[Any]


def _stored(session: ReadSession, layer: Layer, feature_id: int, system: System) -> _Stored:
    """Read a feature as an editor gets it, in a system."""
    query = FeatureQuery(
        layer=layer, restricted=True, feature_id=feature_id, datum=system.datum, crs=system.crs
    )
    table = METADATA.tables[layer.table]
    row = session.execute(
        select(table.c.version, *feature_columns(query)).where(table.c.id == feature_id)
    ).one()
    if system.datum is Datum.WGS84:
        written = row.feature
    else:
        (shape,) = shapes_to_geojson([row.wkb], system.datum)
        written = f"{row.before}{shape}{row.after}"
    geom = select(table.c.geom).where(table.c.id == feature_id).scalar_subquery()
    # By the reader of bodies, since the two are compared; without its bounds, since it is our own.
    return _Stored(row.version, written, json.loads(written), geom)


def _check_id(content: Json, feature_id: int, *, patch: bool) -> None:
    """Refuse another id than the address has: which of the two is meant, nobody can know."""
    if "id" not in content:
        return
    given = content["id"]
    if given is None and not patch:
        return
    if not (same(given, feature_id) or given == str(feature_id)):
        raise InputError("edit.id", parameter="id", value=str(given)[:40], id=feature_id)


def _place(
    session: WriteSession, layer: Layer, change: Change, stored: _Stored | None
) -> list[Mismatch]:
    """Give the feature its division by position where none is stated; else compare the two.

    A code that is the one of the old position moves with the feature. A code that is stated stays,
    as an import leaves it, and what the position says is reported.
    """
    values, shape = change.values, change.shape
    if layer.role is Role.AREA or (shape is None and ADMIN_CODE not in values):
        return []
    assert shape is not None or stored is not None  # noqa: S101 - a new feature has a shape
    geom = func.ST_GeomFromEWKB(shape.ewkb) if shape is not None else stored.geom  # type: ignore[union-attr]
    found = places.place_of(session, layer, geom)
    stated = values.get(ADMIN_CODE)
    if stored is not None and ADMIN_CODE not in values:
        kept = stored.feature["properties"][ADMIN_CODE]
        if kept is not None and kept != places.place_of(session, layer, stored.geom):
            stated = kept
    if stated is None:
        values[ADMIN_CODE] = found
        return []
    if found is None or not places.is_mismatch(session, stated, found):
        return []
    return [Mismatch(stated, found)]


def _columns(layer: Layer, change: Change, system: System) -> dict[str, ColumnElement[Any]]:
    """Return what is written, as the columns take it."""
    table = METADATA.tables[layer.table]
    found: dict[str, ColumnElement[Any]] = {}
    for name, value in change.values.items():
        column = table.c[name]
        if value is None:
            found[name] = null()
        elif isinstance(column.type, JSONB):
            found[name] = cast(literal(value, String), JSONB)
        else:
            found[name] = literal(value, column.type)
    shape = change.shape
    if shape is not None:
        found["geom"] = func.ST_GeomFromEWKB(shape.ewkb)
        found["source_crs"] = literal(system.source.name)
        found["raw_x"] = literal(shape.raw_x, table.c.raw_x.type)
        found["raw_y"] = literal(shape.raw_y, table.c.raw_y.type)
    return found


def _write(
    session: WriteSession, layer: Layer, statement: Executable, code: str, source: str
) -> Row[Any] | None:
    """Run an insert or update; where the key is taken, name who has it."""
    try:
        # A savepoint: after an error, nothing else could be asked in the transaction.
        with session.connection.begin_nested():
            return session.execute(statement).one_or_none()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != "23505":  # unique_violation
            raise
        table = METADATA.tables[layer.table]
        other = session.execute(
            select(table.c.id).where(table.c.source_system == source, table.c.code == code)
        ).scalar_one_or_none()
        raise ConflictError(
            "edit.code", parameter="code", value=code, other="?" if other is None else other
        ) from error
