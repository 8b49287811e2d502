"""The archives that this service keeps: files in the folder `archives` of its data."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from riskmap.catalog.registry import Catalog
from riskmap.errors import NotFoundError
from riskmap.tiles import archive_format, archive_meta, roads
from riskmap.tiles.archive_format import Header, NotAnArchiveError

SUFFIX: Final = ".pmtiles"
# No separator and no leading dot: such a name never leads out of the folder.
NAME: Final = re.compile(r"[A-Za-z0-9_\u4e00-\u9fff][A-Za-z0-9._\u4e00-\u9fff-]{0,99}")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that lies there.

    Parameters
    ----------
    name
        Without its ending.
    header, metadata
        None and empty where it cannot be read; `problem` says why.
    """

    name: str
    size_bytes: int
    changed_ns: int
    header: Header | None
    metadata: Mapping[str, Any]
    problem: str | None = None

    @property
    def ours(self) -> Mapping[str, Any]:
        """What riskmap noted in it; empty for an archive of another program."""
        found = self.metadata.get(archive_meta.OURS)
        return found if isinstance(found, dict) else {}

    @property
    def etag(self) -> str:
        """Tell these bytes from any others under this name."""
        revision = self.ours.get("revision")
        told = revision if isinstance(revision, int) else "x"
        return f'"{told}-{self.size_bytes:x}-{self.changed_ns:x}"'

    def is_current(self, catalog: Catalog) -> bool:
        """Say whether this program's tiles of the same layers hold the same."""
        names = self.ours.get("layers")
        known = {*catalog, roads.NAME}
        if not isinstance(names, list) or not all(
            isinstance(name, str) and name in known for name in names
        ):
            return False
        layers = [catalog[name] for name in names if name != roads.NAME]
        now = archive_meta.schema(layers, with_roads=roads.NAME in names)
        return bool(self.ours.get("schema") == now)


def folder_of(data_dir: Path) -> Path:
    """Return where archives lie."""
    return data_dir / "archives"


def listed(folder: Path) -> list[Archive]:
    """Return the archives by name, those that cannot be read among them."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        name = path.name.removesuffix(SUFFIX)
        if not NAME.fullmatch(name) or not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                found.append(describe(name, file))
        except OSError:
            continue  # it went, or was put into its place, just now
    return found


def find(folder: Path, file_name: str) -> Archive | None:
    """Return the archive of a file's name, None where there is none that can be read."""
    try:
        found, file = open_archive(folder, file_name.removesuffix(SUFFIX))
    except NotFoundError:
        return None
    file.close()
    return found


def open_archive(folder: Path, name: str) -> tuple[Archive, BinaryIO]:
    """Open an archive. A newer one put in its place does not change what is read from this one.

    Raises
    ------
    NotFoundError
        There is none of this name, or it is no archive.
    """
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        file = (folder / f"{name}{SUFFIX}").open("rb")
    except OSError:
        raise NotFoundError("archive.name", parameter="name", value=name[:100]) from None
    try:
        found = describe(name, file)
        if found.problem is not None:
            raise NotFoundError(
                "archive.not_one", parameter="name", value=name, reason=found.problem
            )
    except BaseException:
        file.close()
        raise
    return found, file


def describe(name: str, file: BinaryIO) -> Archive:
    """Return what an open file says of itself."""
    status = os.fstat(file.fileno())
    size, changed = status.st_size, status.st_mtime_ns
    try:
        header, metadata = archive_format.read(file, size)
    except NotAnArchiveError as error:
        return Archive(name, size, changed, None, {}, str(error))
    return Archive(name, size, changed, header, metadata)
