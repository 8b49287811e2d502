"""Random filters find what an independent evaluator finds; hostile ones kill nothing.

`make prove-features` takes 10,000 filters and ten minutes of hostile ones, `make test` a sample.
The seed is in the message of a failure: RISKMAP_SEED=... repeats it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

import cql2_help
from cql2_help import FIELDS, TRIAL, Maker, Row, as_json, as_text, holds, hostile, mutated, read
from riskmap.db.sessions import Database
from riskmap.errors import InputError
from riskmap.features.cql2 import read_json, read_text

SEED = int(os.environ.get("RISKMAP_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
ROWS = 300
# A filter that reads in more stands in the way of everybody else's requests.
MOST_MS = 50.0
MOST_GROWTH_MB = 20.0


def check_filters(database: Database, count: int) -> None:
    rng = random.Random(SEED)
    made: list[Row] = cql2_help.rows(rng, ROWS)
    cql2_help.fill(database, made)
    maker = Maker(rng, made)
    found_some = unknown = 0
    with database.read() as session:
        for number in range(count):
            asked = maker.filter()
            text, encoded = as_text(asked, rng), json.dumps(as_json(asked))
            told = f"RISKMAP_SEED={SEED}, filter {number}: {text}"
            found = read_text(text, FIELDS)
            assert read_json(json.loads(encoded), FIELDS) == found, told
            try:
                answer = session.execute(select(TRIAL.c.id).where(found.where(TRIAL)))
            except Exception as error:
                raise AssertionError(told) from error
            truth = [(row["id"], holds(asked, row)) for row in made]
            assert sorted(answer.scalars()) == [row for row, true in truth if true], told
            found_some += any(true for _, true in truth)
            unknown += any(true is None for _, true in truth)
    # It would prove little if most filters found nothing, or none met a null.
    assert found_some > count / 3
    assert unknown > count / 5


def check_hostile(seconds: float) -> None:
    help_file = Path(cql2_help.__file__)
    child = subprocess.run(
        [sys.executable, str(help_file), str(seconds), str(SEED)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    assert child.returncode == 0, f"RISKMAP_SEED={SEED}: {child.stderr[-3000:]}"
    found = json.loads(child.stdout)
    assert found["accepted"] > 0, found
    assert found["count"] > 20 * seconds, found
    assert found["slowest_ms"] < MOST_MS, f"RISKMAP_SEED={SEED}: {found}"
    assert found["end_mb"] - found["warm_mb"] < MOST_GROWTH_MB, found


def test_300_random_filters_find_what_the_evaluator_finds(database: Database) -> None:
    check_filters(database, 300)


@pytest.mark.prove
def test_10_000_random_filters_find_what_the_evaluator_finds(database: Database) -> None:
    check_filters(database, 10_000)


def test_2_seconds_of_hostile_filters_kill_nothing() -> None:
    check_hostile(2)


@pytest.mark.prove
def test_10_minutes_of_hostile_filters_kill_nothing() -> None:
    check_hostile(600)


@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.prove)])
def test_what_is_accepted_the_database_answers(database: Database, count: int) -> None:
    """A filter that reads is no fault in the database either: no overflow, no bad pattern."""
    rng = random.Random(SEED)
    made = cql2_help.rows(rng, 100)
    cql2_help.fill(database, made)
    maker = Maker(rng, made)
    asked = 0
    with database.read() as session:
        while asked < count:
            other = mutated(as_text(maker.filter(4), rng), rng)
            try:
                found = read(rng.choice((hostile(maker), other, other, other)))
            except InputError:
                continue
            asked += 1
            try:
                session.execute(select(TRIAL.c.id).where(found.where(TRIAL))).all()
            except Exception as error:
                raise AssertionError(f"RISKMAP_SEED={SEED}: {found}") from error
