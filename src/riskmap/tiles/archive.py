"""Writing the public map into one PMTiles file.

Each tile notes the revision that its snapshot had; at the end one last snapshot renders anew what
was changed since, so that the archive is as the database was at that one moment. A run that was
ended goes on with what its work file holds, by the same walk.
"""

from __future__ import annotations

import errno
import math
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from riskmap.catalog.spec import Layer
from riskmap.db.city import City
from riskmap.db.sessions import Database
from riskmap.errors import InputError, StorageFullError
from riskmap.tiles import archive_changes, archive_format, archive_meta
from riskmap.tiles.archive_meta import About
from riskmap.tiles.archive_walk import Progress, Walk, Walked
from riskmap.tiles.archive_work import Plan, Work, opened
from riskmap.tiles.grid import MAX_ZOOM, WORLD_M, Corners

# More than the database has cores, so that it need not wait while we pack.
CONNECTIONS: Final = 4
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An archive that was written.

    Parameters
    ----------
    tiles
        How many addresses have a tile.
    rendered
        Tiles of this run; the others were in the work file.
    dropped
        How many features tiles left out for want of room.
    """

    revision: int
    tiles: int
    rendered: int
    size_bytes: int
    dropped: int


def read_zooms(value: str) -> tuple[int, int]:
    """Read `0-16`, or `12` for one zoom.

    Raises
    ------
    InputError
        It is neither, or beyond what tiles there are.
    """
    first, dash, last = value.strip().partition("-")
    parts = (first, last if dash else first)
    if all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts):
        zooms = (int(parts[0]), int(parts[1]))
        if zooms[0] <= zooms[1] <= MAX_ZOOM:
            return zooms
    raise InputError("archive.zooms", parameter="--zooms", value=value, most=MAX_ZOOM)


async def export(
    database: Database,
    city: City,
    layers: Sequence[Layer],
    output: Path,
    *,
    with_roads: bool,
    zooms: tuple[int, int],
    timeout_s: float,
    progress: Progress,
    restart: bool = False,
    connections: int = CONNECTIONS,
) -> Exported:
    """Write an archive; whatever ends it before, an older one at its place stays whole.

    Parameters
    ----------
    timeout_s
        How long one statement may take.
    restart
        Forget what an earlier run has rendered.

    Raises
    ------
    ConflictError
        The work file is another export's, broken, or in use.
    StorageFullError
        The disk is full.
    InputError
        It cannot be written there, or there is nothing to export.
    UnavailableError
        The database is away, or a tile took too long. What was rendered is kept.
    """
    output = output.resolve()
    if output.exists() and not output.is_file():
        # /dev/null would be a file from then on.
        raise InputError("option.output", parameter="-o", file=output, reason="no regular file")
    plan = Plan(
        database=await _identity(database),
        schema=archive_meta.schema(layers, with_roads=with_roads),
        layers=archive_meta.names_of(layers, with_roads=with_roads),
        zooms=zooms,
    )
    walk = Walk(
        database,
        layers,
        with_roads=with_roads,
        zooms=zooms,
        timeout_s=timeout_s,
        connections=connections,
        progress=progress,
    )
    with opened(output, plan, restart=restart) as work:
        walked = await walk.run(work)
        work.commit()
        dropped: Counter[int] = Counter()
        for tile, count in work.dropped():
            if tile in walked.tiles:
                dropped[archive_format.place(tile)[0]] += count
        about = About(
            revision=walked.revision,
            schema=plan.schema,
            generated_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            zooms=zooms,
            dropped=dropped,
        )
        described = archive_meta.metadata(city, layers, about, with_roads=with_roads)
        tiles = _publish(output, work, walked, described, zooms)
        work.remove()
    return Exported(
        revision=walked.revision,
        tiles=tiles,
        rendered=walked.rendered,
        size_bytes=output.stat().st_size,
        dropped=dropped.total(),
    )


async def _identity(database: Database) -> str:
    async with database.read_async() as session:
        return await archive_changes.identity(session)


def _publish(
    output: Path,
    work: Work,
    walked: Walked,
    described: dict[str, object],
    zooms: tuple[int, int],
) -> int:
    """Write the archive beside its place and put it there in one step; return its tiles."""
    # A tile that lost its last feature, or whose parent did, may be in the work file still.
    drawn = [(tile, content) for tile, content in work.drawn() if tile in walked.tiles]
    found = list(archive_format.entries(drawn, work.lengths()))
    if not found:
        named = ", ".join(work.plan.layers)
        raise InputError("archive.empty", parameter="--layers", names=named)
    contents = dict.fromkeys(content for _, content in drawn)
    beside = output.with_name(f"{output.name}.new")
    try:
        with beside.open("wb") as file:
            archive_format.write(
                file,
                found,
                (work.data(content) for content in contents),
                metadata=described,
                bounds=_degrees(walked.box),
                zooms=zooms,
            )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(output)
        _keep_name(output.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        if error.errno in _FULL:
            raise StorageFullError("archive.disk_full", parameter="-o", file=output) from error
        raise InputError(
            "option.output", parameter="-o", file=output, reason=error.strerror
        ) from error
    return sum(entry.run for entry in found)


def _keep_name(folder: Path) -> None:
    """Put a folder's names on the disk: a new name would not survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _degrees(box: Corners) -> tuple[float, float, float, float]:
    """Return a box of Web Mercator in degrees."""

    def lat(northing: float) -> float:
        return math.degrees(math.atan(math.sinh(northing / WORLD_M * math.tau)))

    west, south, east, north = box
    return west / WORLD_M * 360, lat(south), east / WORLD_M * 360, lat(north)
