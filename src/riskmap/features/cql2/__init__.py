"""CQL2: filters as text or JSON, read within bounds into one tree, compiled to bound SQL.

The way of a filter: `tokens` and `read_text` (with `wkt`), or `read_json`, make the tree of `tree`;
`check` gives it types and columns (`typed`); `sql` makes the condition (with `arithmetic` and
`moments`). `limits` has what a filter may cost.
"""

from typing import Final

from riskmap.features.cql2.filter import Filter, read_json, read_json_text, read_text

_CLASSES: Final = (
    "cql2-text",
    "cql2-json",
    "basic-cql2",
    "advanced-comparison-operators",
    "case-insensitive-comparison",
    "accent-insensitive-comparison",
    "basic-spatial-functions",
    "basic-spatial-functions-plus",
    "spatial-functions",
    "temporal-functions",
    "array-functions",
    "property-property",
    "arithmetic",
)
# Conformance classes of OGC 21-065r2. Not `functions`: there are none beyond the standard's own.
CONFORMANCE: Final = tuple(f"http://www.opengis.net/spec/cql2/1.0/conf/{one}" for one in _CLASSES)

__all__ = ["CONFORMANCE", "Filter", "read_json", "read_json_text", "read_text"]
