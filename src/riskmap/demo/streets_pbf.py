"""The road network as an OpenStreetMap extract."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import osmium
from pyproj import Transformer

from riskmap.demo.ground import SRID, Streets

GENERATOR: Final = "riskmap demo (synthetic)"


def write_pbf(streets: Streets, path: Path) -> None:
    """Write nodes and ways; equal networks give equal bytes.

    Neither versions nor times are written: they would say when, and the city has no when.
    """
    to_degrees = Transformer.from_crs(SRID, 4326, always_xy=True)
    lon, lat = to_degrees.transform(streets.node_xy[:, 0], streets.node_xy[:, 1])
    # 1e-6 degrees are 0.1 m; the zeros that follow make the file smaller by a tenth.
    places = np.round(np.column_stack([lon, lat]), 6).tolist()
    header = osmium.io.Header()
    header.set("generator", GENERATOR)
    header.set("sorting", "Type_then_ID")
    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(str(path), bufsz=4 << 20, header=header) as writer:
        for number, (x, y) in enumerate(places, start=1):
            writer.add_node(osmium.osm.mutable.Node(id=number, location=(x, y)))
        for number, way in enumerate(streets.ways, start=1):
            nodes = [node + 1 for node in way.nodes]
            writer.add_way(osmium.osm.mutable.Way(id=number, nodes=nodes, tags=way.tags))
