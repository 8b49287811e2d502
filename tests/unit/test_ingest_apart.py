"""Every format through the process that reads, with its limits and drivers, and back as rejects."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest_help import BOX, geojson, point, trial_layer
from maps_help import batches, column, packed, write
from riskmap.catalog.spec import Geometry
from riskmap.ingest.frames import Rows, Summary
from riskmap.ingest.options import ImportOptions
from riskmap.ingest.process import ReaderProcess
from riskmap.ingest.request import Request


def made(folder: Path, ending: str) -> Path:
    """A file of three rows, of which the second has no place in the city."""
    if ending in ("zip", "kmz"):
        inner = folder / "in"
        inner.mkdir()
        made(inner, "shp" if ending == "zip" else "kml")
        return packed(folder / f"a.{ending}", inner)
    if ending == "geojson":
        return geojson(folder, point("a"), point("b", 0, 0), point("c"))
    shapes = [shapely.Point(x, 36) for x in (120, 0, 120)]
    columns = {"code": ["a", "b", "c"], "population": np.array([1, 2, 3], dtype=np.int32)}
    return write(
        folder / f"a.{ending}",
        columns,
        shapes,
        **({"spatial_index": "NO"} if ending == "fgb" else {}),
    )


@pytest.mark.parametrize(
    "ending", ["geojson", "geojsonl", "kml", "kmz", "shp", "zip", "gpkg", "fgb", "gdb"]
)
def test_a_format_through_the_process_that_reads(tmp_path: Path, ending: str) -> None:
    path = made(tmp_path, ending)
    work = tmp_path / "work"
    work.mkdir()
    request = Request(
        path=path,
        layer=trial_layer(Geometry.MIXED),
        options=ImportOptions(crs="EPSG:4326", max_bad_share=1),
        box=BOX,
        zone="Asia/Shanghai",
        parent=os.getpid(),
        work_dir=work,
    )
    with ReaderProcess(request) as reader:
        frames = list(reader.frames())
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert (summary.rows, summary.rejected) == (3, 1)
    assert sum(frame.count for frame in frames if isinstance(frame, Rows)) == 2
    with ReaderProcess(replace(request, task="rejects")) as reader:
        target = reader.done()
    assert target == work / f"rejected.{ending}"
    found = batches(target, workspace=tmp_path)
    assert [int(str(row)) for row in column(found, "riskmap_row")] == [2]
    assert "outside" in str(column(found, "riskmap_reason")[0])
