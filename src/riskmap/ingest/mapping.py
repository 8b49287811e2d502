"""Which column of a file is which field of a layer: by name, by label, or as told."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import orjson

from riskmap.catalog.spec import Field, Layer
from riskmap.errors import InputError
from riskmap.features.formats import ID_COLUMN
from riskmap.ingest.children import ChildConverter
from riskmap.ingest.frames import ROW
from riskmap.ingest.report import shorten
from riskmap.ingest.values import BadValueError, Converter

ATTRIBUTES: Final = "attributes"
REASON: Final = "riskmap_reason"
ADDED: Final = (ROW, REASON)
"""What a file of rejected rows has beyond the original's columns: no import takes it for data."""
_FEATURE_ID: Final = "id"

_GEOMETRY: Final = ("x", "y", "lon", "lat", "easting", "northing", "wkt")
_PARTS: Final = ("fields", "values", "constants")
# A unit as the catalogue writes it (after NFKC: m² is m2) and as people write it in a heading.
_UNIT_WORDS: Final = {
    "m": ("米",),
    "m2": ("平方米", "平米"),
    "km2": ("平方公里", "平方千米"),
    "m2/人": ("平方米/人",),
    "t": ("吨",),
    "s": ("秒",),
    "min": ("分钟", "分"),
    "m/s": ("米/秒",),
    "°": ("度",),
}


def heading_word(text: str) -> str:
    """Return a heading as it is compared: one width, no case, no outer spaces, no star.

    A unit in brackets keeps its brackets and is written as the catalogue writes it.
    """
    word = unicodedata.normalize("NFKC", text).casefold().strip().strip("*").strip()
    head, bracket, tail = word.rpartition("(")
    if bracket and tail.endswith(")"):
        unit = tail[:-1].strip()
        unit = next((name for name, words in _UNIT_WORDS.items() if unit in words), unit)
        word = f"{head.rstrip()}({unit})"
    return word


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """What the caller says about a file's columns.

    Parameters
    ----------
    fields
        Field (or child, or x, y, wkt for a table's coordinates) -> column of the file.
    values
        Field -> {value of the file: value of the field}.
    constants
        Field -> one value for every row.
    """

    fields: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)

    @property
    def coordinates(self) -> dict[str, str]:
        """What is said of the columns of coordinates: x, lon, wkt and so on -> column."""
        return {name: c for name, c in self.fields.items() if name in _GEOMETRY}


def read_mapping(path: Path | None = None, pairs: Sequence[str] = ()) -> FieldMapping:
    """Read a mapping file and `field=column` pairs; a pair wins over the file.

    Raises
    ------
    InputError
        The file cannot be read, has another shape, or a pair has no equals sign.
    """
    mapping = FieldMapping() if path is None else _read_file(path)
    fields = dict(mapping.fields)
    for pair in pairs:
        name, mark, column = (part.strip() for part in pair.partition("="))
        if not (name and mark and column):
            raise InputError("ingest.mapping.pair", parameter="mapping", value=shorten(pair))
        fields[name] = column
    return replace(mapping, fields=fields)


def _read_file(path: Path) -> FieldMapping:
    try:
        content = path.read_bytes()
    except OSError:
        raise InputError("ingest.mapping.file", parameter="mapping", value=path.name) from None
    return parse_mapping(content, name=path.name)


def parse_mapping(
    content: bytes | str | dict[str, Any], *, name: str = "mapping", parameter: str = "mapping"
) -> FieldMapping:
    """Read a mapping from its JSON: `fields`, `values` and `constants`, each of them optional.

    Parameters
    ----------
    content
        The JSON as text, or already decoded.
    name
        What a message calls it: the file's name.
    parameter
        The parameter that a message names.

    Raises
    ------
    InputError
        It is no JSON, has another shape, or has a part of another name, which is named.
    """
    refused = InputError("ingest.mapping.file", parameter=parameter, value=shorten(name))
    parts: Any = content
    if isinstance(content, bytes | str):
        try:
            raw = content.encode() if isinstance(content, str) else content
            parts = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise refused from None
    if not isinstance(parts, dict):
        raise refused
    for part, entries in parts.items():
        if part not in _PARTS:
            raise InputError("ingest.mapping.part", parameter=parameter, value=shorten(part))
        wanted = {"fields": str, "values": dict}.get(part, object)
        if not isinstance(entries, dict) or not all(
            isinstance(entry, wanted) for entry in entries.values()
        ):
            raise refused
    return FieldMapping(**parts)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where the columns of some rows go."""

    fields: dict[str, str]
    children: dict[str, str]
    rest: tuple[str, ...]


class Plan:
    """A mapping checked against a layer, ready for any set of headings.

    Parameters
    ----------
    zone
        Time zone of times that state none.

    Raises
    ------
    InputError
        The mapping names a field that the layer does not have or that riskmap writes itself, or
        a value that the field does not take.
    """

    def __init__(self, layer: Layer, mapping: FieldMapping, zone: tzinfo) -> None:
        self._fields = {field.name: field for field in layer.fields if not field.managed}
        self._children = {child.name for child in layer.children}
        self._mapped = {n: c for n, c in mapping.fields.items() if n not in _GEOMETRY or n in self}
        for name in (*self._mapped, *mapping.values, *mapping.constants):
            if name not in self:
                self._refuse(layer, name)
        for name in (*mapping.values, *mapping.constants):
            if name in self._children or name == ATTRIBUTES:
                self._refuse(layer, name)
        twice = sorted(self._mapped.keys() & mapping.constants.keys())
        if twice:
            raise InputError("ingest.mapping.twice", parameter="mapping", field=twice[0])
        self.converters: dict[str, Converter] = {}
        for name, declared in self._fields.items():
            plain = Converter(declared, zone)
            words = {
                word: _convert(plain, target)
                for word, target in mapping.values.get(name, {}).items()
            }
            self.converters[name] = Converter(declared, zone, words) if words else plain
        self.child_converters = {
            child.name: ChildConverter(child, zone) for child in layer.children
        }
        self.constants = {
            name: _convert(self.converters[name], value)
            for name, value in mapping.constants.items()
        }
        self._index = self._words(layer)
        own = [field for field in layer.fields if field.managed]
        self._own = {heading_word(word) for one in own for word in (one.name, one.zh, one.en)}
        self._own |= {
            heading_word(f"{word}({one.unit})")
            for one in own
            if one.unit is not None
            for word in (one.name, one.zh, one.en)
        }
        self._sign = {one.name for one in own if not one.restricted}
        self._known: dict[tuple[str, ...], Assignment] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields or name in self._children

    def _refuse(self, layer: Layer, name: str) -> None:
        known = ", ".join((*self._fields, *self._children))
        raise InputError(
            "ingest.mapping.field",
            parameter="mapping",
            field=shorten(name),
            layer=layer.id,
            known=known,
        )

    def _words(self, layer: Layer) -> dict[str, str]:
        """Map each word that may head a column to its field: names first, then labels."""
        words: dict[str, str] = {}
        declared: list[Any] = [*self._fields.values(), *layer.children]
        for attribute in ("name", "zh", "en"):
            for entry in declared:
                words.setdefault(heading_word(getattr(entry, attribute)), entry.name)
        # With its own unit behind it, as templates write it, a label means the same.
        for attribute in ("name", "zh", "en"):
            for field_ in self._fields.values():
                if field_.unit is not None:
                    with_unit = f"{getattr(field_, attribute)}({field_.unit})"
                    words.setdefault(heading_word(with_unit), field_.name)
        return words

    def field(self, name: str) -> Field:
        """Return a field that an import may write."""
        return self._fields[name]

    def assign(self, headings: Iterable[str]) -> Assignment:
        """Say which heading is which field or child; the rest goes to `attributes`.

        Raises
        ------
        InputError
            Two headings mean the same field, and the mapping does not say which one counts.
        """
        key = tuple(headings)
        if key not in self._known:
            self._known[key] = self._assign(key)
        return self._known[key]

    def _assign(self, headings: tuple[str, ...]) -> Assignment:
        found = {name: column for name, column in self._mapped.items() if column in headings}
        told = self._mapped.keys() | self.constants.keys()
        used = set(found.values())
        for heading in headings:
            name = self._index.get(heading_word(heading))
            if name is None or name in told or heading in used:
                continue
            if name in found:
                raise InputError(
                    "ingest.heading.twice",
                    parameter="mapping",
                    field=name,
                    first=found[name],
                    second=heading,
                )
            found[name] = heading
        taken = {*found.values(), *ADDED, *self._written_by_riskmap(headings)}
        return Assignment(
            fields={name: column for name, column in found.items() if name in self._fields},
            children={name: column for name, column in found.items() if name in self._children},
            rest=tuple(heading for heading in headings if heading not in taken),
        )

    def _written_by_riskmap(self, headings: tuple[str, ...]) -> set[str]:
        """Return the headings of an export of ours that hold what riskmap itself keeps.

        In a file from elsewhere a `version` is the source's own and stays in `attributes`. An
        export is known by the name of its column of ids, or, where the id stands beside the
        properties (GeoJSON), by having all that riskmap writes.
        """
        own = {one for one in headings if heading_word(one) in self._own}
        if ID_COLUMN in headings:
            return {ID_COLUMN, *own}
        return {_FEATURE_ID, *own} if self._sign <= set(headings) else set()

    def require(self, headings: Collection[str]) -> None:
        """Check that every column the mapping names is in the file.

        Raises
        ------
        InputError
            One is not; the message names it and what the file has.
        """
        for name, column in self._mapped.items():
            if column not in headings:
                raise missing_column(name, column, headings)


def missing_column(name: str, column: str, headings: Iterable[str]) -> InputError:
    """Return the error for a column that the mapping names and the file lacks."""
    return InputError(
        "ingest.mapping.column",
        parameter="mapping",
        field=name,
        column=shorten(column),
        headings=", ".join(shorten(heading) for heading in headings),
    )


def _convert(converter: Converter, value: object) -> object:
    try:
        return converter(value)
    except BadValueError:
        raise InputError(
            "ingest.mapping.value",
            parameter="mapping",
            field=converter.field.name,
            value=shorten(value),
        ) from None
