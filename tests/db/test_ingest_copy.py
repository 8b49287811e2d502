"""What COPY stores is what the checks said, for every kind of field and any text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import connect
from riskmap.catalog.spec import Kind
from riskmap.db.cluster import Cluster
from riskmap.ingest.encode import encode_column
from riskmap.ingest.shapes import points_to_ewkb, to_ewkb
from riskmap.ingest.values import to_json_text

# Whatever PostgreSQL can store: no NUL, no half of a surrogate pair. The awkward ones often.
_CHARACTERS = st.one_of(
    st.sampled_from("\\\t\r\n\b\f\v\x01\x1f\x7f\x85\u2028{}[]\"',;NULLnu/.😀危険"),
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
)
_TEXT = st.one_of(
    st.sampled_from(["\\N", "\\.", "NULL", "null", "{}", '""', " ", "\\", "\\\\t", "a\\\nb"]),
    st.text(_CHARACTERS, min_size=1, max_size=12),
)
_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: _TEXT,
    Kind.INTEGER: st.integers(-(2**31) + 1, 2**31 - 1),
    Kind.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: st.dates(),
    Kind.DATETIME: st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the zone is drawn apart
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=_OFFSETS,
    ),
    Kind.TEXTS: st.lists(_TEXT, min_size=1, max_size=4),
    Kind.JSON: st.recursive(
        st.one_of(_TEXT, st.booleans(), st.none(), st.integers(-(2**53), 2**53)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=6,
    ),
}
_TYPES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "double precision",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.DATETIME: "timestamptz",
    Kind.TEXTS: "text[]",
    Kind.JSON: "jsonb",
}


@pytest.fixture(scope="module")
def session(cluster: Cluster, migrated: str) -> Iterator[psycopg.Connection]:
    with connect(cluster, migrated) as session:
        session.execute("SET timezone = 'UTC'")
        session.prepare_threshold = None  # one table of changing type
        yield session


def stored(session: psycopg.Connection, kind: str, texts: list[str], wanted: str) -> list[Any]:
    """COPY a column of texts into a fresh table and read it back in order."""
    session.execute("DROP TABLE IF EXISTS pg_temp.copied")
    session.execute(f"CREATE TEMPORARY TABLE copied (n int, v {kind})")
    lines = "".join(f"{number}\t{text}\n" for number, text in enumerate(texts))
    with session.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
        copy.write(lines.encode())
    return [row[0] for row in session.execute(f"SELECT {wanted} FROM copied ORDER BY n")]


@pytest.mark.parametrize("kind", list(_VALUES), ids=str)
def test_every_value_is_stored_as_it_is(session: psycopg.Connection, kind: Kind) -> None:
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(st.lists(st.one_of(st.none(), _VALUES[kind]), min_size=1, max_size=30))
    def check(values: list[Any]) -> None:
        written = values
        if kind is Kind.JSON:  # the checks make JSON text, null included only inside
            written = [None if value is None else to_json_text(value) for value in values]
            texts = encode_column(Kind.JSON, written)
        else:
            texts = encode_column(kind, values)
        found = stored(session, _TYPES[kind], texts, "v")
        if kind is Kind.DATETIME:
            found = [moment and moment.astimezone(UTC) for moment in found]
        assert found == values

    check()


def test_the_first_and_the_last_day(session: psycopg.Connection) -> None:
    days = [date.min, date.max, date(1582, 10, 10), None]
    assert stored(session, "date", encode_column(Kind.DATE, days), "v") == days


def test_zero_keeps_its_sign(session: psycopg.Connection) -> None:
    texts = encode_column(Kind.NUMBER, [-0.0, 5e-324, 1.7976931348623157e308])
    assert stored(session, "double precision", texts, "v::text") == [
        "-0",
        "5e-324",
        "1.7976931348623157e+308",
    ]


def test_points_from_numbers_are_points_from_shapely(session: psycopg.Connection) -> None:
    random = np.random.default_rng(4)
    lonlat = np.column_stack((random.uniform(-180, 180, 500), random.uniform(-90, 90, 500)))
    ours = stored(session, "geometry(Point, 4326)", points_to_ewkb(lonlat), "v::text")
    theirs = stored(session, "geometry(Point, 4326)", to_ewkb(shapely.points(lonlat)), "v::text")
    assert ours == theirs
    assert points_to_ewkb(np.empty((0, 2))) == []
