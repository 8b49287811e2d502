"""S, R and level of a major hazard source by GB 18218, computed exactly.

S = Σ q/Q and R = α Σ β q/Q; a unit is a major source when S ≥ 1; level 1: R ≥ 100, 2: R ≥ 50,
3: R ≥ 10, 4: less. The borders belong to the upper class, and binary floats miss them
(0.1 + 0.2 > 0.3, three thirds of 10 < 10): all figures are fractions, made of the decimal text
of the inputs. Pure arithmetic: no database here.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from riskmap.i18n import say

DEFAULT_EDITION: Final = "gb18218-2018"
# Residents at least -> α, and R at least -> level: the first that fits.
ALPHAS: Final = (
    (100, Fraction(2)),
    (50, Fraction("1.5")),
    (30, Fraction("1.2")),
    (1, Fraction(1)),
    (0, Fraction("0.5")),
)
LEVELS: Final = ((100, 1), (50, 2), (10, 3), (0, 4))
# The largest tank farms hold some 10 million tonnes, and the largest β is 20: what is beyond
# these is a slip of the pen or of the unit.
MOST_TONNES: Final = Fraction(100_000_000)
MOST_BETA: Final = Fraction(100)
# A milligram: less is no plant's quantity, and its inverse would leave the range of floats.
LEAST: Final = Fraction("0.000000001")
# Counts come as sums of shares of areas, whose noise is far below a millionth of a person.
_PERSON_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence of the catalogue with what it is filled with."""

    key: str
    values: Mapping[str, object]

    def answer(self) -> dict[str, Any]:
        """Return it for an answer: its code and both languages."""
        texts = {"zh": say(self.key, "zh", **self.values), "en": say(self.key, "en", **self.values)}
        return {"code": self.key.partition(".")[2], **texts}


def note(key: str, /, **values: object) -> Note:
    """Make a note."""
    return Note(key, values)


def exact(value: object) -> Fraction | None:
    """Return a number as the fraction of its decimal text; None for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return Fraction(str(value))


def whole_persons(persons: Fraction) -> int:
    """Return the persons that α is chosen by.

    The standard's classes are whole persons, gridded counts are not: half up, and more than
    nobody but less than one counts as one, since α = 0.5 is for a ring where nobody lives.
    """
    rounded = round(persons, _PERSON_DIGITS)
    if 0 < rounded < 1:
        return 1
    return math.floor(rounded + Fraction(1, 2))


def alpha_of(persons: int) -> Fraction:
    """Return α for the residents within 500 m outward of the plant's boundary."""
    return next(alpha for least, alpha in ALPHAS if persons >= least)


def level_of(r_value: Fraction) -> int:
    """Return the level of a major source for its R."""
    return next(level for least, level in LEVELS if r_value >= least)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of the edition's tables: Q in tonnes, β, and who says so."""

    critical_quantity_t: float | None
    beta: float | None
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one edition: rows by CAS number and by category symbol."""

    edition: str
    chemicals: Mapping[str, TableRow]
    categories: Mapping[str, TableRow]


@dataclass(frozen=True, slots=True)
class Figure:
    """A Q or β that counts: its value, and where it comes from (table, category, filed)."""

    value: Fraction
    origin: str
    key: str | None = None
    source: str | None = None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Chemical:
    """A chemical of a source.

    `lacks` says why it cannot be computed; `odd` which filed figures are unusable, where the
    tables have others.
    """

    name: str
    cas: str | None
    symbol: str | None
    quantity_t: Fraction | None
    critical_t: Figure | None
    beta: Figure | None
    filed_critical_t: Fraction | None
    filed_beta: Fraction | None
    lacks: tuple[Note, ...]
    odd: tuple[Note, ...]

    @property
    def ratio(self) -> Fraction | None:
        """q/Q, None where either is missing."""
        if self.quantity_t is None or self.critical_t is None:
            return None
        return self.quantity_t / self.critical_t.value

    @property
    def figures(self) -> tuple[tuple[str, Figure | None, Fraction | None], ...]:
        """(name, the figure that counts, the filed one) of Q and β."""
        return (
            ("critical_quantity_t", self.critical_t, self.filed_critical_t),
            ("beta", self.beta, self.filed_beta),
        )

    @property
    def differing(self) -> tuple[str, ...]:
        """Which of Q and β are filed otherwise than in the tables."""
        return tuple(
            name for name, used, filed in self.figures if used and filed and used.value != filed
        )


def read_chemicals(stored: object, tables: Tables) -> tuple[Chemical, ...]:
    """Read the stored rows of a source's chemicals; what is no list has none."""
    rows = stored if isinstance(stored, list) else []
    return tuple(_chemical(row, number, tables) for number, row in enumerate(rows, 1))


def _chemical(row: object, number: int, tables: Tables) -> Chemical:
    given: Mapping[str, Any] = row if isinstance(row, dict) else {}
    cas, symbol = _key(given.get("cas")), _key(given.get("category_symbol"))
    name = str(given.get("name") or cas or f"#{number}")
    lacks: list[Note] = []
    odd: list[Note] = []

    def positive(field: str, most: Fraction) -> tuple[Fraction | None, Note | None]:
        found = given.get(field)
        value = exact(found)
        if found is None or (value is not None and LEAST <= value <= most):
            return value, None
        return None, note(
            "gb18218.value",
            chemical=name,
            field=field,
            value=str(found)[:40],
            least=f"{float(LEAST):.9f}",
            most=int(most),
        )

    quantity, bad = positive("quantity_t", MOST_TONNES)
    if quantity is None:
        lacks.append(bad or note("gb18218.no_quantity", chemical=name))
    known = tables.chemicals.get(cas or ""), tables.categories.get(symbol or "")
    filed: dict[str, Fraction | None] = {}
    used: dict[str, Figure | None] = {}
    for field, most, absent in (
        ("critical_quantity_t", MOST_TONNES, "gb18218.no_critical_quantity"),
        ("beta", MOST_BETA, "gb18218.no_beta"),
    ):
        filed[field], bad = positive(field, most)
        used[field] = _figure(field, (cas, symbol), known, filed[field])
        if used[field] is None:
            lacks.append(bad or note(absent, chemical=name, edition=tables.edition))
        elif bad is not None:
            odd.append(bad)
    return Chemical(
        name=name,
        cas=cas,
        symbol=symbol,
        quantity_t=quantity,
        critical_t=used["critical_quantity_t"],
        beta=used["beta"],
        filed_critical_t=filed["critical_quantity_t"],
        filed_beta=filed["beta"],
        lacks=tuple(lacks),
        odd=tuple(odd),
    )


def _key(value: object) -> str | None:
    """Return a CAS number or symbol as the tables write it: full width, blanks, dashes."""
    if not isinstance(value, str):
        return None
    text = unicodedata.normalize("NFKC", value).strip().upper()
    return text.translate(str.maketrans("‐‑‒–—−", "------")) or None


def _figure(
    name: str,
    keys: Sequence[str | None],
    rows: Sequence[TableRow | None],
    filed: Fraction | None,
) -> Figure | None:
    for origin, key, row in zip(("table", "category"), keys, rows, strict=True):
        value = exact(getattr(row, name)) if row is not None else None
        if row is not None and value is not None:
            return Figure(value, origin, key, row.source, row.verified)
    return None if filed is None else Figure(filed, "filed")


def s_of(chemicals: Iterable[Chemical]) -> Fraction | None:
    """Return S = Σ q/Q; None as soon as one chemical has none: a part is not the sum."""
    ratios = [chemical.ratio for chemical in chemicals]
    known = [ratio for ratio in ratios if ratio is not None]
    return sum(known, Fraction(0)) if ratios and len(known) == len(ratios) else None


def weighted_of(
    chemicals: Iterable[Chemical], *, filed_critical: bool = False, filed_beta: bool = False
) -> Fraction | None:
    """Return Σ β q/Q, with the filed Q or β instead where asked; None as soon as one is missing."""
    terms: list[Fraction] = []
    for chemical in chemicals:
        critical = chemical.critical_t.value if chemical.critical_t else None
        beta = chemical.beta.value if chemical.beta else None
        if filed_critical:
            critical = chemical.filed_critical_t or critical
        if filed_beta:
            beta = chemical.filed_beta or beta
        if chemical.quantity_t is None or critical is None or beta is None:
            return None
        terms.append(beta * chemical.quantity_t / critical)
    return sum(terms, Fraction(0)) if terms else None


def known_part(chemicals: Iterable[Chemical]) -> tuple[Fraction, Fraction]:
    """Return Σ q/Q and Σ β q/Q of what can be computed: lower bounds, never S or R."""
    known = [(chemical, chemical.ratio) for chemical in chemicals]
    ratios = [ratio for _, ratio in known if ratio is not None]
    terms = [c.beta.value * ratio for c, ratio in known if ratio is not None and c.beta is not None]
    return sum(ratios, Fraction(0)), sum(terms, Fraction(0))


@dataclass(frozen=True, slots=True)
class Filed:
    """What the source was filed with."""

    level: int | None
    s_value: Fraction | None
    r_value: Fraction | None
    alpha: Fraction | None
    persons: int | None


@dataclass(frozen=True, slots=True)
class Computed:
    """What follows from the chemicals and the residents. None: not computed."""

    s_value: Fraction | None
    weighted: Fraction | None
    alpha: Fraction | None
    persons: int | None

    @property
    def r_value(self) -> Fraction | None:
        """R = α Σ β q/Q."""
        return None if self.weighted is None or self.alpha is None else self.alpha * self.weighted

    @property
    def major(self) -> bool | None:
        """Whether S ≥ 1."""
        return None if self.s_value is None else self.s_value >= 1

    @property
    def level(self) -> int | None:
        """The level; a unit that is no major source has none."""
        return level_of(self.r_value) if self.major and self.r_value is not None else None


def agrees(filed: Filed, computed: Computed) -> bool | None:
    """Say whether the filed level is the computed one; None when there is nothing to compare."""
    if filed.level is None or computed.major is None:
        return None
    if not computed.major:
        return False
    return None if computed.level is None else computed.level == filed.level


def differences(
    filed: Filed, computed: Computed, chemicals: Sequence[Chemical]
) -> list[dict[str, Any]]:
    """Say what differs from the filing, and which input alone turns the level into the filed one.

    Of an input that differs (α, Q, β) the level is computed again with the filed value of this
    one. Where R as filed does not follow from any of the filed inputs, the quantities or the
    filing itself are what changed.
    """
    found: list[dict[str, Any]] = []
    apart = agrees(filed, computed) is False

    def add(
        name: str, was: object, now: object, said: Note, r_value: Fraction | None = None
    ) -> None:
        explains = apart and r_value is not None and level_of(r_value) == filed.level
        found.append(
            {
                "what": name,
                "filed": plain(was),
                "computed": plain(now),
                "explains_level": explains,
                **said.answer(),
            }
        )

    def r_with(alpha: Fraction | None, weighted: Fraction | None) -> Fraction | None:
        return None if alpha is None or weighted is None else alpha * weighted

    if computed.major is False and filed.level is not None:
        add("major", True, False, note("gb18218.not_major"))
    if filed.persons is not None and computed.persons not in (None, filed.persons):
        add("persons", filed.persons, computed.persons, note("gb18218.persons_differ"))
    if filed.alpha is not None and computed.alpha not in (None, filed.alpha):
        r_value = r_with(filed.alpha, computed.weighted)
        add("alpha", filed.alpha, computed.alpha, note("gb18218.alpha_differs"), r_value)
    for name, key in (
        ("critical_quantity_t", "gb18218.q_differs"),
        ("beta", "gb18218.beta_differs"),
    ):
        named = [chemical.name for chemical in chemicals if name in chemical.differing]
        if named:
            weighted = weighted_of(
                chemicals, filed_critical=name != "beta", filed_beta=name == "beta"
            )
            said = note(key, chemicals=", ".join(named))
            add(name, None, None, said, r_with(computed.alpha, weighted))
    if not same(filed.s_value, computed.s_value):
        add("S", filed.s_value, computed.s_value, note("gb18218.s_differs"))
    if not same(filed.r_value, computed.r_value):
        add("R", filed.r_value, computed.r_value, note("gb18218.r_differs"))
    return found + _within_filing(filed, chemicals)


def _within_filing(filed: Filed, chemicals: Sequence[Chemical]) -> list[dict[str, Any]]:
    """Say what does not fit within the filing itself, whatever the tables say."""
    found: list[tuple[str, object, object, Note]] = []
    weighted = weighted_of(chemicals, filed_critical=True, filed_beta=True)
    if filed.r_value is not None and filed.level is not None:
        level = level_of(filed.r_value)
        if level != filed.level:
            found.append(("filed_level", filed.level, level, note("gb18218.filed_level")))
    if filed.alpha is not None and filed.persons is not None and filed.persons >= 0:
        alpha = alpha_of(filed.persons)
        if alpha != filed.alpha:
            found.append(("filed_alpha", filed.alpha, alpha, note("gb18218.filed_alpha")))
    if filed.alpha is not None and weighted is not None:
        r_value = filed.alpha * weighted
        if not same(filed.r_value, r_value):
            found.append(("quantities", filed.r_value, r_value, note("gb18218.quantities")))
    return [
        {
            "what": name,
            "filed": plain(was),
            "computed": plain(now),
            "explains_level": False,
            **said.answer(),
        }
        for name, was, now, said in found
    ]


def same(filed: Fraction | None, computed: Fraction | None) -> bool:
    """Say whether a computed index is the filed one, as far as the filed one has digits.

    Filings are rounded: half a unit of the last digit is no difference. What is missing on
    either side does not differ.
    """
    if filed is None or computed is None:
        return True
    digits = 0
    while digits < 9 and (filed * 10**digits).denominator != 1:
        digits += 1
    return abs(filed - computed) <= Fraction(1, 2 * 10**digits)


def plain(value: object) -> Any:
    """Return a fraction as a float, anything else as it is."""
    return float(value) if isinstance(value, Fraction) else value
