"""The list of imports, undo, refused rows, versions and restore on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cli_help import a_place
from ingest_help import geojson, point
from riskmap.errors import EXIT_INPUT

CITY = ("city", "init", "--name", "测试", "--bbox", "120,36,121,37", "--crs", "EPSG:4549")
GOOD = "code,name,lon,lat\na,one,120.1,36.1\nb,two,120.2,36.2\nc,three,120.3,36.3\n"
BAD = (
    point("a", 120.1, 36.1, name="new"),
    point("d", 120.4, 36.4, name="four"),
    point("x", 0, 0, name="far"),
)


def features(file: Path) -> list[dict[str, Any]]:
    return [one["properties"] for one in json.loads(file.read_text(encoding="utf-8"))["features"]]


def test_what_came_in_can_be_told_and_taken_back() -> None:
    with a_place(made=True) as place, place.cluster().running():
        (place.cwd / "good.csv").write_text(GOOD, encoding="utf-8")
        geojson(place.cwd, *BAD, name="bad.geojson")
        place.done(*CITY)
        base = ("import", "shelters")
        options = ("--crs", "EPSG:4326", "--source", "bureau")
        place.done(*base, "good.csv", *options)

        before = (place.cwd / "bad.geojson").read_bytes()
        for wrong in ("out.txt", "bad.geojson"):
            place.run(*base, "bad.geojson", *options, "--rejected", wrong).refused(1, wrong)
        assert (place.cwd / "bad.geojson").read_bytes() == before
        refused = place.run(*base, "bad.geojson", *options, "--rejected", "out.geojson")
        assert refused.code == EXIT_INPUT, refused
        assert "3 rows read" in refused.err and "row 3" in refused.err
        [kept] = features(place.cwd / "out.geojson")
        assert (kept["code"], kept["riskmap_row"]) == ("x", 3)
        assert "城市范围" in kept["riskmap_reason"] and "outside" in kept["riskmap_reason"]
        append = place.run(*base, "good.csv", *options, "--mode", "append")
        assert append.code == EXIT_INPUT and append.err.count("is stored already") == 3
        for option, value in (("--mode", "merge"), ("--shift", "a,b")):
            place.run(*base, "good.csv", *options, option, value).refused(EXIT_INPUT, value)
        partly = place.done(*base, "bad.geojson", *options, "--max-bad", "0.5")
        assert "1 inserted, 1 updated, 0 unchanged" in partly.out
        found = re.search(r"This is import (\d+)", partly.out)
        assert found is not None, partly.out
        number = found[1]

        listed = place.done("imports", "list", "--layer", "shelters").out
        assert "bad.geojson" in listed and "rejected" in listed and "done" in listed
        shown = json.loads(place.done("imports", "show", number).out)
        assert (shown["status"], shown["report"]["rejected"]) == ("done", 1)
        place.done("imports", "rejected", number, "-o", "again.geojson")
        assert features(place.cwd / "again.geojson") == [kept]
        place.run("imports", "rejected", "1", "-o", "none.geojson").refused(EXIT_INPUT, "1")
        place.run("imports", "show", "99").refused(EXIT_INPUT, "99")

        # Nobody said yes.
        assert place.run("imports", "undo", number).code == EXIT_INPUT
        undone = place.done("imports", "undo", number, "--yes").out
        assert "1 deleted, 1 changed back, 0 put back, 0 skipped" in undone
        place.run("imports", "undo", number, "--yes").refused(EXIT_INPUT, number, int(number) + 1)

        history = place.done("features", "history", "shelters", "1").out
        assert "new" in history and "one" in history
        place.done("features", "restore", "shelters", "1", "--version", "2")
        assert "new" in place.done("features", "history", "shelters", "1", "--limit", "1").out
        place.run("features", "restore", "shelters", "1", "--version", "9").refused(EXIT_INPUT, "9")
