"""An import as a job: its options as JSON, its run."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer
from riskmap.crs.input import read_crs
from riskmap.db.city import City, read_city
from riskmap.db.sessions import Actor, Database, WriteSession
from riskmap.errors import InputError, UnprocessableError
from riskmap.ingest import store
from riskmap.ingest.folders import Folders
from riskmap.ingest.load import check_mode
from riskmap.ingest.mapping import FieldMapping, Plan
from riskmap.ingest.readers import READERS
from riskmap.ingest.report import ImportRejectedError, ImportReport, Problem, shorten
from riskmap.ingest.run import ImportOptions, Limits, import_file
from riskmap.jobs import store as jobs
from riskmap.jobs.runner import Handle
from riskmap.jobs.store import HOST, Job

log = logging.getLogger("riskmap")

KIND: Final = "import"
# What can come as one file: a shapefile and a geodatabase are several, and come in a zip.
ENDINGS: Final = tuple(ending for ending in READERS if ending not in (".shp", ".gdb"))
# File systems take 255 bytes; a Chinese character has three.
_MAX_NAME_BYTES: Final = 200


def options_to_json(options: ImportOptions) -> dict[str, Any]:
    """Return options as JSON knows them."""
    return dataclasses.asdict(options) | {"datum_shift": list(options.datum_shift)}


def options_from_json(found: Mapping[str, Any]) -> ImportOptions:
    """Read what `options_to_json` made."""
    return ImportOptions(
        **{
            **found,
            "mapping": FieldMapping(**found["mapping"]),
            "datum_shift": tuple(found["datum_shift"]),
        }
    )


def check_options(options: ImportOptions, layer: Layer, city: City) -> str:
    """Check what can be checked without the file; return the CRS's public name.

    Raises
    ------
    InputError
        An option is wrong; it names which.
    """
    options.check_share()
    check_mode(options.mode, options.max_bad_share, options.source_system)
    if not options.source_system.strip() or len(options.source_system) > 64:
        raise InputError(
            "ingest.source_system",
            parameter="source_system",
            value=shorten(options.source_system),
        )
    crs = read_crs(options.crs, axes=options.axes, datum_shift=options.datum_shift)
    Plan(layer, options.mapping, ZoneInfo(city.time_zone))
    return crs.name


def safe_name(given: str) -> str:
    """Return the last part of a file's name, without what could hurt a path, a log or a header.

    Raises
    ------
    InputError
        Nothing is left of it, or its ending is of no format.
    """
    name = unicodedata.normalize("NFC", given).replace("\\", "/").rpartition("/")[2]
    # C: control, format (which can turn the direction of writing), surrogates, unassigned.
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip(" .")
    path = Path(name)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            "upload.ending", parameter="file", value=shorten(given), known=", ".join(ENDINGS)
        )
    stem = path.stem.encode()[: _MAX_NAME_BYTES - len(path.suffix)].decode(errors="ignore")
    return stem + path.suffix


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived, with what was said about it."""

    folder: Path
    file: str
    sha256: str
    layer: str
    crs: str
    options: ImportOptions
    key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What was asked: the same under one key is the same request."""
        said = options_to_json(self.options) | {
            "layer": self.layer,
            "sha256": self.sha256,
            "ending": Path(self.file).suffix.lower(),
        }
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def queue_import(
    session: WriteSession, folders: Folders, upload: Upload, actor: Actor
) -> tuple[int, bool]:
    """Queue an import of a file that has arrived; return its id, and whether it is a new one.

    The folder has its final name before anybody can see the job.

    Raises
    ------
    UnprocessableError
        The caller used this key for another request.
    """
    entry = store.Entry(
        layer=upload.layer,
        file=upload.file,
        sha256=upload.sha256,
        crs=upload.crs,
        source_system=upload.options.source_system,
        mode=upload.options.mode,
        options=options_to_json(upload.options),
    )
    import_id = store.queue_import(
        session,
        entry,
        actor,
        idempotency_key=upload.key,
        idempotency_hash=upload.fingerprint,
    )
    if import_id is None:
        key = upload.key or ""
        earlier = store.find_by_key(session, actor.name, key)
        if earlier is None or earlier.idempotency_hash != upload.fingerprint:
            raise UnprocessableError(
                "idempotency.differs",
                parameter="Idempotency-Key",
                value=key,
                id=earlier and earlier.id,
            )
        return earlier.id, False
    parameters = {
        "import_id": import_id,
        "layer": upload.layer,
        "file": upload.file,
        "options": options_to_json(upload.options),
        HOST: folders.place(),
    }
    job_id = jobs.queue(session, KIND, parameters, actor=actor.name, request_id=actor.request_id)
    store.attach_job(session, import_id, job_id)
    folders.adopt(upload.folder, import_id)
    return import_id, True


class ImportKind:
    """How jobs of the kind import are run."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        folders: Folders,
        *,
        keep_days: int,
        limits: Limits,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._folders = folders
        self._keep_days = keep_days
        self._limits = limits

    def run(self, parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        """Import the file; its rows, its report and the job's end are one transaction."""
        import_id = int(parameters["import_id"])
        layer = self._catalog.find(parameters["layer"])
        with self._database.read() as session:
            city = read_city(session)

        def settle(session: WriteSession, report: ImportReport) -> None:
            status = "rejected" if report.refused else "done"
            handle.finish(session, {"import_id": import_id, "status": status})

        try:
            import_file(
                self._database,
                city,
                layer,
                self._folders.upload(import_id, parameters["file"]),
                options_from_json(parameters["options"]),
                actor=handle.actor,
                progress=handle.progress,
                cancelled=handle.cancelled,
                import_id=import_id,
                work_dir=self._folders.of(import_id),
                limits=self._limits,
                before_commit=settle,
            )
        except ImportRejectedError:
            # Why is in the import's report, which stands beside the job's end.
            log.info("import %d was rejected", import_id)
        return {}

    def ended(self, session: WriteSession, job: Job) -> None:
        """Write down that an import failed or was cancelled."""
        store.come_to_nothing(session, int(job.parameters["import_id"]), job.status)

    def clean(self, job: Job) -> None:
        """Remove the file that was sent."""
        self._folders.clear(int(job.parameters["import_id"]))

    def prepare(self) -> None:
        """Remove what earlier processes left."""
        with self._database.read() as session:
            open_ids = store.open_imports(session)
        self._folders.prune(open_ids, self._keep_days)


def problem_lines(path: Path) -> Iterator[bytes]:
    """Yield each problem of an import's file as a line of JSON with its texts."""
    with path.open("rb") as file:
        for line in file:
            found = orjson.loads(line)
            problem = Problem(
                row=found["row"],
                key=found["key"],
                field=found["field"],
                value=found["value"],
                values=found["values"],
            )
            yield orjson.dumps(problem.to_json(), option=orjson.OPT_APPEND_NEWLINE)
