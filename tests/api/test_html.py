"""The pages for people: whole HTML under the strict policy, labels for codes, no script needed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from zoneinfo import ZoneInfo

import pytest
from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import text

from api_help import CATALOG, SECRET, SECRET_NUMBER, Served, serving
from riskmap.access.keys import ANONYMOUS
from riskmap.api import html
from riskmap.api.html_features import child_fields
from riskmap.api.html_values import plain, shown
from riskmap.catalog.spec import RISK_LEVEL, Field, Kind, Text, Value
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.web.page import POLICY

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
POINTS = "/collections/geohazard-points"
RECORDS = "/collections/risk-records"
SHELTERS = "/collections/shelters"
MANY = 520
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }}"
AROUND = [
    "/conformance",
    "/search?q=name",
    "/locate?lon=120.3&lat=36.3",
    *(f"{POINTS}/{one}" for one in ("queryables", "sortables", "schema")),
    f"{POINTS}/summary?group_by=risk_level",
]
PAGES = ["/collections", *AROUND] + [
    f"/collections/{name}{tail}" for name in CATALOG for tail in ("", "/items", "/items/1")
]
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """A page as a browser finds it; refuses tags that do not close where they should."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.url = str(answer.url)
        self.feed(answer.text)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> says {names}"
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.open[-1] == "tr":
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "script" not in self.open:
            self.texts.append(data)
        if self.rows and self.rows[-1] and {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def one(self, tag: str) -> dict[str, str | None]:
        (found,) = self.all(tag)
        return found

    def addresses(self) -> list[str]:
        found = [str(a["href"]) for a in self.all("a")]
        return [urljoin(self.url, one) for one in found if not one.startswith("#")]

    def rel(self, rel: str) -> str | None:
        found = [a for a in self.all("a") if a.get("rel") == rel]
        return urljoin(self.url, str(found[0]["href"])) if found else None

    def table(self) -> dict[str, list[str]]:
        """Return the rows by their heading."""
        return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in self.rows if row}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        found.put(
            "risk-records",
            *(
                {"code": f"M{n}", "name": f"记录 {n}", "geom": "POINT(120.5 36.5)"}
                for n in range(MANY)
            ),
        )
        found.put(
            "shelters",
            {"code": "EVIL", "name": EVIL, "address": EVIL, "geom": "POINT(120.5 36.5)"},
        )
        yield found


def ask(served: Served, path: str, role: str | None = None, **headers: str) -> Any:
    return served.client.get(path, headers={**HTML, **served.headers(role), **headers})


def page(served: Served, path: str, role: str | None = None, status: int = 200) -> Page:
    answer = ask(served, path, role)
    assert answer.status_code == status, (path, answer.text[:500])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    return Page(answer)


# ---------------------------------------------------------------- every page


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole(served: Served, path: str, lang: str) -> None:
    path += f"{'&' if '?' in path else '?'}lang={lang}"
    answer = ask(served, path)
    found = page(served, path)
    assert answer.headers["content-language"] == found.one("html")["lang"]
    assert found.one("html")["lang"] == ("zh-CN" if lang == "zh" else "en")
    for tag in ("main", "h1", "title", "header", "footer"):
        found.one(tag)
    assert all(th.get("scope") in ("col", "row") for th in found.all("th"))
    for tag, attrs in found.tags:
        assert tag != "style" and "style" not in attrs, "the policy stops inline styles"
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "script":
            assert attrs.get("src") or attrs.get("type") == "application/json"
    # Who cannot use a mouse can scroll what is too wide.
    scrolled = [div for div in found.all("div") if div.get("class") == "scroll"]
    assert all(div["tabindex"] == "0" and div["aria-label"] for div in scrolled)
    wide = [row for row in found.rows if len(row) > 3]
    assert bool(wide) <= bool(scrolled)
    # Each box stands in its label.
    visible = [box for box in found.all("input") if box["type"] != "hidden"]
    assert len(visible) + len(found.all("select")) == len(found.all("label"))
    # A heading follows one of the level above it.
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize(
    "path",
    [
        "/collections",
        POINTS,
        f"{POINTS}/items?limit=3&risk_level=1,2,null&sortby=-code",
        f"{POINTS}/items/1",
        f"{POINTS}/items?lang=en",
    ],
)
def test_every_link_leads_somewhere(served: Served, path: str) -> None:
    for address in page(served, path).addresses():
        assert urlsplit(address).netloc == urlsplit(str(served.client.base_url)).netloc
        answer = ask(served, address)
        assert answer.status_code == 200, address
        if "lang=en" in path and not urlsplit(address).path.endswith("/history"):
            lang = "zh-CN" if "lang=zh" in address else "en"
            assert answer.headers.get("content-language", lang) == lang, address


def test_nothing_restricted_is_on_any_page(served: Served) -> None:
    for path in PAGES:
        said = ask(served, path)
        assert SECRET not in said.text and str(SECRET_NUMBER) not in said.text, path
        assert "987,654" not in said.text


def test_a_key_shows_what_it_unlocks_and_nobody_keeps_it(served: Served) -> None:
    for tail in ("/items", "/items/1"):
        answer = ask(served, f"/collections/major-hazard-sources{tail}", "reader")
        assert SECRET in answer.text or "987,654.25" in answer.text or "987654.25" in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
    fields = ask(served, POINTS, "reader").text
    assert "responsible_phone" in fields
    assert "responsible_phone" not in ask(served, POINTS).text


# ---------------------------------------------------------------- negotiation, language


@pytest.mark.parametrize("path", ["/collections", POINTS, f"{POINTS}/items", f"{POINTS}/items/1"])
def test_html_is_for_those_who_want_it(served: Served, path: str) -> None:
    json = "application/json" if "items" not in path else "application/geo+json"
    for headers, form, media in [
        ({"Accept": "*/*"}, "", json),
        ({"Accept": "application/geo+json, application/json"}, "", json),
        (HTML, "?f=json", json),
        (HTML, "", "text/html"),
        ({"Accept": "application/json"}, "?f=html", "text/html"),
    ]:
        answer = served.client.get(path + form, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == media, (headers, form)
        assert "Accept" in answer.headers["vary"].split(", ")
    wrong = served.client.get(f"{path}?f=pdf")
    assert wrong.status_code == 400 and wrong.json()["parameter"] == "f"


def test_the_language_is_the_callers_and_the_switch_needs_no_script(served: Served) -> None:
    english = {"Accept-Language": "en-GB,en;q=0.9"}
    for path, headers, lang in [
        (f"{POINTS}/items", {}, "zh-CN"),
        (f"{POINTS}/items", english, "en"),
        (f"{POINTS}/items?lang=zh", english, "zh-CN"),
        (f"{POINTS}/items?lang=en&risk_level=1", {}, "en"),
    ]:
        found = Page(ask(served, path, **headers))
        assert found.one("html")["lang"] == lang
        (switch,) = [a for a in found.all("a") if a.get("class") == "switch"]
        other = Page(ask(served, urljoin(found.url, str(switch["href"]))))
        assert other.one("html")["lang"] == {"en": "zh-CN", "zh-CN": "en"}[lang]
        assert ("risk_level=1" in path) == ("risk_level=1" in other.url)
    wrong = served.get("/collections?lang=fr")
    assert wrong.status_code == 400 and wrong.json()["parameter"] == "lang"
    assert served.get(f"{POINTS}?lang=en").json()["title"] == CATALOG["geohazard-points"].title.en


# ---------------------------------------------------------------- lists


def test_a_list_shows_labels_and_says_what_is_not_assessed(served: Served) -> None:
    features = served.items("geohazard-points")
    rows = page(served, f"{POINTS}/items").table()
    words = {1: "重大", 2: "较大", 3: "一般", 4: "低", None: "未评估"}
    assert {one["properties"]["risk_level"] for one in features} == set(words)
    status = {value.code: value.zh for value in CATALOG["geohazard-points"].field("status").values}
    for one in features:
        said = rows[one["properties"]["name"]]
        assert said[0] == words[one["properties"]["risk_level"]]
        assert status[one["properties"]["status"]] in said
    in_english = page(served, f"{POINTS}/items?lang=en").table()
    names = {one["properties"]["name_en"]: one["properties"]["risk_level"] for one in features}
    english = {1: "Major", 2: "Serious", 3: "General", 4: "Low", None: "Not assessed"}
    assert {in_english[name][0] for name in names} == set(english.values())
    assert all(in_english[name][0] == english[level] for name, level in names.items())


def test_paging_without_script_shows_each_feature_once(served: Served) -> None:
    seen, address, pages = [], f"{POINTS}/items?limit=3&sortby=-name", []
    while address:
        found = page(served, address)
        seen += [name for name in found.table() if name.startswith("name ")]
        pages.append(found)
        address = found.rel("next") or ""
    assert seen == sorted((f"name {n}" for n in range(7)), reverse=True)
    assert [found.rel("prev") is not None for found in pages] == [False, True, True]
    back = page(served, str(pages[1].rel("prev")))
    assert list(back.table()) == list(pages[0].table())
    assert "共 7 个要素，本页 3 个" in pages[0].text


def test_a_page_holds_fifty_rows_and_never_more_than_five_hundred(served: Served) -> None:
    for query, rows in [("", 50), ("?limit=60", 60), ("?limit=501", 500), ("?limit=10000", 500)]:
        found = page(served, f"{RECORDS}/items{query}")
        assert len(found.rows) == rows + 1
        assert found.rel("next")


def test_the_form_keeps_the_rest_of_the_question(served: Served) -> None:
    found = page(served, f"{POINTS}/items?risk_level=1,null&sortby=code&limit=2&lang=zh")
    hidden = {box["name"]: box["value"] for box in found.all("input") if box["type"] == "hidden"}
    assert hidden == {"sortby": "code", "limit": "2", "lang": "zh"}
    (chosen,) = [one for one in found.all("option") if "selected" in one]
    assert chosen["value"] == "1,null" and "重大或未评估" in found.text


def test_empty_boxes_leave_the_address(served: Served) -> None:
    answer = served.client.get(
        f"{POINTS}/items?q=&filter=+&risk_level=&limit=2&name=",
        headers=HTML,
        follow_redirects=False,
    )
    assert answer.status_code == 303
    # Of the form's own boxes only: a name may well be asked to be empty.
    assert answer.headers["location"] == "?limit=2&name="
    assert served.client.get(f"{POINTS}/items?risk_level=").status_code == 400


def test_what_narrows_a_list_is_said_and_can_be_taken_away(served: Served) -> None:
    found = page(served, f"{POINTS}/items?risk_level=1,null&status=active&bbox=120,36,121,37")
    assert "风险等级 重大或未评估" in found.text
    assert "状态 有效" in found.text and "120,36,121,37" in found.text
    without = {
        str(a["aria-label"]): urljoin(found.url, str(a["href"]))
        for a in found.all("a")
        if "去掉" in str(a.get("aria-label"))
    }
    assert len(without) == 3
    fewer = page(served, without["去掉条件：状态"])
    assert "状态 有效" not in fewer.text and "风险等级 重大或未评估" in fewer.text
    assert "没有符合条件的要素" in page(served, f"{POINTS}/items?code=nowhere").text


def test_headings_sort(served: Served) -> None:
    found = page(served, f"{POINTS}/items?limit=3")
    (link,) = [a for a in found.all("a") if a.get("aria-label") == "按 统一编号 排序"]
    once = page(served, urljoin(found.url, str(link["href"])))
    assert [th["aria-sort"] for th in once.all("th") if "aria-sort" in th] == ["ascending"]
    (link,) = [a for a in once.all("a") if a.get("aria-label") == "按 统一编号 排序"]
    assert "sortby=-code" in str(link["href"])
    assert [row[2] for row in once.rows[1:]] == sorted(row[2] for row in once.rows[1:])


def test_chosen_properties_are_the_columns(served: Served) -> None:
    found = page(served, f"{POINTS}/items?properties=version,code")
    assert len(found.rows[0]) == 3
    assert any("版本" in cell for cell in found.rows[0])
    assert "重大" not in found.rows[1]


# ---------------------------------------------------------------- one feature


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_a_feature_tells_all_its_fields_by_label(served: Served, name: str) -> None:
    layer = CATALOG[name]
    found = page(served, f"/collections/{name}/items/1")
    labels = {row[0].split("  ")[0] for row in found.rows}
    for field in layer.visible(restricted=False):
        assert any(label.startswith(field.zh) for label in labels), field.name
    for child in layer.children:
        assert child.zh in found.text
        for field in child.fields:
            heads = [head for row in found.rows for head in row if head.startswith(field.zh)]
            assert field.restricted or heads, field.name


def test_what_is_made_up_says_so(served: Served) -> None:
    field = CATALOG["geohazard-points"].field("data_quality")
    assert field is not None
    features = served.items("geohazard-points")
    qualities = {one["properties"]["data_quality"] for one in features}
    assert "synthetic" in qualities and len(qualities) > 1
    for one in features:
        found = page(served, f"{POINTS}/items/{one['id']}")
        badges = [span for span in found.all("span") if span.get("class") == "badge"]
        assert bool(badges) == (one["properties"]["data_quality"] == "synthetic")
        assert not [p for p in found.all("p") if p.get("class") == "banner"]


def test_a_made_up_city_says_so_on_every_page(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated, rows=1) as served:
        with served.database.own(Actor("test")) as session:
            session.execute(text("UPDATE city SET synthetic = true"))
        for path in ("/collections", POINTS, f"{POINTS}/items", f"{POINTS}/items/1"):
            found = page(served, path)
            assert [p for p in found.all("p") if p.get("class") == "banner"], path
            assert "演示数据：本页全部为虚构" in found.text


def test_without_a_city_the_pages_stand(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated, city=False) as served:
        assert "0 个要素" in page(served, "/collections").text
        assert "本图层暂无要素" in page(served, POINTS).text
        assert "没有符合条件的要素" in page(served, f"{POINTS}/items").text


# ---------------------------------------------------------------- hostile text


@pytest.mark.parametrize(
    "path",
    [
        f"{SHELTERS}/items",
        f"{SHELTERS}/items/8",
        f"{SHELTERS}/items?code={EVIL}",
        f"{SHELTERS}/items?{EVIL}=1",
        f"{SHELTERS}/items?bbox={EVIL}",
        f"{SHELTERS}/items?lang={EVIL}",
        f"{SHELTERS}/items/{quote(EVIL.replace('/', ''))}",
        f"/collections/{quote(EVIL.replace('/', ''))}",
        f"/collections?f=html&x={EVIL}",
    ],
)
def test_no_text_becomes_markup(served: Served, path: str) -> None:
    answer = served.client.get(path, headers=HTML)
    assert answer.status_code in (200, 400, 404)
    assert answer.headers["content-type"].startswith("text/html")
    found = Page(answer)
    assert found.all("img") == []
    assert all(
        one.get("src") or one.get("type") == "application/json" for one in found.all("script")
    )
    assert "<script>alert" not in answer.text and "{{ 49" not in answer.text
    if answer.status_code == 200 and "=" not in path:
        assert EVIL in "".join(found.texts)


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{POINTS}/items?nowhere=1", 400),
        (f"{POINTS}/items?limit=0", 400),
        (f"{POINTS}/items?bbox=1,2,x,3&limit=2", 400),
        (f"{POINTS}/items/999999", 404),
        ("/collections/nowhere", 404),
        ("/collections?nowhere=1", 400),
    ],
)
def test_a_problem_says_the_same_in_html(served: Served, path: str, status: int) -> None:
    told = served.get(path)
    assert told.status_code == status
    assert told.headers["content-type"] == "application/problem+json"
    found = page(served, path, status=status)
    assert told.json()["detail"] in found.text
    if "parameter" in told.json():
        assert told.json()["parameter"] in found.text
    assert ask(served, path).headers["cache-control"] == "no-store"


def test_a_wrong_filter_stays_in_its_box_and_is_marked_where_it_is_wrong(served: Served) -> None:
    wrong = "risk_level = 1 AND nowhere = 2"
    found = page(served, f"{POINTS}/items?filter={wrong}", status=400)
    (box,) = [one for one in found.all("input") if one["name"] == "filter"]
    assert box["value"] == wrong
    told = served.get(f"{POINTS}/items", filter=wrong).json()
    assert told["at"] == wrong.index("nowhere") + 1
    marked = found.tags.index(("mark", {}))
    assert marked and "nowhere" in found.text


def test_a_search_lists_hits_of_all_layers_by_name(served: Served) -> None:
    hits = served.get("/search", q="name 1").json()["features"]
    found = page(served, "/search?q=name 1")
    linked = {urlsplit(one).path for one in found.addresses()}
    assert len(hits) > 5
    for one in hits:
        said = one["properties"]
        assert f"/collections/{said['layer']}/items/{said['feature_id']}" in linked
        assert said["name"] in found.text and said["layer_title"] in found.text
    assert "没有符合条件的要素" in page(served, "/search?q=绝无此名").text


def test_the_marks_of_a_source_are_explained_where_they_stand(served: Served) -> None:
    marks = {
        mark
        for layer in CATALOG.values()
        for field in layer.fields
        for mark in re.findall(r"\[[A-Z]\]", field.source)
    }
    assert marks
    for lang, title in (("zh", "依据栏中"), ("en", "In the column of sources")):
        text = page(served, f"/collections/{POINTS.rsplit('/', maxsplit=1)[-1]}?lang={lang}").text
        told = text[text.index(title) :][:200]
        assert all(mark in told for mark in marks), marks


def test_a_search_that_shows_a_part_says_so_and_leads_to_more(served: Served) -> None:
    count = served.get("/search", q="name", limit="100").json()["numberMatched"]
    assert count > 10
    found = page(served, "/search?q=name")
    assert f"共找到 {count} 个，列出前 10 个" in found.text
    (more,) = [one for one in found.addresses() if "limit=100" in one]
    longer = served.get(f"{more}&f=json").json()["numberReturned"]
    assert longer == min(count, 100)
    few = served.get("/search", q="name 1", limit="100").json()["numberMatched"]
    whole = page(served, "/search?q=name 1&limit=100")
    assert few < 100 and f"共找到 {few} 个" in whole.text and "列出前" not in whole.text


def test_the_form_of_a_problem_leaves_the_fault_out(served: Served) -> None:
    found = page(served, f"{POINTS}/items?bbox=1,2,x,3&limit=2&q=水", status=400)
    assert "1,2,x,3" in found.text
    names = {str(box["name"]): box["value"] for box in found.all("input")}
    assert names == {"limit": "2", "q": "水", "filter": ""}


def test_a_wrong_key_is_told_as_json_where_nothing_was_rendered(served: Served) -> None:
    answer = ask(served, "/collections", "wrong")
    assert answer.status_code == 401 and "www-authenticate" in answer.headers


# ---------------------------------------------------------------- the build, documents, values


def test_pages_stand_without_the_build_and_take_it_when_it_is_there(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(html, "BUILT", tmp_path)
    bare = page(served, f"{POINTS}/items")
    assert "/static/" not in str(bare.tags) and len(bare.rows) == 8
    for name in ("features-ABCDEFG1.css", "features-map-ABCDEFG2.css", "features-ABCDEFG3.js"):
        (tmp_path / name).write_text("")
    built = page(served, f"{POINTS}/items")
    sheets = [one["href"] for one in built.all("link") if one["rel"] == "stylesheet"]
    assert sheets == ["/static/features-ABCDEFG1.css", "/static/features-map-ABCDEFG2.css"]
    assert [one["src"] for one in built.all("script") if "src" in one] == [
        "/static/features-ABCDEFG3.js"
    ]
    # What has no map loads no map.
    assert not page(served, "/collections").all("script")


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (f"{RECORDS}/items", 50),
        (f"{RECORDS}/items?limit=3&risk_level=1", 2),
        (f"{RECORDS}/items?crs=http://www.opengis.net/def/crs/EPSG/0/3857&limit=2", 2),
        (f"{RECORDS}/items/1", 1),
    ],
)
def test_the_map_asks_for_what_the_page_shows(served: Served, path: str, count: int) -> None:
    found = page(served, path)
    (place,) = [one for one in found.all("section") if one.get("class") == "map"]
    answer = served.get(urljoin(found.url, str(place["data-items"])))
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    features = answer.json().get("features") or [answer.json()]
    assert len(features) == count
    if count > 1:
        names = list(found.table())[1:]
        assert [one["properties"]["name"] for one in features] == names


def test_a_document_shows_any_json(served: Served) -> None:
    body = {
        "conformsTo": ["http://www.opengis.net/spec/x", EVIL],
        "links": [{"href": "/collections", "rel": "self"}, {"href": "/{z}", "rel": "tiles"}],
        "groups": [{"name": "甲", "count": 1}, {"name": None, "sum": 2.5, "count": True}],
        "deep": {"a": {"b": {"c": []}}},
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        "none": None,
    }

    async def endpoint(request: Request) -> Response:
        ctx = request.app.state.context
        return await html.document(request, ctx, "zh", title=Text("文档", "Document"), body=body)

    served.app.add_api_route("/document-of-this-test", endpoint)
    found = page(served, "/document-of-this-test")
    assert EVIL in "".join(found.texts) and not found.all("img")
    assert {"/collections", "http://www.opengis.net/spec/x"} <= {a["href"] for a in found.all("a")}
    rows = [[cell.strip() for cell in row] for row in found.rows]
    assert ["name", "count", "sum"] in rows
    assert ["—", "是", "2.5"] in rows
    assert all(th.get("scope") for th in found.all("th"))


TIME = Field(name="at", zh="时间", en="At", kind=Kind.DATETIME)
PEOPLE = Field(name="n", zh="人数", en="People", kind=Kind.INTEGER, unit="人")
YEAR = Field(name="y", zh="年份", en="Year", kind=Kind.INTEGER, unit="年")
SIZE = Field(name="s", zh="大小", en="Size", kind=Kind.NUMBER, unit="m²")
MANY_OF = Field(
    name="m",
    zh="多",
    en="Many",
    kind=Kind.TEXTS,
    values=(Value("a", "甲", "A"), Value("b", "乙", "B")),
)


@pytest.mark.parametrize(
    ("field", "value", "zh", "en"),
    [
        (PEOPLE, 1234567, "1,234,567", "1,234,567"),
        (PEOPLE, 0, "0", "0"),
        (PEOPLE, None, "—", "—"),
        (RISK_LEVEL, None, "未评估", "Not assessed"),
        (RISK_LEVEL, 1, "重大", "Major"),
        (RISK_LEVEL, 9, "9", "9"),
        (YEAR, 1998, "1998", "1998"),
        (SIZE, 12.0, "12", "12"),
        (SIZE, 1234.25, "1,234.25", "1,234.25"),
        (SIZE, 0.1, "0.1", "0.1"),
        (SIZE, 1e-7, "0.0000001", "0.0000001"),
        (SIZE, 1e22, "10,000,000,000,000,000,000,000", "10,000,000,000,000,000,000,000"),
        (TIME, "2026-11-22T16:30:00+00:00", "2026-11-23 00:30", "2026-11-23 00:30"),
        (TIME, "infinity", "infinity", "infinity"),
        (
            TIME,
            "0044-03-15T00:00:00+00:00 BC",
            "0044-03-15T00:00:00+00:00 BC",
            "0044-03-15T00:00:00+00:00 BC",
        ),
        (MANY_OF, ["a", "c"], "甲、c", "A, c"),
        (MANY_OF, [], "—", "—"),
        (Field(name="b", zh="是否", en="Whether", kind=Kind.BOOLEAN), False, "否", "No"),
        # More digits than Decimal keeps, and past the year 9999 in the city's zone.
        (SIZE, 1e30, f"1{',000' * 10}", f"1{',000' * 10}"),
        (TIME, "9999-12-31T23:59:59+00:00", *["9999-12-31T23:59:59+00:00"] * 2),
    ],
)
def test_values_read_as_people_write_them(field: Field, value: Any, zh: str, en: str) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert plain(field, value, "zh", zone) == zh
    assert plain(field, value, "en", zone) == en
    assert zh in shown(field, value, "zh", zone)


def test_children_hide_what_the_caller_may_not_see() -> None:
    (child,) = CATALOG["major-hazard-sources"].children
    names = {field.name for field in child_fields(child, ANONYMOUS)}
    assert names == {field.name for field in child.fields if not field.restricted}
    assert len(names) < len(child.fields)
