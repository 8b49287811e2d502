"""The tables that a city edits: out as CSV, and back in as a whole.

A load compares with what is stored and touches only the rows that differ, so that loading a table
as it was exported moves no revision. The constraints are the database's own: each row is tried in
a copy of the empty table before anything is changed.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Integer,
    Table,
    cast,
    delete,
    insert,
    select,
    text,
    tuple_,
    update,
    values,
)
from sqlalchemy import column as typed
from sqlalchemy.exc import IntegrityError

from riskmap.db.audit import record
from riskmap.db.scenario_tables import FLOOD_SPEED_FACTORS
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.db.tables import (
    GB18218_CATEGORIES,
    GB18218_CHEMICALS,
    RESPONSE_PHASES,
    RESPONSE_PRESETS,
    RESPONSE_TIERS,
    ROAD_PROFILES,
    ROAD_SPEEDS,
    ROAD_TIME_FACTORS,
    ROAD_TURNS,
    WIND_SECTORS,
)
from riskmap.errors import ConflictError, InputError, NotFoundError
from riskmap.i18n import Lang, say

REFERENCE: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        ROAD_PROFILES,
        ROAD_SPEEDS,
        ROAD_TIME_FACTORS,
        ROAD_TURNS,
        FLOOD_SPEED_FACTORS,
        RESPONSE_PHASES,
        GB18218_CHEMICALS,
        GB18218_CATEGORIES,
        WIND_SECTORS,
        RESPONSE_PRESETS,
        RESPONSE_TIERS,
    )
}
_MOST_BYTES: Final = 16 * 1024 * 1024
_TRUE: Final = frozenset({"true", "t", "1", "yes", "是"})
_FALSE: Final = frozenset({"false", "f", "0", "no", "否"})
_INT32: Final = 2**31
_INT64: Final = 2**63
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
# Rows to a statement: it takes 65,535 values at most, and no table has more than 10 columns.
_AT_ONCE: Final = 5_000

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one cell.

    Attributes
    ----------
    row
        Number of the data row, from 1; the heading is not counted.
    column
        Column or columns at fault.
    key
        Entry of the catalogue.
    value
        What stands there.
    """

    row: int
    column: str
    key: str
    value: str

    def text(self, lang: Lang) -> str:
        """Return it as a sentence."""
        return say(self.key, lang, row=self.row, column=self.column, value=self.value)


class TableRejectedError(InputError):
    """Some rows of a table cannot be; nothing was changed."""

    def __init__(self, table: str, problems: list[RowProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.row))
        super().__init__("tables.rejected", parameter="file", table=table, count=len(problems))


@dataclass(frozen=True, slots=True)
class TableChange:
    """How many rows a load touched, or would have."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int


def find_table(name: str) -> Table:
    """Return an editable table.

    Raises
    ------
    NotFoundError
        There is none of this name; the message lists them.
    """
    if name not in REFERENCE:
        raise NotFoundError(
            "tables.unknown", parameter="name", value=name, known=", ".join(REFERENCE)
        )
    return REFERENCE[name]


def export_table(session: ReadSession, name: str) -> bytes:
    """Return a table as CSV, ordered by its key, with a byte order mark for spreadsheets."""
    table = find_table(name)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([c.name for c in table.columns])
    for row in session.execute(select(table).order_by(*table.primary_key.columns)):
        writer.writerow([_shown(value) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # The shortest text that reads back as the same number.
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def load_table(session: WriteSession, name: str, path: Path) -> TableChange:
    """Put a CSV file in the place of a table's rows, in the session's transaction.

    Raises
    ------
    InputError
        The file cannot be read, or its headings are not the table's columns.
    TableRejectedError
        A row cannot be; `problems` names rows and columns.
    ConflictError
        Other tables refer to a row that the file no longer has.
    """
    table = find_table(name)
    found = _read(table, path)
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"tables.{name}"}
    )
    problems: list[RowProblem] = []
    rows = _converted(table, found, problems)
    _check_references(session, table, rows, problems)
    _try_constraints(session, table, rows, problems)
    if problems:
        raise TableRejectedError(name, problems)
    try:
        change = _apply(session, table, rows)
    except IntegrityError as error:
        raise ConflictError("tables.referred", parameter="file", table=name) from error
    if change.inserted or change.updated or change.deleted:
        detail = {
            "file": path.name,
            "inserted": change.inserted,
            "updated": change.updated,
            "deleted": change.deleted,
        }
        record(session, "tables.load", name, detail, row_count=len(rows))
    return change


def _read(table: Table, path: Path) -> list[list[str]]:
    """Return the data rows, cells in the order of the table's columns."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError("tables.file", parameter="file", value=path.name)
        content = path.read_bytes()
    except OSError:
        raise InputError("tables.file", parameter="file", value=path.name) from None
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            lines = list(csv.reader(io.StringIO(content.decode(encoding), newline=""), strict=True))
            break
        except (UnicodeDecodeError, csv.Error):
            continue
    else:
        raise InputError("tables.file", parameter="file", value=path.name)
    headings = [cell.strip() for cell in lines[0]] if lines else []
    wanted = [c.name for c in table.columns]
    if sorted(headings) != sorted(wanted):
        raise InputError(
            "tables.headings",
            parameter="file",
            found=", ".join(headings)[:200],
            wanted=", ".join(wanted),
        )
    order = [headings.index(name) for name in wanted]
    # A blank line keeps its number and is no row.
    return [
        [line[at].strip() if at < len(line) else "" for at in order]
        if len(line) <= len(wanted)
        else line
        for line in lines[1:]
    ]


def _converted(table: Table, found: list[list[str]], problems: list[RowProblem]) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    seen: dict[Key, int] = {}
    for number, cells in enumerate(found, start=1):
        if not any(cells):
            continue
        if len(cells) > len(table.columns):
            problems.append(RowProblem(number, "", "tables.row_long", str(len(cells))))
            continue
        row: Row = {}
        bad = len(problems)
        for column, cell in zip(table.columns, cells, strict=True):
            key = None
            if cell == "":
                row[column.name] = None
                key = None if column.nullable else "tables.cell_empty"
            else:
                row[column.name], key = _value(column, cell)
            if key is not None:
                problems.append(RowProblem(number, column.name, key, cell[:60]))
        if len(problems) > bad:
            continue
        name = _key(table, row)
        if name in seen:
            columns = ", ".join(table.primary_key.columns.keys())
            problems.append(RowProblem(number, columns, "tables.row_twice", str(seen[name])))
            continue
        seen[name] = number
        rows[number] = row
    return rows


def _value(column: Column[Any], cell: str) -> tuple[object, str | None]:
    """Return the value of a cell, or the entry that says why there is none."""
    if isinstance(column.type, Boolean):
        word = cell.casefold()
        return word in _TRUE, None if word in _TRUE | _FALSE else "tables.cell_boolean"
    if isinstance(column.type, BigInteger):
        # Not by way of a float, which has 53 bits: a node's id may have 63.
        known = _WHOLE.fullmatch(cell) is not None and abs(int(cell)) < _INT64
        return (int(cell), None) if known else (None, "tables.cell_integer")
    if isinstance(column.type, Double | Integer):
        return _number(cell, whole=isinstance(column.type, Integer))
    return cell, "tables.cell_text" if "\0" in cell else None


def _number(cell: str, *, whole: bool) -> tuple[float | None, str | None]:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return None, "tables.cell_number"
    if whole and (not number.is_integer() or abs(number) >= _INT32):
        return None, "tables.cell_integer"
    return (int(number) if whole else number), None


def _key(table: Table, row: Row) -> Key:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _check_references(
    session: ReadSession, table: Table, rows: dict[int, Row], problems: list[RowProblem]
) -> None:
    for foreign in table.foreign_keys:
        known = set(session.execute(select(foreign.column)).scalars())
        column = foreign.parent.name
        problems += [
            RowProblem(number, column, "tables.cell_reference", str(row[column]))
            for number, row in rows.items()
            if row[column] is not None and row[column] not in known
        ]


def _try_constraints(
    session: WriteSession, table: Table, rows: dict[int, Row], problems: list[RowProblem]
) -> None:
    """Let the database judge each row in an empty copy of the table."""
    copy = Table(
        f"tried_{table.name}",
        table.metadata.__class__(),
        *(Column(c.name, c.type) for c in table.columns),
        prefixes=["TEMPORARY"],
    )
    session.execute(
        text(
            f'CREATE TEMPORARY TABLE "{copy.name}"'
            f' (LIKE "{table.name}" INCLUDING CONSTRAINTS) ON COMMIT DROP'
        )
    )
    checks = {
        str(constraint.name): str(constraint.sqltext)
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    # All at once; row by row only to find the ones at fault.
    for number, row in () if _fit(session, copy, rows) else rows.items():
        try:
            with session.connection.begin_nested():
                session.execute(insert(copy), [row])
        except IntegrityError as error:
            diagnosis = getattr(error.orig, "diag", None)
            rule = checks.get(getattr(diagnosis, "constraint_name", None) or "", "")
            columns = [c.name for c in table.columns if c.name in rule]
            told = ", ".join(f"{name}={_shown(row[name])}" for name in columns)
            problems.append(
                RowProblem(number, ", ".join(columns), "tables.cell_rule", f"{told}; {rule}")
            )
    session.execute(text(f'DROP TABLE "{copy.name}"'))


# A statement takes 65,535 values at most; no table here has more than 60 columns.
_TRIED: Final = 1000


def _fit(session: WriteSession, copy: Table, rows: dict[int, Row]) -> bool:
    if not rows:
        return True
    some = list(rows.values())
    try:
        with session.connection.begin_nested():
            # One statement each: a pipeline of them would complain on stderr when a row fails.
            for first in range(0, len(some), _TRIED):
                session.execute(insert(copy).values(some[first : first + _TRIED]))
    except IntegrityError:
        return False
    return True


def _apply(session: WriteSession, table: Table, rows: dict[int, Row]) -> TableChange:
    """Change what differs: few statements for the rows that go, that change and that come."""
    key = list(table.primary_key.columns)
    stored = {
        _key(table, dict(row)): dict(row) for row in session.execute(select(table)).mappings()
    }
    wanted = {_key(table, row): row for row in rows.values()}
    gone = [name for name in stored if name not in wanted]
    new = [row for name, row in wanted.items() if name not in stored]
    changed = [row for name, row in wanted.items() if name in stored and stored[name] != row]
    for some in _parts(gone):
        session.execute(delete(table).where(tuple_(*key).in_(some)))
    for rows_ in _parts(changed):
        # One statement, one audit row. The cast: a column of nulls has no type of its own.
        given = values(*(typed(c.name, c.type) for c in table.columns), name="given").data(
            [tuple(row[c.name] for c in table.columns) for row in rows_]
        )
        names = {c.name for c in key}
        session.execute(
            update(table)
            .values(
                {
                    c.name: cast(given.c[c.name], c.type)
                    for c in table.columns
                    if c.name not in names
                }
            )
            .where(*(c == cast(given.c[c.name], c.type) for c in key))
        )
    for rows_ in _parts(new):
        session.execute(insert(table).values(rows_))
    return TableChange(len(new), len(changed), len(gone), len(wanted) - len(new) - len(changed))


def _parts(rows: list[Any]) -> Iterator[list[Any]]:
    return (rows[k : k + _AT_ONCE] for k in range(0, len(rows), _AT_ONCE))
