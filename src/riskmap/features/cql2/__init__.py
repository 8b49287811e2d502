"""CQL2: filters as text or JSON, read within bounds into one tree, compiled to bound SQL."""

from riskmap.features.cql2.filter import Filter

__all__ = ["Filter"]
