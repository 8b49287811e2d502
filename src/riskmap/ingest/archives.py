"""Zip archives: one dataset is taken out of them, by our own hand, and nothing else.

GDAL never sees an archive. Names, kinds and sizes of all members are checked first; what is
written is counted byte by byte, since a header may claim anything; only the parts of the one
dataset are written, under names of our own.
"""

from __future__ import annotations

import errno
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.batches import ReadOptions, unreadable
from riskmap.ingest.limits import (
    MAX_DIRECTORY_BYTES,
    MAX_MEMBERS,
    MAX_RATIO,
    RATIO_FROM_BYTES,
    in_mb,
)
from riskmap.ingest.read_gdb import is_gdb_member
from riskmap.ingest.read_shapefile import NEEDED, PARTS, check_parts
from riskmap.ingest.report import shorten

# Of what an archive may hold, the first kind that is there counts: a table beside a shapefile is
# its list of codes, not a second dataset.
_MAPS: Final = (".shp", ".gpkg", ".fgb", ".geojson", ".geojsonl", ".geojsons", ".kml")
_TABLES: Final = (".csv", ".tsv", ".xlsx", ".json", ".ndjson", ".jsonl")
_ARCHIVES: Final = (".zip", ".kmz", ".rar", ".7z", ".tar", ".gz", ".tgz")

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk is full, or a process may write no more: no fault of the file."""

_FLAG_ENCRYPTED: Final = 0x1
_FLAG_UTF8: Final = 0x800
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COPIED: Final = 1 << 20
_LISTED: Final = 20

# End of the list of entries: signature, then its size at 12; 22 bytes and a comment of 65,535.
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_ZIP64: Final = b"PK\x06\x07"
_ZIP64_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class _Member:
    path: PurePosixPath
    info: zipfile.ZipInfo

    @property
    def ending(self) -> str:
        return self.path.suffix.lower()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of an archive: its path in there, without the endings of a shapefile's parts."""

    name: str
    ending: str
    members: tuple[_Member, ...]


def unpack(path: Path, options: ReadOptions, *, kmz: bool = False) -> tuple[Path, str | None]:
    """Take the one dataset, or the one that `options.table` names, out of an archive.

    Returns
    -------
    tuple
        The file or folder it became in the workspace, and the table that is left to be chosen in
        it: None where the name chose the dataset.

    Raises
    ------
    InputError
        There is no workspace; the archive is hostile, encrypted, damaged or too large; it holds no
        dataset, several, or one with parts missing.
    """
    if options.workspace is None:
        raise InputError("ingest.archive.workspace", parameter="file", value=path.name)
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            dataset, table = (
                (_main_kml(path, members), options.table)
                if kmz
                else _choose(path, _datasets(path, members), options.table)
            )
            folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=options.workspace))
            most = options.limits.max_unpacked_bytes
            if dataset.ending == ".kml":
                most = min(most, options.limits.max_kml_bytes)
            return _write(path, archive, dataset, folder, most), table
    except OSError as error:
        if error.errno in FULL:
            raise
        raise unreadable(path) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ):
        raise unreadable(path) from None


def _check_directory(path: Path) -> None:
    """Look at the size of the list of entries before Python's zipfile reads it into memory."""
    with path.open("rb") as file:
        if file.read(4) not in (b"PK\x03\x04", _END):
            raise unreadable(path)
        size = file.seek(0, 2)
        start = max(0, size - _END_BYTES - 0xFFFF - _ZIP64_BYTES)
        file.seek(start)
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise unreadable(path)
    listed = int.from_bytes(tail[at + 12 : at + 16], "little")
    zip64 = tail[max(0, at - _ZIP64_BYTES) : at].startswith(_ZIP64)
    if zip64 or listed > MAX_DIRECTORY_BYTES:
        raise _too_many(path)


def _too_many(path: Path) -> InputError:
    return InputError(
        "ingest.archive.members", parameter="file", value=path.name, most=f"{MAX_MEMBERS:,}"
    )


def _members(path: Path, archive: zipfile.ZipFile) -> list[_Member]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _too_many(path)
    found: list[_Member] = []
    for info in infos:
        name = _name(info)
        parts = name.replace("\\", "/").split("/")
        if name[:1] in "/\\" or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
            raise _refused("ingest.archive.path", path, name)
        mode = info.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused("ingest.archive.link", path, name)
        if info.flag_bits & _FLAG_ENCRYPTED:
            raise _refused("ingest.archive.encrypted", path, name)
        # What macOS adds for each file beside it.
        if parts[-1] and parts[0] != "__MACOSX" and not parts[-1].startswith("._"):
            found.append(_Member(PurePosixPath(*parts), info))
    return found


def _refused(key: str, path: Path, member: str) -> InputError:
    return InputError(key, parameter="file", value=path.name, member=shorten(member))


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name: without the flag for UTF-8 it may be UTF-8 or GB 18030 all the same.

    Python takes such bytes for code page 437, which maps every byte, so they come back unharmed.
    """
    name = info.orig_filename
    if info.flag_bits & _FLAG_UTF8 or name.isascii():
        return name
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    for codec in ("utf-8", "gb18030"):
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    return name


def _datasets(path: Path, members: Sequence[_Member]) -> list[Dataset]:
    """Find what could be imported: geodatabases and maps, else tables."""
    bases: dict[tuple[str, str], list[_Member]] = {}
    loose: list[Dataset] = []
    for member in members:
        folder = next((p for p in member.path.parents if p.suffix.lower() == ".gdb"), None)
        if folder is not None:
            if folder == member.path.parent and is_gdb_member(member.path.name):
                bases.setdefault((str(folder), ".gdb"), []).append(member)
        elif member.ending in PARTS:
            bases.setdefault((str(member.path.with_suffix("")), ".shp"), []).append(member)
        elif member.ending in (*_MAPS, *_TABLES):
            loose.append(Dataset(str(member.path), member.ending, (member,)))
    grouped = [
        Dataset(name, ending, tuple(parts))
        for (name, ending), parts in bases.items()
        # A lone .dbf is a table of codes, a lone .prj or .cpg belongs to something else.
        if ending == ".gdb" or any(part.ending in (".shp", ".shx") for part in parts)
    ]
    maps = [*grouped, *(one for one in loose if one.ending in _MAPS)]
    found = maps or loose
    if not found:
        inner = [m.path.name for m in members if m.ending in _ARCHIVES]
        if inner:
            raise _refused("ingest.archive.nested", path, inner[0])
        lone = [part for parts in bases.values() for part in parts if part.ending in NEEDED]
        if lone:
            check_parts(lone[0].path.name, {part.ending for part in lone})
        raise InputError("ingest.archive.empty", parameter="file", value=path.name)
    return found


def _choose(path: Path, found: list[Dataset], wanted: str | None) -> tuple[Dataset, str | None]:
    named = [
        one
        for one in found
        if wanted is not None
        and wanted in (one.name, PurePosixPath(one.name).name, PurePosixPath(one.name).stem)
    ]
    if len(named) == 1:
        return named[0], None
    if len(found) == 1:
        return found[0], wanted
    known = ", ".join(shorten(one.name) for one in found[:_LISTED])
    if wanted is not None and not named:
        raise InputError("ingest.table.unknown", parameter="table", value=wanted, known=known)
    raise InputError("ingest.archive.several", parameter="table", value=path.name, known=known)


def _main_kml(path: Path, members: Sequence[_Member]) -> Dataset:
    """Return doc.kml or the first .kml, as Google Earth does."""
    kml = [member for member in members if member.ending == ".kml"]
    if not kml:
        raise InputError("ingest.archive.empty", parameter="file", value=path.name)
    main = next((m for m in kml if str(m.path).lower() == "doc.kml"), kml[0])
    return Dataset(path.stem, ".kml", (main,))


def _write(path: Path, archive: zipfile.ZipFile, dataset: Dataset, folder: Path, most: int) -> Path:
    if dataset.ending == ".shp":
        check_parts(PurePosixPath(dataset.name).name, {part.ending for part in dataset.members})
    stem = PurePosixPath(dataset.name).name
    stem = stem if dataset.ending == ".shp" else stem.removesuffix(PurePosixPath(stem).suffix)
    # 60 characters of Chinese are 180 bytes; file systems take 255.
    stem = re.sub(r"[^\w\-. ()]", "_", stem)[:60].strip(" .") or "data"
    written = 0
    target = folder / (stem + dataset.ending)
    if dataset.ending == ".gdb":
        target.mkdir()
    for member in dataset.members:
        if member.info.compress_type not in _METHODS:
            raise _refused("ingest.archive.method", path, str(member.path))
        if dataset.ending == ".gdb":
            part = target / member.path.name
        else:
            part = target.with_name(stem + member.ending)
        if part.exists():
            raise _refused("ingest.archive.twice", path, str(member.path))
        written += _copy(path, archive, member, part, most - written)
    return target


def _copy(path: Path, archive: zipfile.ZipFile, member: _Member, part: Path, most: int) -> int:
    """Write one member and count what comes out of it."""
    size = 0
    packed = max(1, member.info.compress_size)
    with archive.open(member.info) as source, part.open("xb") as file:
        while chunk := source.read(_COPIED):
            size += len(chunk)
            if size > most:
                raise InputError(
                    "ingest.archive.large", parameter="file", value=path.name, most=in_mb(most)
                )
            if size > RATIO_FROM_BYTES and size > MAX_RATIO * packed:
                raise _refused("ingest.archive.ratio", path, str(member.path))
            file.write(chunk)
    return size
