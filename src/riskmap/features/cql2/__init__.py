"""CQL2: filters as text or JSON, read within bounds into one tree, compiled to bound SQL."""

from riskmap.features.cql2.filter import Filter, read_json, read_text

__all__ = ["Filter", "read_json", "read_text"]
