"""Which format a request wants: `f`, or Accept with its weights."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from riskmap.api.formats import choose
from riskmap.errors import InputError, NotAcceptableError
from riskmap.features.formats import GEOJSON, HTML, OF_ITEM, OF_PAGE, Way

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def request(accept: str | None = None, query: str = "") -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request(
        {"type": "http", "headers": headers, "query_string": query.encode(), "state": {}}
    )


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "geojson"),
        ("", "geojson"),
        ("*/*", "geojson"),
        ("application/*", "geojson"),
        ("application/json", "geojson"),
        ("application/geo+json, application/json", "geojson"),
        (BROWSER, "html"),
        ("text/html, application/json", "html"),
        ("application/json, text/html;q=0.9", "geojson"),
        ("text/*", "html"),
        ("text/csv", "csv"),
        ("text/csv;header=absent", "csv"),
        ("TEXT/CSV;Q=0.3", "csv"),
        ("text/csv;q=0.5, application/geo+json-seq", "geojsonseq"),
        ("text/csv, */*;q=0.1", "csv"),
        ("application/geo+json;q=0, */*;q=0.5", "html"),
        ("application/geo+json-seq;q=0.9, application/flatgeobuf;q=0.95", "flatgeobuf"),
        ("application/fg+json", "jsonfg"),
        ("application/vnd.apache.parquet", "geoparquet"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("nonsense", "geojson"),
    ],
)
def test_accept(accept: str | None, name: str) -> None:
    asked = request(accept)
    assert choose(asked, OF_PAGE).name == name
    assert asked.state.html is (name == "html")


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/csv;q=0", "*/*;q=0", "application/xml, image/*", "text/csv;q=7", "a/b;q=x"],
)
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        choose(request(accept), OF_PAGE)
    assert caught.value.status == 406
    assert "application/geo+json" in caught.value.text("en")


def test_f_wins_over_accept() -> None:
    assert choose(request(BROWSER, "f=csv"), OF_PAGE).name == "csv"
    assert choose(request("image/png", "f=json"), OF_PAGE) is GEOJSON
    for one in OF_PAGE:
        assert choose(request(None, f"f={one.name}"), OF_PAGE) is one


def test_an_unknown_f_names_the_known() -> None:
    with pytest.raises(InputError) as caught:
        choose(request(None, "f=csv"), OF_ITEM)
    assert caught.value.parameter == "f"
    assert "geojson, html, jsonfg, json" in caught.value.text("zh")


def test_the_registry_is_consistent() -> None:
    assert len({one.name for one in OF_PAGE}) == len(OF_PAGE)
    media = [media for one in OF_PAGE for media in (one.media_type, *one.also)]
    assert len(set(media)) == len(media)
    assert len({one.extension for one in OF_PAGE}) == len(OF_PAGE)
    assert set(OF_ITEM) <= set(OF_PAGE)
    assert all(one.paged for one in OF_ITEM) and HTML.way is Way.PAGE
