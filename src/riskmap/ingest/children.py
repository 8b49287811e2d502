"""Rows that belong to a feature, such as the chemicals of a source."""

from __future__ import annotations

from datetime import date, tzinfo

from riskmap.catalog.spec import Child
from riskmap.ingest.report import shorten
from riskmap.ingest.values import BadValueError, Converter, is_null, read_json


class ChildConverter:
    """Converts one child's rows: a JSON array of objects, each checked by the child's fields.

    A key that the child does not declare is refused and not carried along: children are shown
    with their feature, and nobody has reviewed whether an unknown key may be.
    """

    def __init__(self, child: Child, zone: tzinfo) -> None:
        self._names: dict[str, str] = {}
        for field in child.fields:
            for word in (field.name, field.zh, field.en):
                self._names.setdefault(word.casefold(), field.name)
        self._converters = {field.name: Converter(field, zone) for field in child.fields}

    def __call__(self, raw: object) -> list[dict[str, object]] | None:
        """Return the rows for the jsonb column, None for null.

        Raises
        ------
        BadValueError
            It is no array of objects, or an object does not fit.
        """
        if is_null(raw):
            return None
        rows = read_json(raw)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadValueError("ingest.type.child")
        return [self._one(number, row) for number, row in enumerate(rows, 1)]

    def _one(self, number: int, row: dict[str, object]) -> dict[str, object]:
        found: dict[str, object] = {}
        for heading, raw in row.items():
            name = self._names.get(heading.strip().casefold())
            if name is None or name in found:
                raise BadValueError("ingest.child.key", item=str(number), key=shorten(heading))
            try:
                value = self._converters[name](raw)
            except BadValueError as error:
                raise BadValueError("ingest.child.value", item=str(number), key=name) from error
            found[name] = value.isoformat() if isinstance(value, date) else value
        for name, converter in self._converters.items():
            if converter.field.required and found.get(name) is None:
                raise BadValueError("ingest.child.required", item=str(number), key=name)
        return found
