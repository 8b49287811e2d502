"""What an import says afterwards: how many rows became what, and what is wrong with which row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

from riskmap.errors import ConflictError, InputError
from riskmap.i18n import LANGS, Lang, say

KEPT: Final = 100
LABEL: Final = "label"
"""In a problem's values: the Chinese label of its field."""
_SHOWN: Final = 60


def shorten(value: object) -> str:
    """Return a value as a report shows it: one line, at most 60 characters."""
    text = " ".join(str(value)[: 4 * _SHOWN].split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with (or was repaired in) one row.

    Parameters
    ----------
    row
        Number of the data row, from 1; the heading of a table is not counted.
    key
        Entry of the catalogue that says the reason.
    field
        Field or column at fault; None: the row as a whole.
    value
        What stood there, shortened.
    values
        What the catalogue's further placeholders are filled with.
    """

    row: int
    key: str
    field: str | None = None
    value: str | None = None
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def text(self, lang: Lang) -> str:
        """Return the reason in one language; a field is called as its readers call it."""
        label = self.values.get(LABEL)
        field = f"{label}({self.field})" if label and lang == "zh" else self.field
        return say(self.key, lang, field=field, value=self.value, **self.values)

    def labelled(self, labels: Mapping[str, str]) -> Problem:
        """Return it with the Chinese label of its field, if that is one of these."""
        label = labels.get(self.field or "")
        if label is None or label == self.field:
            return self
        return dataclasses.replace(self, values={**self.values, LABEL: label})

    def to_plain(self) -> dict[str, Any]:
        """Return what `from_plain` reads: the key instead of texts."""
        return {
            "row": self.row,
            "field": self.field,
            "value": self.value,
            "key": self.key,
            "values": dict(self.values),
        }

    @classmethod
    def from_plain(cls, found: Mapping[str, Any]) -> Problem:
        """Read what `to_plain` wrote.

        Raises
        ------
        ValueError
            It is no problem that can be said in both languages.
        """
        try:
            problem = cls(
                row=int(found["row"]),
                key=str(found["key"]),
                field=found["field"] and str(found["field"]),
                value=found["value"] and str(found["value"]),
                values={str(name): str(text) for name, text in found["values"].items()},
            )
            for lang in LANGS:
                problem.text(lang)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError("no problem of the catalogue") from error
        return problem

    def to_json(self) -> dict[str, object]:
        """Return it as JSON knows it."""
        return {
            "row": self.row,
            "field": self.field,
            "value": self.value,
            "problem": self.key,
            "reason": {lang: self.text(lang) for lang in LANGS},
        }


class ProblemLog:
    """Collects problems while rows stream by: all are counted, the first ones kept.

    Parameters
    ----------
    file
        Gets all of them, one line of JSON each, in the order of their rows.
    labels
        Field -> its Chinese label.
    """

    def __init__(
        self,
        keep: int = KEPT,
        file: BinaryIO | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._keep = keep
        self._labels = labels or {}
        self._file = file
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.count = 0
        self.rows = 0
        self.rejected = 0
        self.repaired = 0

    def reject(self, problems: list[Problem]) -> set[int]:
        """Take the problems of one batch and return the rows that fall by them."""
        rows = {problem.row for problem in problems}
        self.count += len(problems)
        self.rejected += len(rows)
        labelled = (problem.labelled(self._labels) for problem in problems)
        ordered = sorted(labelled, key=lambda problem: problem.row)
        self.problems += ordered[: max(0, self._keep - len(self.problems))]
        if self._file is not None:
            for problem in ordered:
                line = orjson.dumps(problem.to_plain(), option=orjson.OPT_APPEND_NEWLINE)
                self._file.write(line)
        return rows

    def add_earlier(self, problems: list[Problem]) -> None:
        """Take problems, one a row, of rows that were good when they passed; not into the file."""
        self.count += len(problems)
        self.rejected += len(problems)
        both = sorted([*self.problems, *problems[: self._keep]], key=lambda problem: problem.row)
        self.problems = both[: self._keep]

    def note(self, notes: list[Problem]) -> None:
        """Take what was repaired in rows that go in."""
        self.repaired += len(notes)
        self.notes += notes[: max(0, self._keep - len(self.notes))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The outcome of one import.

    Parameters
    ----------
    rows
        Data rows read; wholly empty rows of a table are none.
    repaired
        Rows whose geometry was made valid because that was asked for.
    problems
        The first problems; `problem_count` counts all.
    notes
        The first repairs.
    dry_run
        Nothing was written; the counts say what would have been.
    import_id
        Its row in the list of imports; None: it has none (a dry run).
    deleted, duplicates, admin_filled, admin_mismatched
        As `riskmap.ingest.load.Counts` has them.
    sha256
        Of the file, or of the files of a folder one after another; None: it was not asked for.
    other_columns
        Headings that are no field of the layer: their values went to `attributes`.
    refused
        Nothing was loaded: more rows are bad than `max_bad_share` of them.
    """

    layer: str
    file: str
    crs: str
    source_system: str
    dry_run: bool
    import_id: int | None = None
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    duplicates: int = 0
    admin_filled: int = 0
    admin_mismatched: int = 0
    repaired: int = 0
    rejected: int = 0
    problem_count: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    sha256: str | None = None
    other_columns: tuple[str, ...] = ()
    refused: bool = False
    max_bad_share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON knows it, texts in both languages."""
        return {
            "layer": self.layer,
            "file": self.file,
            "crs": self.crs,
            "source_system": self.source_system,
            "dry_run": self.dry_run,
            "import_id": self.import_id,
            "rows": self.rows,
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "deleted": self.deleted,
            "duplicates": self.duplicates,
            "admin_filled": self.admin_filled,
            "admin_mismatched": self.admin_mismatched,
            "repaired": self.repaired,
            "rejected": self.rejected,
            "problem_count": self.problem_count,
            "problems": [problem.to_json() for problem in self.problems],
            "notes": [note.to_json() for note in self.notes],
            "sha256": self.sha256,
            "other_columns": list(self.other_columns),
            "refused": self.refused,
            "max_bad_share": self.max_bad_share,
        }

    def render(self, lang: Lang) -> str:
        """Return the report as lines of text."""
        counts = self.to_json() | {"kept": len(self.problems)}
        heading = "ingest.report.dry_run" if self.dry_run else "ingest.report.heading"
        lines = [say(heading, lang, **counts), say("ingest.report.counts", lang, **counts)]
        if self.refused:
            good = self.rows - self.rejected
            share = f"{self.rejected / self.rows:.1%}" if self.rows else "-"
            most = f"{self.max_bad_share:.1%}"
            lines.append(
                say("ingest.report.refused", lang, **counts, good=good, share=share, most=most)
            )
        if self.other_columns:
            named = ", ".join(map(shorten, self.other_columns))
            lines.append(say("ingest.report.others", lang, named=named, layer=self.layer))
        if self.deleted:
            lines.append(say("ingest.report.deleted", lang, **counts))
        lines.append(say("ingest.report.admin", lang, **counts))
        if self.import_id is not None:
            lines.append(say("ingest.report.import", lang, **counts))
        for problem in (*self.problems, *self.notes):
            lines.append(say("ingest.report.row", lang, row=problem.row, reason=problem.text(lang)))
        if self.problem_count > len(self.problems):
            lines.append(say("ingest.report.more", lang, **counts))
        return "\n".join(lines)


class ImportRejectedError(InputError):
    """Too many rows are wrong: nothing was loaded. The report says which and why."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        super().__init__(
            "ingest.rejected", parameter="file", rejected=report.rejected, rows=report.rows
        )


class ImportCancelledError(ConflictError):
    """Somebody ended the import: nothing was loaded."""

    def __init__(self) -> None:
        super().__init__("ingest.cancelled", parameter="file")
