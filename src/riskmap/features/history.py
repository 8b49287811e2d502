"""The versions of a feature: the present one, and the superseded ones from the history.

Who made a version stands beside the one that it superseded. An insert leaves no history: for the
first version (and one that came back after a delete) the list of imports tells, where it was one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    union_all,
)

from riskmap.catalog.spec import Layer
from riskmap.db.sessions import AsyncReadSession, ReadSession
from riskmap.db.tables import HISTORY, IMPORTS
from riskmap.errors import GoneError, NotFoundError
from riskmap.features.query import FeatureQuery
from riskmap.features.statements import feature_columns
from riskmap.features.where import table_for

MAX_VERSIONS: Final = 100
_SUPERSEDED: Final = ("id", "op", "at", "actor", "import_id")


@dataclass(frozen=True, slots=True)
class Change:
    """What made or superseded a version: insert, update, delete, truncate. None: not known."""

    op: str
    at: datetime
    actor: str | None
    import_id: int | None

    def to_json(self, *, named: bool) -> dict[str, Any]:
        """Return it as JSON knows it; `named` says whether the reader may see who it was."""
        found = {"op": self.op, "at": self.at, "import_id": self.import_id}
        return {**found, "actor": self.actor} if named else found


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a feature.

    Parameters
    ----------
    feature
        GeoJSON text of what the reader may see.
    superseded
        None: it is the present one.
    """

    version: int
    made: Change
    superseded: Change | None
    feature: str

    def to_json(self, *, named: bool) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {
            "version": self.version,
            **self.made.to_json(named=named),
            "superseded": self.superseded and self.superseded.to_json(named=named),
            "feature": orjson.Fragment(self.feature),
        }


def versions(
    session: ReadSession,
    layer: Layer,
    feature_id: int,
    *,
    restricted: bool = False,
    limit: int = MAX_VERSIONS,
    below: int | None = None,
    only: int | None = None,
) -> list[Version]:
    """Return versions of a feature, the newest first.

    Parameters
    ----------
    restricted
        Whether the reader may see restricted fields, of old versions as of the present one, and
        versions of a deleted feature at all.
    below
        Only versions below this number: where the page before ended.
    only
        Only this version.

    Raises
    ------
    NotFoundError
        There never was such a feature, or it has not this version.
    """
    query = FeatureQuery(layer=layer, restricted=restricted, feature_id=feature_id)
    found = union_all(_present(query), _superseded(query)).subquery("versions")
    newest_first = (found.c.version.desc(), found.c.history_id.desc().nulls_first())
    statement = select(found).order_by(*newest_first).limit(limit)
    if below is not None:
        statement = statement.where(found.c.version < below)
    if only is not None:
        statement = statement.where(found.c.version == only)
    if not restricted:
        # What was withdrawn stays withdrawn: of a deleted feature only key holders see versions.
        table = table_for(layer)
        statement = statement.where(exists().where(table.c.id == feature_id))
    rows = session.execute(statement).mappings().all()
    if not rows and only is not None:
        raise NotFoundError(
            "history.version", parameter="version", value=only, feature_id=feature_id
        )
    if not rows and below is None:
        raise NotFoundError(
            "feature.unknown", parameter="feature_id", value=feature_id, layer=layer.id
        )
    updates = _updates(session, layer, feature_id, [row["version"] - 1 for row in rows])
    return [
        Version(
            row["version"],
            updates.get(row["version"] - 1)
            or _insert(session, layer, feature_id, row["updated_at"]),
            None if row["history_id"] is None else _change(row),
            row["feature"],
        )
        for row in rows
    ]


def gone(session: ReadSession, query: FeatureQuery) -> bool:
    """Say whether the feature of a query, which is not there, was there once."""
    return bool(session.execute(_ended(query)).scalar_one())


async def gone_async(session: AsyncReadSession, query: FeatureQuery) -> bool:
    """Say what `gone` says."""
    return bool((await session.execute(_ended(query))).scalar_one())


def missing(query: FeatureQuery, *, was_there: bool) -> NotFoundError:
    """Return the error for a feature that is not there: 410 where it was, 404 where it never was.

    That it was is no secret: an older page of features says it as well.
    """
    error, key = (GoneError, "feature.gone") if was_there else (NotFoundError, "feature.unknown")
    return error(key, parameter="feature_id", value=query.feature_id, layer=query.layer.id)


def _ended(query: FeatureQuery) -> Select[Any]:
    # By `delete` or `truncate`. What came back since is there, and nobody asks.
    ended = (HISTORY.c.layer == query.layer.id, HISTORY.c.feature_id == query.feature_id)
    return select(exists().where(*ended, HISTORY.c.op != "update"))


def _present(query: FeatureQuery) -> Select[Any]:
    table = table_for(query.layer)
    return select(
        table.c.version,
        table.c.updated_at,
        *(cast(null(), HISTORY.c[name].type).label(f"history_{name}") for name in _SUPERSEDED),
        *feature_columns(query),
    ).where(table.c.id == query.feature_id)


def _superseded(query: FeatureQuery) -> Select[Any]:
    """Select from the history, whose JSON becomes a row of the layer's table again."""
    table = table_for(query.layer)
    columns = [one for one in table.c if one.name != "geom" and one.computed is None]
    nothing: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    row = func.jsonb_populate_record(nothing, HISTORY.c.row).table_valued(
        *(column(one.name, one.type) for one in columns), name="was"
    )
    # Named apart: a layer may have a field `op`.
    kept = (HISTORY.c[name].label(f"history_{name}") for name in _SUPERSEDED)
    was = (
        select(*kept, HISTORY.c.geom, *(row.c[one.name] for one in columns))
        .select_from(HISTORY.join(row, true()))
        .where(HISTORY.c.layer == query.layer.id, HISTORY.c.feature_id == query.feature_id)
        .subquery("superseded")
    )
    kept_columns = (was.c[f"history_{name}"] for name in _SUPERSEDED)
    return select(was.c.version, was.c.updated_at, *kept_columns, *feature_columns(query, was))


def _change(row: Any) -> Change:
    return Change(*(row[f"history_{name}"] for name in _SUPERSEDED[1:]))


def _updates(
    session: ReadSession, layer: Layer, feature_id: int, superseded: list[int]
) -> dict[int, Change]:
    """Return the updates that superseded these versions, by version."""
    columns = (HISTORY.c[name].label(f"history_{name}") for name in _SUPERSEDED)
    statement = select(HISTORY.c.version, *columns).where(
        HISTORY.c.layer == layer.id,
        HISTORY.c.feature_id == feature_id,
        HISTORY.c.version.in_(superseded),
        HISTORY.c.op == "update",
    )
    rows = session.execute(statement.order_by(HISTORY.c.id)).mappings()
    return {row["version"]: _change(row) for row in rows}


def _insert(session: ReadSession, layer: Layer, feature_id: int, at: datetime) -> Change:
    """Return by which import a feature came in, or came back, at a time."""
    # The row bears the time at which its transaction began: between the import's asking and end.
    found = session.execute(
        select(IMPORTS.c.actor, IMPORTS.c.id)
        .where(
            IMPORTS.c.layer == layer.id,
            IMPORTS.c.inserted_ids.op("@>")(cast(feature_id, BigInteger)),
            literal(at).between(IMPORTS.c.created_at, IMPORTS.c.finished_at),
        )
        .order_by(IMPORTS.c.id.desc())
        .limit(1)
    ).first()
    return Change("insert", at, *(found or (None, None)))
