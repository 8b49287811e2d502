"""Archives over HTTP: ranges, tags, what is listed, what is never reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pmtiles.reader import Reader

from api_help import CATALOG, Served, listening, serving
from archive_help import live, places, same, write
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.tiles.archive_list import folder_of
from riskmap.tiles.archive_meta import schema

URL = "/archives/city.pmtiles"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        folder = folder_of(found.settings.data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write(found.database, folder / "city.pmtiles", zooms=(0, 12))
        write(found.database, folder / "部分.pmtiles", layers=("shelters",), roads=False)
        (folder / "cut.pmtiles").write_bytes((folder / "city.pmtiles").read_bytes()[:500])
        (folder / "secret.txt").write_text("not for anybody")
        (folder.parent / "outside.pmtiles").write_bytes((folder / "city.pmtiles").read_bytes())
        yield found
        for path in (*folder.iterdir(), folder.parent / "outside.pmtiles"):
            path.unlink()


def raw(served: Served) -> bytes:
    return (folder_of(served.settings.data_dir) / "city.pmtiles").read_bytes()


def ask(served: Served, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    found: httpx.Response = served.client.get(URL, headers=given)
    return found


def test_the_whole_file(served: Served) -> None:
    answer = ask(served)
    assert answer.status_code == 200 and answer.content == raw(served)
    assert answer.headers["content-type"] == "application/vnd.pmtiles"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(raw(served)))
    # Compressed as a whole, it could not be asked for by ranges.
    assert "content-encoding" not in answer.headers
    assert "content-encoding" not in ask(served, Range="bytes=0-16383").headers


@pytest.mark.parametrize(
    "asked", ["0-126", "0-0", "127-500", "5-", "-7", "100-99999999999", "-99999999999", "0-"]
)
def test_a_range(served: Served, asked: str) -> None:
    first, last = asked.split("-")
    whole = raw(served)
    start = int(first) if first else max(0, len(whole) - int(last))
    end = min(int(last), len(whole) - 1) if first and last else len(whole) - 1
    answer = ask(served, Range=f"bytes={asked}")
    assert answer.status_code == 206
    assert answer.content == whole[start : end + 1]
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
    assert answer.headers["content-length"] == str(end + 1 - start)
    assert answer.headers["etag"] == ask(served).headers["etag"]


@pytest.mark.parametrize("asked", ["99999999-", "99999999-100000000", "-0"])
def test_a_range_that_is_not_there(served: Served, asked: str) -> None:
    answer = ask(served, Range=f"bytes={asked}")
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(raw(served))}"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "asked", ["bytes=9-3", "bytes=-", "bytes=a-b", "pages=1-2", "bytes=0-1,5-6", "bytes=0x1-2", ""]
)
def test_what_is_no_range_brings_the_whole(served: Served, asked: str) -> None:
    answer = ask(served, Range=asked)
    assert answer.status_code == 200 and answer.content == raw(served)


def test_if_range(served: Served) -> None:
    tag = ask(served).headers["etag"]
    assert ask(served, Range="bytes=0-9", If_Range=tag).status_code == 206
    for other in ('"1-2-3"', f"W/{tag}", "Sat, 29 Oct 1994 19:43:31 GMT"):
        answer = ask(served, Range="bytes=0-9", If_Range=other)
        assert answer.status_code == 200 and answer.content == raw(served)


def test_a_known_file_is_not_sent_again(served: Served) -> None:
    tag = ask(served).headers["etag"]
    for known in (tag, f'"a", {tag}', f"W/{tag}", "*"):
        answer = ask(served, If_None_Match=known, Range="bytes=0-9")
        assert answer.status_code == 304 and answer.content == b""
        assert answer.headers["etag"] == tag
    assert ask(served, If_None_Match='"a"').status_code == 200


def test_head_has_the_length_and_no_body(served: Served) -> None:
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = served.client.head(URL, headers=headers)
        assert answer.status_code == 200 and answer.content == b""
        assert answer.headers["content-length"] == str(len(raw(served)))
        assert answer.headers["etag"] == ask(served).headers["etag"]


def test_a_new_file_under_the_name_has_another_tag(served: Served) -> None:
    folder = folder_of(served.settings.data_dir)
    before = ask(served).headers["etag"]
    write(served.database, folder / "city.pmtiles", zooms=(0, 12))
    after = ask(served)
    assert after.headers["etag"] != before and after.content == raw(served)


def test_ranges_of_a_file_that_is_replaced_while_it_is_sent(served: Served, tmp_path: Path) -> None:
    """Who has begun to read the old one gets the old one to its end."""
    path = folder_of(served.settings.data_dir) / "long.pmtiles"
    old = raw(served) + b"\0" * (4 << 20)
    path.write_bytes(old)
    with (
        listening(create_app(served.settings)) as port,
        httpx.stream("GET", f"http://127.0.0.1:{port}/archives/long.pmtiles") as answer,
    ):
        pieces = answer.iter_raw(chunk_size=65536)
        got = next(pieces)
        (tmp_path / "new").write_bytes(raw(served) + b"\1" * (4 << 20))
        (tmp_path / "new").replace(path)
        got += b"".join(pieces)
    path.unlink()
    assert got == old


@pytest.mark.parametrize(
    "name",
    [
        "none", "secret.txt", "..", "../outside", "..%2Foutside", "%2e%2e%2foutside", "cut",
        "....//outside", "a%00b", "/etc/passwd", "-", "x" * 300, "city.pmtiles", "~",
        "%5c..%5coutside",
    ],
)  # fmt: skip
def test_nothing_else_is_reached(served: Served, name: str) -> None:
    answer = served.client.get(f"/archives/{name}.pmtiles")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"for anybody" not in answer.content


def test_the_list(served: Served) -> None:
    answer = served.get("/archives")
    assert answer.status_code == 200
    found = {one["name"]: one for one in answer.json()["archives"]}
    assert set(found) == {"city", "部分", "cut"}
    city = found["city"]
    assert city["zooms"] == [0, 12] and city["bytes"] == len(raw(served))
    assert city["current"] and city["revision"] > 0 and city["problem"] is None
    assert set(city["layers"]) == {*CATALOG, "roads"}
    assert served.get(city["href"]).status_code == 200
    assert served.get(found["部分"]["href"]).status_code == 200
    assert not found["cut"]["current"] and found["cut"]["problem"]
    assert served.get("/archives", nonsense="1").status_code == 400


def test_an_archive_of_another_schema_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskmap.tiles.archive_meta.CONTENT", 99)
    found = {one["name"]: one for one in served.get("/archives").json()["archives"]}
    assert not found["city"]["current"] and not found["部分"]["current"]


def told(served: Served, tiles_archive: str) -> Any:
    from starlette.testclient import TestClient  # noqa: PLC0415

    app = create_app(served.settings.model_copy(update={"tiles_archive": tiles_archive}))
    with TestClient(app) as client:
        page = client.get("/", headers={"Accept": "text/html"})
        return client.get("/overview").json()["archive"], page.headers["content-security-policy"]


def test_the_overview_names_it_and_the_page_may_read_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = schema(tuple(CATALOG.values()), with_roads=True)
    assert served.get("/overview").json()["archive"] is None
    archive, policy = told(served, "city.pmtiles")
    assert archive == {"url": URL, "schema": now}
    assert "connect-src 'self';" in policy
    archive, policy = told(served, "https://tiles.example.org:8443/a/city.pmtiles")
    assert archive == {"url": "https://tiles.example.org:8443/a/city.pmtiles", "schema": now}
    assert "connect-src 'self' https://tiles.example.org:8443;" in policy
    # Missing, cut off, or without all that the page draws.
    for other in ("none.pmtiles", "cut.pmtiles", "部分.pmtiles", "..pmtiles"):
        assert told(served, other)[0] is None
    monkeypatch.setattr("riskmap.tiles.archive_meta.CONTENT", 99)
    assert told(served, "city.pmtiles")[0] is None


def test_a_reader_over_http_finds_the_live_tiles(served: Served) -> None:
    """The bytes that PyPI's reader asks for, one range each."""
    import gzip  # noqa: PLC0415

    def get(offset: int, length: int) -> bytes:
        return ask(served, Range=f"bytes={offset}-{offset + length - 1}").content

    reader = Reader(get)
    found = 0
    for place in places((120.29, 36.29, 120.38, 36.38), range(0, 13, 3)):
        tile = reader.get(*place)
        found += tile is not None
        assert same(gzip.decompress(tile) if tile else b"", live(served, place)), place
    assert found > 3
