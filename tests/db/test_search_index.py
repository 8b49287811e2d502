"""The search column: what is found, and that the index finds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from api_help import CATALOG
from conftest import connect, copy_of, drop, open_database
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Database
from riskmap.errors import InputError
from riskmap.features import words as search
from riskmap.features.where import table_for

SHELTERS = table_for(CATALOG["shelters"])
KINDS = ("小学", "中学", "体育馆", "公园", "广场", "社区服务中心", "地下人防工程", "礼堂")
STREETS = ("香港中路", "延安三路", "福州南路", "山东路", "宁夏路", "江西路", "台东三路")


@pytest.fixture(scope="module")
def filled(cluster: Cluster, migrated: str) -> Iterator[Database]:
    """Fifty thousand shelters, few of which have the words that are asked for."""
    copy_of(cluster, migrated, "test_search")
    database = open_database(cluster, "test_search")
    with connect(cluster, "test_search") as session:
        session.execute(
            "INSERT INTO shelters (code, name, name_en, address, geom) SELECT 'S-' || n,"
            " '第' || n || (%s::text[])[n %% 8 + 1], 'Hall ' || n,"
            " (%s::text[])[n %% 7 + 1] || n || '号', 'SRID=4326;POINT(120.5 36.5)'"
            " FROM generate_series(1, 50000) n",
            (list(KINDS), list(STREETS)),
        )
        session.execute(
            "INSERT INTO shelters (code, name, name_en, address, geom) VALUES"
            " ('X-1', '青岛市第三应急避难场所', 'Xanadu Refuge No. 3', '崂山区𠮷野街 1 号',"
            "  'SRID=4326;POINT(120.5 36.5)'),"
            " ('X-2', 'ＡＢＣ会展中心（东）', 'Café Ümit', NULL, 'SRID=4326;POINT(120.5 36.5)'),"
            " ('X-3', NULL, NULL, NULL, 'SRID=4326;POINT(120.5 36.5)')"
        )
        session.execute("VACUUM ANALYZE shelters")
    yield database
    database.dispose()
    drop(cluster, "test_search")


def found(database: Database, words: str) -> set[str]:
    with database.read() as session:
        rows = session.execute(
            select(SHELTERS.c.code).where(search.condition(SHELTERS, words)).limit(100)
        )
        return {row.code for row in rows}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *(("避难", "X-1"), ("应急避难场所", "X-1"), ("避", "X-1"), ("急避", "X-1")),
        *(
            ("𠮷野", "X-1"),
            ("𠮷", "X-1"),
            ("街", "X-1"),
            ("崂山 避难", "X-1"),
            ("避难 崂山", "X-1"),
        ),
        *(("xanadu", "X-1"), ("XANA", "X-1"), ("refuge 避难", "X-1")),
        *(("abc", "X-2"), ("ａｂｃ会展", "X-2"), ("会展中心(东)", "X-2")),
        *(("café", "X-2"), ("üm", "X-2")),
    ],
)
def test_what_is_there_is_found(filled: Database, words: str, code: str) -> None:
    assert found(filled, words) == {code}


@pytest.mark.parametrize("words", ["难避", "应急场所", "避难青岛", "anadu", "会展西", "zzz"])
def test_what_is_not_there_is_not(filled: Database, words: str) -> None:
    assert found(filled, words) == set()


@pytest.mark.parametrize("words", ["避难", "避", "应急避难场所", "xana", "青岛 refuge"])
def test_the_index_finds_it(filled: Database, words: str) -> None:
    statement = select(SHELTERS.c.id).where(search.condition(SHELTERS, words))
    with filled.read() as session:
        bound = {"query": search.expression(words)}
        plan = session.execute(
            text(
                "EXPLAIN SELECT id FROM shelters"
                " WHERE search @@ to_tsquery('pg_catalog.simple', :query)"
            ),
            bound,
        )
        lines = "\n".join(row[0] for row in plan)
        assert "ix_shelters_search" in lines, lines
        assert len(session.execute(statement).all()) == 1


def test_the_name_counts_more_than_the_address(filled: Database) -> None:
    with filled.read() as session:
        rows = session.execute(
            select(SHELTERS.c.name, SHELTERS.c.address)
            .where(search.condition(SHELTERS, "山东"))
            .limit(1)
        ).all()
        assert rows[0].address.startswith("山东路")


@pytest.mark.parametrize("words", ["", "  ", "()", "'", "、。", "\u3000", "-"])
def test_nothing_to_search_for(words: str) -> None:
    with pytest.raises(InputError) as caught:
        search.expression(words)
    assert caught.value.parameter == "q"


def test_a_word_is_no_operator(filled: Database) -> None:
    for words in ("a & b", "x:*", "!x", "a <-> b", "x') --", "\\", "a|b", "' OR 1=1"):
        found(filled, words + " q")  # an error of syntax would be raised


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_locale_does_not_matter(cluster: Cluster, filled: Database, locale: str) -> None:
    source = (
        "SELECT pg_get_functiondef(oid) FROM pg_proc"
        " WHERE proname = 'search_words' AND pronamespace = 'riskmap'::regnamespace"
    )
    with connect(cluster, str(filled.owner_url.database)) as session:
        (definition,) = session.execute(source).fetchone() or ("",)
    name = f"test_locale_{len(locale)}"
    with connect(cluster) as session:
        session.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"
            f" LC_COLLATE '{locale}' LC_CTYPE '{locale}'"
        )
    try:
        with connect(cluster, name) as session:
            session.execute("CREATE SCHEMA riskmap")
            session.execute(definition)
            (words,) = session.execute(
                "SELECT riskmap.search_words('市南区 DZ-12 ＡＢ避难所')::text"
            ).fetchone() or ("",)
        assert words == "'12':5 'ab':6 'dz':4 '区':3 '南区':2 '市南':1 '所':9 '避难':7 '难所':8"
    finally:
        drop(cluster, name)
