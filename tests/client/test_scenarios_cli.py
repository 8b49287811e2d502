"""`riskmap scenario` as somebody types it."""

from __future__ import annotations

import json

from cli_help import a_place
from demo_help import write_city
from riskmap.errors import EXIT_INPUT


def test_a_scenario_is_stored_listed_and_compared() -> None:
    with a_place(made=True) as place, place.cluster().running():
        place.done("demo", "load", "--files", write_city(place.cwd / "city"))
        file = place.cwd / "away.json"
        file.write_text(json.dumps({"teams_off_duty": [{"id": 1}, {"id": 2}]}), encoding="utf-8")
        assert "1" in place.done("scenario", "add", "都不在", "away.json", "--note", "演练").out
        assert "都不在" in place.done("scenario", "list").out
        said = place.done("scenario", "compare", "1", "-o", "difference.json").out
        body = json.loads((place.cwd / "difference.json").read_text(encoding="utf-8"))
        assert body["teams"] == {"available": 0, "away": 2}
        assert body["counts"]["out_of_reach"] > 0
        first = body["out_of_reach"][0]
        assert f"{first['layer']}/{first['id']}" in said and "no_team_in_limit" in said
        inline = place.done("scenario", "compare", "away.json", "-o", "again.json")
        assert inline.out
        again = json.loads((place.cwd / "again.json").read_text(encoding="utf-8"))
        assert again["counts"] == body["counts"]

        place.run("scenario", "add", "都不在", "away.json").refused(EXIT_INPUT, "都不在")
        place.run("scenario", "compare", "7").refused(EXIT_INPUT, "7")
        place.run("scenario", "compare", "none.json").refused(EXIT_INPUT, "none.json")
        file.write_text('{"hour": 25}', encoding="utf-8")
        place.run("scenario", "compare", "away.json").refused(EXIT_INPUT, "scenario.hour", 25)
        file.write_text("{", encoding="utf-8")
        place.run("scenario", "add", "x", "away.json").refused(EXIT_INPUT, "away.json")
