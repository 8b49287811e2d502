"""The page and its files: what is served, under which headers, and what never is."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from riskmap.i18n import LANGS, catalogue
from riskmap.web import page
from riskmap.web.files import FilesRoute
from riskmap.web.page import PageRoute

HTML = {"Accept": "text/html"}
INDEX = "<!doctype html><html><head><!--texts--><script src=/static/a.js></script></head></html>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build of some files, and a secret beside it."""
    built = tmp_path / "static"
    built.mkdir()
    (built / "index.html").write_text(INDEX, encoding="utf-8")
    (built / "app-3F9A21BC.mjs").write_text("export {}", encoding="utf-8")
    (built / "app-3F9A21BC.css").write_text("a{}", encoding="utf-8")
    (built / "main-settings.js").write_text("1", encoding="utf-8")
    (built / "MANIFEST.json").write_text("{}", encoding="utf-8")
    (built / "sub").mkdir()
    (built / "sub" / "x.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (built / "link.txt").symlink_to(tmp_path / "secret.txt")
    return built


def client(folder: Path) -> TestClient:
    app = Starlette(routes=[PageRoute(folder), FilesRoute(folder)])
    return TestClient(app, raise_server_exceptions=True)


class Scripts(HTMLParser):
    """Collects the scripts of a page as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.found.append((dict(attrs), ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            attrs, text = self.found[-1]
            self.found[-1] = (attrs, text + data)


def test_the_page_carries_its_words_in_both_languages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {
        "page.title": {"zh": "一张图 </script><script>alert(1)</script>", "en": "<!-- one map"},
        "page.bands": {"zh": "{n} 分钟", "en": "{n} minutes"},
        "pages.other": {"zh": "别处", "en": "elsewhere"},
        "landing.title": {"zh": "别处", "en": "elsewhere"},
    }
    monkeypatch.setattr(page, "catalogue", lambda: entries)
    page._texts.cache_clear()
    try:
        html = client(folder).get("/", headers=HTML).text
    finally:
        page._texts.cache_clear()
    texts, code = Scripts(html).found
    assert texts[0] == {"type": "application/json", "id": "texts"}
    assert code[0] == {"src": "/static/a.js"}
    for lang in LANGS:
        mine = {key: entries[key][lang] for key in ("page.title", "page.bands")}
        assert json.loads(texts[1])[lang] == mine
    assert "<" not in texts[1] and "<!--texts-->" not in html


def test_the_words_are_all_those_of_the_catalogue(folder: Path) -> None:
    html = client(folder).get("/", headers=HTML).text
    words = json.loads(Scripts(html).found[0][1])
    expected = {key for key in catalogue() if key.startswith("page.")}
    assert set(words) == set(LANGS)
    assert all(set(words[lang]) == expected for lang in LANGS)


def test_the_policy_lets_nothing_in_from_elsewhere(folder: Path) -> None:
    answer = client(folder).get("/", headers=HTML)
    rules = dict(
        rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; ")
    )
    assert rules["default-src"] == "'none'" and rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["worker-src"] == rules["style-src"] == "'self'"
    for rule in rules.values():
        assert re.fullmatch(r"('none'|'self'( data: blob:)?)", rule)
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_page_that_did_not_change_is_not_sent_again(folder: Path) -> None:
    asked = client(folder)
    tag = asked.get("/", headers=HTML).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = asked.get("/", headers={**HTML, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag and "content-security-policy" in again.headers
    (folder / "index.html").write_text(INDEX + " ", encoding="utf-8")
    again = asked.get("/", headers={**HTML, "If-None-Match": tag})
    assert again.status_code == 200 and again.headers["etag"] != tag


@pytest.mark.parametrize(
    ("name", "media", "kept"),
    [
        ("app-3F9A21BC.mjs", "text/javascript; charset=utf-8", "immutable"),
        ("app-3F9A21BC.css", "text/css; charset=utf-8", "immutable"),
        ("main-settings.js", "text/javascript; charset=utf-8", "no-cache"),
        ("MANIFEST.json", "application/json", "no-cache"),
        ("sub/x.svg", "image/svg+xml", "no-cache"),
    ],
)
def test_files_their_types_and_how_long_they_keep(
    folder: Path, name: str, media: str, kept: str
) -> None:
    asked = client(folder)
    answer = asked.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.content == (folder / name).read_bytes()
    assert answer.headers["content-type"] == media
    assert kept in answer.headers["cache-control"]
    # A worker takes its policy from its own script.
    assert answer.headers["content-security-policy"] == page.POLICY
    again = asked.get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert kept in again.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "sub",
        "sub/",
        "none.js",
        "index.html",
        "sub/../index.html",
        "./index.html",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "sub/%2e%2e/%2e%2e/secret.txt",
        "..%5csecret.txt",
        "%2fetc/passwd",
        "/etc/passwd",
        "link.txt",
        "a%00.js",
        "x" * 5000,
    ],
)
def test_nothing_else_is_a_file(folder: Path, path: str) -> None:
    answer = client(folder).get(f"/static/{path}")
    assert answer.status_code == 404, path
    assert "secret" not in answer.text and "root:" not in answer.text


def test_a_page_that_was_not_built_says_what_to_run(tmp_path: Path) -> None:
    asked = client(tmp_path / "static")
    answer = asked.get("/", headers=HTML)
    assert answer.status_code == 200
    assert "content-security-policy" in answer.headers
    assert answer.text.count("make web") == 2
    assert "尚未构建" in answer.text and "has not been built" in answer.text
    for link in ("/collections", "/openapi.json"):
        assert f'href="{link}"' in answer.text
    assert asked.get("/static/app-3F9A21BC.mjs").status_code == 404


def test_a_page_built_while_the_service_runs_is_served(tmp_path: Path) -> None:
    asked = client(tmp_path)
    assert "make web" in asked.get("/", headers=HTML).text
    (tmp_path / "index.html").write_text(INDEX, encoding="utf-8")
    (tmp_path / "a.js").write_text("1", encoding="utf-8")
    assert "make web" not in asked.get("/", headers=HTML).text
    assert asked.get("/static/a.js").text == "1"
