"""What is wrong is said in one clear text in both languages, with an exit code, never a traceback.

Most commands run in this process (the same `main`), on a database of the test's cluster.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cli_help import Answer, a_place
from conftest import TEST_CITY, connect, drop, shared_data
from riskmap.cli.main import main
from riskmap.db.city import write_city
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database
from riskmap.errors import EXIT_INPUT, EXIT_SETUP

Run = Callable[..., Answer]


@pytest.fixture
def riskmap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run a command here; keywords are RISKMAP_ variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("RISKMAP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RISKMAP_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str | Path, **variables: str) -> Answer:
        for name, value in variables.items():
            monkeypatch.setenv(f"RISKMAP_{name}", value)
        monkeypatch.setattr(sys, "argv", ["riskmap", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Answer(code or 0, captured.out, captured.err)

    return run


def address(database: Database) -> str:
    return database.owner_url.render_as_string(hide_password=False)


@pytest.fixture
def here(riskmap: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands on a migrated database that holds nothing yet."""
    monkeypatch.setenv("RISKMAP_DATABASE_URL", address(database))
    return riskmap


@pytest.fixture
def in_city(here: Run, database: Database) -> Run:
    """Commands on a database with a city."""
    with database.own(Actor("test")) as session:
        write_city(session, TEST_CITY)
    return here


@pytest.fixture
def with_roads(in_city: Run, tmp_path: Path) -> Run:
    """Commands on a database with a city and one road."""
    file = tmp_path / "roads.geojson"
    line(file, [[120.30, 36.30], [120.31, 36.30]])
    assert in_city("roads", "import", file, "--crs", "EPSG:4326").code == 0
    return in_city


def line(file: Path, coordinates: list[list[float]]) -> None:
    geometry = {"type": "LineString", "coordinates": coordinates}
    feature = {"type": "Feature", "properties": {"name": "r", "speed": 40}, "geometry": geometry}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


# Settings and addresses.


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("PORT", "65536"), ("WORKERS", "0"), ("POOL_SIZE", "x"),
     ("STATEMENT_TIMEOUT_S", "nan"), ("STATEMENT_TIMEOUT_S", "0"),
     ("IMPORT_MEMORY_MB", "10"), ("IMPORT_MINUTES", "0"), ("IMPORT_MAX_MB", "x")],
)  # fmt: skip
def test_a_setting_that_cannot_be(riskmap: Run, name: str, value: str) -> None:
    riskmap("layers", **{name: value}).refused(EXIT_SETUP, f"RISKMAP_{name}={value}")


def test_an_empty_variable_is_none(riskmap: Run) -> None:
    answer = riskmap("doctor", DATABASE_URL="", PORT="", PG_BIN="/nowhere")
    assert "RISKMAP_PG_BIN=/nowhere" in answer.out  # it looked for a cluster of its own


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("nonsense", ["RISKMAP_DATABASE_URL"]),
        ("mysql://u:geheim@host/db", ["RISKMAP_DATABASE_URL"]),
        ("postgresql://u:geheim@host:port/db", ["RISKMAP_DATABASE_URL"]),
        ("postgresql://u:geheim@127.0.0.1:1/db", ["RISKMAP_DATABASE_URL", "u:***@127.0.0.1:1/db"]),
        ("postgresql://u:geheim@no-such-host.invalid/db", ["no-such-host.invalid"]),
    ],
)
def test_a_database_url_that_is_wrong(riskmap: Run, url: str, parts: list[str]) -> None:
    for command in ("layers", "migrate", "serve"):
        answer = riskmap(command, DATABASE_URL=url, PORT="0")
        answer.refused(EXIT_SETUP, *parts)
        assert "geheim" not in answer.out + answer.err
    doctor = riskmap("doctor", DATABASE_URL=url)
    assert doctor.code == EXIT_SETUP
    assert "geheim" not in doctor.out


def test_a_wrong_password(riskmap: Run, cluster: Cluster, database: Database) -> None:
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text(encoding="utf-8")
    with connect(cluster) as session:
        session.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        try:
            rules.write_text(f"local all locked scram-sha-256\n{before}", encoding="utf-8")
            session.execute("SELECT pg_reload_conf()")
            url = database.owner_url.set(username="locked", password="geheim")
            answer = riskmap("layers", DATABASE_URL=url.render_as_string(hide_password=False))
            answer.refused(EXIT_SETUP, "locked", "RISKMAP_DATABASE_URL")
            assert "geheim" not in answer.out + answer.err
        finally:
            rules.write_text(before, encoding="utf-8")
            session.execute("SELECT pg_reload_conf()")
            session.execute("DROP ROLE locked")


def test_a_port_in_use() -> None:
    with a_place() as place, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = place.set(PORT=str(port)).run("serve")
        answer.refused(EXIT_SETUP, f"127.0.0.1:{port}", "RISKMAP_PORT")
        assert not place.data.exists()  # known before a database is made


def test_a_data_folder_that_is_not_writable(riskmap: Run, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    words = tmp_path / "words"
    words.touch()
    words.chmod(0o666)
    tmp_path.chmod(0o755)
    # A fork and not a new interpreter: that one may lie where the user cannot go. The same refusal
    # once before it loads what a command imports only when it runs.
    riskmap("layers", DATA_DIR=str(words)).refused(EXIT_SETUP, words)
    child = os.fork()
    if child == 0:
        status = 99
        try:
            descriptor = os.open(words, os.O_WRONLY)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
            os.environ["RISKMAP_DATA_DIR"] = str(closed / "data")
            os.environ.pop("RISKMAP_DATABASE_URL", None)
            sys.argv = ["riskmap", "layers"]
            main()
        except SystemExit as end:
            status = int(str(end.code))
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = Answer(code, "", words.read_text(encoding="utf-8"))
    said.refused(EXIT_SETUP, "RISKMAP_DATA_DIR", closed / "data")


def test_a_file_as_data_folder(riskmap: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        riskmap("layers", DATA_DIR=str(folder)).refused(EXIT_SETUP, "RISKMAP_DATA_DIR", folder)


# Databases.


@pytest.fixture
def poor(cluster: Cluster) -> Iterator[tuple[psycopg.Connection, str, str]]:
    """A database of an owner who may nothing else: the superuser's session, name, address."""
    with connect(cluster) as session:
        session.execute("CREATE ROLE poor LOGIN NOSUPERUSER NOCREATEROLE")
        session.execute("CREATE DATABASE poor_city OWNER poor TEMPLATE template0 ENCODING 'UTF8'")
        try:
            url = cluster.owner_url("poor_city").set(username="poor")
            yield session, "poor_city", url.render_as_string(hide_password=False)
        finally:
            drop(cluster, "poor_city")
            session.execute("REVOKE riskmap_api FROM poor")
            session.execute("DROP ROLE poor")


def test_a_database_without_postgis(
    riskmap: Run, poor: tuple[psycopg.Connection, str, str], cluster: Cluster
) -> None:
    session, name, url = poor
    riskmap("migrate", DATABASE_URL=url).refused(EXIT_SETUP, "PostGIS", "CREATE EXTENSION postgis")
    with connect(cluster, name) as inside:
        inside.execute("CREATE EXTENSION postgis")
    riskmap("migrate").refused(EXIT_SETUP, "poor", "GRANT riskmap_api TO poor")
    session.execute("GRANT riskmap_api TO poor")
    assert riskmap("migrate").code == 0
    answer = riskmap("layers")  # an owner without any right of a superuser
    assert answer.code == 0, answer.err


def test_a_database_that_is_not_migrated(
    riskmap: Run, cluster: Cluster, database_factory: Callable[[], str]
) -> None:
    url = cluster.owner_url(database_factory()).render_as_string(hide_password=False)
    for command in ("layers", "serve"):
        riskmap(command, DATABASE_URL=url, PORT="0").refused(EXIT_SETUP, "riskmap migrate")
    doctor = riskmap("doctor")
    assert doctor.code == EXIT_SETUP
    assert "riskmap migrate" in doctor.out
    assert riskmap("migrate").code == 0
    assert riskmap("layers").code == 0


def test_a_database_of_a_newer_riskmap(here: Run, database: Database) -> None:
    with connect_to(database) as session:
        session.execute("UPDATE alembic_version SET version_num = '9999_later'")
    for command in ("layers", "migrate", "serve", "doctor"):
        answer = here(command, PORT="0")
        if command == "doctor":
            assert answer.code == EXIT_SETUP
            assert "9999_later" in answer.out
        else:
            answer.refused(EXIT_SETUP, "9999_later")


def connect_to(database: Database) -> psycopg.Connection:
    url = database.owner_url.set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


# The city.

CITY = ("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"--bbox": "121,36,120,37"}, ["bbox"]),
        ({"--bbox": "120,37,121,36"}, ["bbox"]),
        ({"--bbox": "120,36,121"}, ["--bbox", "120,36,121"]),
        ({"--bbox": "nan,36,121,37"}, ["bbox"]),
        ({"--crs": "EPSG:4490"}, ["crs=4490", "EPSG:32651"]),
        ({"--crs": "EPSG:31982"}, ["crs=31982", "EPSG:32651"]),
        ({"--crs": "EPSG:999999"}, ["crs=999999"]),
        ({"--crs": "4549"}, ["--crs", "4549"]),
        ({"--timezone": "Mars/Base"}, ["timezone=Mars/Base"]),
        ({"--name": "  "}, ["name"]),
    ],
)
def test_a_city_that_cannot_be(here: Run, change: dict[str, str], parts: list[str]) -> None:
    given = {"--name": "测试市", "--bbox": "120,36,121,37", "--crs": "EPSG:4549", **change}
    options = [f"{name}={value}" for name, value in given.items()]
    here("city", "init", *options).refused(EXIT_INPUT, *parts)
    here("city", "show").refused(EXIT_INPUT, "riskmap city init")


def test_a_second_city(here: Run) -> None:
    assert here(*CITY).code == 0
    here(*CITY).refused(EXIT_INPUT, "测试市", "--replace")
    assert here(*CITY, "--replace").code == 0


# Imports.


def test_an_import_that_cannot_be(in_city: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("code,name,longitude,latitude\nA,甲,120.5,36.5\n", encoding="utf-8")
    base = ("import", "risk-records")
    crs = ("--crs", "EPSG:4326")
    wrong: list[tuple[tuple[str | Path, ...], list[str]]] = [
        (("import", "nothing", file, *crs), ["nothing", "risk-records"]),
        ((*base, file), ["EPSG:4326"]),
        ((*base, file, "--crs", "EPSG:999999"), ["EPSG:999999"]),
        ((*base, file, "--crs", "WGS84"), ["WGS84"]),
        ((*base, "none.csv", *crs), ["none.csv"]),
        ((*base, tmp_path, *crs), ["file"]),
        ((*base, file, *crs, "--map", "code"), ["code"]),
        ((*base, file, *crs, "--map", "name=none"), ["none"]),
        ((*base, file, *crs, "--mapping", "none.json"), ["none.json"]),
        ((*base, file, *crs, "--max-bad", "2"), ["2"]),
        ((*base, file, *crs, "--source", " "), ["source"]),
    ]
    for command, parts in wrong:
        in_city(*command).refused(EXIT_INPUT, *parts)
    # A report of bad rows is an error's text, too.
    in_city(*base, file, "--crs", "EPSG:4549").refused(EXIT_INPUT, "1", "EPSG:4549")
    assert in_city(*base, file, *crs).code == 0


def test_an_import_before_the_city(here: Run, tmp_path: Path) -> None:
    file = tmp_path / "roads.geojson"
    line(file, [[120.30, 36.30], [120.31, 36.30]])
    for command in (
        ("import", "risk-records", file, "--crs", "EPSG:4326"),
        ("roads", "import", file, "--crs", "EPSG:4326"),
    ):
        here(*command).refused(EXIT_INPUT, "riskmap city init")


def test_a_replacement_keeps_what_is_not_given(here: Run) -> None:
    more = ("--name-en", "Testville", "--timezone", "Asia/Urumqi")
    assert here(*CITY, *more).code == 0
    assert here(*CITY, "--replace").code == 0
    shown = here("city", "show").out
    assert "Testville" in shown and "Asia/Urumqi" in shown
    assert here(*CITY, "--replace", "--timezone", "Asia/Shanghai").code == 0
    shown = here("city", "show").out
    assert "Testville" in shown and "Asia/Shanghai" in shown


def test_roads_of_no_known_format(here: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no roads")
    for file in ("/etc/passwd", "notes.md"):
        for crs in ((), ("--crs", "EPSG:4326")):
            here("roads", "import", file, *crs).refused(EXIT_INPUT, ".pbf", ".gpkg", ".shp", file)
    missing = here("roads", "import", "none.gpkg", "--crs", "EPSG:4326")
    missing.refused(EXIT_INPUT, "none.gpkg", "roads import")


def test_roads_that_cannot_be(in_city: Run, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here.geojson", tmp_path / "elsewhere.geojson"
    line(here, [[120.30, 36.30], [120.31, 36.30]])
    line(elsewhere, [[100.30, 36.30], [100.31, 36.30]])
    broken = tmp_path / "broken.pbf"
    broken.write_bytes(b"no roads")
    crs = ("--crs", "EPSG:4326")
    wrong: list[tuple[tuple[str | Path, ...], list[str]]] = [
        ((elsewhere, *crs), ["120.0,36.0,121.0,37.0"]),
        ((here,), ["--crs"]),
        ((here, "--crs", "wgs84"), ["EPSG:4490", "wgs84"]),
        (("none.pbf",), ["none.pbf"]),
        ((broken,), ["broken.pbf"]),
        ((here, *crs, "--map", "speed"), ["--map", "speed"]),
        ((here, *crs, "--map", "speed_kmh=none"), ["none", "speed"]),
        ((here, *crs, "--map", "colour=speed"), ["colour", "speed_kmh"]),
        ((here, *crs, "--table", "none"), ["none"]),
    ]
    for words, parts in wrong:
        in_city("roads", "import", *words).refused(EXIT_INPUT, *parts)
    assert in_city("roads", "import", here, *crs, "--map", "speed_kmh=speed").code == 0


def test_real_roads_of_another_city(in_city: Run) -> None:
    file = shared_data("porto-alegre", "poa_osm.pbf")
    in_city("roads", "import", file).refused(EXIT_INPUT, "120.0,36.0,121.0,37.0")


# Circles.


def test_a_circle_before_there_is_anything(here: Run) -> None:
    here("circle", "--at=120.3,36.3").refused(EXIT_INPUT, "riskmap city init")
    assert here(*CITY).code == 0
    here("circle", "--at=120.3,36.3").refused(EXIT_INPUT, "riskmap roads import")


def test_a_circle_that_cannot_be(with_roads: Run, tmp_path: Path) -> None:
    wrong: list[tuple[tuple[str | Path, ...], list[str]]] = [
        (("--at=120.3",), ["--at", "120.3"]),
        (("--at=a,b",), ["--at", "a,b"]),
        (("--at=100,36.3",), ["100", "120,36,121,37"]),
        (("--at=nan,36.3",), ["nan"]),
        (("--at=120.9,36.9",), ["120.9", "36.9", "500"]),  # no road near: the sea
        (("--at=120.3,36.3", "--minutes", "0"), ["minutes"]),
        (("--at=120.3,36.3", "--minutes", "nan"), ["minutes"]),
        (("--at=120.3,36.3", "--minutes", "5,x"), ["--minutes", "5,x"]),
        (("--at=120.3,36.3", "--profile", "flying"), ["flying", "emergency"]),
        (("--at=120.3,36.3", "--turnout", "-5"), ["turnout_s"]),
        (("--at=120.3,36.3", "-o", tmp_path), ["--output", tmp_path]),
        (("--at=120.3,36.3", "-o", tmp_path / "no" / "x"), ["--output", tmp_path / "no" / "x"]),
    ]
    for words, parts in wrong:
        with_roads("circle", *words).refused(EXIT_INPUT, *parts)
    swapped = with_roads("circle", "--at=36.3,120.3")
    swapped.refused(EXIT_INPUT, "36.3")
    assert "经纬度似乎颠倒" in swapped.err
    assert "looks swapped" in swapped.err


# Keys, backups.


def test_keys_that_cannot_be(here: Run) -> None:
    here("keys", "revoke", "nothing").refused(EXIT_INPUT, "nothing", "riskmap keys list")
    here("keys", "create", " ").refused(EXIT_INPUT, "name")
    days = here("keys", "create", "somebody", "--days", "999999999")
    assert days.code == 2
    assert "--days" in days.err


def test_a_restore_of_what_is_no_backup(in_city: Run, database: Database, tmp_path: Path) -> None:
    file, fake = tmp_path / "rows.csv", tmp_path / "fake.dump"
    file.write_text("code\n")
    fake.write_bytes(b"PGDMP and nothing of a backup behind")
    in_city("restore", "none.dump", "--replace").refused(EXIT_INPUT, "none.dump")
    in_city("restore", file, "--replace").refused(EXIT_INPUT, "rows.csv", "riskmap backup")
    in_city("restore", fake).refused(EXIT_INPUT, "--replace")
    in_city("restore", fake, "--replace").refused(EXIT_SETUP, "pg_restore")
    assert in_city("city", "show").code == 0  # the old city is still there
    in_city("backup", file).refused(EXIT_INPUT, "rows.csv")
    in_city("backup", tmp_path / "no" / "x").refused(EXIT_INPUT, tmp_path / "no")
    assert in_city("backup", "city.dump").code == 0
    with connect_to(database):
        in_city("restore", "city.dump", "--replace").refused(EXIT_INPUT, "riskmap")
    database.dispose()
    answer = in_city("restore", "city.dump", "--replace")
    assert answer.code == 0, answer.err
    assert "测试市" in in_city("city", "show").out


# Doctor.


def test_doctor(here: Run, tmp_path: Path) -> None:
    answer = here("doctor")
    assert answer.code == 0  # nothing is broken, something is not there yet
    assert "riskmap city init" in answer.out
    assert "riskmap roads import" in answer.out
    assert here(*CITY).code == 0
    assert "riskmap city init" not in here("doctor").out
    line(tmp_path / "r.geojson", [[120.30, 36.30], [120.31, 36.30]])
    assert here("roads", "import", "r.geojson", "--crs", "EPSG:4326").code == 0
    whole = here("doctor")
    assert whole.code == 0
    assert "riskmap roads import" not in whole.out


def test_doctor_on_an_older_schema(here: Run, database: Database) -> None:
    with connect_to(database) as session:
        session.execute(
            sql.SQL("UPDATE alembic_version SET version_num = {}").format("0001_tables")
        )
    answer = here("doctor")
    assert answer.code == EXIT_SETUP
    assert "riskmap migrate" in answer.out
    here("layers").refused(EXIT_SETUP, "riskmap migrate")


def test_without_postgresql(riskmap: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = str(tmp_path / "empty")
    riskmap("layers", PG_BIN=folder).refused(EXIT_SETUP, "RISKMAP_PG_BIN", "initdb")
    doctor = riskmap("doctor")
    assert doctor.code == EXIT_SETUP
    assert "RISKMAP_PG_BIN" in doctor.out
    assert not (tmp_path / "data").exists()
