"""The rows of COVERAGE_RUNS and COVERAGE_FEATURES."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
import shapely
from sqlalchemy import Row, and_, delete, func, insert, select, text, update

from riskmap.db.sessions import Actor, ReadSession, WriteSession
from riskmap.db.tables import COVERAGE_FEATURES, COVERAGE_RUNS, JOBS
from riskmap.errors import ConflictError, NotFoundError
from riskmap.jobs import store as jobs
from riskmap.jobs.store import Job

KIND: Final = "coverage"
_BATCH: Final = 1000


def queue_run(
    session: WriteSession, parameters: Mapping[str, Any], name: str | None, actor: Actor
) -> int:
    """Queue a run; return its id."""
    made = session.execute(
        insert(COVERAGE_RUNS)
        .values(
            name=name, actor=actor.name, request_id=actor.request_id, parameters=dict(parameters)
        )
        .returning(COVERAGE_RUNS.c.id)
    )
    run_id = int(made.scalar_one())
    job_id = jobs.queue(
        session, KIND, {"run_id": run_id}, actor=actor.name, request_id=actor.request_id
    )
    session.execute(update(COVERAGE_RUNS).where(COVERAGE_RUNS.c.id == run_id).values(job_id=job_id))
    return run_id


def _runs() -> Any:
    run, job = COVERAGE_RUNS.c, JOBS.c
    return select(
        *(run[name] for name in ("id", "name", "actor", "parameters", "job_id", "inputs")),
        *(run[name] for name in ("summary", "checksum", "created_at", "finished_at")),
        # What is queued and what runs, the job alone knows.
        func.coalesce(job.status, run.status).label("status"),
        job.progress,
        job.problem,
    ).join_from(COVERAGE_RUNS, JOBS, run.job_id == job.id, isouter=True)


def get_run(session: ReadSession, run_id: int) -> Row[Any]:
    """Return a run.

    Raises
    ------
    NotFoundError
        There is no such run.
    """
    row = session.execute(_runs().where(COVERAGE_RUNS.c.id == run_id)).first()
    if row is None:
        raise NotFoundError("coverage.unknown_run", parameter="id", value=run_id)
    return row


def done_run(session: ReadSession, run_id: int, parameter: str = "id") -> Row[Any]:
    """Return a run that has its rows.

    Raises
    ------
    NotFoundError, ConflictError
        There is no such run; it is not done.
    """
    row = get_run(session, run_id)
    if row.status != "done":
        raise ConflictError(
            "coverage.not_done", parameter=parameter, value=run_id, status=row.status
        )
    return row


def list_runs(session: ReadSession, limit: int, before: int | None) -> list[Row[Any]]:
    """Return runs, the newest first, below an id."""
    statement = _runs().order_by(COVERAGE_RUNS.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(COVERAGE_RUNS.c.id < before)
    return list(session.execute(statement))


def delete_run(session: WriteSession, run_id: int) -> None:
    """Delete a run and its rows.

    Raises
    ------
    NotFoundError, ConflictError
        There is no such run; it waits or runs.
    """
    row = get_run(session, run_id)
    if row.status in jobs.OPEN:
        raise ConflictError("coverage.open", parameter="id", value=run_id, status=row.status)
    session.execute(delete(COVERAGE_RUNS).where(COVERAGE_RUNS.c.id == run_id))


def write_rows(session: WriteSession, run_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the rows of a run, as `riskmap.analysis.coverage_features.rows_of` yields them."""
    for part in range(0, len(rows), _BATCH):
        session.execute(
            insert(COVERAGE_FEATURES),
            [_stored(run_id, row) for row in rows[part : part + _BATCH]],
        )


def _stored(run_id: int, row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in row.items() if name != "shape"}
    return {
        "run_id": run_id,
        "layer": row["layer"],
        "feature_id": row["id"],
        "geom": f"SRID=4326;{shapely.to_wkt(row['shape'], rounding_precision=-1)}",
        "told": told,
        **{
            name: row[name]
            for name in ("covered", "first_s", "teams_in_time", "risk_level", "people")
        },
    }


def end_run(session: WriteSession, run_id: int, **values: Any) -> None:
    """Write down how a run ended."""
    session.execute(
        update(COVERAGE_RUNS)
        .where(COVERAGE_RUNS.c.id == run_id)
        .values(finished_at=func.clock_timestamp(), **values)
    )


def ended(session: WriteSession, job: Job) -> None:
    """Write down that a run failed or was cancelled."""
    end_run(session, int(job.parameters["run_id"]), status=job.status)


def count_rows(session: ReadSession, run_id: int) -> int:
    """Return how many rows a run has."""
    statement = select(func.count()).where(COVERAGE_FEATURES.c.run_id == run_id)
    return int(session.execute(statement.select_from(COVERAGE_FEATURES)).scalar_one())


def read_rows(
    session: ReadSession, run_id: int, offset: int, limit: int
) -> Iterator[dict[str, Any]]:
    """Yield rows of a run as they were told, by layer and id."""
    found = COVERAGE_FEATURES.c
    rows = session.execute(
        select(func.ST_AsBinary(found.geom).label("wkb"), found.told)
        .where(found.run_id == run_id)
        .order_by(found.layer, found.feature_id)
        .offset(offset)
        .limit(limit)
    ).all()
    for row in rows:
        yield {**row.told, "shape": shapely.from_wkb(bytes(row.wkb))}


def compare(session: ReadSession, one: int, other: int, limit: int) -> dict[str, Any]:
    """Say what differs between two runs, the other one taken for the later.

    Returns
    -------
    Counts, and the first of those that are covered in one of them alone, by level and id.
    """
    before = select(COVERAGE_FEATURES).where(COVERAGE_FEATURES.c.run_id == one).subquery("a")
    after = select(COVERAGE_FEATURES).where(COVERAGE_FEATURES.c.run_id == other).subquery("b")
    same = and_(before.c.layer == after.c.layer, before.c.feature_id == after.c.feature_id)
    both = before.join(after, same, full=True)
    # Not reached is later than any time.
    never = float("inf")
    then, now = (func.coalesce(side.c.first_s, never) for side in (before, after))
    there = and_(before.c.run_id.is_not(None), after.c.run_id.is_not(None))
    marks = {
        "newly_covered": and_(there, after.c.covered, ~before.c.covered),
        "newly_uncovered": and_(there, before.c.covered, ~after.c.covered),
        "earlier": and_(there, now < then),
        "later": and_(there, now > then),
        "only_in_first": after.c.run_id.is_(None),
        "only_in_second": before.c.run_id.is_(None),
    }
    counts = session.execute(
        select(
            func.count().filter(there).label("in_both"),
            *(func.count().filter(mark).label(name) for name, mark in marks.items()),
            func.coalesce(func.sum(before.c.people).filter(marks["newly_uncovered"]), 0).label(
                "people_newly_uncovered"
            ),
            func.coalesce(func.sum(before.c.people).filter(marks["newly_covered"]), 0).label(
                "people_newly_covered"
            ),
        ).select_from(both)
    ).one()
    listed = {
        name: [
            dict(row._mapping)
            for row in session.execute(
                select(
                    *(before.c[column] for column in ("layer", "feature_id", "risk_level")),
                    before.c.people,
                    before.c.told["name"].astext.label("name"),
                    before.c.first_s.label("before_s"),
                    after.c.first_s.label("after_s"),
                )
                .select_from(both)
                .where(marks[name])
                .order_by(text("risk_level NULLS LAST"), before.c.layer, before.c.feature_id)
                .limit(limit)
            )
        ]
        for name in ("newly_uncovered", "newly_covered")
    }
    return {"counts": dict(counts._mapping), **listed}


def checksum_line(row: Mapping[str, Any]) -> bytes:
    """Return what of a row the checksum is made of: all but its shape."""
    told = {name: value for name, value in row.items() if name != "shape"}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
