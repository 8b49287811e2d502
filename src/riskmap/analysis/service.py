"""The analyses of one database: each question is a module of its own, this is where they meet."""

from __future__ import annotations

import logging
from typing import Any

from riskmap.analysis.circles import circle
from riskmap.analysis.coverage import CoverageQuery
from riskmap.analysis.coverage_layers import Found, LayersCoverage
from riskmap.analysis.coverage_query import LayersQuery
from riskmap.analysis.coverage_rows import Progress
from riskmap.analysis.coverage_told import summary
from riskmap.analysis.covering import Covering
from riskmap.analysis.ground import Ground
from riskmap.analysis.reach import ReachQuery, reach
from riskmap.analysis.reached import Keep
from riskmap.analysis.response import COUNTED_ROLES, ResponseQuery
from riskmap.analysis.scenario_compare import compare
from riskmap.analysis.scenario_ground import ground_for
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.surroundings import SurroundingsQuery, surroundings
from riskmap.analysis.warm import warm_kernels
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Role
from riskmap.crs.datum import Datum
from riskmap.db.city import find_city
from riskmap.db.sessions import Database
from riskmap.roads.graphs import Graphs
from riskmap.roads.load import profiles, roads_revision

log = logging.getLogger("riskmap")


class AnalysisService:
    """Answers for one database; threads may share it.

    Attributes
    ----------
    ground
        Networks and anchors, shared by all questions.
    drawings
        What tiles of an answer are cut from.
    """

    def __init__(
        self, database: Database, catalog: Catalog, graphs: Graphs, ground: Ground | None = None
    ) -> None:
        self.ground = ground or Ground(database, catalog, graphs)
        self._covering = Covering(self.ground)
        self._layers = LayersCoverage(self.ground)
        self.drawings: Keep[Any] = Keep()

    def under(self, scenario: Any, datum: Datum = Datum.WGS84) -> AnalysisService:
        """Return the analyses of the city as a scenario has it; of none or an empty one, itself.

        See `riskmap.analysis.scenario_ground.ground_for`.
        """
        ground = ground_for(self.ground, scenario, datum)
        if ground is self.ground:
            return self
        return AnalysisService(ground.database, ground.catalog, ground.graphs, ground)

    def roads_state(self) -> dict[str, Any]:
        """Say which network is stored."""
        with self.ground.database.read() as session:
            return {"revision": roads_revision(session), "profiles": profiles(session)}

    def warm_up(self) -> None:
        """Make kernels, graphs and anchors ready, before the first caller waits."""
        warm_kernels(self.ground.catalog.population)
        with self.ground.database.read() as session:
            city = find_city(session)
            roads = roads_revision(session)
        if city is None or roads is None:
            return
        # First what a circle asks for: somebody may be waiting for one already.
        ground, moment = self.ground, self.ground.now()
        network = ground.network(moment, moment.default_profile)
        ground.anchored(ground.catalog.with_role(Role.POPULATION, *COUNTED_ROLES), network)
        for ready in ground.graphs.build_all(srid=city.local_srid):
            log.info("road graph ready: %s, %d junctions", ready.profile, ready.node_count)
        self.coverage(CoverageQuery())

    def circle(
        self, query: ResponseQuery, watch: Stopwatch | None = None, datum: Datum = Datum.WGS84
    ) -> dict[str, Any]:
        """Compute response circles; see `riskmap.analysis.circles.circle`."""
        return circle(self.ground, query, watch or Stopwatch(), datum)

    def reach(self, query: ReachQuery, watch: Stopwatch | None = None) -> dict[str, Any]:
        """List the teams that reach a place; see `riskmap.analysis.reach.reach`."""
        return reach(self.ground, query, watch or Stopwatch())

    def coverage(self, query: CoverageQuery, watch: Stopwatch | None = None) -> dict[str, Any]:
        """Say whom the teams reach; see `riskmap.analysis.covering.Covering.coverage`."""
        return self._covering.coverage(query, watch or Stopwatch())

    def covered(
        self, query: LayersQuery, watch: Stopwatch, progress: Progress | None = None
    ) -> Found:
        """Find who comes to whole layers; see `coverage_layers.LayersCoverage.find`."""
        return self._layers.find(query, watch, progress)

    def coverage_summary(self, found: Found) -> dict[str, Any]:
        """Say what a search over whole layers found; see `coverage_told.summary`."""
        return summary(found, self.ground.hour_facts(found.network, found.query.when))

    def compare(
        self, changed: AnalysisService, query: CoverageQuery, watch: Stopwatch | None = None
    ) -> dict[str, Any]:
        """Say what a scenario changes; see `riskmap.analysis.scenario_compare.compare`."""
        return compare(self.ground, changed.ground, query, watch or Stopwatch())

    def surroundings(
        self, query: SurroundingsQuery, watch: Stopwatch | None = None
    ) -> dict[str, Any]:
        """Say what lies around a place; see `riskmap.analysis.surroundings.surroundings`."""
        return surroundings(self.ground, query, watch or Stopwatch())
