"""What every request needs, made once at start and handed on."""

from __future__ import annotations

from dataclasses import dataclass

from riskmap.access.ring import KeyRing
from riskmap.analysis.coverage_job import CoverageKind
from riskmap.analysis.service import AnalysisService
from riskmap.api.tallies import Exchange
from riskmap.api.tile_edge import Known
from riskmap.catalog.registry import Catalog
from riskmap.db.feed import Feed
from riskmap.db.sessions import Database
from riskmap.features.exports import Exports
from riskmap.features.extents import Extents
from riskmap.ingest.folders import Folders
from riskmap.ingest.job import ImportKind
from riskmap.jobs.runner import Runner
from riskmap.settings import Settings
from riskmap.tiles.service import TileService


@dataclass(frozen=True, slots=True)
class Context:
    """The running service."""

    settings: Settings
    database: Database
    catalog: Catalog
    analysis: AnalysisService
    folders: Folders
    import_kind: ImportKind
    coverage_kind: CoverageKind
    jobs: Runner
    extents: Extents
    exports: Exports
    feed: Feed
    keys: KeyRing
    tiles: TileService
    known_tiles: Known
    tallies: Exchange
