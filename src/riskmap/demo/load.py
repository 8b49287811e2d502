"""The demo city into an empty database and out of it again, each in one transaction.

The files go through the importer like anybody's. Killed at any moment, a load leaves either
nothing or everything, and the next start knows which by the city's row alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, func, literal, or_, select, text, union_all

from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Text
from riskmap.db.audit import record
from riskmap.db.base import METADATA
from riskmap.db.city import City, find_city, write_city
from riskmap.db.sessions import Actor, Database, ReadSession
from riskmap.db.tables import CITY, HISTORY, ROAD_EDGES
from riskmap.demo.ground import BOX, NAME, NAME_EN, SOURCE_SYSTEM, SRID, TIME_ZONE
from riskmap.errors import ConflictError, SetupError
from riskmap.features import statements
from riskmap.i18n import Lang, say
from riskmap.ingest.run import ImportOptions, import_within
from riskmap.roads.graphs import Graphs
from riskmap.roads.load import replace_edges
from riskmap.roads.osm import read_osm_pbf

DEMO_CITY: Final = City(NAME, NAME_EN, BOX, SRID, TIME_ZONE, synthetic=True)
MANIFEST: Final = "manifest.json"
_ROADS: Final = "roads"
_OPTIONS: Final = ImportOptions(crs="EPSG:4326", source_system=SOURCE_SYSTEM)


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The files of one demo city, verified: roads, and a file for each layer."""

    seed: int
    roads: Path
    layers: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the load that begins now, for whoever shows how far it is."""

    number: int
    of: int
    key: str
    title: Text | None = None

    def text(self, lang: Lang) -> str:
        """Return what happens, in one language."""
        values = {} if self.title is None else {"title": self.title.in_(lang)}
        return say(self.key, lang, **values)


Progress = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Held:
    """What a database holds: its city, road edges, and features by layer."""

    city: City | None
    edges: int
    demo: Mapping[str, int]
    other: Mapping[str, int]


def layers_folder() -> Path:
    """Return the folder of the city's files: inside an installed wheel, else beside `src`."""
    package = Path(__file__).resolve().parents[1]
    bundled = package / "_demo_layers"
    return bundled if bundled.is_dir() else package.parents[1] / "data" / "layers"


def read_files(folder: Path) -> DemoFiles:
    """Find the files that the manifest lists and compare each with its checksum.

    Raises
    ------
    SetupError
        There is no manifest, or a file is missing or another one; the message names it.
    """
    seed, listed = _manifest(folder)
    found: dict[str, Path] = {}
    for name, checksum in listed.items():
        file = folder / name
        try:
            content = file.read_bytes()
        except OSError:
            raise SetupError("demo.file_missing", parameter=name, folder=str(folder)) from None
        if hashlib.sha256(content).hexdigest() != checksum:
            raise SetupError("demo.file_changed", parameter=name, folder=str(folder))
        found[name.partition(".")[0]] = file
    roads = found.pop(_ROADS, None)
    if roads is None:
        raise SetupError("demo.file_missing", parameter=_ROADS, folder=str(folder))
    return DemoFiles(seed, roads, found)


def _manifest(folder: Path) -> tuple[int, dict[str, str]]:
    """Return the seed, and the checksum of each file."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return content["seed"], {name: file["sha256"] for name, file in content["files"].items()}
    except FileNotFoundError:
        raise SetupError("demo.no_files", parameter=MANIFEST, folder=str(folder)) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise SetupError("demo.bad_manifest", parameter=MANIFEST, folder=str(folder)) from None


def strange_files(folder: Path) -> list[str]:
    """Return what a folder holds that is no file of a demo city: writing one there would mix both.

    Raises
    ------
    OSError
        It is no folder, or cannot be read.
    """
    if not folder.exists():
        return []
    ours = set(_manifest(folder)[1]) if (folder / MANIFEST).exists() else set()
    names = {path.name for path in folder.iterdir()}
    return sorted(names - ours - {MANIFEST, "SOURCES.md"})


def is_empty(session: ReadSession, catalog: Catalog) -> bool:
    """Say whether a database holds no city, no feature and no road."""
    if find_city(session) is not None:
        return False
    filled = session.execute(statements.filled(catalog.values())).scalar_one()
    return not filled and session.execute(select(ROAD_EDGES.c.id).limit(1)).first() is None


def held(session: ReadSession, catalog: Catalog) -> Held:
    """Count what a database holds."""
    ours = [_counted(layer) for layer in catalog.values()]
    rows = session.execute(union_all(*ours)).all()
    return Held(
        city=find_city(session),
        edges=session.execute(select(func.count()).select_from(ROAD_EDGES)).scalar_one(),
        demo={row.layer: row.demo for row in rows if row.demo},
        other={row.layer: row.other for row in rows if row.other},
    )


def _counted(layer: Layer) -> Any:
    table = METADATA.tables[layer.table]
    own = table.c.source_system == SOURCE_SYSTEM
    return select(
        literal(layer.id).label("layer"),
        func.count().filter(own).label("demo"),
        func.count().filter(~own).label("other"),
    ).select_from(table)


def load_demo(
    database: Database,
    catalog: Catalog,
    graphs: Graphs,
    files: DemoFiles,
    *,
    actor: Actor,
    progress: Progress,
) -> bool:
    """Load the demo city and build its road graphs; return False when it is there already.

    Raises
    ------
    ConflictError
        The database holds another city, or features or roads without one.
    UnavailableError
        The database is away; nothing was loaded.
    """
    stages = _Stages(len(files.layers) + 4, progress)
    with database.own(actor) as session:
        # Two loads, or a load and a `city init`, at once: the second waits here and then sees
        # what the first one left. So does the start after a kill whose server has not noticed.
        session.execute(text("LOCK TABLE city IN SHARE ROW EXCLUSIVE MODE"))
        present = find_city(session)
        if present is not None and present.synthetic:
            return False
        if not is_empty(session, catalog):
            raise _occupied(held(session, catalog))
        session.execute(text("SET LOCAL statement_timeout = 0"))
        write_city(session, DEMO_CITY)
        stages.next("demo.stage.read_roads")
        edges = read_osm_pbf(files.roads)
        stages.next("demo.stage.roads")
        state = replace_edges(session, edges, BOX, source=files.roads.name)
        inserted = 0
        for layer_id, file in files.layers.items():
            layer = catalog.find(layer_id, parameter=file.name)
            stages.next("demo.stage.layer", layer.title)
            inserted += import_within(session, DEMO_CITY, layer, file, _OPTIONS).inserted
        detail = {"seed": files.seed, "edges": state.edges}
        record(session, "demo.load", NAME, detail, row_count=inserted)
        stages.next("demo.stage.analyze")
        # Autovacuum would do so in a minute; the first reader comes sooner.
        for name in (*(layer.table for layer in catalog.values()), ROAD_EDGES.name):
            session.execute(text(f"ANALYZE {name}"))
    stages.next("demo.stage.graphs")
    for _ in graphs.build_all(srid=SRID):
        pass
    return True


class _Stages:
    def __init__(self, of: int, progress: Progress) -> None:
        self._of, self._progress, self._number = of, progress, 0

    def next(self, key: str, title: Text | None = None) -> None:
        self._number += 1
        self._progress(Stage(self._number, self._of, key, title))


def _occupied(found: Held) -> ConflictError:
    if found.city is not None:
        return ConflictError("demo.other_city", parameter="city", name=found.city.name)
    everything = {
        layer: found.demo.get(layer, 0) + found.other.get(layer, 0)
        for layer in (*found.demo, *found.other)
    }
    if found.edges:
        everything[_ROADS] = found.edges
    return ConflictError("demo.not_empty", parameter="city", held=listed(everything))


def listed(counts: Mapping[str, int]) -> str:
    """Return counts as people read them: `shelters 305, roads 60,000`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def removable(session: ReadSession, catalog: Catalog, *, every_source: bool = False) -> Held:
    """Return what a removal would take away.

    Parameters
    ----------
    every_source
        Features that are not the demo's go, too.

    Raises
    ------
    ConflictError
        The city is not the demo, or there are features of another source.
    """
    found = held(session, catalog)
    if found.city is None:
        raise ConflictError("demo.none", parameter="city")
    if not found.city.synthetic:
        raise ConflictError("demo.real_city", parameter="city", name=found.city.name)
    if found.other and not every_source:
        raise ConflictError("demo.foreign", parameter="--all", held=listed(found.other))
    return found


def remove_demo(
    database: Database, catalog: Catalog, *, actor: Actor, every_source: bool = False
) -> Held:
    """Take the demo city away with its roads, features and their history; return what went.

    Raises
    ------
    ConflictError
        As `removable` does, of what stands in the database now.
    """
    tables = [METADATA.tables[layer.table] for layer in catalog.values()]
    names = ", ".join(table.name for table in (CITY, ROAD_EDGES, *tables))
    with database.own(actor) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        # Writers wait, readers go on: DELETE and not TRUNCATE, which would stop them, too.
        session.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
        found = removable(session, catalog, every_source=every_source)
        for table in tables:
            session.execute(delete(table).where(_goes(table.c.source_system, every_source)))
        session.execute(delete(ROAD_EDGES))
        source = HISTORY.c.row["source_system"].astext
        session.execute(delete(HISTORY).where(_goes(source, every_source)))
        session.execute(delete(CITY))
        count = sum(found.demo.values()) + sum(found.other.values())
        record(session, "demo.remove", NAME, {"edges": found.edges}, row_count=count)
    return found


def _goes(source: Any, every_source: bool) -> Any:
    return or_(literal(every_source), source == SOURCE_SYSTEM)
