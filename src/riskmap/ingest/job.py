"""An import as a job: its options as JSON, its folder, its run.

`<data folder>/imports/<id>/` holds `upload/<file>` until the import has ended, and afterwards what
it left: `problems.jsonl` and `rejected.<ending>`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import secrets
import shutil
import time
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
from riskmap.ingest.load import check_mode
from riskmap.ingest.mapping import FieldMapping, Plan
from riskmap.ingest.readers import READERS
from riskmap.ingest.report import ImportRejectedError, Problem, shorten
from riskmap.ingest.run import ImportOptions, Limits, import_file
from riskmap.jobs import store as jobs
from riskmap.jobs.identity import is_gone, new_name
from riskmap.jobs.runner import Handle
from riskmap.jobs.store import HOST, Job

log = logging.getLogger("riskmap")

KIND: Final = "import"
# What can come as one file: a shapefile and a geodatabase are several, and come in a zip.
ENDINGS: Final = tuple(ending for ending in READERS if ending not in (".shp", ".gdb"))
_UPLOAD: Final = "upload"
_INCOMING: Final = "incoming-"
# File systems take 255 bytes; a Chinese character has three.
_MAX_NAME_BYTES: Final = 200
_DAY_S: Final = 86_400


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


class Folders:
    """The folders of imports in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.absolute() / "imports"
        self._place = ""

    def of(self, import_id: int) -> Path:
        """Return the folder of one import."""
        return self.root / str(import_id)

    def upload(self, import_id: int, file: str) -> Path:
        """Return where the file of one import is until it has ended."""
        return self.of(import_id) / _UPLOAD / file

    def place(self) -> str:
        """Return the name of this data folder, by which a job's host is known.

        It is kept in the folder itself: a host's name may change, and two hosts may share one.
        """
        if self._place:
            return self._place
        self.root.mkdir(parents=True, exist_ok=True)
        file = self.root / "place"
        # A link is made whole or not at all: of two processes at once one wins, both read it.
        made = self.root / f"place-{secrets.token_hex(8)}"
        if not file.exists():
            made.write_text(secrets.token_hex(16), encoding="ascii")
            try:
                os.link(made, file)
            except FileExistsError:
                log.debug("another process named the place")
            finally:
                made.unlink()
        self._place = file.read_text(encoding="ascii").strip()
        return self._place

    def incoming(self) -> Path:
        """Make a folder for a file that arrives; its name tells whose it is."""
        folder = self.root / (_INCOMING + new_name().replace("/", "+"))
        (folder / _UPLOAD).mkdir(parents=True)
        return folder

    def adopt(self, incoming: Path, import_id: int) -> None:
        """Make an incoming folder the folder of an import."""
        # An id that was given before can only stem from a transaction that was never committed.
        shutil.rmtree(self.of(import_id), ignore_errors=True)
        # To `prune` it is as old as its transaction, not as its first byte.
        os.utime(incoming)
        incoming.rename(self.of(import_id))

    def left(self, import_id: int, stem: str) -> Path | None:
        """Return what an import left, by the start of its name: `rejected`, `problems`."""
        found = sorted(self.of(import_id).glob(f"{stem}.*"))
        return found[0] if found else None

    def prune(self, open_ids: set[int], keep_days: int) -> None:
        """Remove what nobody needs: uploads that were cut, files of imports that have ended."""
        if not self.root.is_dir():
            return
        now = time.time()
        for folder in self.root.iterdir():
            if not folder.is_dir():
                continue
            age_days = (now - folder.stat().st_mtime) / _DAY_S
            if folder.name.startswith(_INCOMING):
                owner = folder.name.removeprefix(_INCOMING).replace("+", "/")
                if is_gone(owner) or age_days > 1:
                    shutil.rmtree(folder, ignore_errors=True)
            elif folder.name.isdecimal() and int(folder.name) not in open_ids:
                # A minute: its transaction may be about to commit.
                if age_days > keep_days:
                    shutil.rmtree(folder, ignore_errors=True)
                elif age_days * _DAY_S > 60:
                    shutil.rmtree(folder / _UPLOAD, ignore_errors=True)


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

        def settle(session: WriteSession, status: str) -> None:
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
                before_commit=lambda session, _report: settle(session, "done"),
            )
        except ImportRejectedError:
            # Why is in the import's report, which stands already.
            with self._database.write(handle.actor) as session:
                settle(session, "rejected")
        return {}

    def ended(self, session: WriteSession, job: Job) -> None:
        """Write down that an import failed or was cancelled."""
        store.come_to_nothing(session, int(job.parameters["import_id"]), job.status)

    def clean(self, job: Job) -> None:
        """Remove the file that was sent."""
        folder = self._folders.of(int(job.parameters["import_id"]))
        for part in (_UPLOAD, "workspace"):
            shutil.rmtree(folder / part, ignore_errors=True)

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
