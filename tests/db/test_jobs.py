"""The queue: claims, leases, attempts, cancels; two workers never both commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from api_help import eventually
from riskmap.db.sessions import Actor, Database, WriteSession
from riskmap.errors import ConflictError, InputError, NotFoundError, UnavailableError
from riskmap.i18n import LANGS, say
from riskmap.jobs import store
from riskmap.jobs.identity import is_gone, machine, new_name
from riskmap.jobs.runner import Handle, Runner
from riskmap.jobs.store import Claim, Job, LostClaimError

ACTOR = Actor("key:test", "request-1")
DEAD = f"{machine()}/4194304.1/dead"  # beyond Linux's largest process number


def put(database: Database, kind: str = "sum", **parameters: Any) -> int:
    with database.write(ACTOR) as session:
        return store.queue(session, kind, parameters, actor=ACTOR.name, request_id=ACTOR.request_id)


def take(
    database: Database, runner: str = "elsewhere/1.1/a", place: str = "here", *kinds: str
) -> Job | None:
    with database.write(ACTOR) as session:
        return store.claim(session, runner, kinds or ("sum",), place)


def look(database: Database, job_id: int) -> Job:
    with database.read() as session:
        return store.get(session, job_id)


def silence(database: Database, job_id: int, seconds: int = store.LEASE_S + 1) -> None:
    """Make a job's last heartbeat older, by the database's clock."""
    with database.own(ACTOR) as session:
        session.execute(
            text(
                "UPDATE jobs SET heartbeat_at = heartbeat_at - make_interval(secs => :s)"
                " WHERE id = :i"
            ),
            {"s": seconds, "i": job_id},
        )


def test_the_oldest_is_taken_first_and_by_one_worker_alone(database: Database) -> None:
    first, second = put(database, a=1), put(database, a=2)
    with database.write(ACTOR) as one, database.write(ACTOR) as two:
        taken = [
            store.claim(s, f"elsewhere/{n}.1/x", ["sum"], "") for n, s in enumerate((one, two))
        ]
    assert [job and job.id for job in taken] == [first, second]
    assert take(database) is None
    job = look(database, first)
    assert (job.status, job.attempts, job.parameters) == ("running", 1, {"a": 1})
    assert (job.actor, job.request_id) == ("key:test", "request-1")


def test_only_what_this_worker_can_run_and_has_the_files_of(database: Database) -> None:
    put(database, "other")
    put(database, host="there")
    mine = put(database, host="here")
    assert take(database).id == mine  # type: ignore[union-attr]
    assert take(database) is None
    assert take(database, "elsewhere/1.1/a", "there") is not None


def test_a_lease_lapses_by_the_databases_clock(database: Database) -> None:
    job_id = put(database)
    old = take(database, "elsewhere/1.1/a")
    assert old is not None and take(database, "elsewhere/2.1/b") is None
    silence(database, job_id, store.LEASE_S - 5)
    assert take(database, "elsewhere/2.1/b") is None
    silence(database, job_id, 6)
    new = take(database, "elsewhere/2.1/b")
    assert new is not None and new.attempts == 2
    with pytest.raises(LostClaimError), database.write(ACTOR) as session:
        store.still_mine(session, old.claim)
    with pytest.raises(LostClaimError), database.write(ACTOR) as session:
        store.beat(session, old.claim, None)
    with pytest.raises(LostClaimError), database.write(ACTOR) as session:
        store.finish(session, old.claim, "done", result={})
    with database.write(ACTOR) as session:
        store.release(session, old.claim, costs_attempt=True)  # does nothing
        store.still_mine(session, new.claim)
        assert store.beat(session, new.claim, {"stage": "read", "done": 1, "total": 2}) is False
    assert look(database, job_id).progress == {"stage": "read", "done": 1, "total": 2}


def test_a_process_that_is_gone_loses_its_job_at_once(database: Database) -> None:
    put(database)
    assert take(database, DEAD) is not None
    again = take(database, new_name())
    assert again is not None and again.attempts == 2
    assert take(database, new_name()) is None, "its process lives"


def test_names_tell_whether_their_process_is_gone() -> None:
    mine = new_name()
    where, process, word = mine.split("/")
    pid, started = process.split(".")
    assert not is_gone(mine)
    assert is_gone(f"{where}/{pid}.{int(started) - 1}/{word}"), "another process had the number"
    assert not is_gone(f"other-{where}/{process}/{word}")
    assert is_gone(DEAD)
    assert not is_gone("nonsense")


def test_after_three_attempts_it_fails_with_a_reason(database: Database) -> None:
    job_id = put(database)
    for attempt in (1, 2, 3):
        taken = take(database, DEAD)
        assert taken is not None and (taken.status, taken.attempts) == ("running", attempt)
    ended = take(database)
    assert ended is not None and ended.status == "failed"
    assert ended.problem is not None and ended.problem["key"] == "jobs.attempts"
    for lang in LANGS:
        assert "3" in say(ended.problem["key"], lang, **ended.problem["values"])
    assert take(database) is None
    assert look(database, job_id).finished_at is not None


def test_cancel(database: Database) -> None:
    waiting, running = put(database), put(database)
    with database.write(ACTOR) as session:
        assert store.ask_cancel(session, waiting).status == "cancelled"
    taken = take(database, DEAD)
    assert taken is not None and taken.id == running
    with database.write(ACTOR) as session:
        assert store.ask_cancel(session, running).status == "running"
        assert store.beat(session, taken.claim, None) is True
    # Its worker died before it saw the cancel.
    ended = take(database)
    assert ended is not None and (ended.id, ended.status) == (running, "cancelled")
    for job_id, error in ((waiting, ConflictError), (running, ConflictError), (99, NotFoundError)):
        with pytest.raises(error), database.write(ACTOR) as session:
            store.ask_cancel(session, job_id)


def test_the_list_is_newest_first(database: Database) -> None:
    ids = [put(database, kind) for kind in ("a", "b", "a")]
    with database.read() as session:
        assert [j.id for j in store.list_jobs(session)] == ids[::-1]
        assert [j.id for j in store.list_jobs(session, kind="a", limit=1)] == [ids[2]]
        assert [j.id for j in store.list_jobs(session, before=ids[2])] == ids[1::-1]
        assert store.list_jobs(session, statuses=["done"]) == []


class Trial:
    """A kind whose work is a function."""

    def __init__(self, work: Callable[[Mapping[str, Any], Handle], Mapping[str, Any]]) -> None:
        self.work = work
        self.endings: list[tuple[int, str]] = []
        self.cleaned: list[int] = []

    def run(self, parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        return self.work(parameters, handle)

    def ended(self, session: WriteSession, job: Job) -> None:
        self.endings.append((job.id, job.status))

    def clean(self, job: Job) -> None:
        self.cleaned.append(job.id)

    def prepare(self) -> None:
        pass


@contextmanager
def working(database: Database, trial: Trial) -> Iterator[Runner]:
    runner = Runner(database, {"sum": trial}, lambda: "here")
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def ends(database: Database, job_id: int) -> Job:
    eventually(lambda: look(database, job_id).status not in store.OPEN)
    return look(database, job_id)


def test_a_result_and_progress(database: Database) -> None:
    go_on = threading.Event()

    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        for number in range(1000):
            handle.progress("add", number + 1, 1000)
        assert go_on.wait(60)
        assert handle.actor == ACTOR
        return {"sum": parameters["a"] + parameters["b"]}

    trial = Trial(work)
    job_id = put(database, a=1, b=2)
    with working(database, trial):
        whole = {"stage": "add", "done": 1000, "total": 1000}
        eventually(lambda: look(database, job_id).progress == whole)
        assert look(database, job_id).status == "running"
        go_on.set()
        job = ends(database, job_id)
    assert (job.status, job.result, job.problem) == ("done", {"sum": 3}, None)
    eventually(lambda: trial.cleaned == [job_id])
    assert trial.endings == []


def test_errors_become_problems_and_faults_tell_no_driver_text(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        if parameters["how"] == "known":
            raise InputError("ingest.file.empty", parameter="file", value="a\ud800\0.csv")
        with database.write(handle.actor) as session:
            session.execute(text("SELECT 1 / 0"))
        return {}

    trial = Trial(work)
    known, fault = put(database, how="known"), put(database, how="fault")
    with working(database, trial):
        first, second = ends(database, known), ends(database, fault)
    assert first.problem == {
        "key": "ingest.file.empty",
        "parameter": "file",
        "values": {"value": "a\ufffd\ufffd.csv"},
        "status": 400,
    }
    assert second.problem == {
        "key": "jobs.fault",
        "parameter": None,
        "values": {"job": fault},
        "status": 500,
    }
    assert "division by zero" in caplog.text
    assert trial.endings == [(known, "failed"), (fault, "failed")]
    assert trial.cleaned == [known, fault]


def test_a_result_that_cannot_be_stored_is_a_fault_and_the_worker_goes_on(
    database: Database,
) -> None:
    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        return {"text": "\0"} if parameters["bad"] else {"text": "good"}

    bad, good = put(database, bad=True), put(database, bad=False)
    with working(database, Trial(work)):
        first, second = ends(database, bad), ends(database, good)
    assert first.problem is not None and first.problem["key"] == "jobs.fault"
    assert (second.status, second.result) == ("done", {"text": "good"})


def test_a_database_that_is_away_costs_an_attempt_and_three_end_it(database: Database) -> None:
    seen: list[int] = []

    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        seen.append(handle.job.attempts)
        raise UnavailableError("database.away")

    trial = Trial(work)
    job_id = put(database)
    with working(database, trial):
        job = ends(database, job_id)
    assert seen == [1, 2, 3]
    assert job.problem is not None and job.problem["key"] == "database.away"
    assert trial.endings == [(job_id, "failed")]


def test_a_cancel_reaches_the_work(database: Database) -> None:
    begun = threading.Event()

    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        begun.set()
        eventually(handle.cancelled)
        raise InputError("ingest.file.empty", parameter="file", value="x")

    trial = Trial(work)
    job_id = put(database)
    with working(database, trial):
        assert begun.wait(60)
        with database.write(ACTOR) as session:
            store.ask_cancel(session, job_id)
        job = ends(database, job_id)
    assert (job.status, job.problem) == ("cancelled", None)
    assert trial.endings == [(job_id, "cancelled")]


def test_a_stopped_worker_gives_its_job_back_and_it_costs_nothing(database: Database) -> None:
    begun = threading.Event()

    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        begun.set()
        eventually(handle.cancelled)
        raise InputError("ingest.file.empty", parameter="file", value="x")

    trial = Trial(work)
    job_id = put(database)
    with working(database, trial):
        assert begun.wait(60)
    job = look(database, job_id)
    assert (job.status, job.attempts, job.progress) == ("queued", 0, None)
    assert trial.endings == [] and trial.cleaned == []
    with working(database, Trial(lambda parameters, handle: {"ok": True})):
        assert ends(database, job_id).result == {"ok": True}


def test_of_two_attempts_only_one_commits(database: Database) -> None:
    """The first worker is silent for too long, the second takes over; both come to their end."""
    with database.own(ACTOR) as session:
        session.execute(text("CREATE TABLE trial (attempt int)"))
        session.execute(text("GRANT ALL ON trial TO riskmap_api"))
    job_id = put(database)
    gates = {1: threading.Event(), 2: threading.Event()}
    outcomes: list[tuple[int, str]] = []

    def work(parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        attempt = handle.job.attempts
        try:
            with database.write(handle.actor) as session:
                session.execute(text("INSERT INTO trial VALUES (:n)"), {"n": attempt})
                assert gates[attempt].wait(60)
                handle.finish(session, {"attempt": attempt})
        except LostClaimError:
            outcomes.append((attempt, "lost"))
            raise
        outcomes.append((attempt, "committed"))
        return {}

    with working(database, Trial(work)):
        eventually(lambda: look(database, job_id).attempts == 1)
        # As if it had been silent: the row is another's from one moment to the next.
        with working(database, Trial(work)):
            with database.own(ACTOR) as session:
                session.execute(text("UPDATE jobs SET status = 'queued'"))
            eventually(lambda: look(database, job_id).attempts == 2)
            gates[1].set()
            eventually(lambda: (1, "lost") in outcomes)
            gates[2].set()
            assert ends(database, job_id).result == {"attempt": 2}
    assert sorted(outcomes) == [(1, "lost"), (2, "committed")]
    with database.read() as session:
        assert list(session.execute(text("SELECT attempt FROM trial")).scalars()) == [2]


def test_a_claim_is_what_it_says() -> None:
    assert Claim(1, "a", 1) != Claim(1, "a", 2)
