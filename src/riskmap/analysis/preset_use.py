"""What a preset says in place of what a question leaves out, and what the answer tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from riskmap.analysis.presets import Preset, Tier, preset_of, read_presets
from riskmap.analysis.store import Phases
from riskmap.db.sessions import Database
from riskmap.errors import UnprocessableError

#: What a circle is asked with where neither the question nor a preset says: minutes.
USUAL_MINUTES: Final = (5.0, 10.0, 15.0)
_PHASES: Final = ("call_handling_s", "turnout_s", "setup_s")

#: What is told of a preset, with `used`: the values of it that the question did not name itself.
#: It is plain JSON, so that what is kept with it holds although the preset is edited later.
Used = Mapping[str, Any]


def find_preset(database: Database, name: str) -> Preset:
    """Read a preset; see `riskmap.analysis.presets.preset_of`."""
    with database.read() as session:
        return preset_of(read_presets(session), name)


def taken(preset: Preset, given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return those values of a preset that it has and that the question leaves out (None)."""
    return {
        name: getattr(preset, name)
        for name in names
        if given.get(name) is None and getattr(preset, name) is not None
    }


def told(preset: Preset, used: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return what an answer says of a preset and of the values that came from it."""
    return {**preset.told(), "used": list(used), **more}


def phases_under(own: Phases, used: Used | None) -> Phases:
    """Return phases with those that came from a preset in their place."""
    if used is None:
        return own
    values = {**used["phases"], "profile": used["profile"]}
    named = {name: value for name, value in values.items() if name in used["used"]}
    return replace(own, **named, source=used["source"]) if named else own


def circle_given(database: Database, name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a circle's question with what the preset of that name says in it.

    Parameters
    ----------
    name
        None: no preset.
    given
        As `circle_values` takes it, of `minutes`, `profile` and the phases all.

    Returns
    -------
    dict
        `given` as `riskmap.analysis.response.ResponseQuery` takes it, and `preset`.
    """
    found: dict[str, Any] = {**given, "preset": None}
    if name is not None:
        values, found["preset"] = circle_values(find_preset(database, name), given)
        found |= values
    minutes = found["minutes"]
    return {**found, "minutes": USUAL_MINUTES if minutes is None else tuple(minutes)}


def coverage_given(
    database: Database, name: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a question for the coverage of layers with what the preset of that name says in it.

    What neither of them says is left out; see `coverage_values`.
    """
    found = {key: value for key, value in given.items() if value is not None}
    if name is not None:
        values, used = coverage_values(find_preset(database, name), given)
        found |= {**values, "preset": used}
    return found


def circle_values(preset: Preset, given: Mapping[str, Any]) -> tuple[dict[str, Any], Used]:
    """Return what a preset says to a circle, and what the answer tells of it.

    Parameters
    ----------
    given
        The question: `minutes`, `kind`, `profile`, the phases and `overlap`; None: left out.

    Raises
    ------
    UnprocessableError
        No tier of the preset can be drawn as a band of this circle.

    Notes
    -----
    The minutes of a preset with tiers are those of its tiers that an area can show: who is on the
    way by then is nowhere yet, a tier of one kind is no matter of another kind's circle, and where
    two teams stand is seen by ``overlap=count`` alone.
    """
    values = taken(preset, given, ("profile", *_PHASES))
    drawn: list[Tier] = []
    left: list[dict[str, Any]] = []
    if given.get("minutes") is None:
        for tier in preset.tiers:
            reason = _why_not(tier, given)
            if reason is None:
                drawn.append(tier)
            else:
                left.append({"tier": tier.tier, "reason": reason})
        if left and not drawn:
            reasons = {one["reason"] for one in left}
            raise UnprocessableError(
                "preset.kind" if "kind" in reasons else "preset.no_band",
                parameter="kind" if "kind" in reasons else "preset",
                value=preset.preset,
                known=", ".join(sorted(_kinds(preset))),
            )
        values["minutes"] = (
            tuple(sorted({tier.minutes for tier in drawn})) if drawn else (preset.minutes,)
        )
    bands = [{"tier": tier.tier, "minutes": tier.minutes} for tier in drawn]
    return values, told(preset, sorted(values), bands=bands, not_drawn=left)


def _kinds(preset: Preset) -> set[str]:
    return {kind for tier in preset.tiers if tier.kinds is not None for kind in tier.kinds}


def _why_not(tier: Tier, given: Mapping[str, Any]) -> str | None:
    """Say why a tier is no band of a circle, None where it is one."""
    if tier.measure != "arrival":
        return "turnout"
    if tier.kinds is not None and given.get("kind") not in tier.kinds:
        return "kind"
    if tier.need_teams > 1 and given.get("overlap") != "count":
        return "several_teams"
    return None


def coverage_values(preset: Preset, given: Mapping[str, Any]) -> tuple[dict[str, Any], Used]:
    """Return what a preset says to the coverage of layers, and what the answer tells of it.

    Parameters
    ----------
    given
        `minutes` and `k`; None: left out. Phases and profile are those of every team.
    """
    values = taken(preset, given, ("minutes",))
    if given.get("k") is None and preset.need_teams is not None:
        values["k"] = preset.need_teams
    phases = taken(preset, {}, ("profile", *_PHASES))
    return values, told(preset, sorted({**values, **phases}))
