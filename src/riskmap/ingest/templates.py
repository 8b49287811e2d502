"""Empty files to fill in, made from a layer's declaration: XLSX, CSV or GeoJSON, with notes.

A template can be imported as it is: its headings are the labels that an import knows, with the
unit in brackets and a star where a value is required. What riskmap writes itself is not in it.
Lines and areas have one column of WKT, all others longitude and latitude.
"""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Final, Literal, get_args

import orjson
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from riskmap.catalog.spec import Child, Field, Geometry, Kind, Layer, Value
from riskmap.errors import InputError
from riskmap.i18n import Lang, say
from riskmap.ingest.read_xlsx import NOTES_SHEET
from riskmap.ingest.report import shorten

Format = Literal["xlsx", "csv", "geojson"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_LAST_ROW: Final = 1_048_576
# Excel takes a list within the rule itself up to here, and no comma inside a value.
_LONGEST_LIST: Final = 255
_LISTS_SHEET: Final = "riskmap"
_WIDEST: Final = 40
_NOTES: Final = (
    "heading", "name", "zh", "en", "type", "unit", "required", "allowed", "range", "example",
    "restricted", "source",
)  # fmt: skip
_EXAMPLES: Final = {
    Kind.BOOLEAN: {"zh": "是", "en": "yes"},
    Kind.DATE: {"zh": "2024-03-05", "en": "2024-03-05"},
    Kind.DATETIME: {"zh": "2024-03-05 08:30", "en": "2024-03-05 08:30"},
    Kind.JSON: {"zh": '{"备注": "…"}', "en": '{"note": "…"}'},
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a template; `field` and `child` are None for a coordinate."""

    heading: str
    name: str
    zh: str
    en: str
    field: Field | None = None
    child: Child | None = None

    @property
    def values(self) -> tuple[Value, ...]:
        """The allowed values, if they are declared."""
        return self.field.values if self.field is not None else ()


def template(layer: Layer, form: str, lang: Lang = "zh") -> bytes:
    """Return an empty file for a layer.

    Raises
    ------
    InputError
        There is no template in this format.
    """
    if form == "xlsx":
        return _xlsx(layer, lang)
    if form == "csv":
        return _csv(layer, lang)
    if form == "geojson":
        return _geojson(layer, lang)
    raise InputError(
        "ingest.template.format", parameter="format", value=shorten(form), known=", ".join(FORMATS)
    )


def columns(layer: Layer, lang: Lang) -> list[Column]:
    """Return the columns of a layer's table: what identifies a row, where it is, then the rest."""
    fields = [_field_column(field, lang) for field in layer.fields if not field.managed]
    children = [
        Column(child.zh if lang == "zh" else child.en, child.name, child.zh, child.en, child=child)
        for child in layer.children
    ]
    first = next(i for i, c in enumerate(fields) if c.field is not None and not c.field.required)
    return [*fields[: first + 1], *_coordinates(layer, lang), *fields[first + 1 :], *children]


def _coordinates(layer: Layer, lang: Lang) -> list[Column]:
    if layer.geometry in (Geometry.LINE, Geometry.POLYGON):
        names = (("wkt", "几何WKT", "WKT"),)
    else:
        names = (("lon", "经度", "Longitude"), ("lat", "纬度", "Latitude"))  # type: ignore[assignment]
    return [Column(f"{zh if lang == 'zh' else en}*", name, zh, en) for name, zh, en in names]


def _field_column(field: Field, lang: Lang) -> Column:
    unit = f"({field.unit})" if field.unit is not None else ""
    star = "*" if field.required else ""
    return Column(
        f"{field.label.in_(lang)}{unit}{star}", field.name, field.zh, field.en, field=field
    )


def sentences(layer: Layer, lang: Lang) -> list[str]:
    """Return what a template says before it describes the columns."""
    table = "wkt" if layer.geometry in (Geometry.LINE, Geometry.POLYGON) else "points"
    said = [
        say("ingest.template.title", lang, title=layer.title.in_(lang), layer=layer.id),
        say("ingest.template.star", lang),
        say(f"ingest.template.{table}", lang),
        say("ingest.template.crs", lang, layer=layer.id),
        say("ingest.template.values", lang),
        say("ingest.template.empty", lang),
        say("ingest.template.restricted", lang),
    ]
    if layer.geometry is Geometry.MIXED:
        said.insert(3, say("ingest.template.mixed", lang))
    return said


def notes(layer: Layer, lang: Lang) -> list[dict[str, str]]:
    """Return what is said of each column, in the order of the file; a child's fields follow it."""
    said: list[dict[str, str]] = []
    for column in columns(layer, lang):
        if column.field is not None:
            said.append({"heading": column.heading, **_note(column.field, lang)})
        elif column.child is not None:
            said.append(_child_note(column, column.child, lang))
            for field in column.child.fields:
                heading = f"{column.heading} → {field.label.in_(lang)}"
                name = f"{column.child.name}.{field.name}"
                said.append(_note(field, lang) | {"heading": heading, "name": name})
        else:
            said.append(_coordinate_note(column, lang))
    return [{part: note.get(part, "") for part in _NOTES} for note in said]


def _note(field: Field, lang: Lang) -> dict[str, str]:
    return {
        "name": field.name,
        "zh": field.zh,
        "en": field.en,
        "type": say(f"ingest.template.kind.{field.kind.value}", lang),
        "unit": field.unit or "",
        "required": _yes(field.required, lang),
        "allowed": "; ".join(f"{v.code} = {v.zh if lang == 'zh' else v.en}" for v in field.values),
        "range": _range(field.minimum, field.maximum),
        "example": example(field, lang),
        "restricted": _yes(field.restricted, lang),
        "source": field.source,
    }


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g} – {high:g}"
    if low is not None:
        return f"≥ {low:g}"
    return "" if high is None else f"≤ {high:g}"


def _yes(value: bool, lang: Lang) -> str:
    return say("ingest.template.yes" if value else "ingest.template.no", lang)


def _child_note(column: Column, child: Child, lang: Lang) -> dict[str, str]:
    row = {field.name: _json_example(field) for field in child.fields}
    return {
        "heading": column.heading,
        "name": child.name,
        "zh": child.zh,
        "en": child.en,
        "type": say("ingest.template.kind.child", lang),
        "required": _yes(False, lang),
        "example": orjson.dumps([row]).decode(),
        "restricted": _yes(any(field.restricted for field in child.fields), lang),
    }


def _coordinate_note(column: Column, lang: Lang) -> dict[str, str]:
    kind = "text" if column.name == "wkt" else "number"
    samples = {"wkt": "POLYGON ((120.1 36.1, 120.2 36.1, 120.2 36.2, 120.1 36.1))"}
    samples |= {"lon": "120.382600", "lat": "36.067100"}
    return {
        "heading": column.heading,
        "name": column.name,
        "zh": column.zh,
        "en": column.en,
        "type": say(f"ingest.template.kind.{kind}", lang),
        "unit": "" if column.name == "wkt" else "°",
        "required": _yes(True, lang),
        "example": samples[column.name],
        "restricted": _yes(False, lang),
    }


def example(field: Field, lang: Lang) -> str:
    """Return one value that the field takes, as it is written in a cell."""
    if field.values:
        some = field.values[: 2 if field.kind is Kind.TEXTS else 1]
        return "；".join(value.zh if lang == "zh" else value.en for value in some)
    if field.kind in _EXAMPLES:
        return _EXAMPLES[field.kind][lang]
    if field.kind in (Kind.INTEGER, Kind.NUMBER):
        return f"{_number_example(field):g}"
    return ""


def _number_example(field: Field) -> float:
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        middle = (low + high) / 2
        return middle // 1 if field.kind is Kind.INTEGER else middle
    return 100 if low is None else low + 100


def _json_example(field: Field) -> object:
    if field.values:
        return field.values[0].code
    if field.kind in (Kind.INTEGER, Kind.NUMBER):
        number = _number_example(field)
        return int(number) if field.kind is Kind.INTEGER else number
    if field.kind is Kind.BOOLEAN:
        return True
    if field.kind in (Kind.DATE, Kind.DATETIME):
        return _EXAMPLES[field.kind]["en"]
    return "…"


def notes_markdown(layer: Layer, lang: Lang) -> str:
    """Return the notes as a text that stands beside a CSV."""
    heads = [say(f"ingest.template.note.{part}", lang) for part in _NOTES]
    lines = [*(f"{sentence}\n" for sentence in sentences(layer, lang))]
    lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for note in notes(layer, lang):
        cells = (" ".join(text.split()).replace("|", "\\|") for text in note.values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _csv(layer: Layer, lang: Lang) -> bytes:
    text = StringIO()
    csv.writer(text).writerow([column.heading for column in columns(layer, lang)])
    # The byte order mark: without it Excel shows no Chinese.
    return text.getvalue().encode("utf-8-sig")


def _geojson(layer: Layer, lang: Lang) -> bytes:
    """Return a collection without features; `riskmap` holds the notes, which an import ignores."""
    said = [note for note in notes(layer, lang) if note["name"] not in ("lon", "lat", "wkt")]
    about = {
        "layer": layer.id,
        "geometry": layer.geometry.value,
        "notes": [say("ingest.template.crs", lang, layer=layer.id)],
        "properties": [{k: v for k, v in note.items() if k != "heading" and v} for note in said],
    }
    content = {"type": "FeatureCollection", "riskmap": about, "features": []}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def _xlsx(layer: Layer, lang: Lang) -> bytes:
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)  # noqa: S101 - a new workbook has one
    sheet.title = layer.title.in_(lang)[:31]
    lists: list[list[str]] = []
    for place, column in enumerate(columns(layer, lang), 1):
        letter = get_column_letter(place)
        cell = sheet.cell(1, place, column.heading)
        cell.font = Font(bold=True)
        width = min(_WIDEST, max(10, _width(column.heading) + 3))
        sheet.column_dimensions[letter].width = width
        field = column.field
        if field is None and column.name in ("lon", "lat"):
            continue
        if field is None or field.kind in (Kind.TEXT, Kind.TEXTS, Kind.JSON):
            # As text: Excel would drop the leading zeros of a code and the end of a long one.
            sheet.column_dimensions[letter].number_format = "@"
        rule = _rule(field, lang, lists) if field is not None else None
        if rule is not None:
            rule.add(f"{letter}2:{letter}{_LAST_ROW}")
            sheet.add_data_validation(rule)
    sheet.freeze_panes = "A2"
    _notes_sheet(book, layer, lang)
    if lists:
        hidden = book.create_sheet(_LISTS_SHEET)
        hidden.sheet_state = "hidden"
        for place, labels in enumerate(lists, 1):
            for row, label in enumerate(labels, 1):
                hidden.cell(row, place, label)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _rule(field: Field, lang: Lang, lists: list[list[str]]) -> DataValidation | None:
    """Return what Excel should let in; None: anything, and the import says what is wrong."""
    labels: list[str] = []
    if field.values and field.kind is not Kind.TEXTS:
        labels = [value.zh if lang == "zh" else value.en for value in field.values]
    elif field.kind is Kind.BOOLEAN:
        labels = [_yes(True, lang), _yes(False, lang)]
    if labels:
        formula = f'"{",".join(labels)}"'
        if len(formula) > _LONGEST_LIST or any("," in label or '"' in label for label in labels):
            lists.append(labels)
            letter = get_column_letter(len(lists))
            formula = f"{_LISTS_SHEET}!${letter}$1:${letter}${len(labels)}"
        return _said(DataValidation(type="list", formula1=formula, allow_blank=True), field, lang)
    low, high = field.minimum, field.maximum
    if field.kind not in (Kind.INTEGER, Kind.NUMBER) or (low is None and high is None):
        return None
    rule = DataValidation(
        type="whole" if field.kind is Kind.INTEGER else "decimal",
        formula1=f"{high if low is None else low:g}",
        allow_blank=True,
    )
    if low is not None and high is not None:
        rule.operator, rule.formula2 = "between", f"{high:g}"
    else:
        rule.operator = "lessThanOrEqual" if low is None else "greaterThanOrEqual"
    return _said(rule, field, lang)


def _said(rule: DataValidation, field: Field, lang: Lang) -> DataValidation:
    rule.showErrorMessage = True
    rule.errorTitle = field.label.in_(lang)[:32]
    rule.error = say("ingest.template.rule", lang, sheet=NOTES_SHEET)
    return rule


def _notes_sheet(book: Workbook, layer: Layer, lang: Lang) -> None:
    sheet = book.create_sheet(NOTES_SHEET)
    for sentence in sentences(layer, lang):
        sheet.append([sentence])
    sheet.append([])
    heads = [say(f"ingest.template.note.{part}", lang) for part in _NOTES]
    sheet.append(heads)
    for cell in sheet[sheet.max_row]:
        cell.font = Font(bold=True)
    widths = [_width(head) for head in heads]
    for note in notes(layer, lang):
        row = sheet.max_row + 1
        for place, text in enumerate(note.values()):
            cell = sheet.cell(row, place + 1, text)
            cell.data_type = "s"
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            widths[place] = max(widths[place], _width(text))
    for place, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(place)].width = min(_WIDEST, width + 2)


def _width(text: str) -> int:
    """Return how many columns of a terminal, or half-width characters, a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
