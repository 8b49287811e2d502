"""The rows of IMPORTS: what was asked for, by whom, and what became of it.

A row of an import that is done was written in the transaction that loaded the features, so that
both are there or neither. What ends otherwise is noted in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.dialects.postgresql import Range

from riskmap.db.audit import record
from riskmap.db.sessions import Actor, Database, ReadSession, WriteSession
from riskmap.db.tables import IMPORTS
from riskmap.errors import NotFoundError
from riskmap.ingest.report import ImportReport

STATUSES: Final = ("queued", "running", "done", "rejected", "failed", "cancelled")

Outcome = Literal["rejected", "failed", "cancelled"]

# What nobody asks for in a list: ids may be hundreds of thousands of ranges, and the key of a
# request is its sender's.
_KEPT_BACK: Final = frozenset(("inserted_ids", "idempotency_key", "idempotency_hash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of an import before it runs.

    Parameters
    ----------
    options
        The other options, as JSON knows them.
    undo_of
        The import that this one takes back.
    """

    layer: str
    file: str
    source_system: str
    mode: str
    crs: str | None = None
    sha256: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    undo_of: int | None = None


def queue_import(
    session: WriteSession,
    entry: Entry,
    actor: Actor,
    *,
    status: Literal["queued", "running"] = "queued",
    job_id: int | None = None,
    idempotency_key: str | None = None,
    idempotency_hash: str | None = None,
) -> int:
    """Note an import that is to run; return its id.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        The actor has used the idempotency key already; `find_by_key` tells for what.
    """
    values = {
        "kind": "import" if entry.undo_of is None else "undo",
        "layer": entry.layer,
        "file": _storable(entry.file),
        "sha256": entry.sha256,
        "crs": entry.crs,
        "source_system": entry.source_system,
        "mode": entry.mode,
        "options": dict(entry.options),
        "undo_of": entry.undo_of,
        "actor": actor.name,
        "request_id": actor.request_id,
        "status": status,
        "job_id": job_id,
        "idempotency_key": idempotency_key,
        "idempotency_hash": idempotency_hash,
    }
    made = session.execute(insert(IMPORTS).values(values).returning(IMPORTS.c.id))
    return int(made.scalar_one())


def begin_import(session: WriteSession, entry: Entry, actor: Actor) -> int:
    """Note an import that runs in this transaction; history and audit name it from here."""
    import_id = queue_import(session, entry, actor, status="running")
    session.belongs_to_import(import_id)
    return import_id


def start_import(session: WriteSession, import_id: int) -> None:
    """Say that a queued import runs."""
    session.execute(update(IMPORTS).where(IMPORTS.c.id == import_id).values(status="running"))


def attach_job(session: WriteSession, import_id: int, job_id: int) -> None:
    """Say which job runs an import."""
    session.execute(update(IMPORTS).where(IMPORTS.c.id == import_id).values(job_id=job_id))


def finish_import(
    session: WriteSession,
    import_id: int,
    report: Mapping[str, Any],
    inserted_ids: Sequence[Range[int]],
    *,
    action: str = "import.done",
    **known: object,
) -> None:
    """Say in the transaction of the load that it is done, and leave an audit row.

    Parameters
    ----------
    known
        Columns that only the end tells, such as `sha256`.
    """
    values = {
        "status": "done",
        "report": _storable(report),
        "inserted_ids": list(inserted_ids) or None,
        # Not now(), which is when the transaction began.
        "finished_at": func.clock_timestamp(),
        **known,
    }
    changed = (IMPORTS.c.layer, IMPORTS.c.file, IMPORTS.c.undo_of)
    found = session.execute(
        update(IMPORTS).where(IMPORTS.c.id == import_id).values(values).returning(*changed)
    ).one()
    counts = {name: report[name] for name in COUNTED if name in report}
    detail = {"import_id": import_id, "file": found.file, "undo_of": found.undo_of, **counts}
    record(session, action, found.layer, detail, row_count=sum(counts.values()))


COUNTED: Final = ("inserted", "updated", "deleted")
"""Counts of a report that say how many features were touched."""


def record_outcome(
    database: Database,
    actor: Actor,
    *,
    status: Outcome,
    report: ImportReport | Mapping[str, Any] | None = None,
    entry: Entry | None = None,
    import_id: int | None = None,
) -> int:
    """Note in a transaction of its own that an import came to nothing; return its id.

    Parameters
    ----------
    entry
        For an import without a row, or whose row went with the transaction that began it.
    import_id
        The row of an import that was queued.
    """
    plain = report.to_json() if isinstance(report, ImportReport) else report
    with database.write(actor) as session:
        if import_id is None:
            if entry is None:
                raise TypeError("neither entry nor import_id")
            import_id = queue_import(session, entry, actor)
        if plain is not None:
            plain = _storable({**plain, "import_id": import_id})
        session.execute(
            update(IMPORTS)
            .where(IMPORTS.c.id == import_id, IMPORTS.c.status.in_(("queued", "running")))
            .values(status=status, report=plain, finished_at=func.clock_timestamp())
        )
    return import_id


def find_by_key(session: ReadSession, actor: str, key: str) -> Row[Any] | None:
    """Return id and `idempotency_hash` of the import for which an actor used a key."""
    return session.execute(
        select(IMPORTS.c.id, IMPORTS.c.idempotency_hash).where(
            IMPORTS.c.actor == actor, IMPORTS.c.idempotency_key == key
        )
    ).first()


def get_import(session: ReadSession, import_id: int) -> dict[str, Any]:
    """Return one import, as JSON knows it but for its times.

    Raises
    ------
    NotFoundError
        There is no such import.
    """
    found = session.execute(_imports().where(IMPORTS.c.id == import_id)).mappings().first()
    if found is None:
        raise NotFoundError("imports.unknown", parameter="import_id", value=import_id)
    return dict(found)


def list_imports(
    session: ReadSession,
    *,
    layer: str | None = None,
    status: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """Return imports, the newest first, below an id."""
    statement = _imports().order_by(IMPORTS.c.id.desc()).limit(limit)
    if layer is not None:
        statement = statement.where(IMPORTS.c.layer == layer)
    if status is not None:
        statement = statement.where(IMPORTS.c.status == status)
    if before is not None:
        statement = statement.where(IMPORTS.c.id < before)
    return [dict(row) for row in session.execute(statement).mappings()]


def _imports() -> Select[Any]:
    """Select imports; `undone_by` is the one that took it back."""
    columns: list[ColumnElement[Any]] = [c for c in IMPORTS.c if c.name not in _KEPT_BACK]
    later = IMPORTS.alias("later")
    undone_by = (
        select(func.max(later.c.id))
        .where(later.c.undo_of == IMPORTS.c.id, later.c.status == "done")
        .scalar_subquery()
    )
    return select(*columns, undone_by.label("undone_by"))


def _storable(value: Any) -> Any:
    """Replace what JSON can spell and PostgreSQL cannot keep: NUL, half a surrogate pair.

    A report quotes the rows that were refused for just that.
    """
    if isinstance(value, str):
        return (
            value.encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
            .replace("\0", "\ufffd")
        )
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def import_folder(data_dir: Path, import_id: int) -> Path:
    """Return the folder of an import's own files: the problems, the rejected rows."""
    return data_dir / "imports" / str(import_id)


def rejected_file(data_dir: Path, import_id: int) -> Path:
    """Return the file of the rows that an import refused.

    Raises
    ------
    NotFoundError
        It refused none, or the file is not kept any more (or by another machine).
    """
    files = sorted(import_folder(data_dir, import_id).glob("rejected.*"))
    if not files:
        raise NotFoundError("imports.no_rejected", parameter="import_id", value=import_id)
    return files[0]
