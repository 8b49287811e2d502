"""Taking a whole import back, and putting one feature back to an earlier version.

What an import superseded stands in the history under its number, what it made in its own row. The
version right after the import, by which later changes are told:

- inserted by an import: 1;
- put back by an undo: one more than the version that the import it takes back deleted;
- updated: one more than the superseded version.

A later version with the same content is no change: so imports can be taken back one after another,
the last first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Layer
from riskmap.db.audit import record
from riskmap.db.base import METADATA
from riskmap.db.sessions import Actor, WriteSession
from riskmap.db.tables import HISTORY, IMPORTS
from riskmap.errors import ConflictError, NotFoundError, PreconditionError
from riskmap.ingest import revert, store
from riskmap.ingest.load import lock_layer
from riskmap.ingest.revert import PLAN, Clashes, Reverted

PATIENCE_S: Final = 2.0
"""How long a request waits for a layer: each that waits holds a connection that others need."""

_MADE: Final = """
INSERT INTO riskmap_revert (feature_id, act, expected)
SELECT made.id, 'delete', coalesce(earlier.version + 1, 1)
FROM (
    SELECT generate_series(lower(r), upper(r) - 1) AS id
    FROM imports CROSS JOIN LATERAL unnest(inserted_ids) r WHERE imports.id = :import_id
) made
LEFT JOIN history earlier ON earlier.import_id = :undo_of AND earlier.layer = :layer
    AND earlier.feature_id = made.id AND earlier.op = 'delete'
"""
_TOUCHED: Final = """
INSERT INTO riskmap_revert (feature_id, act, expected, history_id)
SELECT feature_id, CASE WHEN bool_or(op <> 'update') THEN 'insert' ELSE 'update' END,
    max(version) + 1, (array_agg(id ORDER BY version))[1]
FROM history WHERE import_id = :import_id AND layer = :layer
GROUP BY feature_id
ON CONFLICT (feature_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo did.

    Parameters
    ----------
    import_id
        Its own number: it can be undone, too.
    deleted, updated, inserted
        Features that are gone again, as before again, back again.
    skipped
        Features left as they are, since others changed them or took their code.
    """

    import_id: int
    undo_of: int
    layer: str
    deleted: int
    updated: int
    inserted: int
    skipped: int

    def to_json(self) -> dict[str, Any]:
        """Return it as the row of the undo keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}


def undo_import(
    session: WriteSession,
    import_id: int,
    *,
    actor: Actor,
    skip_changed: bool = False,
    patience_s: float | None = None,
) -> Undone:
    """Take an import (or an undo) back, in the session's transaction.

    Parameters
    ----------
    skip_changed
        Leave what others have changed since as it is, instead of refusing.
    patience_s
        How long to wait for an import that works on the layer; None: as long as it takes.

    Raises
    ------
    NotFoundError
        There is no such import.
    ConflictError
        An import works on the layer for longer than `patience_s`.
        It changed nothing, it is undone already, or others have changed features since.
    UnavailableError
        The connection was lost.
    """
    found = session.execute(select(IMPORTS).where(IMPORTS.c.id == import_id)).first()
    if found is None:
        raise NotFoundError("imports.unknown", parameter="import_id", value=import_id)
    layer = load_catalog().find(found.layer)
    lock_layer(session, layer, patience_s=patience_s)
    _check(session, import_id)
    undo_id = store.begin_import(session, _entry(found), actor)
    revert.begin(session)
    bound = {"import_id": import_id, "undo_of": found.undo_of, "layer": layer.id}
    session.execute(text(_MADE), bound)
    session.execute(text(_TOUCHED), bound)
    session.execute(text(f"ANALYZE {PLAN.name}"))
    target = METADATA.tables[layer.table]
    clashes = revert.look(session, target, layer.id)
    skipped = 0
    if skip_changed:
        skipped = revert.leave_out_clashes(session)
    else:
        _refuse(clashes, import_id)
    done = _apply(session, layer)
    undone = Undone(
        undo_id, import_id, layer.id, done.deleted, done.updated, done.inserted, skipped
    )
    store.finish_import(session, undo_id, undone.to_json(), done.inserted_ids, action="import.undo")
    return undone


def _check(session: WriteSession, import_id: int) -> None:
    """Refuse what cannot be undone; with the layer's lock, so that two do not undo it at once."""
    only_checked = IMPORTS.c.report["dry_run"].as_boolean()
    columns = (IMPORTS.c.status, only_checked.label("only_checked"))
    found = session.execute(select(*columns).where(IMPORTS.c.id == import_id)).one()
    status = found.status
    if found.only_checked:
        raise ConflictError("undo.dry_run", parameter="import_id", value=import_id)
    if status != "done":
        raise ConflictError("undo.not_done", parameter="import_id", value=import_id, status=status)
    # The last of a chain of undo and redo is what can be taken back.
    last = import_id
    while True:
        later = session.execute(
            select(func.max(IMPORTS.c.id)).where(
                IMPORTS.c.undo_of == last, IMPORTS.c.status == "done"
            )
        ).scalar_one()
        if later is None:
            break
        last = int(later)
    if last != import_id:
        raise ConflictError("undo.twice", parameter="import_id", value=import_id, last=last)


def _entry(found: Row[Any]) -> store.Entry:
    return store.Entry(
        layer=found.layer,
        file=found.file,
        crs=found.crs,
        source_system=found.source_system,
        mode=found.mode,
        undo_of=found.id,
    )


def _refuse(clashes: Clashes, import_id: int) -> None:
    if clashes.changed:
        raise ConflictError(
            "undo.changed",
            parameter="import_id",
            value=import_id,
            count=clashes.changed,
            ids=", ".join(map(str, clashes.changed_ids)),
        )
    if clashes.taken:
        raise ConflictError(
            "undo.taken",
            parameter="import_id",
            value=import_id,
            count=clashes.taken,
            ids=", ".join(map(str, clashes.taken_ids)),
        )


def _apply(session: WriteSession, layer: Layer) -> Reverted:
    try:
        done = revert.apply(session, METADATA.tables[layer.table])
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != "23505":  # unique_violation
            raise
        raise ConflictError("restore.meanwhile", parameter="code") from error
    revert.end(session)
    return done


def restore_feature(
    session: WriteSession,
    layer: Layer,
    feature_id: int,
    version: int,
    *,
    if_match: Collection[int] | None = None,
    patience_s: float | None = None,
) -> int:
    """Make a feature what it was at an earlier version; return the version that it is at now.

    A deleted one comes back with its id. What it becomes is a new version, unless it is already
    what it was.

    Parameters
    ----------
    if_match
        Versions that it may be at; None: any.
    patience_s
        How long to wait for an import that works on the layer; None: as long as it takes.

    Raises
    ------
    NotFoundError
        There never was such a feature, or it had no such version.
    PreconditionError
        It is at none of the versions `if_match`.
    ConflictError
        Another feature has its source and code now, or an import works on the layer for longer
        than `patience_s`.
    """
    # An import that writes has rows locked: to wait for one of them would have no end either.
    lock_layer(session, layer, patience_s=patience_s)
    target = METADATA.tables[layer.table]
    live = session.execute(
        select(target.c.version).where(target.c.id == feature_id).with_for_update()
    ).scalar_one_or_none()
    if if_match is not None and live not in if_match:
        named = ", ".join(map(str, sorted(if_match))) or "-"
        raise PreconditionError(
            "restore.if_match", parameter="If-Match", value=named, version=live or 0
        )
    if live == version:
        return version
    of_feature = (HISTORY.c.layer == layer.id, HISTORY.c.feature_id == feature_id)
    last = session.execute(select(func.max(HISTORY.c.version)).where(*of_feature)).scalar_one()
    if last is None and live is None:
        raise NotFoundError(
            "feature.unknown", parameter="feature_id", value=feature_id, layer=layer.id
        )
    history_id = session.execute(
        select(func.max(HISTORY.c.id)).where(*of_feature, HISTORY.c.version == version)
    ).scalar_one()
    if history_id is None:
        raise NotFoundError(
            "history.version", parameter="version", value=version, feature_id=feature_id
        )
    act, expected = ("insert", last + 1) if live is None else ("update", live)
    plan = {"feature_id": feature_id, "history_id": history_id, "act": act, "expected": expected}
    revert.begin(session)
    session.execute(insert(PLAN).values(plan))
    clashes = revert.look(session, target, layer.id)
    if clashes.taken:
        raise ConflictError("restore.taken", parameter="code", other=clashes.taken_ids[0])
    if clashes.changed:  # a feature put back between the two looks
        raise ConflictError("restore.meanwhile", parameter="feature_id")
    _apply(session, layer)
    became = int(
        session.execute(select(target.c.version).where(target.c.id == feature_id)).scalar_one()
    )
    detail = {"feature_id": feature_id, "restored": version, "version": became}
    record(session, "feature.restore", layer.id, detail, row_count=1)
    return became
