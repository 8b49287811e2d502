"""What the answers of the feature service look like: schemas that the API's description shares."""

from __future__ import annotations

from typing import Any, Final

from riskmap.api.openapi_convert import NULL

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_POSITION: Final[Schema] = {"type": "array", "minItems": 2, "items": {"type": "number"}}
_LINE: Final[Schema] = {"type": "array", "minItems": 2, "items": _POSITION}
_RING: Final[Schema] = {"type": "array", "minItems": 4, "items": _POSITION}


def ref(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(*required: str, **properties: Schema) -> Schema:
    found: Schema = {"type": "object", "properties": properties}
    return {**found, "required": list(required)} if required else found


def _geometry(kind: str, coordinates: Schema) -> Schema:
    return _object("type", "coordinates", type={**_TEXT, "enum": [kind]}, coordinates=coordinates)


_LINKS: Final = _list(ref("link"))

SCHEMAS: Final[dict[str, Schema]] = {
    "problem": _object(
        *("type", "title", "status", "detail", "instance"),
        type={**_TEXT, "format": "uri"},
        title=_TEXT,
        status={"type": "integer"},
        detail=_TEXT,
        instance=_TEXT,
        parameter=_TEXT,
    ),
    "link": _object(
        *("href", "rel"),
        href=_TEXT,
        rel=_TEXT,
        type=_TEXT,
        hreflang=_TEXT,
        title=_TEXT,
        templated={"type": "boolean"},
    ),
    "landingPage": _object("links", title=_TEXT, description=_TEXT, links=_LINKS),
    "confClasses": _object("conformsTo", conformsTo=_list(_TEXT)),
    "extent": _object(
        spatial=_object(
            bbox={
                **_list({**_list({"type": "number"}), "minItems": 4, "maxItems": 6}),
                "minItems": 1,
            },
            crs=_TEXT,
        ),
        temporal=_object(
            interval={
                **_list(
                    {
                        **_list({**_TEXT, "format": "date-time", "nullable": True}),
                        "minItems": 2,
                        "maxItems": 2,
                    }
                ),
                "minItems": 1,
            },
            trs=_TEXT,
        ),
    ),
    "collection": _object(
        *("id", "links"),
        id=_TEXT,
        title=_TEXT,
        description=_TEXT,
        links=_LINKS,
        extent=ref("extent"),
        itemType=_TEXT,
        crs=_list(_TEXT),
        storageCrs=_TEXT,
        revision={"type": "integer", "nullable": True},
        updated_at={**_TEXT, "format": "date-time", "nullable": True},
    ),
    "collections": _object(
        *("links", "collections"), links=_LINKS, collections=_list(ref("collection"))
    ),
    "geometry": {
        "oneOf": [
            NULL,
            _geometry("Point", _POSITION),
            _geometry("MultiPoint", _list(_POSITION)),
            _geometry("LineString", _LINE),
            _geometry("MultiLineString", _list(_LINE)),
            _geometry("Polygon", _list(_RING)),
            _geometry("MultiPolygon", _list(_list(_RING))),
            _object(
                *("type", "geometries"),
                type={**_TEXT, "enum": ["GeometryCollection"]},
                geometries=_list({"type": "object"}),
            ),
        ],
    },
    "feature": _object(
        *("type", "geometry", "properties"),
        type={**_TEXT, "enum": ["Feature"]},
        id={"type": "integer", "format": "int64", "minimum": 0},
        geometry=ref("geometry"),
        properties={"type": "object", "nullable": True},
        links=_LINKS,
    ),
    "featureCollection": _object(
        *("type", "features"),
        type={**_TEXT, "enum": ["FeatureCollection"]},
        features=_list(ref("feature")),
        links=_LINKS,
        timeStamp={**_TEXT, "format": "date-time"},
        numberMatched=_COUNT,
        numberReturned=_COUNT,
    ),
    "object": {"type": "object"},
}
