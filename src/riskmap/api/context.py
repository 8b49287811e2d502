"""What every request needs, made once at start and handed on."""

from __future__ import annotations

from dataclasses import dataclass

from riskmap.analysis.service import AnalysisService
from riskmap.catalog.registry import Catalog
from riskmap.db.sessions import Database
from riskmap.features.exports import Exports
from riskmap.features.extents import Extents
from riskmap.ingest.folders import Folders
from riskmap.ingest.job import ImportKind
from riskmap.jobs.runner import Runner
from riskmap.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The running service."""

    settings: Settings
    database: Database
    catalog: Catalog
    analysis: AnalysisService
    folders: Folders
    import_kind: ImportKind
    jobs: Runner
    extents: Extents
    exports: Exports
