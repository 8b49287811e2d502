"""JSON Schema as FastAPI writes it (OpenAPI 3.1) in the words of OpenAPI 3.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Schema = dict[str, Any]

# Keywords that both know, whose value is a schema, a list of schemas or a mapping to schemas.
_ONE: Final = ("items", "not", "additionalProperties")
_MANY: Final = ("anyOf", "oneOf", "allOf")
_SAME: Final = frozenset(
    {
        "type", "format", "title", "description", "default", "enum", "required", "nullable",
        "minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems",
        "maxItems", "uniqueItems", "minProperties", "maxProperties", "discriminator",
    }
)  # fmt: skip

_RENAMED: Final[dict[str, Callable[[Any], Schema]]] = {
    "const": lambda value: {"enum": [value]},
    "examples": lambda values: {"example": values[0]} if values else {},
    "exclusiveMinimum": lambda bound: {"minimum": bound, "exclusiveMinimum": True},
    "exclusiveMaximum": lambda bound: {"maximum": bound, "exclusiveMaximum": True},
    "contentMediaType": lambda _: {"format": "binary"},
}

# 3.0 has no word for null alone.
NULL: Final[Schema] = {"type": "string", "nullable": True, "enum": [None]}


def to_30(schema: Schema) -> Schema:
    """Return a schema of OpenAPI 3.1 as one of 3.0 that takes the same values.

    3.0 has no `null` type (`nullable` instead), bounds that exclude are flags beside the bound,
    a constant is an enumeration of one, and there are no tuples: their items are those of any
    place.

    Raises
    ------
    ValueError
        It has a keyword that is not known here: left out, the description would promise more.
    """
    if "$ref" in schema:
        # 3.0 ignores what stands beside a reference.
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        alone = {"$ref": schema["$ref"]}
        return {**to_30(beside), "allOf": [alone]} if beside else alone
    found: Schema = {}
    for key, value in schema.items():
        found.update(_keyword(key, value))
    return _without_null(found)


def _keyword(key: str, value: Any) -> Schema:
    if key in _SAME:
        return {key: value}
    if key in _ONE:
        return {key: to_30(value) if isinstance(value, dict) else value}
    if key in _MANY:
        return {key: [to_30(one) for one in value]}
    if key == "properties":
        return {key: {name: to_30(one) for name, one in value.items()}}
    if key == "prefixItems":
        return {"items": _any_of(value)}
    if key not in _RENAMED:
        raise ValueError(f"OpenAPI 3.0 has no {key!r}, and no rule says what becomes of it")
    return _RENAMED[key](value)


def _any_of(schemas: list[Schema]) -> Schema:
    different: list[Schema] = []
    for one in map(to_30, schemas):
        if one not in different:
            different.append(one)
    return different[0] if len(different) == 1 else {"anyOf": different}


def _without_null(schema: Schema) -> Schema:
    """Turn the type `null` into `nullable`."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        others = {key: value for key, value in schema.items() if key != "type"}
        choices = [{"type": kind} for kind in rest]
        return _chosen(others, "anyOf", choices, nullable=len(rest) < len(kinds))
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key, [])
        rest = [one for one in choices if one != {"type": "null"}]
        if len(rest) == len(choices):
            continue
        others = {name: value for name, value in schema.items() if name != key}
        return _chosen(others, key, rest, nullable=True)
    return schema


def _chosen(others: Schema, key: str, choices: list[Schema], *, nullable: bool) -> Schema:
    """Return a schema of one of several; `nullable` speaks of the `type` beside it alone."""
    if len(choices) == 1 and "type" in choices[0]:
        return {**choices[0], **others, **({"nullable": True} if nullable else {})}
    return {**others, key: [*choices, NULL] if nullable else choices}
