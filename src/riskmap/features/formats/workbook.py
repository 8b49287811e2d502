"""XLSX (ISO/IEC 29500), its rows made in PostGIS and packed as they come.

Processor time of this process for 20,000 rows of 46 cells: openpyxl's write-only mode 5.3 s,
XlsxWriter's constant memory 3.6 s, packing lines that PostGIS made 0.1 s; and XlsxWriter rounds
numbers to 16 digits, which moves positions. A workbook of plain cells needs no library: a handful
of fixed parts and one line of XML for each row.

Cells have their types: numbers, dates and times are such (times in the city's zone, since Excel
knows none), all else is inline text, also where it begins with an equals sign.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Any, Final
from xml.sax.saxutils import escape

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
)

from riskmap.catalog.spec import Kind
from riskmap.db.cursors import Row
from riskmap.features.formats import ABOUT_SHEET
from riskmap.features.formats.columns import (
    Column,
    as_text,
    joined,
    moved,
    place_texts,
    rows,
    table_columns,
    value,
    wkb,
)
from riskmap.features.formats.datums import places
from riskmap.features.query import FeatureQuery
from riskmap.features.where import table_for
from riskmap.i18n import Lang, say

#: A sheet has 1,048,576 rows, and the first is the heading.
MOST_ROWS: Final = 1_048_575
LONGEST_TEXT: Final = 32_767

# Serial numbers count days from here on; below the first of March 1900 Excel counts a day that
# never was, so what is older is text.
_EPOCH: Final = date(1899, 12, 30)
_FIRST_DAY, _LAST_DAY = date(1900, 3, 1), date(9999, 12, 31)
_DAY_STYLE, _TIME_STYLE, _BOLD_STYLE = 1, 2, 3
_LONGEST_TITLE: Final = 31
_NO_TITLE: Final = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_NARROW, _WIDE = 12, 24
# From here on the sheet may pass 4 GB, which only ZIP64 can say.
_ZIP64_ROWS: Final = 200_000
_NS: Final = "http://schemas.openxmlformats.org"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TEXT: Final = '<c t="inlineStr"><is><t xml:space="preserve">'
_TEXT_END: Final = "</t></is></c>"
# What XML 1.0 cannot hold, whatever it is escaped with.
_ILLEGAL: Final = "".join(map(chr, (*range(1, 9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))
_SPECIAL: Final = "&<>\r"


@dataclass(frozen=True, slots=True)
class About:
    """What the second sheet says: pairs of what and how."""

    title: str
    lines: Sequence[tuple[str, str]]
    time_zone: str


def statement(query: FeatureQuery, time_zone: str) -> Select[Any]:
    """Select each row's XML, or what stands before, in and behind the geometry; then what is cut.

    The last column counts the texts that are longer than a cell.
    """
    table = table_for(query.layer)
    columns = table_columns(query)
    before = [_cell(query, one, table, time_zone) for one in columns.before]
    after = [_cell(query, one, table, time_zone) for one in columns.after]
    texts = [
        as_text(one, value(query, one, table))
        for one in (*columns.before, *columns.after)
        if _is_text(one)
    ]
    start, end = literal("<row>"), literal("</row>")
    if moved(query):
        return rows(
            query,
            joined([start, *before]).label("before"),
            wkb(query, table),
            joined([*after, end]).label("after"),
            _cut(texts).label("cut"),
        )
    place = place_texts(query, table) if columns.place else []
    if len(place) == 1:
        texts.append(place[0])
        place = [_whole_text(place[0])]
    else:
        place = [_number(one) for one in place]
    row = joined([start, *before, *place, *after, end])
    return rows(query, row.label("row"), _cut(texts).label("cut"))


def _is_text(column: Column) -> bool:
    return column.kind in (Kind.TEXT, Kind.TEXTS, Kind.JSON)


def _cut(texts: list[ColumnElement[Any]]) -> ColumnElement[Any]:
    found: ColumnElement[Any] = literal_column("0")
    for text in texts:
        found = found + case((func.char_length(text) > LONGEST_TEXT, 1), else_=0)
    return found


def _cell(
    query: FeatureQuery, column: Column, source: FromClause, time_zone: str
) -> ColumnElement[Any]:
    found = value(query, column, source)
    text = as_text(column, found)
    match column.kind:
        case Kind.INTEGER:
            return _number(text)
        case Kind.NUMBER:
            finite = func.abs(found) < float("inf")
            return case((found.is_(None), "<c/>"), (finite, _number(text)), else_=_written(text))
        case Kind.BOOLEAN:
            one, none = '<c t="b"><v>1</v></c>', '<c t="b"><v>0</v></c>'
            return case((found, one), (~found, none), else_="<c/>")
        case Kind.DATE:
            return _moment(found, found - literal(_EPOCH, Date), text, _DAY_STYLE)
        case Kind.DATETIME:
            local = func.timezone(time_zone, found)
            days = func.extract("epoch", local - literal(_EPOCH, Date)) / 86400
            return _moment(local, days, text, _TIME_STYLE)
        case _:
            longer = func.char_length(text) > LONGEST_TEXT
            kept = case((longer, func.left(text, LONGEST_TEXT - 1) + "…"), else_=text)
            return case((text.is_(None), "<c/>"), else_=_written(kept))


def _moment(
    found: ColumnElement[Any], days: ColumnElement[Any], text: ColumnElement[Any], style: int
) -> ColumnElement[Any]:
    """Return a day as Excel counts it; infinity and what is older than its calendar as text."""
    known = and_(found >= literal(_FIRST_DAY, Date), found <= literal(_LAST_DAY, Date))
    number = func.concat(f'<c s="{style}"><v>', cast(days, String), "</v></c>")
    return case((found.is_(None), "<c/>"), (known, number), else_=_written(text))


def _number(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((text.is_(None), "<c/>"), else_=func.concat("<c><v>", text, "</v></c>"))


def _whole_text(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a text that means nothing when it is cut: where it is too long, it says that.

    An import that meets it refuses the row; half an outline it might take for another place.
    """
    said = func.concat("too long: ", func.char_length(text), " characters")
    return _written(case((func.char_length(text) > LONGEST_TEXT, said), else_=text))


def _written(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a cell of text, escaped where there is anything to escape: one look for most."""
    escaped = func.translate(text, _ILLEGAL, "")
    # Excel reads _x000D_ as the character of that number: an underscore that would begin one is
    # written so itself.
    escaped = func.regexp_replace(escaped, "_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", "g")
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "_x000D_")):
        escaped = func.replace(escaped, mark, name)
    plain = and_(
        func.translate(text, _ILLEGAL + _SPECIAL, "") == text, func.strpos(text, "_x") == 0
    )
    return func.concat(_TEXT, case((plain, text), else_=escaped), _TEXT_END)


def write(
    file: IO[bytes],
    query: FeatureQuery,
    batches: Iterator[Sequence[Row]],
    about: About,
    *,
    count: int,
    lang: Lang | None,
    said_in: Lang,
    check: Callable[[], None],
) -> None:
    """Write the workbook.

    Parameters
    ----------
    count
        How many rows there are, about.
    lang
        Language of the headings; None: the fields' names.
    said_in
        Language of the second sheet.
    check
        Called between batches; what it raises ends the work.
    """
    cut = 0
    # Level 1: the next ones take three times as long for a tenth.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=count > _ZIP64_ROWS) as part:
            part.write(_sheet_head(query, lang))
            for batch in batches:
                check()
                part.write(b"".join(_texts(batch, query)))
                cut += sum(row[-1] for row in batch)
            part.write(b"</sheetData></worksheet>")
        lines = list(about.lines)
        if cut:
            lines.append(
                (
                    say("formats.about.cut", said_in),
                    say("formats.about.cut_texts", said_in, count=f"{cut:,}", most=LONGEST_TEXT),
                )
            )
        package.writestr("xl/worksheets/sheet2.xml", _about_sheet(lines))
        for name, text in _parts(about.title).items():
            package.writestr(name, _XML + text)


def _texts(batch: Sequence[Row], query: FeatureQuery) -> list[bytes]:
    if not moved(query):
        return [row[0] for row in batch]
    texts = places([row[1] for row in batch], query)
    return [
        b"".join((row[0], _place(text), row[2])) for row, text in zip(batch, texts, strict=True)
    ]


def _place(texts: tuple[str, ...]) -> bytes:
    if not texts[0]:
        return b"<c/>" * len(texts)
    if len(texts) == 2:
        return "".join(f"<c><v>{text}</v></c>" for text in texts).encode()
    [text] = texts
    if len(text) > LONGEST_TEXT:
        text = f"too long: {len(text)} characters"
    return _inline(text).encode()


def _inline(text: str, style: int = 0) -> str:
    cleaned = text.translate(dict.fromkeys(map(ord, _ILLEGAL)))
    cell = _TEXT if not style else _TEXT.replace("<c ", f'<c s="{style}" ')
    return f"{cell}{escape(cleaned)}{_TEXT_END}"


def _sheet_head(query: FeatureQuery, lang: Lang | None) -> bytes:
    columns = table_columns(query).all
    heads = [one.heading(lang) for one in columns]
    widths = "".join(
        f'<col min="{n}" max="{n}" width="{_WIDE if one.kind is Kind.TEXT else _NARROW}"'
        ' customWidth="1"/>'
        for n, one in enumerate(columns, 1)
    )
    cells = "".join(_inline(head, _BOLD_STYLE) for head in heads)
    return (
        f'{_XML}<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><sheetViews>'
        '<sheetView workbookViewId="0" tabSelected="1">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>'
        f"</sheetViews><cols>{widths}</cols><sheetData><row>{cells}</row>"
    ).encode()


def _about_sheet(lines: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<row>{_inline(what, _BOLD_STYLE)}{_inline(how)}</row>" for what, how in lines)
    return (
        f'{_XML}<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><cols>'
        '<col min="1" max="1" width="20" customWidth="1"/>'
        '<col min="2" max="2" width="80" customWidth="1"/></cols>'
        f"<sheetData>{cells}</sheetData></worksheet>"
    )


def _sheet_title(title: str) -> str:
    """Return a layer's title as a sheet may be called."""
    return " ".join(title.translate(_NO_TITLE).split())[:_LONGEST_TITLE]


def _parts(title: str) -> dict[str, str]:
    """Return the parts that are the same in every workbook, but for the sheet's name."""
    office = f"{_NS}/officeDocument/2006/relationships"
    main, package = f"{_NS}/spreadsheetml/2006/main", f"{_NS}/package/2006"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    name = escape(_sheet_title(title), {'"': "&quot;"})
    return {
        "[Content_Types].xml": (
            f'<Types xmlns="{package}/content-types">'
            '<Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{types}.styles+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{types}.worksheet+xml"/>'
            "</Types>"
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1"'
            f' Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            f'<sheet name="{name}" sheetId="1" r:id="rId1"/>'
            f'<sheet name="{ABOUT_SHEET}" sheetId="2" r:id="rId2"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{office}/worksheet" Target="worksheets/sheet2.xml"/>'
            f'<Relationship Id="rId3" Type="{office}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{main}"><numFmts count="2">'
            '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
            '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
            '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
            '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
            '<fills count="2"><fill><patternFill patternType="none"/></fill>'
            '<fill><patternFill patternType="gray125"/></fill></fills>'
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border>'
            '</borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0"'
            ' borderId="0"/></cellStyleXfs><cellXfs count="4">'
            '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
            '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0"'
            ' applyNumberFormat="1"/>'
            '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0"'
            ' applyNumberFormat="1"/>'
            '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
            '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/>'
            "</cellStyles></styleSheet>"
        ),
    }
