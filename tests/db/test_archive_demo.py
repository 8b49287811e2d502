"""The demo city as an archive: a random sample of its tiles beside the live ones."""

from __future__ import annotations

import random
from pathlib import Path

from api_help import serving_the_demo
from archive_help import live, places, read, same, write
from riskmap.db.city import read_city
from riskmap.db.cluster import Cluster

SAMPLE = 60


def test_a_sample_of_the_demo_city_is_the_live_map(
    cluster: Cluster, migrated: str, tmp_path: Path
) -> None:
    with serving_the_demo(cluster, migrated) as served:
        with served.database.read() as session:
            city = read_city(session)
        path = tmp_path / "demo.pmtiles"
        write(served.database, path, zooms=(0, 10), city=city)
        tiles, metadata = read(path)
        assert metadata["riskmap"]["synthetic"] and "演示数据" in metadata["name"]
        there = list(places(tuple(city.bbox), range(11)))
        for place in random.Random(20_261_123).sample(there, min(SAMPLE, len(there))):
            assert same(tiles.get(place, b""), live(served, place)), place
