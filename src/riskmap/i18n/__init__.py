"""The one catalogue of user-facing text, Chinese and English side by side.

`catalogue/*.toml` holds it, a file for each room; every entry has both languages, which a test
checks. Labels of layers and fields stand in the layers' own files.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Read every file of the catalogue into one mapping, key to {language: text}."""
    entries: dict[str, dict[str, str]] = {}
    folder = resources.files(__name__) / "catalogue"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for key, texts in tomllib.loads(file.read_text(encoding="utf-8")).items():
            if key in entries:
                raise KeyError(f"{file.name}: catalogue entry {key!r} stands twice")
            entries[key] = texts
    return entries


def say(key: str, lang: Lang, /, **values: object) -> str:
    """Return one entry in one language, its placeholders filled.

    Raises
    ------
    KeyError
        The catalogue has no such entry, or a placeholder has no value: a fault of ours.
    """
    return catalogue()[key][lang].format(**values)


def preferred(accept_language: str | None) -> Lang:
    """Choose the language for an Accept-Language header: Chinese unless English is preferred."""
    best: tuple[float, Lang] | None = None
    for part in (accept_language or "").split(","):
        tag, _, rest = part.strip().partition(";")
        lang = tag.lower().partition("-")[0]
        try:
            weight = float(rest.partition("=")[2]) if rest else 1.0
        except ValueError:
            weight = 0.0
        for known in LANGS:
            if lang == known and weight > 0 and (best is None or weight > best[0]):
                best = (weight, known)
    return best[1] if best else "zh"
