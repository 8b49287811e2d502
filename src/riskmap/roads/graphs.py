"""The graphs of a running riskmap: built when the network moves, kept on disk, shared by mapping.

A graph belongs to one network revision and one profile. Whoever finds none on disk builds it
under a file lock, so that two workers do not both do so.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from pyproj.enums import TransformDirection
from sqlalchemy import text

from riskmap.db.data_folder import usable
from riskmap.db.sessions import Database
from riskmap.errors import UnavailableError
from riskmap.roads.folder import StoredGraphError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.load import profiles, read_graph, roads_revision
from riskmap.roads.snap import Snapper
from riskmap.units import WGS84

log = logging.getLogger("riskmap")

# How long an answer waits for a graph that somebody else is building.
PATIENCE_S: Final = 20.0


@dataclass(frozen=True, eq=False)
class Network:
    """A graph ready for use: with its snapper and its projection.

    Attributes
    ----------
    stated
        What every answer says of it besides its revision: a scenario.
    """

    graph: RoadGraph
    stated: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @cached_property
    def snapper(self) -> Snapper:
        """The snapper of the graph, built at first use."""
        return Snapper(self.graph)

    @cached_property
    def _projection(self) -> Transformer:
        # Threads may share it, but each makes one of its own inside (pyproj 3.1): out of EPSG's
        # tables that took 300 ms in every new thread, out of the one pipeline they name 0.3 ms.
        found = Transformer.from_crs(WGS84, self.graph.srid, always_xy=True)
        if not found.definition.startswith("proj=pipeline"):
            return found  # PROJ chooses among several for each point
        return Transformer.from_pipeline(found.definition)

    def to_local(self, lonlat: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Project degrees (n, 2) to metres (n, 2)."""
        places = np.asarray(lonlat, dtype=float).reshape(-1, 2)
        return np.column_stack(self._projection.transform(places[:, 0], places[:, 1]))

    def to_lonlat(self, xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn metres (n, 2) back to degrees (n, 2)."""
        places = np.asarray(xy, dtype=float).reshape(-1, 2)
        degrees = self._projection.transform(
            places[:, 0], places[:, 1], direction=TransformDirection.INVERSE
        )
        return np.column_stack(degrees)


class Graphs:
    """Finds the network of a profile; one for each service or command."""

    def __init__(self, folder: Path, database: Database) -> None:
        # Two databases may share a data folder: each has graphs of its own.
        url = database.owner_url
        name = f"{url.host}|{dict(url.query)}|{url.port}|{url.database}"
        self._folder = folder / "graphs" / hashlib.sha256(name.encode()).hexdigest()[:12]
        self._database = database
        self._lock = threading.Lock()
        self._ready: dict[str, Network] = {}

    def get(self, revision: str | None, *, profile: str, srid: int) -> Network:
        """Return the network of a profile at a revision, or at a newer one.

        The caller holds no session meanwhile: a build may take long, and whoever waits for it
        with a connection in hand would keep it from everybody else.

        Raises
        ------
        UnavailableError
            There are no roads yet; the message says which command imports them. Or another
            thread is still building after `PATIENCE_S`: the caller may ask again.
        """
        if revision is None:
            raise UnavailableError("roads.none")
        ready = self._ready.get(profile)
        if ready is not None and _fits(ready.graph, revision, srid):
            return ready
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise UnavailableError("roads.building", profile=profile)
        try:
            ready = self._ready.get(profile)
            if ready is None or not _fits(ready.graph, revision, srid):
                ready = Network(self._stored(profile, srid, revision))
                self._ready[profile] = ready
        finally:
            self._lock.release()
        return ready

    def build_all(self, *, srid: int) -> Iterator[RoadGraph]:
        """Build every profile's graph, one after the other, so that nobody waits for it later."""
        with self._database.read() as session:
            revision, known = roads_revision(session), profiles(session)
        for profile in known:
            try:
                yield self.get(revision, profile=profile, srid=srid).graph
            except UnavailableError as error:
                # A network without footways has no graph for walking; asking for it says so.
                if error.key != "roads.none_open":
                    raise

    def _stored(self, profile: str, srid: int, revision: str) -> RoadGraph:
        """Return the graph that is on disk, or build it and keep it there.

        Raises
        ------
        SetupError
            The folder cannot be written to, and nothing was built yet.
        """
        folder = self._folder / f"{profile}-{srid}-{revision}"
        with self._building(profile):
            try:
                return RoadGraph.load(folder)
            except StoredGraphError:
                graph = self._built(profile, srid)
            try:
                graph.save(self._folder / f"{profile}-{srid}-{graph.revision}")
                self._sweep(profile, f"{profile}-{srid}-{graph.revision}")
            except OSError as error:
                # A full disk costs the next start a build; it need not cost this answer.
                log.warning("the road graph %s cannot be kept: %s", folder.name, error)
            return graph

    def _built(self, profile: str, srid: int) -> RoadGraph:
        with self._database.read() as session:
            # A request's limit would keep a busy machine from ever having its graph.
            session.execute(text("SET LOCAL statement_timeout = 0"))
            # The revision that this session sees, which may be newer than the one asked for.
            revision = roads_revision(session)
            if revision is None:
                raise UnavailableError("roads.none")
            return read_graph(session, profile=profile, srid=srid, revision=revision)

    def _sweep(self, profile: str, kept: str) -> None:
        """Remove older graphs, and the half-written ones of a process that was killed.

        Whoever still has one mapped keeps its pages. The digit: a profile's name may begin
        another's.
        """
        for pattern in (f"{profile}-[0-9]*", f".{profile}-[0-9]*"):
            for old in self._folder.glob(pattern):
                if old.is_dir() and old.name != kept:
                    shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _building(self, profile: str) -> Iterator[None]:
        with usable(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / f".{profile}.lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _fits(graph: RoadGraph, revision: str, srid: int) -> bool:
    return graph.revision == revision and graph.srid == srid
