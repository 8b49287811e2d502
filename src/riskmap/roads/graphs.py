"""The graphs of a running riskmap: built when the network moves, kept on disk, shared by mapping.

A graph belongs to one network revision and one profile. Whoever finds none on disk builds it
under a file lock, so that two workers do not both do so. Once a process has networks, nobody waits
for newer ones: a thread makes those of all profiles in use, and then they take the place of the
old ones at once, so that no answer is made of two revisions.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from pyproj.enums import TransformDirection

from riskmap.db.data_folder import usable
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import RiskmapError, UnavailableError
from riskmap.roads.folder import StoredGraphError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.load import profiles, read_graph, roads_revision
from riskmap.roads.snap import Snapper
from riskmap.units import WGS84

log = logging.getLogger("riskmap")

# How long an answer waits for a graph that somebody else is building.
PATIENCE_S: Final = 20.0
# What failed (a full disk, a lost connection) is not tried again at once.
RETRY_S: Final = 30.0
# A request asks for its network milliseconds after it read the revision. Not for ever: a database
# that was restored goes back to a revision that we have seen.
_PAST_S: Final = 10.0
# How often somebody looks whether another process is done; a build takes seconds.
_LOOK_S: Final = 0.05


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


class Networks:
    """The networks of all profiles at one revision: what one answer is made of.

    Attributes
    ----------
    revision, srid
        Of all its graphs. While there is none yet, the revision is the one that was asked for.
    """

    def __init__(self, graphs: Graphs, revision: str, srid: int) -> None:
        self.revision, self.srid = revision, srid
        self._graphs = graphs
        self._ready: dict[str, Network] = {}
        self._closed: set[str] = set()

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles whose network is ready, or known to be empty."""
        return frozenset(self._ready) | self._closed

    def get(self, profile: str) -> Network:
        """Return the network of a profile, from the disk or built if nobody asked for it yet.

        Raises
        ------
        UnavailableError
            No road is open to the profile. Or its graph is still being built after `PATIENCE_S`,
            or the roads moved on before it was: the caller may ask again.
        """
        return self.find(profile) or self._graphs.add(self, profile, PATIENCE_S)

    def find(self, profile: str) -> Network | None:
        """Return the network of a profile if it is ready.

        Raises
        ------
        UnavailableError
            No road is open to the profile.
        """
        if profile in self._closed:
            raise UnavailableError("roads.none_open", parameter="profile", profile=profile)
        return self._ready.get(profile)

    def put(self, revision: str, profile: str, graph: RoadGraph | None) -> bool:
        """Add a graph, None if no road is open to the profile; say whether its revision fits."""
        if revision != self.revision:
            if self._ready:
                return False
            # Nobody has seen any of these yet: they are of the revision that the first one is.
            self.revision = revision
            self._closed.clear()
        if graph is None:
            self._closed.add(profile)
        else:
            self._ready[profile] = Network(graph)
        return True

    def outdated(self, revision: str) -> bool:
        """Whether a newer network is being prepared for whoever read this revision."""
        return self.revision != revision and not self._graphs.knows(revision)


class Graphs:
    """Finds the network of a profile; one for each service or command."""

    def __init__(self, folder: Path, database: Database) -> None:
        # Two databases may share a data folder: each has graphs of its own.
        url = database.owner_url
        name = f"{url.host}|{dict(url.query)}|{url.port}|{url.database}"
        self._folder = folder / "graphs" / hashlib.sha256(name.encode()).hexdigest()[:12]
        self._database = database
        # Held while somebody who waits for it builds; while a renewal runs; for an instant.
        self._lock, self._renewing, self._state = (threading.Lock() for _ in range(3))
        self._current: Networks | None = None
        self._renewal: threading.Thread | None = None
        self._failed_at = -RETRY_S
        self._past: dict[str, float] = {}

    def serving(self, revision: str | None, *, srid: int) -> Networks:
        """Return the networks to answer with, and have newer ones made if these are outdated.

        An answer asks once and takes all its networks from there.

        Parameters
        ----------
        revision
            Of the stored roads, as just read. What comes may be older (`Networks.outdated`), or
            newer, but of one revision.

        Raises
        ------
        UnavailableError
            There are no roads yet; the message says which command imports them.
        """
        if revision is None:
            raise UnavailableError("roads.none")
        with self._state:
            current = self._current
            if current is None or current.srid != srid or not current.profiles:
                # None to go on with: whoever asks waits.
                if current is None or (current.revision, current.srid) != (revision, srid):
                    current = self._current = Networks(self, revision, srid)
            elif current.outdated(revision):
                self._start(revision, srid)
        return current

    def get(self, revision: str | None, *, profile: str, srid: int, fresh: bool = False) -> Network:
        """Return the network of a profile at a revision, at a newer one, or the ready older one.

        The caller holds no session meanwhile: a build may take long, and whoever waits for it
        with a connection in hand would keep it from everybody else.

        Parameters
        ----------
        fresh
            Wait, however long, until the network is of the revision or newer.

        Raises
        ------
        UnavailableError
            There are no roads yet, or none that is open to the profile. Or another thread is
            still building after `PATIENCE_S`: the caller may ask again.
        """
        if not fresh:
            return self.serving(revision, srid=srid).get(profile)
        while True:
            networks = self.serving(revision, srid=srid)
            if revision is not None and networks.outdated(revision):
                self._renew(revision, srid, {profile})
                continue
            try:
                return networks.find(profile) or self.add(networks, profile, None)
            except UnavailableError as error:
                if error.key != "roads.building":
                    raise
            # The roads moved on between two profiles.
            with self._database.read() as session:
                revision = roads_revision(session)

    def build_all(self, *, srid: int) -> Iterator[RoadGraph]:
        """Build every profile's graph, one after the other, so that nobody waits for it later."""
        with self._database.read() as session:
            revision, known = roads_revision(session), profiles(session)
        for profile in known:
            try:
                yield self.get(revision, profile=profile, srid=srid, fresh=True).graph
            except UnavailableError as error:
                # A network without footways has no graph for walking; asking for it says so.
                if error.key != "roads.none_open":
                    raise

    def knows(self, revision: str) -> bool:
        """Whether networks were made of this revision or of a later one, a moment ago."""
        seen = self._past.get(revision)
        return seen is not None and time.monotonic() - seen < _PAST_S

    def add(self, networks: Networks, profile: str, patience_s: float | None) -> Network:
        """Add a profile's network to those of a revision; `Networks.get` calls it.

        Raises
        ------
        UnavailableError
            See `Networks.get`.
        """
        until = math.inf if patience_s is None else time.monotonic() + patience_s
        if not self._lock.acquire(timeout=-1 if patience_s is None else patience_s):
            raise UnavailableError("roads.building", profile=profile)
        try:
            if networks.find(profile) is None:
                revision, graph = self._found(networks, profile, until)
                if not networks.put(revision, profile, graph):
                    raise UnavailableError("roads.building", profile=profile)
            ready = networks.find(profile)
        finally:
            self._lock.release()
        if ready is None:
            raise UnavailableError("roads.building", profile=profile)
        return ready

    def _found(
        self, networks: Networks, profile: str, until: float
    ) -> tuple[str, RoadGraph | None]:
        """Return a profile's graph at the networks' revision, or built at that of now."""
        try:
            # Without the lock: what is there under its name is whole.
            place = self._place(profile, networks.srid, networks.revision)
            return networks.revision, RoadGraph.load(place)
        except StoredGraphError:
            revision, made = self._made({profile}, networks.srid, until)
            return revision, made[profile]

    def _start(self, revision: str, srid: int) -> None:
        """Make newer networks in a thread, if none does so and the last one did not just fail."""
        running = self._renewal is not None and self._renewal.is_alive()
        if running or time.monotonic() - self._failed_at < RETRY_S:
            return
        # A daemon: a service that stops does not wait for it; what it leaves is swept.
        self._renewal = threading.Thread(
            target=self._renew_aside, args=(revision, srid), name="roads", daemon=True
        )
        self._renewal.start()

    def _renew_aside(self, revision: str, srid: int) -> None:
        try:
            self._renew(revision, srid, ())
        except Exception as error:
            self._failed_at = time.monotonic()
            log.warning(
                "the road graphs of revision %s cannot be built, the older ones stay: %s",
                revision,
                error,
                exc_info=not isinstance(error, RiskmapError),
            )

    def _renew(self, asked: str, srid: int, wanted: Collection[str]) -> None:
        """Put networks of the present revision in the place of the current ones.

        Parameters
        ----------
        asked
            A revision that somebody read: what is made is no older.
        wanted
            Profiles to be made besides those that are in use.
        """
        with self._renewing:
            with self._database.read() as session:
                revision = roads_revision(session)
            old = self._current
            if revision is None:
                raise UnavailableError("roads.none")
            if old is None or (old.revision, old.srid) != (revision, srid):
                used = frozenset() if old is None else old.profiles
                revision, made = self._made(used | set(wanted), srid, math.inf)
                new = Networks(self, revision, srid)
                for profile, graph in made.items():
                    new.put(revision, profile, graph)
                    if graph is not None:
                        # Whoever comes first need not wait for that either.
                        _ = new.get(profile).snapper
                with self._state:
                    self._current = new
                if old is not None:
                    log.info("road graphs of revision %s in place of %s", revision, old.revision)
            now = time.monotonic()
            past = {k: at for k, at in self._past.items() if now - at < _PAST_S}
            for name in {asked, old.revision if old else asked} - {revision}:
                past[name] = now
            self._past = past

    def _made(
        self, wanted: Collection[str], srid: int, until: float
    ) -> tuple[str, dict[str, RoadGraph | None]]:
        """Return graphs of the present revision, from the disk or built and kept there.

        All are of one snapshot of the database; None stands for a profile without an open road.

        Raises
        ------
        SetupError
            The folder cannot be written to, and nothing was built yet.
        UnavailableError
            There are no roads, or another process was still building at the time `until`.
        """
        with self._building(until, min(wanted, default="")), self._database.read() as session:
            # A request's limit would keep a busy machine from ever having its graph.
            session.limit_statements(0)
            revision = roads_revision(session)
            if revision is None:
                raise UnavailableError("roads.none")
            return revision, {
                profile: self._one(session, profile, srid, revision) for profile in sorted(wanted)
            }

    def _one(
        self, session: ReadSession, profile: str, srid: int, revision: str
    ) -> RoadGraph | None:
        folder = self._place(profile, srid, revision)
        try:
            return RoadGraph.load(folder)
        except StoredGraphError:
            pass  # not built yet
        try:
            graph = read_graph(session, profile=profile, srid=srid, revision=revision)
        except UnavailableError as error:
            if error.key != "roads.none_open":
                raise
            return None
        # Half-written ones of a process that was killed: they may be what fills the disk.
        self._sweep(f".{profile}-[0-9]*")
        try:
            graph.save(folder)
            self._sweep(f"{profile}-[0-9]*", but=folder.name)
            # As the other workers have it: mapped, the memory of all of them together.
            return RoadGraph.load(folder)
        except (OSError, StoredGraphError) as error:
            # A full disk costs the next start a build; it need not cost this answer.
            log.warning("the road graph %s cannot be kept: %s", folder.name, error)
            return graph

    def _place(self, profile: str, srid: int, revision: str) -> Path:
        return self._folder / f"{profile}-{srid}-{revision}"

    def _sweep(self, pattern: str, *, but: str = "") -> None:
        """Remove graphs, under the lock: nobody writes one meanwhile.

        Whoever has an older one mapped keeps its pages; whoever wants to map it makes the present
        one instead. The digit in patterns: a profile's name may begin another's.
        """
        for old in self._folder.glob(pattern):
            if old.is_dir() and old.name != but:
                shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _building(self, until: float, profile: str) -> Iterator[None]:
        """Hold the lock of all processes; the system gives back that of one that was killed."""
        with usable(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        with lock:
            while not _locked(lock):
                if time.monotonic() >= until:
                    raise UnavailableError("roads.building", profile=profile)
                time.sleep(_LOOK_S)
            yield


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
