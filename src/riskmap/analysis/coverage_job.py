"""A stored run of coverage as a job: rows, inputs and the job's end are one transaction."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from riskmap import __version__
from riskmap.analysis import coverage_store as store
from riskmap.analysis.coverage_features import rows_of
from riskmap.analysis.coverage_layers import Found
from riskmap.analysis.coverage_query import LayersQuery
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.catalog.spec import Role
from riskmap.db.sessions import WriteSession
from riskmap.jobs.runner import Handle
from riskmap.jobs.store import Job, JobCancelledError
from riskmap.roads.speeds import read_time_factors

KIND = store.KIND


def checksum(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of rows, in their order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(store.checksum_line(row))
    return found.hexdigest()


def inputs_of(service: AnalysisService, found: Found) -> dict[str, Any]:
    """Return all that the rows follow from, as JSON knows it."""
    ground, moment = service.ground, found.moment
    layers = [*(one.rows.layer for one in found.layers), *ground.catalog.with_role(Role.TEAM)]
    layers += [ground.catalog.population, *ground.catalog.with_role(Role.AREA)]
    return {
        "version": __version__,
        "network_revision": found.network.graph.revision,
        "layer_revisions": {
            layer.id: moment.layer_revisions.get(layer.id, 0)
            for layer in sorted(layers, key=lambda one: one.id)
        },
        "phases": {
            kind: dataclasses.asdict(phases) for kind, phases in sorted(moment.phases.items())
        },
        "time_factors": _factors(service, found),
        "speed_source": sorted({s for name in found.profiles for s in moment.speed_sources[name]}),
        "profiles": list(found.profiles),
    }


def _factors(service: AnalysisService, found: Found) -> str | None:
    """Return a mark of the hour's factors: any change of theirs changes it."""
    if found.query.when is None:
        return None
    with service.ground.database.read() as session:
        rows = read_time_factors(session).rows
    return hashlib.sha256(repr(sorted(rows.items())).encode()).hexdigest()


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say which inputs have changed, layers and kinds by name."""
    told = []
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            told += [{**one, "input": f"{name}.{one['input']}"} for one in changes(before, after)]
        elif before != after:
            told.append({"input": name, "then": before, "now": after})
    return told


def reproduce(service: AnalysisService, parameters: dict[str, Any], then: Any, mark: str) -> Any:
    """Compute a run again, and say whether the rows are the same and what has changed since."""
    service = service.under(parameters.get("scenario"))
    found = service.covered(LayersQuery.from_json(parameters), Stopwatch())
    now = checksum(rows_of(found))
    return {
        "same": now == mark,
        "checksum": mark,
        "checksum_now": now,
        "changed_inputs": changes(then, _plain(inputs_of(service, found))),
    }


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


class CoverageKind:
    """How jobs of the kind coverage are run."""

    def __init__(self, service: AnalysisService) -> None:
        self._service = service

    def run(self, parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        """Compute a run and store it whole, or not at all."""
        run_id, database = int(parameters["run_id"]), self._service.ground.database
        with database.read() as session:
            asked = store.get_run(session, run_id).parameters
        service = self._service.under(asked.get("scenario"))

        def progress(done: int, total: int) -> None:
            handle.progress("search", done, total)
            if handle.cancelled():
                raise JobCancelledError

        found = service.covered(LayersQuery.from_json(asked), Stopwatch(), progress)
        rows = list(rows_of(found))
        progress(len(rows), len(rows))
        told = _plain(service.coverage_summary(found))
        with database.write(handle.actor, timeout_s=0) as session:
            store.write_rows(session, run_id, rows)
            progress(len(rows), len(rows))
            store.end_run(
                session,
                run_id,
                status="done",
                inputs=_plain(inputs_of(service, found)),
                summary=told,
                checksum=checksum(rows),
            )
            handle.finish(session, {"run_id": run_id, "rows": len(rows)})
        return {}

    def ended(self, session: WriteSession, job: Job) -> None:
        """Write down that a run failed or was cancelled."""
        store.ended(session, job)

    def clean(self, job: Job) -> None:
        """Nothing lies beside the rows."""

    def prepare(self) -> None:
        """Nothing is left by earlier processes."""
