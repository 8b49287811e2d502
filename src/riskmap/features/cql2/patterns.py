"""LIKE patterns: bounded, and in one spelling."""

from __future__ import annotations

from riskmap.features.cql2.limits import MAX_WILDCARDS, At, fault, shown


def checked_pattern(pattern: str, at: At) -> str:
    r"""Return a pattern that PostgreSQL reads without an error and in bounded time.

    Only %, _ and the backslash keep an escape: any other character means itself without one, and
    folding (which may take an accent away) then never leaves a backslash before another character
    than it was written for.

    Raises
    ------
    InputError
        It ends in a lone backslash, or has too many wildcards.
    """
    kept: list[str] = []
    wildcards = 0
    place = 0
    while place < len(pattern):
        one = pattern[place]
        if one == "\\":
            if place + 1 == len(pattern):
                raise fault("escape", at, found=shown(pattern))
            escaped = pattern[place + 1]
            kept.append(f"\\{escaped}" if escaped in "%_\\" else escaped)
            place += 2
            continue
        if one == "%":
            # %% means what % does.
            if kept and kept[-1] == "%":
                place += 1
                continue
            wildcards += 1
        kept.append(one)
        place += 1
    if wildcards > MAX_WILDCARDS:
        raise fault("wildcards", at, most=MAX_WILDCARDS)
    return "".join(kept)
