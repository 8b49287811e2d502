"""The work file of an export, `city.pmtiles.part`: what was rendered, and at which revision.

An SQLite database, since a kill or a loss of power at any moment leaves what was committed. It is
held open alone for the whole export: that is the lock against a second one.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from riskmap.errors import ConflictError, InputError, StorageFullError

_COMMIT_EVERY_S: Final = 1.0
_FORMAT: Final = 1
_TABLES: Final = """
CREATE TABLE plan (text TEXT NOT NULL);
CREATE TABLE contents (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
CREATE TABLE tiles (
    id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    content INTEGER REFERENCES contents,
    bare INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported: work can only go on with the same plan.

    Parameters
    ----------
    database
        Tells the database from others, whose revisions say nothing here.
    schema
        Fingerprint of what the tiles hold (`riskmap.tiles.archive_meta`).
    """

    database: str
    schema: str
    layers: tuple[str, ...]
    zooms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A tile that is done.

    Parameters
    ----------
    number
        As PMTiles counts.
    content
        Gzipped; None: the tile is empty.
    bare
        Nothing at all lies in it, at whatever zoom: its children are empty, too.
    dropped
        How many features it left out for want of room.
    """

    number: int
    revision: int
    content: bytes | None
    bare: bool
    dropped: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What the work file knows of a tile."""

    revision: int
    bare: bool


class Work:
    """An open work file."""

    def __init__(self, path: Path, plan: Plan, connection: sqlite3.Connection) -> None:
        self.path = path
        self.plan = plan
        self._connection = connection
        self._committed_at = time.monotonic()
        found = connection.execute("SELECT id, revision, bare FROM tiles")
        self.tiles = {tile: Stored(revision, bool(bare)) for tile, revision, bare in found}

    def put(self, tile: Rendered) -> None:
        """Store a tile; it is on the disk a second later at most, or with the next one.

        Raises
        ------
        StorageFullError
            The disk is full.
        """
        with _disk(self.path):
            content = None if tile.content is None else self._content(tile.content)
            self._connection.execute(
                "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?)",
                (tile.number, tile.revision, content, tile.bare, tile.dropped),
            )
        self.tiles[tile.number] = Stored(tile.revision, tile.bare)
        if time.monotonic() - self._committed_at > _COMMIT_EVERY_S:
            self.commit()

    def _content(self, data: bytes) -> int:
        """Store a content once, and return its number."""
        digest = hashlib.sha256(data).digest()
        known = self._connection.execute("SELECT id FROM contents WHERE hash = ?", (digest,))
        if row := known.fetchone():
            return int(row[0])
        made = self._connection.execute(
            "INSERT INTO contents (hash, data) VALUES (?, ?)", (digest, data)
        )
        assert made.lastrowid is not None  # noqa: S101 - an INSERT has one
        return made.lastrowid

    def commit(self) -> None:
        """Put what is stored on the disk."""
        with _disk(self.path):
            self._connection.commit()
            self._connection.execute("BEGIN IMMEDIATE")
        self._committed_at = time.monotonic()

    def drawn(self) -> Iterator[tuple[int, int]]:
        """Yield number and content of the tiles that are not empty, by ascending numbers."""
        yield from self._connection.execute(
            "SELECT id, content FROM tiles WHERE content IS NOT NULL ORDER BY id"
        )

    def lengths(self) -> Mapping[int, int]:
        """Return how many bytes each content has."""
        return dict(self._connection.execute("SELECT id, length(data) FROM contents"))

    def data(self, content: int) -> bytes:
        """Return a content."""
        found = self._connection.execute("SELECT data FROM contents WHERE id = ?", (content,))
        return bytes(found.fetchone()[0])

    def dropped(self) -> Iterator[tuple[int, int]]:
        """Yield number and features left out of the tiles that left out any."""
        yield from self._connection.execute("SELECT id, dropped FROM tiles WHERE dropped > 0")

    def remove(self) -> None:
        """Remove the file: its work is done. It stays locked until it is closed."""
        # The journal first: all is committed, and one without its database would stay for ever.
        _journal_of(self.path).unlink(missing_ok=True)
        self.path.unlink()


def part_of(output: Path) -> Path:
    """Return where the work file of an archive lies: beside it."""
    return output.with_name(f"{output.name}.part")


def _journal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


@contextmanager
def opened(output: Path, plan: Plan, *, restart: bool) -> Iterator[Work]:
    """Open the work file of an archive, made where there is none; what is done stays done.

    Raises
    ------
    ConflictError
        Another export of the same file is at work, or this one is of another plan or broken: the
        message says what to do.
    InputError
        It cannot be written.
    StorageFullError
        The disk is full.
    """
    path = part_of(output)
    try:
        connection = _connect(path, plan, restart=restart)
    except ConflictError as error:
        if not (restart and error.key == "archive.part_broken"):
            raise
        # Nobody has it open: to them it would be busy before it was broken.
        _journal_of(path).unlink(missing_ok=True)
        path.unlink()
        connection = _connect(path, plan, restart=True)
    try:
        with _disk(path):
            work = Work(path, plan, connection)
        yield work
    finally:
        # What was rendered is kept, however the export ended; on a full disk it cannot be.
        with suppress(sqlite3.Error):
            connection.commit()
        connection.close()


def _connect(path: Path, plan: Plan, *, restart: bool) -> sqlite3.Connection:
    with _disk(path):
        # timeout 0: who holds it holds it for long.
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            # Before it is read for the first time: the lock is never given back until the end.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            _prepare(connection, path, plan, restart=restart)
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, plan: Plan, *, restart: bool) -> None:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    if restart:
        for table in ("tiles", "contents", "plan"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
    elif tables:
        _check(connection, path, plan)
        return
    for statement in _TABLES.strip().split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO plan VALUES (?)", (_text(plan),))


def _check(connection: sqlite3.Connection, path: Path, plan: Plan) -> None:
    (found,) = connection.execute("SELECT text FROM plan").fetchall()
    was, now = orjson.loads(found[0]), orjson.loads(_text(plan))
    differences = [
        f"{name}: {_brief(was.get(name))} ≠ {_brief(value)}"
        for name, value in now.items()
        if was.get(name) != value
    ]
    if differences:
        what = "; ".join(differences)
        raise ConflictError("archive.part_differs", parameter="-o", file=path, what=what)


def _brief(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(plan: Plan) -> str:
    return orjson.dumps(asdict(plan) | {"work file": _FORMAT}).decode()


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say in one sentence what the disk, or another export, refuses."""
    try:
        yield
    except (sqlite3.DatabaseError, ValueError) as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ConflictError("archive.in_use", parameter="-o", file=path) from error
        # An error of writing: the disk is full, over a quota, or the file longer than it may be.
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise StorageFullError("archive.disk_full", parameter="-o", file=path) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise InputError("option.output", parameter="-o", file=path, reason=error) from error
        raise ConflictError("archive.part_broken", parameter="-o", file=path) from error
