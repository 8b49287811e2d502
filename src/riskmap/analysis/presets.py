"""What a response is measured against: presets with their source, never constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from riskmap.db.sessions import ReadSession
from riskmap.db.tables import RESPONSE_PRESETS, RESPONSE_TIERS
from riskmap.errors import InputError

EVERY_KIND = "*"


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a preset.

    Attributes
    ----------
    measure
        ``turnout``: the teams are on their way by then; ``arrival``: they are there.
    kinds
        Kinds of teams that count; None: every kind.
    need_teams
        How many of them it takes.
    """

    tier: int
    minutes: float
    measure: str
    kinds: frozenset[str] | None
    need_teams: int
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A row of `response_presets` with its tiers, by their minutes."""

    preset: str
    name_zh: str
    name_en: str
    minutes: float
    call_handling_s: float | None
    turnout_s: float | None
    setup_s: float | None
    profile: str | None
    need_people: int | None
    need_teams: int | None
    percentile: float | None
    source: str
    edition: str | None
    confidence: str
    tiers: tuple[Tier, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return what an answer says of it."""
        return {
            "preset": self.preset,
            "name": self.name_zh,
            "name_en": self.name_en,
            "minutes": self.minutes,
            "phases": {
                "call_handling_s": self.call_handling_s,
                "turnout_s": self.turnout_s,
                "setup_s": self.setup_s,
            },
            "profile": self.profile,
            "need_people": self.need_people,
            "need_teams": self.need_teams,
            "percentile": self.percentile,
            "source": self.source,
            "edition": self.edition,
            "confidence": self.confidence,
            "tiers": [
                {
                    "tier": tier.tier,
                    "minutes": tier.minutes,
                    "measure": tier.measure,
                    "kinds": sorted(tier.kinds) if tier.kinds is not None else None,
                    "need_teams": tier.need_teams,
                    "name": tier.name_zh,
                    "name_en": tier.name_en,
                }
                for tier in self.tiers
            ],
        }


def read_presets(session: ReadSession) -> dict[str, Preset]:
    """Return all presets by their id, in that order."""
    tiers: dict[str, list[Tier]] = {}
    columns = RESPONSE_TIERS.c
    for row in session.execute(
        select(RESPONSE_TIERS).order_by(columns.preset, columns.minutes, columns.tier)
    ):
        kinds = frozenset(kind.strip() for kind in row.kinds.split(",") if kind.strip())
        tiers.setdefault(row.preset, []).append(
            Tier(
                row.tier,
                row.minutes,
                row.measure,
                None if EVERY_KIND in kinds else kinds,
                row.need_teams,
                row.name_zh,
                row.name_en,
            )
        )
    found = session.execute(select(RESPONSE_PRESETS).order_by(RESPONSE_PRESETS.c.preset))
    return {
        row.preset: Preset(**row._mapping, tiers=tuple(tiers.get(row.preset, ()))) for row in found
    }


def preset_of(known: dict[str, Preset], name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    InputError
        Names the parameter `preset` and lists those there are.
    """
    if name not in known:
        raise InputError(
            "reach.preset", parameter="preset", value=name[:60], known=", ".join(known)
        )
    return known[name]
