"""The list of imports, undo, refused rows, versions and restore on the command line."""

from __future__ import annotations

import json

from cli_help import a_place
from riskmap.errors import EXIT_INPUT

CITY = ("city", "init", "--name", "测试", "--bbox", "120,36,121,37", "--crs", "EPSG:4549")
GOOD = "code,name,lon,lat\na,one,120.1,36.1\nb,two,120.2,36.2\nc,three,120.3,36.3\n"
BAD = "code,name,lon,lat\na,new,120.1,36.1\nd,four,120.4,36.4\nx,far,0,0\n"


def test_what_came_in_can_be_told_and_taken_back() -> None:
    with a_place() as place, place.cluster().running():
        (place.cwd / "good.csv").write_text(GOOD, encoding="utf-8")
        (place.cwd / "bad.csv").write_text(BAD, encoding="utf-8")
        place.done(*CITY)
        base = ("import", "shelters")
        options = ("--crs", "EPSG:4326", "--source", "bureau")
        place.done(*base, "good.csv", *options)

        refused = place.run(*base, "bad.csv", *options, "--rejected", "out.txt")
        assert refused.code == EXIT_INPUT, refused
        assert "3 rows read" in refused.err and "row 3" in refused.err
        rows = (place.cwd / "out.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(rows) == 2 and rows[1].startswith("x,far,0,0,3,")
        append = place.run(*base, "good.csv", *options, "--mode", "append")
        assert append.code == EXIT_INPUT and append.err.count("is stored already") == 3
        for option, value in (("--mode", "merge"), ("--shift", "a,b")):
            place.run(*base, "good.csv", *options, option, value).refused(EXIT_INPUT, value)
        partly = place.done(*base, "bad.csv", *options, "--max-bad", "0.5")
        assert "1 inserted, 1 updated, 0 unchanged" in partly.out

        listed = place.done("imports", "list", "--layer", "shelters").out
        assert "bad.csv" in listed and "rejected" in listed and "done" in listed
        shown = json.loads(place.done("imports", "show", "4").out)
        assert (shown["status"], shown["report"]["rejected"]) == ("done", 1)
        place.done("imports", "rejected", "4", "-o", "again.csv")
        assert (place.cwd / "again.csv").read_text(encoding="utf-8-sig").splitlines() == rows
        place.run("imports", "rejected", "1", "-o", "none.csv").refused(EXIT_INPUT, "1")
        place.run("imports", "show", "99").refused(EXIT_INPUT, "99")

        # Nobody said yes.
        assert place.run("imports", "undo", "4").code == EXIT_INPUT
        undone = place.done("imports", "undo", "4", "--yes").out
        assert "1 deleted, 1 changed back, 0 put back, 0 skipped" in undone
        place.run("imports", "undo", "4", "--yes").refused(EXIT_INPUT, "4", "5")

        history = place.done("features", "history", "shelters", "1").out
        assert "new" in history and "one" in history
        place.done("features", "restore", "shelters", "1", "--version", "2")
        assert "new" in place.done("features", "history", "shelters", "1", "--limit", "1").out
        place.run("features", "restore", "shelters", "1", "--version", "9").refused(EXIT_INPUT, "9")
