"""OGC API - Processes Part 1 (18-062r2): its abstract tests, and what a duty room would try.

Tests of the standard are named after the ids of its annex A.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "analysis")]

from grid_city import build, place  # noqa: E402

from api_help import Served, eventually, serving  # noqa: E402
from riskmap.analysis import process_job, process_store  # noqa: E402
from riskmap.analysis.stopwatch import Stopwatch  # noqa: E402
from riskmap.api.process_list import PROCESSES  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402

NO_PROCESS, NO_JOB, NOT_READY = (
    f"http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/{name}"
    for name in ("no-such-process", "no-such-job", "result-not-ready")
)
ASYNC = {"Prefer": "respond-async"}
LON, LAT = place(2)
CIRCLE = {"points": [[LON, LAT]], "minutes": [5, 10]}
NEAREST = {"points": [[LON, LAT]], "layer": "geohazard-points", "k": 2}
#: Inputs of every process, and the route that answers the same.
ASKED: dict[str, tuple[dict[str, Any], tuple[str, str, Any]]] = {
    "response-circles": (CIRCLE, ("post", "/analysis/response-circles", CIRCLE)),
    "reach": (
        {"lon": LON, "lat": LAT, "routes": True, "need_people": 5},
        ("get", "/analysis/reach", {"lon": LON, "lat": LAT, "routes": "true", "need_people": 5}),
    ),
    "nearest": (
        {"points": [[LON, LAT]], "layer": "geohazard-points", "k": 2},
        (
            "post",
            "/analysis/nearest",
            {"points": [[LON, LAT]], "layer": "geohazard-points", "k": 2},
        ),
    ),
    "coverage": (
        {"layer": ["geohazard-points"], "minutes": 5},
        ("post", "/analysis/coverage", {"layer": ["geohazard-points"], "minutes": 5}),
    ),
    "surroundings": (
        {"lon": LON, "lat": LAT, "radius_m": [500]},
        ("post", "/analysis/surroundings", {"lon": LON, "lat": LAT, "radius_m": [500]}),
    ),
    "compare-scenario": (
        {"scenario": {"teams_off_duty": [{"layer": "rescue-teams", "id": 1}]}, "minutes": 5},
        (
            "post",
            "/analysis/scenarios/compare",
            {"scenario": {"teams_off_duty": [{"layer": "rescue-teams", "id": 1}]}, "minutes": 5},
        ),
    ),
}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=0) as made:
        build(made.database)
        point = f"POINT({LON} {LAT})"
        made.put("rescue-teams", {"code": "t", "geom": point, "kind": "team", "personnel": 9})
        far = place(12)
        made.put(
            "geohazard-points",
            {"code": "near", "geom": point, "risk_level": 1},
            {"code": "far", "geom": f"POINT({far[0]} {far[1]})", "risk_level": 2},
        )
        yield made


def run(served: Served, process: str, body: Any, role: str | None = None, **headers: str) -> Any:
    return served.client.post(
        f"/processes/{process}/execution", json=body, headers={**served.headers(role), **headers}
    )


def queued(served: Served, process: str, inputs: Any, **more: Any) -> str:
    answer = run(served, process, {"inputs": inputs, **more}, "analyst", **ASYNC)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"]).partition("/jobs/")[2]


def ended(served: Served, job: str) -> dict[str, Any]:
    def state() -> dict[str, Any]:
        found: dict[str, Any] = served.get(f"/jobs/{job}").json()
        return found

    eventually(lambda: state()["status"] not in ("accepted", "running"))
    return state()


def plain(served: Served, method: str, path: str, what: Any) -> Any:
    if method == "get":
        return served.get(path, **what)
    return served.client.post(path, json=what)


def test_conf_core_landingpage_op_and_conformance_success(served: Served) -> None:
    links = {one["rel"]: one["href"] for one in served.get("/").json()["links"]}
    base = "http://www.opengis.net/def/rel/ogc/1.0"
    assert links[f"{base}/processes"].endswith("/processes")
    met = served.get("/conformance").json()["conformsTo"]
    for name in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss"):
        assert f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}" in met


def test_conf_core_process_list_success_and_limit(served: Served) -> None:
    found = served.get("/processes").json()
    assert [one["id"] for one in found["processes"]] == list(ASKED) == list(PROCESSES)
    for one in found["processes"]:
        assert {"id", "version", "title", "jobControlOptions", "outputTransmission"} <= set(one)
    first = served.get("/processes", limit=2).json()
    following = next(one["href"] for one in first["links"] if one["rel"] == "next")
    rest = served.client.get(following).json()
    ids = [one["id"] for one in first["processes"] + rest["processes"]]
    assert ids == list(ASKED)[:4]
    assert served.get("/processes", limit=0).status_code == 400


@pytest.mark.parametrize("process", ASKED)
def test_conf_ogc_process_description_inputs_def(served: Served, process: str) -> None:
    found = served.get(f"/processes/{process}", lang="en").json()
    fields = set(PROCESSES[process].model.model_fields) - PROCESSES[process].left_out
    assert set(found["inputs"]) == fields
    for one in found["inputs"].values():
        assert {"title", "schema", "minOccurs", "maxOccurs"} <= set(one)
    assert set(found["outputs"]) == {"result"} and found["outputs"]["result"]["schema"]
    assert served.get(f"/processes/{process}").json()["title"] != found["title"]


def test_conf_core_process_exception_no_such_process(served: Served) -> None:
    for answer in (served.get("/processes/none"), run(served, "none", {"inputs": {}})):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == NO_PROCESS


@pytest.mark.parametrize("process", ASKED)
def test_conf_core_process_execute_sync_raw_value_one(served: Served, process: str) -> None:
    inputs, route = ASKED[process]
    answer = run(served, process, {"inputs": inputs})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == PROCESSES[process].media
    assert answer.content == plain(served, *route).content


def test_conf_core_process_execute_sync_document(served: Served) -> None:
    body = {"inputs": CIRCLE, "outputs": {"result": {}}, "response": "document"}
    answer = run(served, "response-circles", body).json()
    assert set(answer) == {"result"}
    assert answer["result"]["mediaType"] == "application/geo+json"
    assert answer["result"]["value"] == run(served, "response-circles", {"inputs": CIRCLE}).json()


def test_conf_core_process_execute_inputs_qualified(served: Served) -> None:
    x, y = place(4)
    shape = {"type": "Point", "coordinates": [x, y]}
    bare = run(served, "surroundings", {"inputs": {"geometry": shape, "radius_m": [500]}})
    wrapped = {"geometry": {"value": shape}, "radius_m": {"value": [500]}}
    assert run(served, "surroundings", {"inputs": wrapped}).json() == bare.json()
    assert bare.status_code == 200


@pytest.mark.parametrize("process", ASKED)
def test_conf_core_process_execute_async_and_job_results(served: Served, process: str) -> None:
    inputs, route = ASKED[process]
    answer = run(served, process, {"inputs": inputs}, "analyst", **ASYNC)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "respond-async"
    told = answer.json()
    assert told["processID"] == process and told["type"] == "process"
    assert answer.headers["location"].endswith(f"/jobs/{told['jobID']}")
    done = ended(served, told["jobID"])
    assert (done["status"], done["progress"]) == ("successful", 100)
    assert done["created"] <= done["started"] <= done["finished"] <= done["updated"]
    results = next(one["href"] for one in done["links"] if one["rel"].endswith("/results"))
    found = served.client.get(results)
    assert found.status_code == 200
    assert found.content == plain(served, *route).content


def test_conf_core_job_results_document(served: Served) -> None:
    job = queued(served, "coverage", {"layer": ["geohazard-points"]}, response="document")
    ended(served, job)
    found = served.get(f"/jobs/{job}/results").json()
    assert found["result"]["value"]["minutes"] == 15


@pytest.mark.parametrize("end", ["", "/results"])
def test_conf_core_job_exception_no_such_job(served: Served, end: str) -> None:
    for name in ("1", "x" * 300, "00000000-0000-0000-0000-000000000000", "%00"):
        answer = served.get(f"/jobs/{name}{end}")
        assert answer.status_code == 404
        assert answer.json()["type"] == NO_JOB


def test_conf_core_job_results_failed(served: Served) -> None:
    job = queued(served, "reach", {"feature": "rescue-teams/99"})
    assert ended(served, job)["status"] == "failed"
    answer = served.get(f"/jobs/{job}/results", lang="en")
    same = served.get("/analysis/reach", feature="rescue-teams/99", lang="en")
    assert answer.status_code == same.status_code == 404
    assert answer.json()["detail"] == same.json()["detail"]


@pytest.fixture
def held(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let circles stand still inside, as they would in a vast city, until told to go on."""
    go, inside = threading.Event(), threading.Event()
    circle = served.app.state.context.analysis.__class__.circle

    def slow(self: Any, query: Any, watch: Stopwatch, *more: Any) -> Any:
        if isinstance(watch, process_job.Watched):
            inside.set()
            go.wait(20)
        return circle(self, query, watch, *more)

    monkeypatch.setattr(served.app.state.context.analysis.__class__, "circle", slow)
    go.inside = inside  # type: ignore[attr-defined]
    yield go
    go.set()


def test_conf_core_job_results_exception_results_not_ready(served: Served, held: Any) -> None:
    job = queued(served, "response-circles", CIRCLE)
    assert held.inside.wait(20)
    running = served.get(f"/jobs/{job}").json()
    assert running["status"] == "running" and running["message"]
    answer = served.get(f"/jobs/{job}/results")
    assert answer.status_code == 404
    assert answer.json()["type"] == NOT_READY
    held.set()
    assert ended(served, job)["status"] == "successful"


def test_conf_dismiss_job_dismiss_op_half_way(served: Served, held: Any) -> None:
    job = queued(served, "response-circles", CIRCLE)
    waiting = queued(served, "response-circles", CIRCLE)
    assert held.inside.wait(20)
    for name in (waiting, job):
        answer = served.client.delete(f"/jobs/{name}", headers=served.headers("analyst"))
        assert answer.status_code == 200
        assert answer.json()["status"] == "dismissed"
    held.set()

    def state() -> list[str]:
        with served.database.read() as session:
            rows = session.execute(
                text("SELECT status FROM jobs JOIN process_jobs p ON job_id = jobs.id "
                     "WHERE p.id::text IN (:one, :other) AND p.result IS NULL"),
                {"one": job, "other": waiting},
            )  # fmt: skip
            return list(rows.scalars())

    eventually(lambda: state() == ["cancelled", "cancelled"])
    assert served.get(f"/jobs/{job}").json()["status"] == "dismissed"
    assert served.get(f"/jobs/{job}/results").status_code == 410
    # Unharmed: the next one runs.
    assert ended(served, queued(served, "response-circles", CIRCLE))["status"] == "successful"


def test_conf_dismiss_job_dismiss_success_of_an_ended_job(served: Served) -> None:
    job = queued(served, "reach", {"lon": LON, "lat": LAT})
    ended(served, job)
    assert served.get(f"/jobs/{job}/results").status_code == 200
    gone = served.client.delete(f"/jobs/{job}", headers=served.headers("editor"))
    assert gone.json()["status"] == "dismissed"
    assert served.get(f"/jobs/{job}/results").status_code == 410
    again = served.client.delete(f"/jobs/{job}", headers=served.headers("editor"))
    assert again.status_code == 410
    for role in (None, "reader"):
        refused = served.client.delete(f"/jobs/{job}", headers=served.headers(role))
        assert refused.status_code in (401, 403)


def test_conf_job_list_job_list_op_and_filters(served: Served) -> None:
    names = [queued(served, "reach", {"lon": LON, "lat": LAT}) for _ in range(3)]
    for name in names:
        ended(served, name)

    def listed(**asked: Any) -> list[str]:
        answer = served.get("/jobs", "analyst", **asked)
        assert answer.status_code == 200, answer.text
        return [one["jobID"] for one in answer.json()["jobs"]]

    assert listed(limit=3) == names[::-1]
    first = served.get("/jobs", "analyst", limit=2).json()
    following = next(one["href"] for one in first["links"] if one["rel"] == "next")
    page = served.client.get(following, headers=served.headers("analyst")).json()
    assert page["jobs"][0]["jobID"] == names[0]
    assert names[0] in listed(processID="reach", status="successful", type="process", limit=1000)
    assert names[0] not in listed(processID="coverage")
    assert names[0] not in listed(status="running,failed")
    assert listed(maxDuration=0) == [] and names[0] in listed(minDuration=0)
    assert listed(datetime="../2026-01-01") == [] and names[0] in listed(datetime="2026-01-01/..")
    for asked in (
        {"status": "done"},
        {"type": "import"},
        {"limit": 0},
        {"datetime": "x"},
        {"minDuration": "long"},
    ):
        answer = served.get("/jobs", "analyst", **asked)
        assert (answer.status_code, answer.json()["parameter"]) == (400, next(iter(asked)))


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"inputs": {"minutes": "soon"}}, "inputs.minutes"),
        ({"inputs": {"colour": "red"}}, "inputs.colour"),
        ({"inputs": {"f": "csv"}}, "inputs.f"),
        ({"inputs": {"points": {"href": "http://example.org/points.json"}}}, "inputs.points"),
        ({"inputs": {**CIRCLE, "minutes": [-1]}}, "minutes"),
        ({"inputs": {"points": []}}, None),
        ({"inputs": CIRCLE, "outputs": {"picture": {}}}, "outputs.picture"),
        ({"inputs": CIRCLE, "outputs": {"result": {"transmissionMode": "reference"}}}, None),
        (
            {"inputs": CIRCLE, "outputs": {"result": {"format": {"mediaType": "text/csv"}}}},
            "outputs.result.format.mediaType",
        ),
        ({"inputs": [], "response": "raw"}, "inputs"),
        ({"inputs": {}, "response": "cooked"}, "response"),
        ({"inputs": CIRCLE, "subscriber": {"successUri": "http://example.org"}}, "subscriber"),
        ([], "body"),
    ],
)
@pytest.mark.parametrize("headers", [{}, ASYNC])
def test_bad_requests_name_what_is_at_fault(
    served: Served, body: Any, parameter: str | None, headers: dict[str, str]
) -> None:
    answer = run(served, "response-circles", body, "analyst", **headers)
    if answer.status_code == 201:
        # What only the analysis itself can tell is told by the job.
        job = answer.json()["jobID"]
        assert ended(served, job)["status"] == "failed"
        answer = served.get(f"/jobs/{job}/results")
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if parameter is not None:
        assert answer.json()["parameter"] == parameter


def test_every_address_of_the_documentation_is_answered(served: Served) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "processes.md").read_text(encoding="utf-8")
    addresses = re.findall(r"^GET (/\S+)$", docs, re.MULTILINE)
    assert len(addresses) >= 9
    for one in addresses:
        assert served.get(one, "analyst").status_code == 200, one
    for name in (*PROCESSES, *process_store.STATUS.values()):
        assert name in docs


def test_what_runs_by_itself_needs_a_key(served: Served) -> None:
    for role, status in ((None, 401), ("reader", 403)):
        answer = run(served, "reach", {"inputs": {"lon": LON, "lat": LAT}}, role, **ASYNC)
        assert answer.status_code == status
    waited = run(served, "reach", {"inputs": {"lon": LON, "lat": LAT}}, Prefer="wait=10, x;y=1")
    assert waited.status_code == 200 and "preference-applied" not in waited.headers


def test_a_worker_that_dies_leaves_the_job_to_another(
    served: Served,
) -> None:
    context = served.app.state.context
    context.jobs.stop()
    try:
        job = queued(served, "reach", {"lon": LON, "lat": LAT})
        with served.database.write(Actor("test")) as session:
            session.execute(
                text(
                    "UPDATE jobs SET status = 'running', runner = 'elsewhere/1.1/dead', "
                    "attempts = 1, heartbeat_at = now() - interval '1 hour' "
                    "WHERE id = (SELECT job_id FROM process_jobs WHERE id::text = :job)"
                ),
                {"job": job},
            )
        assert served.get(f"/jobs/{job}").json()["status"] == "running"
    finally:
        context.jobs.start()
    assert ended(served, job)["status"] == "successful"
    assert served.get(f"/jobs/{job}/results").status_code == 200


def test_jobs_are_kept_for_some_days(served: Served) -> None:
    job = queued(served, "reach", {"lon": LON, "lat": LAT})
    ended(served, job)
    days = process_store.KEEP_DAYS
    for ago, status in ((days - 0.1, 200), (days + 0.1, 404)):
        with served.database.write(Actor("test")) as session:
            session.execute(
                text(
                    "UPDATE jobs SET finished_at = now() - make_interval(secs => :ago) "
                    "WHERE id = (SELECT job_id FROM process_jobs WHERE id::text = :job)"
                ),
                {"ago": ago * 86400, "job": job},
            )
        # Whoever queues another sweeps.
        ended(served, queued(served, "reach", {"lon": LON, "lat": LAT}))
        assert served.get(f"/jobs/{job}").status_code == status


def test_a_body_of_ten_megabytes_is_refused(served: Served) -> None:
    begun = time.monotonic()
    shape = {"type": "LineString", "coordinates": [[LON, LAT]] * 1_000_000}
    answer = run(served, "surroundings", {"inputs": {"geometry": shape}})
    assert answer.status_code == 413
    assert time.monotonic() - begun < 20
