"""Tiles beside TiPg and Martin on one database, and beside the bare SQL.

    python benchmarks/tiles.py [--points 1000000] [--polygons 20000] [--per-zoom 40]
        [--martin PROGRAM] [--tipg VERSION] [--seconds 5]

Points are geohazard-points, polygons of 257 vertices flash-flood-zones, both spread evenly over a
degree; made by our migrations, with triggers on. Peers read the same tables:

tipg       in a venv of its own (pip); it has no cache.
martin     `cargo install martin --locked`; --martin names its program, or it is on the PATH. Its
           cache is off in the cold pass and on in the warm one.
pg_tileserv  where the Go proxy has it; it had not.

What a tile holds differs, and its bytes are told beside its time: we count points in cells up to
zoom 11, send the declared fields alone and simplify to the pixel; Martin and TiPg send every
column of every row as it is (TiPg the first 10,000 rows).

Warm rates are wrk's (Debian), 64 connections. Read the ratios; noise and load are told.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from features_sides import _free_port, _start, _uvicorn
from features_table import DATABASE, connect, load

from riskmap.catalog.registry import load_catalog
from riskmap.db.cluster import Cluster
from riskmap.db.server import PORT
from riskmap.settings import Settings
from riskmap.tiles import read
from riskmap.tiles.grid import WEB_MERCATOR_QUAD

POINTS, POLYGONS = "geohazard-points", "flash-flood-zones"
CATALOG = load_catalog()
Tile = tuple[int, int, int]
ZOOMS = (0, 4, 8, 10, 11, 12, 13, 14, 15, 16)
WARM_ZOOMS = (12, 13, 14)


@dataclass
class Side:
    """A server: where its tiles of a layer are."""

    name: str
    port: int
    template: str
    process: subprocess.Popen[bytes] | None = None

    def path(self, layer: str, tile: Tile) -> str:
        z, x, y = tile
        table = CATALOG[layer].table
        return self.template.format(layer=layer, table=table, z=z, x=x, y=y)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


def get(connection: HTTPConnection, path: str, **headers: str) -> tuple[int, bytes, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers={"Accept-Encoding": "identity", **given})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers.get("etag") or ""


def tiles_of(zoom: int, number: int) -> list[Tile]:
    """Return tiles of the city's degree, distinct, the same in every run."""
    dice = random.Random(zoom)
    found: dict[Tile, None] = {}
    for _ in range(number * 20):
        lon, lat = dice.uniform(120.02, 120.98), dice.uniform(36.02, 36.98)
        y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
        found[zoom, int((lon + 180) / 360 * 2**zoom), int(y * 2**zoom)] = None
        if len(found) == number:
            break
    return list(found)


def add_polygons(cluster: Cluster, number: int) -> float:
    began = time.perf_counter()
    with connect(cluster) as session:
        session.execute("SELECT setseed(0.3)")
        session.execute(
            """
            INSERT INTO flash_flood_zones (code, source_system, name, risk_level, geom)
            SELECT 'Z' || i, 'benchmark', '危险区' || i, nullif(i %% 5, 0), ST_Multi(ST_SetSRID(
                ST_MakePolygon(ST_MakeLine(ARRAY(
                    SELECT ST_MakePoint(x + r * (1 + 0.2 * sin(7 * t + i)) * cos(t),
                        y + r * (1 + 0.2 * sin(7 * t + i)) * 0.8 * sin(t))
                    FROM (SELECT k * 2 * pi() / 256 AS t FROM generate_series(0, 255) k
                        UNION ALL SELECT 0) turns))), 4326))
            FROM (SELECT i, 120 + random() AS x, 36 + random() AS y,
                0.001 + 0.006 * random() ^ 2 AS r FROM generate_series(1, %s) i) places
            """,
            [number],
        )
        session.execute("VACUUM ANALYZE flash_flood_zones")
        session.execute("SELECT riskmap.fold_cells(10000000)")
        session.execute("VACUUM ANALYZE cell_sums, cell_deltas, feed")
    return time.perf_counter() - began


# ------------------------------------------------------------------ the sides


def ready(side: Side, log: Path) -> Side:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            connection = HTTPConnection("127.0.0.1", side.port, timeout=60)
            status, _, _ = get(connection, side.path(POINTS, tiles_of(14, 1)[0]))
            if status in (200, 204):
                return side
        except OSError:
            time.sleep(0.2)
        if side.process is not None and side.process.poll() is not None:
            break
    side.stop()
    sys.exit(f"{side.name} does not serve:\n{log.read_text(errors='replace')[-2000:]}")


def ours(cluster: Cluster, folder: Path) -> Side:
    port = _free_port()
    environment = {
        "RISKMAP_DATABASE_URL": cluster.owner_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_API_DATABASE_URL": cluster.api_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_DATA_DIR": str(folder / "graphs"),
        "RISKMAP_TILE_CACHE_MB": "1024",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = _uvicorn(sys.executable, "--factory riskmap.app:from_environment", port)
    process, log = _start(folder, "riskmap", command, environment)
    return ready(Side("riskmap", port, "/tiles/{layer}/{z}/{x}/{y}.mvt", process), log)


def tipg(cluster: Cluster, folder: Path, version: str) -> Side:
    home = folder / "tipg"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = str(home / "bin" / "python")
    wanted = f"tipg=={version}" if version else "tipg"
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wanted]
    subprocess.run([*install, "uvicorn[standard]"], check=True)
    parts = cluster.owner_url(DATABASE)
    port = _free_port()
    host = quote(str(parts.query["host"]), safe="")
    environment = {
        "DATABASE_URL": f"postgresql://{parts.username}@{host}:{PORT}/{DATABASE}",
        "TIPG_DB_SCHEMAS": '["public"]',
        "TIPG_DB_TABLES": json.dumps(
            [f"public.{CATALOG[layer].table}" for layer in (POINTS, POLYGONS)]
        ),
        "TIPG_DB_FUNCTIONS": "[]",
        "DB_MAX_CONN_SIZE": "8",
    }
    process, log = _start(folder, "tipg", _uvicorn(python, "tipg.main:app", port), environment)
    template = "/collections/public.{table}/tiles/WebMercatorQuad/{z}/{x}/{y}?geom-column=geom_3857"
    return ready(Side("tipg", port, template, process), log)


def martin(cluster: Cluster, folder: Path, program: str, cache_mb: int) -> Side:
    parts = cluster.owner_url(DATABASE)
    port = _free_port()
    host = quote(str(parts.query["host"]), safe="")
    tables = "".join(
        f"    {CATALOG[layer].table}:\n      schema: public\n      table: {CATALOG[layer].table}\n"
        "      srid: 3857\n      geometry_column: geom_3857\n      id_column: id\n"
        "      properties: {name: text, risk_level: int4, code: text, address: text}\n"
        for layer in (POINTS, POLYGONS)
    )
    config = folder / f"martin-{cache_mb}.yaml"
    config.write_text(
        f"listen_addresses: 127.0.0.1:{port}\nworker_processes: 1\ncache_size_mb: {cache_mb}\n"
        f"postgres:\n  connection_string: postgresql://{parts.username}@{host}:{PORT}/{DATABASE}\n"
        f"  pool_size: 8\n  auto_publish: false\n  tables:\n{tables}"
    )
    process, log = _start(
        folder, f"martin-{cache_mb}", [program, "--config", str(config)], {"RUST_LOG": "warn"}
    )
    name = "martin" if cache_mb else "martin, no cache"
    return ready(Side(name, port, "/{table}/{z}/{x}/{y}", process), log)


def constant(folder: Path, size: int) -> Side:
    port = _free_port()
    environment = {"BODY_BYTES": str(size), "PYTHONPATH": str(Path(__file__).parent)}
    command = _uvicorn(sys.executable, "tiles_constant:app", port)
    process, _ = _start(folder, f"constant-{size}", command, environment)
    side = Side("constant", port, "/raw/{z}/{x}/{y}", process)
    return ready(side, folder / f"constant-{size}.log")


def nginx(folder: Path, behind: Side) -> Side | None:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        print("nginx: not installed")
        return None
    port = _free_port()
    example = (Path(__file__).parents[1] / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    home = folder / "nginx"
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(
        "daemon off;\n"
        + example.replace("127.0.0.1:8000", f"127.0.0.1:{behind.port}").replace(
            "127.0.0.1:8080", f"127.0.0.1:{port}"
        ),
        encoding="utf-8",
    )
    process, log = _start(folder, "nginx", [program, "-p", str(home), "-c", str(config)], {})
    return ready(Side("nginx before riskmap", port, behind.template, process), log)


# ------------------------------------------------------------------ the passes


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def cold(side: Side, layer: str, tiles: list[Tile]) -> tuple[list[float], list[int], int]:
    connection = HTTPConnection("127.0.0.1", side.port, timeout=300)
    times, sizes, errors = [], [], 0
    for tile in tiles:
        began = time.perf_counter()
        status, body, _ = get(connection, side.path(layer, tile))
        times.append((time.perf_counter() - began) * 1000)
        sizes.append(len(body))
        errors += status not in (200, 204)
    return times, sizes, errors


def bare(cluster: Cluster, layer: str, tiles: list[Tile]) -> list[float]:
    """Send our own statement by psycopg and read the bytes: what PostGIS alone takes."""
    times = []
    ready_ = read._compiled((CATALOG[layer],), False, WEB_MERCATOR_QUAD, tiles[0][0], False)
    if ready_ is None:
        return [0.0]
    with connect(cluster) as session:
        session.execute("SET jit = off")
        session.execute("SET ROLE riskmap_api")
        for _, x, y in tiles:
            values = {**ready_.bound, "x": x, "y": y}
            began = time.perf_counter()
            session.execute(ready_.sql, values, prepare=True).fetchall()
            times.append((time.perf_counter() - began) * 1000)
    return times


SCRIPT = """
local lines, at = {}, 0
for line in io.lines("%s") do table.insert(lines, line) end
request = function()
    at = at %% #lines + 1
    local path, tag = lines[at]:match("^(%%S+) ?(.*)$")
    wrk.headers["Accept-Encoding"] = "gzip"
    if tag ~= "" then wrk.headers["If-None-Match"] = tag end
    return wrk.format("GET", path)
end
"""


def rate(folder: Path, side: Side, lines: list[str], seconds: int) -> tuple[float, str]:
    """Return requests a second of 64 connections, and the latencies."""
    paths = folder / "paths.txt"
    paths.write_text("\n".join(lines) + "\n", encoding="ascii")
    script = folder / "paths.lua"
    script.write_text(SCRIPT % paths, encoding="ascii")
    told = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{side.port}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = float(told.split("Requests/sec:")[1].split()[0])
    late = {line.split()[0]: line.split()[1] for line in told.splitlines() if "%" in line[:8]}
    wrong = [
        line.strip() for line in told.splitlines() if "Non-2xx" in line and "304" not in side.name
    ]
    return found, f"p50 {late.get('50%', '?')} p99 {late.get('99%', '?')} {' '.join(wrong)}"


def staleness(cluster: Cluster, side: Side, rounds: int) -> list[float]:
    """Move a point by psql, and ask until the tile's tag is another one; milliseconds."""
    connection = HTTPConnection("127.0.0.1", side.port, timeout=60)
    times = []
    dice = random.Random(1)
    with connect(cluster) as session:
        for tile in tiles_of(14, rounds):
            path = side.path(POINTS, tile)
            z, x, y = tile
            lon = (x + dice.random()) / 2**z * 360 - 180
            lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + dice.random()) / 2**z))))
            _, _, old = get(connection, path)
            session.execute(
                "UPDATE geohazard_points SET geom = ST_SetSRID(ST_MakePoint(%s, %s), 4326)"
                " WHERE code = %s",
                [lon, lat, f"B{dice.randint(1, 1000)}"],
            )
            began = time.perf_counter()
            while get(connection, path)[2] == old:
                if time.perf_counter() - began > 10:
                    sys.exit("a tile stayed old for ten seconds")
            times.append((time.perf_counter() - began) * 1000)
    return times


def noise(cluster: Cluster) -> str:
    with connect(cluster) as session:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            session.execute("SELECT sum(sqrt(n)) FROM generate_series(1, 300000) n")
            times.append((time.perf_counter() - began) * 1000)
    return f"{min(times):.0f} … {max(times):.0f} ms, load {os.getloadavg()[0]:.1f}"


def cold_pass(cluster: Cluster, sides: list[Side], per_zoom: int) -> None:
    for layer in (POINTS, POLYGONS):
        print(f"\ncold, {layer}: median ms (p95) kB of each side; bare SQL of ours")
        for zoom in ZOOMS:
            tiles = tiles_of(zoom, per_zoom)
            parts = []
            sql = statistics.median(bare(cluster, layer, tiles))
            for side in sides:
                asked = tiles if side.name == "riskmap" or zoom >= 10 else tiles[:3]
                times, sizes, errors = cold(side, layer, asked)
                parts.append(
                    f"{side.name} {statistics.median(times):.1f} ({quantile(times, 0.95):.1f})"
                    f" {statistics.median(sizes) / 1000:.1f} kB"
                    + (f" {errors} ERRORS" if errors else "")
                )
                if side.name == "riskmap":
                    parts[-1] += (
                        f" (x{statistics.median(times) / max(sql, 1e-6):.2f} of SQL {sql:.1f})"
                    )
            print(f"  z{zoom:<2} {len(tiles):3} tiles  " + "; ".join(parts), flush=True)


def warm_pass(folder: Path, mine: Side, others: list[Side], per_zoom: int, seconds: int) -> None:
    tiles = [tile for zoom in WARM_ZOOMS for tile in tiles_of(zoom, per_zoom)]
    connection = HTTPConnection("127.0.0.1", mine.port, timeout=60)
    known = [get(connection, mine.path(POINTS, tile), Accept_Encoding="gzip") for tile in tiles]
    size = round(statistics.mean(len(body) for _, body, _ in known))
    front = nginx(folder, mine)
    plain = constant(folder, size)
    stops = [plain] + ([front] if front else [])
    try:
        rates: dict[str, float] = {}

        def measure(name: str, side: Side, lines: Callable[[], list[str]]) -> None:
            rate(folder, side, lines(), 1)  # what is to be warm is warm
            rates[name], told = rate(folder, side, lines(), seconds)
            print(f"  {name:24} {rates[name]:10,.0f} /s   {told}", flush=True)

        print(f"\nwarm, {len(tiles)} tiles of {POINTS}, z12-14, gzip, mean {size:,} bytes")
        for side in [mine, *others, *([front] if front else [])]:
            measure(side.name, side, lambda side=side: [side.path(POINTS, t) for t in tiles])
        tags = [
            f"{mine.path(POINTS, t)} {tag}" for t, (_, _, tag) in zip(tiles, known, strict=True)
        ]
        measure("riskmap, 304", mine, lambda: tags)
        measure("raw ASGI, same size", plain, lambda: ["/raw/1"])
        measure("FastAPI route, same size", plain, lambda: ["/route/1"])
        raw, route = rates["raw ASGI, same size"], rates["FastAPI route, same size"]
        print(
            f"  riskmap : raw ASGI = {rates['riskmap'] / raw:.2f} (target 0.8);"
            f" : FastAPI route = {rates['riskmap'] / route:.1f} (target 4);"
            f" 304 : warm = {rates['riskmap, 304'] / rates['riskmap']:.2f} (target 1)"
        )
        if front and "martin" in rates:
            print(
                f"  nginx : martin = {rates[front.name] / rates['martin']:.2f} (target 1);"
                f" riskmap : martin = {rates['riskmap'] / rates['martin']:.2f}"
            )
    finally:
        for side in stops:
            side.stop()


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--polygons", type=int, default=20_000)
    parser.add_argument("--per-zoom", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--martin", default=shutil.which("martin"))
    parser.add_argument("--tipg", default="", help="a version other than the newest, or `no`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="riskmap-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account of root's clusters enters it
        cluster = Cluster.locate(Settings(data_dir=folder / "data"))
        with cluster.running():
            took = load(cluster, CATALOG[POINTS], options.points)
            also = add_polygons(cluster, options.polygons)
            print(f"{options.points:,} points in {took:.0f} s,", end=" ")
            print(f"{options.polygons:,} polygons in {also:.0f} s")
            sides = [ours(cluster, folder)]
            try:
                if options.tipg != "no":
                    sides.append(tipg(cluster, folder, options.tipg))
                if options.martin:
                    sides.append(martin(cluster, folder, options.martin, 0))
                else:
                    print("martin: no program; see --help")
                print(f"noise: the same arithmetic took {noise(cluster)}")
                cold_pass(cluster, sides, options.per_zoom)
                filtered(sides[0])
                for side in sides[1:]:
                    side.stop()
                cached = [martin(cluster, folder, options.martin, 512)] if options.martin else []
                sides = [sides[0], *cached]
                warm_pass(folder, sides[0], cached, options.per_zoom, options.seconds)
                late = staleness(cluster, sides[0], options.edits)
                print(
                    f"\nedit by psql, then read: {len(late)} times, p50 {quantile(late, 0.5):.0f},"
                    f" p95 {quantile(late, 0.95):.0f}, p99 {quantile(late, 0.99):.0f} (target 300),"
                    f" most {max(late):.0f} (target 1000)"
                )
                print(f"noise: the same arithmetic took {noise(cluster)}")
            finally:
                for side in sides:
                    side.stop()


def filtered(mine: Side) -> None:
    connection = HTTPConnection("127.0.0.1", mine.port, timeout=60)
    times = []
    for digit in "2468":
        asked = quote(f"code LIKE '%{digit}'")
        began = time.perf_counter()
        status, _, _ = get(connection, f"/tiles/{POINTS}/0/0/0.mvt?filter={asked}")
        times.append((time.perf_counter() - began) * 1000)
        assert status == 200
    print(f"\nfiltered, z0: {', '.join(f'{one:.0f}' for one in times)} ms (target 1,500)")


if __name__ == "__main__":
    main()
