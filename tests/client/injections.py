"""Hostile texts and the places where a request takes text, for tests/client/test_injection.py."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from urllib.parse import quote

# Stands in every payload and nowhere else: where it turns up in the server's log or in
# pg_stat_statements, text of a request has become text of a statement.
MARK = "zq9x"

_QUOTES = ("", "'", '"', "''", "\\'", "`", "$$", "’", "＇", "ʼ", "%27", "')", "'))", '"))')
_BODIES = (
    "OR 1=1",
    "OR '1'='1",
    "AND 1=CAST((SELECT version()) AS integer)",
    "UNION SELECT NULL,NULL,NULL",
    "UNION ALL SELECT token FROM api_keys",
    "; DROP TABLE history",
    "; SELECT pg_sleep(5)",
    "|| pg_read_file('/etc/passwd')",
    "ORDER BY 9999",
)
_ENDS = ("--", "#", "/*", ";\x00")
_SINGLE = (
    # GeoServer, CVE-2023-25157: functions whose arguments were put into the statement.
    "strStartsWith(name,'x'') = true and 1=(SELECT CAST((SELECT version()) AS int)) --') = true",
    "strEndsWith(name,'x'')) OR 1=1 --') = true",
    "PropertyIsLike(name,'x%'' OR ''1''=''1')",
    "jsonArrayContains(attributes,'key','''; DROP TABLE audit; --') = true",
    "FeatureId('1'' OR 1=1 --')",
    "DWITHIN(geom,POINT(0 0)); SELECT 1,1,meters)",
    # What the layers below us put values in with, were the text a template of theirs.
    "%s", "%(param_1)s", "%%", "%", "$1", ":param_1", ":name", "{0}", "{table}", "{{7*7}}",
    "${jndi:ldap://x/}", "\\x27 OR 1=1", "E'\\047'", "U&'\\0027'", "$tag$x$tag$", "\\", "\\\\",
    # Names of the database.
    "geom_3857", "pg_catalog.pg_shadow", "ctid", "tableoid", "public.api_keys", "name::regclass",
    "(SELECT 1)", "*", "name; --", 'name" FROM audit --', "current_user", "nextval('x')",
    # Texts that break decoders, not grammars.
    "\x00", "\x1b[31m", "\r\nX-Evil: 1", "\u202e", "\ufeff", "\ufffd", "\U0001f4a3", "İ", "ß" * 50,
    "a" * 4000, "'" * 500, "(" * 500, "[" * 500, "NaN", "-Infinity", "1e400", "0x41", "１２",
    "99999999999999999999", "-0", "null", "true", "../../etc/passwd", "..%2f..%2f", "<script>",
)  # fmt: skip


def payloads() -> list[str]:
    """Return more than 500 texts, each with the mark."""
    made = [f"{MARK}{q} {body} {end}" for q, body, end in product(_QUOTES, _BODIES, _ENDS)]
    return made + [f"{text}{MARK}" for text in _SINGLE]


def _plain(text: str) -> str:
    return text


def _cursor(make: Callable[[str], Any]) -> Callable[[str], str]:
    def wrapped(text: str) -> str:
        body = json.dumps(make(text), ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(body).decode().rstrip("=")

    return wrapped


def _json(make: Callable[[str], Any]) -> Callable[[str], str]:
    return lambda text: json.dumps(make(text), ensure_ascii=False)


def _before(prefix: str, after: str = "") -> Callable[[str], str]:
    return lambda text: f"{prefix}{text}{after}"


# The shapes in which a parameter takes a payload: alone, and where its own grammar has room.
_SHAPES: dict[str, tuple[Callable[[str], str], ...]] = {
    "bbox": (_plain, _before("120,36,121,"), _before("", ",36,121,37")),
    "datetime": (_plain, _before("2024-01-01T00:00:00Z/"), _before("../"), _before("", "/..")),
    "filter": (
        _plain,
        lambda text: "name = '" + text.replace("'", "''") + "'",
        _before("name = '", "'"),
        _before('"', "\" = 'x'"),
        _before("name LIKE '%", "%'"),
        _before("", "(name) = 'x'"),
        _before("S_INTERSECTS(geometry,", ")"),
        _before("T_AFTER(updated_at,TIMESTAMP('", "'))"),
        _before("risk_level IN (1,", ")"),
    ),
    "cursor": (
        _plain,
        _cursor(lambda text: [1, 0, text, []]),
        _cursor(lambda text: [1, 0, "name", [text]]),
        _cursor(lambda text: [text, 0, "", []]),
        _cursor(lambda text: text),
    ),
    "sortby": (_plain, _before("-"), _before("name,"), _before("", ",-name")),
    "properties": (_plain, _before("name,"), _before("", ",code")),
    "crs": (_plain, _before("http://www.opengis.net/def/crs/EPSG/0/"), _before("EPSG:")),
    "group_by": (_plain, _before("admin_code,")),
    "layers": (_plain, _before("shelters,")),
    "q": (_plain, _before("避难"), _before("", " 场所")),
}
_FILTER_JSON = (
    _plain,
    _json(lambda text: {"op": "=", "args": [{"property": "name"}, text]}),
    _json(lambda text: {"op": "=", "args": [{"property": text}, "x"]}),
    _json(lambda text: {"op": text, "args": [{"property": "name"}, "x"]}),
    _json(lambda text: {"op": "like", "args": [{"property": "name"}, f"%{text}%"]}),
    _json(lambda text: {"op": "in", "args": [{"property": "name"}, [text, "x"]]}),
    _json(lambda text: {"op": "t_after", "args": [{"property": "updated_at"}, {"date": text}]}),
    _json(lambda text: {text: 1}),
)
_BODY = (
    lambda text: {"properties": {"code": text[:80], "name": text}},
    lambda text: {"properties": {"code": "x", text: "x"}},
    lambda text: {"properties": {"code": "x", "attributes": {text: text}}},
    lambda text: {"properties": {"code": "x", "risk_level": text}},
    lambda text: {"properties": {"code": "x", "updated_at": text}},
    lambda text: {"properties": {"code": "x"}, "geometry": {"type": text, "coordinates": [0, 0]}},
    lambda text: {"properties": {"code": "x"}, "geometry": {"type": "Point", "coordinates": text}},
    lambda text: {"properties": {"code": "x"}, "id": text, text: text},
)

_ITEMS = (
    "bbox", "bbox-crs", "crs", "datum", "datetime", "filter", "filter-lang", "filter-crs",
    "sortby", "properties", "skipGeometry", "simplify", "q", "limit", "offset", "cursor", "f",
    "lang", "bom", "headings", "code", "name", "risk_level", "updated_at",
)  # fmt: skip
# Read where the answer is a table alone; elsewhere they are refused by their name.
_NEEDS = {"bom": {"f": "csv"}, "headings": {"f": "csv"}}
_SEARCHED = ("bbox", "datetime", "filter", "filter-lang", "filter-crs", "q", "name")
LAYER = "geohazard-points"
_HERE = f"/collections/{LAYER}"
# Whatever reads query parameters, with what it needs beside the one under attack.
READERS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    f"{_HERE}/items": (_ITEMS, {}),
    f"{_HERE}/items/1": (("crs", "datum", "f"), {}),
    f"{_HERE}/summary": ((*_SEARCHED, "group_by", "sum", "f"), {}),
    f"{_HERE}/items/1/history": (("limit", "cursor"), {}),
    f"{_HERE}/queryables": (("f",), {}),
    "/collections": (("f",), {}),
    _HERE: (("f",), {}),
    "/": (("f",), {}),
    "/search": (("q", "layers", "bbox", "limit", "datum", "f"), {"q": "场所"}),
    "/locate": (("lon", "lat", "datum", "f"), {"lon": "120.5", "lat": "36.5"}),
    f"/tiles/{LAYER}/8/213/99.mvt": (_SEARCHED, {}),
    "/overview": (("bbox",), {}),
    "/analysis/hazard-levels": (("bbox", "limit", "cursor"), {}),
    "/audit": (("limit", "before"), {}),
    "/imports": (("layer", "status", "limit", "before"), {}),
}
_PATHS = (
    "/collections/{}", "/collections/{}/items", "/collections/{}/summary", _HERE + "/items/{}",
    "/collections/{}/queryables", _HERE + "/items/{}/history", _HERE + "/items/1/history/{}",
    "/tiles/{}/8/213/99.mvt", f"/tiles/{LAYER}/" + "{}/213/99.mvt",
    f"/tiles/{LAYER}/8/213/" + "{}.mvt", "/imports/{}", "/analysis/hazard-levels/{}", "/{}",
)  # fmt: skip
_HEADERS = ("If-Match", "If-None-Match", "Accept", "Accept-Language", "X-API-Key", "X-Request-ID",
            "Authorization", "Content-Crs", "Content-Type", "Idempotency-Key")  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """A request with a payload in one place.

    Parameters
    ----------
    place
        Where it stands, as a failure names it.
    """

    place: str
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def _query(pairs: dict[str, str]) -> str:
    return "&".join(f"{quote(k, safe='')}={_quoted(v)}" for k, v in pairs.items())


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


Maker = Callable[[str], Attack]


def _in_query(path: str, name: str, shape: Callable[[str], str], rest: dict[str, str]) -> Maker:
    def make(text: str) -> Attack:
        return Attack(f"{path} {name}", "GET", f"{path}?{_query({**rest, name: shape(text)})}")

    return make


def _in_path(template: str) -> Maker:
    return lambda text: Attack(template, "GET", template.format(_quoted(text)))


def _in_name(path: str) -> Maker:
    return lambda text: Attack(f"{path} name", "GET", f"{path}?{_query({text: 'x'})}")


def _in_header(name: str, method: str) -> Maker:
    def make(text: str) -> Attack:
        # What a client may put into a header at all.
        safe = "".join(c if " " < c <= "~" else "?" for c in text)
        json_type = {"Content-Type": "application/geo+json"}
        body = b'{"type":"Feature","geometry":null,"properties":{"name":"x"}}'
        return Attack(
            f"{method} {name}", method, f"{_HERE}/items/1", {**json_type, name: safe},
            None if method == "GET" else body,
        )  # fmt: skip

    return make


def _in_body(method: str, url: str, shape: Callable[[str], Any]) -> Maker:
    def make(text: str) -> Attack:
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [120.5, 36.5]},
            **shape(text),
        }
        body = json.dumps(feature, ensure_ascii=False).encode("utf-8", "surrogatepass")
        media = "application/merge-patch+json" if method == "PATCH" else "application/geo+json"
        return Attack(f"{method} {url} body", method, url, {"Content-Type": media}, body)

    return make


def places() -> Iterator[tuple[Maker, ...]]:
    """Yield the places of a request that take text, each with the shapes it takes it in."""
    for path, (names, rest) in READERS.items():
        yield (_in_name(path),)
        for name in names:
            shapes = _SHAPES.get(name.removesuffix("-crs") if name == "bbox-crs" else name)
            shapes = _SHAPES["crs"] if name.endswith("crs") else shapes or (_plain,)
            others = {key: value for key, value in rest.items() if key != name}
            others |= _NEEDS.get(name, {})
            yield tuple(_in_query(path, name, shape, others) for shape in shapes)
            if name == "filter":
                others = {**others, "filter-lang": "cql2-json"}
                yield tuple(_in_query(path, name, shape, others) for shape in _FILTER_JSON)
    for template in _PATHS:
        yield (_in_path(template),)
    for name in _HEADERS:
        yield (_in_header(name, "GET"), _in_header(name, "PUT"))
    for method, url in (("POST", f"{_HERE}/items"), ("PUT", f"{_HERE}/items/1"),
                        ("PATCH", f"{_HERE}/items/1")):  # fmt: skip
        yield tuple(_in_body(method, url, shape) for shape in _BODY)


def attacks(*, share: int = 1) -> Iterator[Attack]:
    """Yield every payload in every place, each time in the next of the place's shapes.

    Parameters
    ----------
    share
        One in so many: of each place another part of the payloads, so that none is left out.
    """
    hostile = payloads()
    for number, makers in enumerate(places()):
        for turn, text in enumerate(hostile[number % share :: share]):
            yield makers[turn % len(makers)](text)
