"""Roads with their report, and the editable tables, as somebody types them."""

from __future__ import annotations

import csv
import io
import json

from cli_help import a_place
from riskmap.errors import EXIT_INPUT

ROADS = [
    ([[120.30, 36.30], [120.31, 36.30], [120.32, 36.30]], {"等级": "一级道路"}),
    ([[120.31, 36.30], [120.31, 36.31]], {"等级": "羊肠小道"}),
    ([[120.30, 36.3000270], [120.30, 36.31]], {"等级": ""}),  # 3 m from the first
    ([[120.40, 36.40], [120.40, 36.40]], {"等级": ""}),
]
MAPPING = {"columns": {"road_class": "等级"}, "values": {"road_class": {"一级道路": "primary"}}}


def test_roads_their_report_and_the_tables() -> None:
    with a_place(made=True) as place, place.cluster().running():
        features = [
            {
                "type": "Feature",
                "properties": properties,
                "geometry": {"type": "LineString", "coordinates": line},
            }
            for line, properties in ROADS
        ]
        collection = {"type": "FeatureCollection", "features": features}
        (place.cwd / "roads.geojson").write_text(json.dumps(collection), encoding="utf-8")
        (place.cwd / "map.json").write_text(json.dumps(MAPPING), encoding="utf-8")
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        words = ("roads", "import", "roads.geojson", "--crs", "EPSG:4326", "--mapping", "map.json")
        said = place.done(*words, "--report", "report.json").out
        report = json.loads((place.cwd / "report.json").read_text(encoding="utf-8"))
        assert report["edges"] == 4 and report["zero_length"] == [4]
        assert report["splits"] == 1 and report["components"]["count"] == 2
        assert [gap["source_id"] for gap in report["gaps"]] == ["row/1/0", "row/3/0"]
        assert 2.5 < report["gaps"][0]["distance_m"] < 3.5
        assert {note["row"] for note in report["notes"]} == {2, 4}
        for part in ("疑似断口", "Probable gap", "row/3/0", "羊肠小道", "Row 4"):
            assert part in said
        # Ends 3 m apart are one when so told.
        snapped = place.done(*words, "--snap", "4", "--report", "report.json")
        assert "疑似断口：row" not in snapped.out
        report = json.loads((place.cwd / "report.json").read_text(encoding="utf-8"))
        assert report["snapped"]["ends"] == 1 and report["components"]["count"] == 1
        place.run(*words, "--snap", "-1").refused(EXIT_INPUT, "--snap", "-1")
        place.run(*words, "--report", "none/report.json").refused(EXIT_INPUT, "--report")

        assert "road_time_factors" in place.done("tables", "list").out
        place.done("tables", "export", "road_speeds", "-o", "speeds.csv")
        file = place.cwd / "speeds.csv"
        rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline="")))
        load = ("tables", "load", "road_speeds", "speeds.csv")
        assert f"0 deleted, {len(rows) - 1} unchanged" in place.done(*load).out
        rows[1][rows[0].index("speed_kmh")] = "33"
        with file.open("w", encoding="gb18030", newline="") as out:
            csv.writer(out).writerows(rows)
        assert "1 to update" in place.done(*load, "--dry-run").out
        assert "1 updated" in place.done(*load).out
        assert "0 updated" in place.done(*load).out
        rows[2][rows[0].index("speed_kmh")] = "300"
        rows[3][rows[0].index("source")] = ""
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows(rows)
        place.run(*load).refused(EXIT_INPUT, "2", "speed_kmh", "3", "source")
        place.run("tables", "export", "city", "-o", "x.csv").refused(EXIT_INPUT, "road_speeds")
        place.run("tables", "load", "road_speeds", "none.csv").refused(EXIT_INPUT, "none.csv")
