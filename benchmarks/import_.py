"""How long an import takes beside ogr2ogr and the SQL that reaches the same rows.

    python benchmarks/import_.py [--rows 1000000] [--rounds 3] [--japan FOLDER]

FOLDER holds emergency.geojson.gz and evacuation.geojson.gz (designated shelters of Japan, GSI).
ogr2ogr comes with GDAL: `apt-get install gdal-bin`. PostgreSQL is a private cluster of this run.

Three sides, each on a fresh copy of one database (schema at head: generated column, indexes,
triggers of feed, history and audit; 400 divisions of 64 vertices and more), in turns:

riskmap   `riskmap import` as a user calls it: every value checked, every bad row would be named,
          codes unique in file and table, division code by position, one transaction.
ogr2ogr   ogr2ogr with COPY into a table of its own, all columns text, and one INSERT ... SELECT
          that casts, translates labels, looks the division up and fills the same columns. It checks
          nothing: a cast that fails ends it without saying at which row.
bare      ogr2ogr into a bare table and nothing else.

Read the ratios: the seconds are those of this machine at this hour. The rows that the first two
leave are compared, column by column.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
import shapely
from sqlalchemy import insert

from riskmap.catalog.registry import load_catalog
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor, Database
from riskmap.db.tables import CITY
from riskmap.ingest.run import ImportOptions, import_file
from riskmap.settings import Settings
from riskmap.units import Bbox

JAPAN = Bbox(122.0, 20.0, 154.0, 46.0)
ACTOR = Actor("benchmark")
DIVISIONS = 20  # squared
GRADES = (("province", "省级"), ("city", "市级"), ("county", "县级"), ("village", "村(社区)级"))
STATES = (("standby", "待命"), ("open", "开放"), ("full", "满员"))
COMPARED = (
    "geom", "code", "name", "address", "admin_grade", "capacity_persons", "total_area_m2",
    "open_status", "current_occupancy", "admin_code", "source_system", "source_crs", "raw_x",
    "raw_y", "attributes", "geom_3857",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One file, how riskmap is told to read it, and the SQL that fills the same columns."""

    title: str
    file: Path
    rows: int
    source: str
    mapping: tuple[str, ...]
    open_options: tuple[str, ...]
    select: str


@dataclass
class Times:
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)


def write_points(path: Path, rows: int) -> None:
    draw = random.Random(15)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["code", "name", "address", "admin_grade", "capacity_persons", "total_area_m2",
             "open_status", "current_occupancy", "lon", "lat"]
        )  # fmt: skip
        for number in range(rows):
            writer.writerow(
                [
                    f"S{number:08d}",
                    f"第{number}避难场所",
                    f"海滨路{draw.randrange(2000)}号",
                    draw.choice(GRADES)[1],
                    draw.randrange(10, 5000),
                    round(draw.uniform(50, 90_000), 1),
                    draw.choice(STATES)[1] if number % 3 else "",
                    draw.randrange(10),
                    round(draw.uniform(JAPAN.west + 0.5, JAPAN.east - 0.5), 7),
                    round(draw.uniform(JAPAN.south + 0.5, JAPAN.north - 0.5), 7),
                ]
            )


def write_divisions(path: Path) -> None:
    """Cut the box into cells with winding borders that neighbours share."""

    def wind(xy: np.ndarray) -> np.ndarray:
        return xy + 0.05 * np.sin(xy[:, ::-1] * 9)

    x = np.linspace(JAPAN.west + 0.2, JAPAN.east - 0.2, DIVISIONS + 1)
    y = np.linspace(JAPAN.south + 0.2, JAPAN.north - 0.2, DIVISIONS + 1)
    features = []
    for i in range(DIVISIONS):
        for j in range(DIVISIONS):
            cell = shapely.segmentize(shapely.box(x[i], y[j], x[i + 1], y[j + 1]), 0.1)
            features.append(
                {
                    "type": "Feature",
                    "properties": {"code": f"37{i:04d}{j:03d}000", "name": "x", "level": "street"},
                    "geometry": shapely.geometry.mapping(shapely.transform(cell, wind)),
                }
            )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def labels(column: str, pairs: tuple[tuple[str, str], ...]) -> str:
    cases = " ".join(f"WHEN '{label}' THEN '{code}'" for code, label in pairs)
    return f'CASE r."{column}" {cases} END'


def text(column: str) -> str:
    # Full-width and no-break spaces are spaces, as Python's strip() has it.
    return f"nullif(btrim(r.\"{column}\", E' \\t\\r\\n\\u3000\\u00a0'), '')"


def points_task(folder: Path, rows: int) -> Task:
    file = folder / "points.csv"
    write_points(file, rows)
    return Task(
        title="CSV points, ten fields",
        file=file,
        rows=rows,
        source="local",
        mapping=(),
        open_options=(
            *("-oo", "X_POSSIBLE_NAMES=lon", "-oo", "Y_POSSIBLE_NAMES=lat"),
            *("-oo", "AUTODETECT_TYPE=NO"),
        ),
        select=f"""
            SELECT r.geom, {text("code")} AS code, {text("name")} AS name,
                {text("address")} AS address, {labels("admin_grade", GRADES)} AS admin_grade,
                {text("capacity_persons")}::int AS capacity_persons,
                {text("total_area_m2")}::float8 AS total_area_m2,
                {labels("open_status", STATES)} AS open_status,
                {text("current_occupancy")}::int AS current_occupancy,
                NULL::jsonb AS attributes""",
    )


def japan_task(folder: Path, packed: Path) -> Task:
    file = folder / packed.name.removesuffix(".gz")
    with gzip.open(packed) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target)
    features = json.loads(file.read_bytes())["features"]
    fields = {"code": "共通ID", "name": "施設・場所名", "address": "住所"}
    rest = [name for name in features[0]["properties"] if name not in fields.values()]
    # What is blank is left out, as riskmap does.
    pairs = ", ".join(
        f"'{name}', CASE WHEN btrim(r.\"{name}\"::text) <> '' THEN to_jsonb(r.\"{name}\") END"
        for name in rest
    )
    return Task(
        title=f"japan-shelters {file.stem}",
        file=file,
        rows=len(features),
        source=file.stem,
        mapping=tuple(f"{name}={column}" for name, column in fields.items()),
        open_options=(),
        select=f"""
            SELECT r.geom, {text(fields["code"])} AS code, {text(fields["name"])} AS name,
                {text(fields["address"])} AS address, NULL AS admin_grade,
                NULL::int AS capacity_persons, NULL::float8 AS total_area_m2,
                NULL AS open_status, NULL::int AS current_occupancy,
                nullif(jsonb_strip_nulls(jsonb_build_object({pairs})), '{{}}') AS attributes""",
    )


def final_sql(task: Task) -> str:
    """Fill the layer from ogr2ogr's table: what riskmap import leaves, without its checks."""
    return f"""
        INSERT INTO shelters (geom, code, name, address, admin_grade, capacity_persons,
            total_area_m2, open_status, current_occupancy, attributes, raw_x, raw_y,
            source_system, source_crs, admin_code)
        SELECT q.*, ST_X(q.geom), ST_Y(q.geom), '{task.source}', 'EPSG:4326', d.code
        FROM ({task.select} FROM raw r) q
        LEFT JOIN admin_divisions d ON d.level = 'street' AND ST_Intersects(d.geom, q.geom)"""


class Bench:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder

    def connect(self, name: str) -> psycopg.Connection:
        address = self.cluster.owner_url(name).set(drivername="postgresql")
        return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)

    def prepare(self) -> None:
        """Make the database that every run copies."""
        self.cluster.ensure_database("template_bench")
        database = self.open("template_bench")
        migrate(database)
        with database.own(ACTOR) as session:
            # Not write_city: no local projection is true in all of Japan, and none is needed.
            box = JAPAN._asdict()
            row = {"name": "日本", "name_en": "Japan", "local_srid": 32654, **box}
            session.execute(insert(CITY).values(**row, time_zone="Asia/Tokyo", synthetic=False))
        divisions = self.folder / "divisions.geojson"
        write_divisions(divisions)
        layer = load_catalog()["admin-divisions"]
        options = ImportOptions(crs="EPSG:4326")
        city = _Japan()
        report = import_file(database, city, layer, divisions, options, actor=ACTOR)
        assert report.inserted == DIVISIONS**2
        database.dispose()
        with self.connect("template_bench") as session:
            session.execute("VACUUM ANALYZE")

    def open(self, name: str) -> Database:
        url, api = self.cluster.owner_url(name), self.cluster.api_url(name)
        return Database(url, api, Settings(data_dir=self.folder / "graphs"))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        name = "bench_run"
        with self.connect("postgres") as session:
            session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            session.execute(f"CREATE DATABASE {name} TEMPLATE template_bench")
            session.execute("CHECKPOINT")
        yield name

    def riskmap(self, task: Task, times: Times) -> dict[str, object]:
        with self.fresh() as name:
            command = [sys.executable, "-m", "riskmap.cli.main", "import", "shelters"]
            command += [str(task.file), "--crs", "EPSG:4326", "--source", task.source]
            for pair in task.mapping:
                command += ["--map", pair]
            url = self.cluster.owner_url(name).render_as_string(hide_password=False)
            began = time.perf_counter()
            with (
                subprocess.Popen(
                    command,
                    env=os.environ | {"RISKMAP_DATABASE_URL": url},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                ) as process,
                peaks(process.pid) as peak,
            ):
                said, _ = process.communicate()
            took = time.perf_counter() - began
            if process.returncode != 0:
                sys.exit(said.decode())
            times.seconds.setdefault("riskmap", []).append(took)
            children = [mb for number, mb in peak.items() if number != process.pid]
            times.memory_mb.append((peak.get(process.pid, 0.0), max(children, default=0.0)))
            return self.state(name)

    def ogr(self, name: str, task: Task) -> None:
        parts = self.cluster.owner_url(name)
        address = f"host={parts.query['host']} port={parts.query['port']}"
        subprocess.run(
            [
                *("ogr2ogr", "-f", "PostgreSQL"),
                f"PG:{address} user={parts.username} dbname={name}",
                *(str(task.file), "-nln", "raw", "-a_srs", "EPSG:4326", "-gt", "100000"),
                *("-lco", "GEOMETRY_NAME=geom", "-lco", "LAUNDER=NO", "-lco", "FID=ogr_fid"),
                *("-lco", "SPATIAL_INDEX=NONE", "--config", "PG_USE_COPY", "YES"),
                *task.open_options,
            ],
            check=True,
        )

    def ogr2ogr(self, task: Task, times: Times) -> dict[str, object]:
        with self.fresh() as name:
            began = time.perf_counter()
            self.ogr(name, task)
            times.seconds.setdefault("bare", []).append(time.perf_counter() - began)
            with self.connect(name) as session, session.transaction():
                session.execute("SET LOCAL jit = off")
                session.execute("CREATE INDEX ON raw USING gist (geom)")
                session.execute("ANALYZE raw")
                session.execute(final_sql(task))
                session.execute("DROP TABLE raw")
            times.seconds.setdefault("ogr2ogr", []).append(time.perf_counter() - began)
            return self.state(name)

    def state(self, name: str) -> dict[str, object]:
        """Return the number of rows and, for each column, a sum of hashes of code and value."""
        sums = ", ".join(
            f"sum(hashtextextended(concat(code, '|', {column}), 0)::numeric)" for column in COMPARED
        )
        with self.connect(name) as session:
            row = session.execute(f"SELECT count(*), {sums} FROM shelters").fetchone()
        assert row is not None
        return dict(zip(("rows", *COMPARED), row, strict=True))


class _Japan:
    bbox = JAPAN
    time_zone = "Asia/Tokyo"


@contextmanager
def peaks(root: int) -> Iterator[dict[int, float]]:
    """Watch the largest resident memory of a process and its children, MB by process number.

    Pages that both share, such as libraries, count in both.
    """
    found: dict[int, float] = {}
    ended = threading.Event()

    def look(number: int) -> None:
        try:
            status = Path(f"/proc/{number}/status").read_text()
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        except OSError:  # it has ended
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                found[number] = max(found.get(number, 0.0), int(line.split()[1]) / 1024)
        for child in children:
            look(int(child))

    def watch() -> None:
        while not ended.wait(0.05):
            look(root)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def report(task: Task, times: Times, ours: dict[str, object], theirs: dict[str, object]) -> None:
    medians = {side: statistics.median(values) for side, values in times.seconds.items()}
    size = task.file.stat().st_size / 1e6
    print(f"\n{task.title}: {task.rows:,} rows, {size:,.0f} MB")
    for side in ("riskmap", "ogr2ogr", "bare"):
        runs = ", ".join(f"{value:.1f}" for value in times.seconds[side])
        print(
            f"  {side:8} {medians[side]:8.2f} s {task.rows / medians[side]:10,.0f} rows/s  ({runs})"
        )
    print(
        f"  riskmap : ogr2ogr and SQL = {medians['riskmap'] / medians['ogr2ogr']:.2f}, "
        f"riskmap : bare ogr2ogr = {medians['riskmap'] / medians['bare']:.2f}"
    )
    parent = max(peak for peak, _ in times.memory_mb)
    child = max(peak for _, peak in times.memory_mb)
    print(f"  peak memory: {parent:,.0f} MB, of the process that reads {child:,.0f} MB")
    differ = [name for name in ours if ours[name] != theirs[name]]
    print("  the rows left are " + ("equal" if not differ else f"NOT equal: {', '.join(differ)}"))


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--japan", type=Path)
    options = parser.parse_args()
    if shutil.which("ogr2ogr") is None:
        sys.exit("ogr2ogr is missing: apt-get install gdal-bin")
    with tempfile.TemporaryDirectory(prefix="riskmap-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account of root's clusters enters it
        files = folder / "files"
        files.mkdir()
        cluster = Cluster.locate(Settings(data_dir=folder / "data"))
        with cluster.running():
            bench = Bench(cluster, files)
            bench.prepare()
            tasks = [points_task(files, options.rows)]
            for stem in ("emergency", "evacuation"):
                if options.japan is not None:
                    tasks.append(japan_task(files, options.japan / f"{stem}.geojson.gz"))
            version = subprocess.run(
                ["ogr2ogr", "--version"], capture_output=True, text=True, check=True
            )
            print(version.stdout.strip())
            for task in tasks:
                times = Times()
                for _ in range(options.rounds):
                    ours = bench.riskmap(task, times)
                    theirs = bench.ogr2ogr(task, times)
                report(task, times, ours, theirs)


if __name__ == "__main__":
    main()
