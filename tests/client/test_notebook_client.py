"""The notebook's client against a real service: frames, circles, errors, maps."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import folium
import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import MultiPoint, Point
from starlette.types import ASGIApp, Receive, Scope, Send

from api_help import CATALOG, SECRET, listening, put
from browser_help import a_browser, colours, watched
from online_help import FILLED, LAYER, NAMES, ROWS, Online, an_online_city, place
from riskmap.app import create_app
from riskmap.catalog.spec import Kind
from riskmap.client import Client, ServiceError
from riskmap.client import client as client_module
from riskmap.db.cluster import Cluster


@pytest.fixture(scope="module")
def online(cluster: Cluster, migrated: str) -> Iterator[Online]:
    with an_online_city(cluster, migrated) as found:
        yield found


@pytest.fixture
def city(online: Online) -> Iterator[Client]:
    with online.client() as client:
        yield client


# ---------------------------------------------------------------- layers and features


def test_layers_are_those_of_the_catalog(city: Client) -> None:
    layers = city.layers()
    assert list(layers.index) == list(CATALOG)
    assert layers.loc[LAYER, "role"] == "hazard"
    assert layers.loc[LAYER, ["title", "title_en"]].tolist() == [
        CATALOG[LAYER].title.zh,
        CATALOG[LAYER].title.en,
    ]
    assert layers.loc["supply-depots", ["revision", "updated_at"]].isna().all()
    assert layers["updated_at"].dt.tz is not None


@pytest.mark.parametrize("layer", FILLED)
def test_a_frame_is_what_the_items_are(online: Online, city: Client, layer: str) -> None:
    expected = online.items(layer)
    frame = city.read(layer)
    assert list(frame.index) == [feature["id"] for feature in expected["features"]]
    assert len(frame) == frame.attrs["matched"] == expected["numberMatched"]
    assert frame.crs == "EPSG:4326"
    for feature in expected["features"]:
        row = frame.loc[feature["id"]]
        assert row.geometry.equals(gpd.GeoDataFrame.from_features([feature]).geometry[0])
        for name, value in feature["properties"].items():
            kind = CATALOG[layer].field(name)
            if value is None:
                assert pd.isna(row[name]), name
            elif kind is not None and kind.kind is Kind.DATE:
                assert row[name].date().isoformat() == value
            elif kind is not None and kind.kind is Kind.DATETIME:
                assert row[name] == pd.Timestamp(value)
            else:
                assert row[name] == value, name
    assert set(frame.columns) == {"geometry", *expected["features"][0]["properties"]}


def test_not_assessed_stays_null(city: Client) -> None:
    levels = city.read(LAYER)["risk_level"]
    assert str(levels.dtype) == "Int64"
    assert levels.isna().sum() == 1
    assert sorted(levels.dropna().unique()) == [1, 2, 3, 4]


def test_children_are_kept(online: Online, city: Client) -> None:
    layer = next(layer for layer in CATALOG.values() if layer.children and layer.id in FILLED)
    child = layer.children[0].name
    assert [type(rows) for rows in city.read(layer.id)[child]] == [list] * ROWS


def test_an_empty_answer_has_the_columns(city: Client) -> None:
    frame = city.read("supply-depots")
    visible = [field.name for field in CATALOG["supply-depots"].visible(restricted=False)]
    assert len(frame) == frame.attrs["matched"] == 0
    assert set(visible) <= set(frame.columns)
    assert frame.crs == "EPSG:4326"
    assert isinstance(frame["updated_at"].dtype, pd.DatetimeTZDtype)
    assert city.read(LAYER, bbox=(120.9, 36.9, 120.91, 36.91)).empty


def test_all_pages_are_read_and_no_more_than_asked(
    online: Online, city: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = city.read(LAYER)
    monkeypatch.setattr(client_module, "_PAGE", 2)
    paged = city.read(LAYER)
    assert list(paged.index) == list(whole.index)
    assert len(paged) == ROWS + len(NAMES)
    for limit in (1, 2, 3, 9, 50):
        assert list(city.read(LAYER, limit=limit).index) == list(whole.index)[:limit]
    assert city.read(LAYER, limit=3).attrs["matched"] == len(whole)
    levels = city.read(LAYER, risk_level=[1, 2])
    assert len(levels) == levels.attrs["matched"] == whole["risk_level"].isin([1, 2]).sum() > 2


def test_the_next_page_is_asked_of_the_same_host(
    online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that takes itself for another host must not send the key there."""

    class Renamed:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                others = [pair for pair in scope["headers"] if pair[0] != b"host"]
                scope = {**scope, "headers": [*others, (b"host", b"127.0.0.1:9")]}
            await self.app(scope, receive, send)

    monkeypatch.setattr(client_module, "_PAGE", 2)
    app: Any = Renamed(create_app(online.served.settings))
    with listening(app) as port, Client(f"http://127.0.0.1:{port}") as renamed:
        assert len(renamed.read(LAYER)) == ROWS + len(NAMES)


def test_filters_mean_what_the_service_means(online: Online, city: Client) -> None:
    null = city.read(LAYER, risk_level=None)
    assert len(null) == online.items(LAYER, risk_level="null")["numberMatched"] == 1
    either = city.read(LAYER, risk_level=[1, None])
    assert len(either) == online.items(LAYER, risk_level="1,null")["numberMatched"] == 3
    box = (120.295, 36.295, 120.315, 36.315)
    inside = city.read(LAYER, bbox=box)
    assert len(inside) == online.items(LAYER, bbox=",".join(map(str, box)))["numberMatched"] == 4
    assert len(city.read("shelters", accessible=True)) == 4
    one = city.read(LAYER).iloc[0]  # rows of one transaction share their time
    assert len(city.read(LAYER, updated_at=one["updated_at"].to_pydatetime())) == ROWS
    with pytest.raises(ValueError, match="name"):
        city.read(LAYER, name="甲,乙")


def test_a_key_unlocks_what_its_role_may_read(online: Online, city: Client) -> None:
    with online.client(key=online.served.keys["admin"]) as trusted:
        assert trusted.read(LAYER)["responsible_phone"].str.contains(SECRET).any()
        assert "responsible_phone" in trusted.fields(LAYER).index
        assert online.served.keys["admin"] not in repr(trusted)
    assert "responsible_phone" not in city.read(LAYER)
    assert "responsible_phone" not in city.fields(LAYER).index
    with online.client(key="rmk_no_key") as stranger, pytest.raises(ServiceError) as caught:
        stranger.layers()
    assert (caught.value.status, caught.value.parameter) == (401, "Authorization")


# ---------------------------------------------------------------- analyses


def test_a_circle_is_the_service_s_circle(online: Online, city: Client) -> None:
    start = place(5, 2)
    phases = {"call_handling_s": 30, "turnout_s": 60, "setup_s": 0}
    frame = city.circle(start, **phases)
    body = {"points": [start], "minutes": [5, 10, 15], **phases}
    answer = online.served.client.post("/analysis/response-circles", json=body).json()
    bands = answer["features"][::-1]
    assert frame["minutes"].tolist() == [5, 10, 15]
    for name in ("travel_s", "area_km2", "people"):
        assert frame[name].tolist() == [band["properties"][name] for band in bands]
    for layer in bands[0]["properties"]["layers"]:
        counts = [band["properties"]["layers"][layer]["count"] for band in bands]
        assert frame[layer].tolist() == counts
    five, ten, fifteen = frame.geometry
    assert ten.covers(five) and fifteen.covers(ten) and fifteen.area > five.area > 0
    assert frame.crs == "EPSG:4326"
    attrs = frame.attrs
    assert attrs["phases"]["turnout_s"] == 60
    assert attrs["network_revision"] == answer["network_revision"]
    assert attrs["method"] == answer["method"]
    assert attrs["synthetic"] is True
    inside = pd.DataFrame(attrs["inside"])
    levels = [f"level_{level}" for level in ("1", "2", "3", "4", "null")]
    hazards = inside[inside["layer"] == LAYER]
    assert hazards[levels].sum(axis=1).tolist() == frame[LAYER].tolist()


def test_starts_may_be_written_in_several_ways(city: Client) -> None:
    one, other = place(5, 2), place(15, 1)
    local = gpd.GeoSeries([Point(one), Point(other)], crs="EPSG:4326").to_crs("EPSG:4549")
    ways: list[Any] = [[one, other], MultiPoint([one, other]), local, local.to_frame("geometry")]
    found = [city.circle(way, minutes=[8]) for way in ways]
    assert [len(frame.attrs["starts"]) for frame in found] == [2] * len(ways)
    assert {frame["area_km2"][0] for frame in found} == {found[0]["area_km2"][0]}
    alone = {city.circle(way, minutes=[8])["area_km2"][0] for way in (one, list(one), Point(one))}
    assert len(alone) == 1
    assert alone.pop() < found[0]["area_km2"][0]


def test_reach_lists_the_teams_by_arrival(online: Online, city: Client) -> None:
    put(
        online.served.database,
        "rescue-teams",
        *(
            {"code": name, "name": name, "geom": f"POINT({lon} {lat})", "kind": "fire_station"}
            for name, (lon, lat) in {"far": place(9), "near": place(2)}.items()
        ),
    )
    lon, lat = place(0)
    teams = city.reach(lon, lat)
    expected = online.served.get("/analysis/reach", lon=lon, lat=lat, minutes=15).json()["teams"]
    assert teams["name"].tolist() == [team["name"] for team in expected] == ["near", "far"]
    assert teams["travel_s"].tolist() == [120, 540]
    assert teams["arrival_s"].tolist() == [team["arrival_s"] for team in expected]
    assert "unavailable" in teams.attrs
    nobody = city.reach(*place(20, 4), minutes=1)
    assert len(nobody) == 0
    assert list(nobody.columns) == list(teams.columns)


def test_overview_and_coverage_are_the_service_s(online: Online, city: Client) -> None:
    overview = online.served.get("/overview").json()
    assert city.overview()["layers"] == overview["layers"]
    answer = online.served.get("/analysis/coverage", minutes=12).json()
    frame = city.coverage(12)
    assert len(frame) == 5 * len(answer["layers"]) > 0
    for row in frame.itertuples():
        counted = answer["layers"][row.layer]["by_risk_level"][row.risk_level]
        assert (frame["count"][row.Index], row.covered) == (counted["count"], counted["covered"])
    assert frame.attrs["total"] == answer["total"]
    assert frame["covered"].sum() == answer["total"]["covered"]


# ---------------------------------------------------------------- errors


def test_the_service_s_errors_name_the_parameter(online: Online, city: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        city.read(LAYER, colour="red")
    assert (caught.value.status, caught.value.parameter) == (400, "colour")
    assert re.search(r"[\u4e00-\u9fff]", caught.value.detail)
    assert str(caught.value) == caught.value.detail
    with pytest.raises(ServiceError) as caught:
        city.read("no-such-layer")
    assert caught.value.status == 404
    with online.client(lang="en") as english, pytest.raises(ServiceError) as caught:
        english.circle((0, 0))
    assert caught.value.parameter == "points[0]"
    assert not re.search(r"[\u4e00-\u9fff]", caught.value.title)
    with pytest.raises(ValueError, match="lang"):
        Client(online.url, lang="de")  # type: ignore[arg-type]


def in_both_languages(error: ServiceError, *parts: str) -> None:
    chinese, english = error.detail.split("\n")
    assert re.search(r"[\u4e00-\u9fff]{3}", chinese) and not re.search(r"[\u4e00-\u9fff]", english)
    for part in parts:
        assert part in chinese and part in english
    assert error.status is None


def test_a_service_that_does_not_run(online: Online) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can answer there
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ServiceError) as caught:
            Client(url).layers()
    in_both_languages(caught.value, url, "make run")
    with pytest.raises(ServiceError) as caught:
        Client("localhost:8000").layers()
    in_both_languages(caught.value, "localhost:8000")


def test_a_service_that_hangs() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ServiceError) as caught:
            Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2).layers()
    in_both_languages(caught.value, "timeout_s")


@pytest.mark.parametrize(("status", "kind"), [(200, "answers"), (502, "gateway")])
def test_something_else_at_the_address(status: int, kind: str) -> None:
    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>hello</html>"})

    app: Any = other
    with listening(app) as port, pytest.raises(ServiceError) as caught:
        Client(f"http://127.0.0.1:{port}").layers()
    if status == 200:
        in_both_languages(caught.value, str(port))
    else:
        assert caught.value.status == status
        assert kind in caught.value.title.lower()


# ---------------------------------------------------------------- maps


def other_hosts(html: str, url: str) -> set[str]:
    """Return every host that a text names, but the service's own."""
    return set(re.findall(r"(?:https?:)?//[^/\s\"'<>`)]+", _without_comments(html))) - {url}


def _without_comments(html: str) -> str:
    return re.sub(r"^\s*// .*$", "", html, flags=re.MULTILINE)


def test_a_map_names_no_other_host(online: Online, city: Client) -> None:
    assert other_hosts('<script src="https://cdn.example/x.js">', online.url)  # it can fail
    whole = city.map(*(city.read(layer) for layer in FILLED), circle=city.circle(place(5, 2)))
    html = whole.get_root().render()
    assert other_hosts(html, online.url) == set()
    assert f"{online.url}/static/vendor/leaflet/leaflet.js" in html
    assert "</script><script>alert" not in html
    assert r"\u007b{ 7*7 }} \u007b% x %}" in html  # branca would run it as a template
    assert "演示数据" in html
    assert "10 分钟" in html


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


@contextmanager
def shown(browser: Any, online: Online, drawn: folium.Map, file: Path) -> Iterator[Any]:
    """Open a saved map as a reader would open the file."""
    drawn.save(str(file))
    with watched(browser, online.url, viewport={"width": 1100, "height": 700}) as seen:
        seen.page.goto(file.as_uri())
        seen.page.wait_for_selector(".leaflet-control-scale")
        seen.requests = [url for url in seen.requests if urlsplit(url).scheme != "file"]
        yield seen


def test_a_map_draws_in_a_browser(
    online: Online, city: Client, browser: Any, tmp_path: Path
) -> None:
    points = city.read(LAYER)
    circle = city.circle(place(5, 2))
    drawn = city.map(points, city.read("shelters"), circle=circle)
    folium.Marker(
        [36.5, 120.45], icon=folium.DivIcon(html="<i>甲</i>"), popup="乙 <b>丙</b>"
    ).add_to(drawn)
    with shown(browser, online, drawn, tmp_path / "map.html") as seen:
        page = seen.page
        assert "演示数据" in page.inner_text(".riskmap-note")
        words = page.inner_text(".riskmap-legend")
        for word in ("重大", "较大", "一般", "低", "未评估", "避难场所", "≤ 5 分钟", "10–15 分钟"):
            assert word in words
        picture = page.screenshot(path=str(tmp_path / "map.png"))
        found = colours(browser, picture)
        # Levels in their own colours and the heavy line of the bands.
        for colour in ("#b5101f", "#e8760a", "#ffd60a", "#1e69cc", "#0b4a3e"):
            assert found.get(colour, 0) > 20, colour
        page.click(".leaflet-marker-icon i")
        assert page.inner_text(".leaflet-popup-content") == "乙 丙"
        assert seen.clean() is None
        assert any(url.endswith("/leaflet.js") for url in seen.requests)


@pytest.mark.parametrize("code", NAMES)
def test_names_stay_text_on_the_map(
    online: Online, city: Client, browser: Any, tmp_path: Path, code: str
) -> None:
    points = city.read(LAYER, code=code)
    with shown(browser, online, city.map(points, base=False), tmp_path / "map.html") as seen:
        size = seen.page.viewport_size
        seen.page.mouse.click(size["width"] / 2, size["height"] / 2)
        popup = seen.page.inner_text(".leaflet-popup-content")
        assert NAMES[code] in popup
        assert "较大" in popup
        seen.clean()


def test_a_map_of_nothing_still_draws(
    online: Online, city: Client, browser: Any, tmp_path: Path
) -> None:
    empty = city.read(LAYER, bbox=(120.9, 36.9, 120.91, 36.91))
    with shown(browser, online, city.map(empty, base=False), tmp_path / "map.html") as seen:
        seen.clean()
