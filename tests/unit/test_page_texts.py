"""The page says nothing that the catalogue lacks, and the catalogue nothing that no page says."""

import re
from pathlib import Path

from riskmap.i18n import LANGS, catalogue

SOURCES = Path(__file__).parents[2] / "web" / "src"
# t('key', …) and its kin; the key must be a literal, else this test could not see it.
CALL = re.compile(r"(?<![\w.])(?<!function )(?:t|other|worded)\(\s*(?:'([a-z0-9_.]+)'|([^)\s]))")
# They hand a key on that is a literal at their callers.
HANDS_ON = {"map/words.ts"}
PREFIX = "page."


def calls() -> list[tuple[str, str | None, str | None]]:
    found = []
    for file in sorted(SOURCES.rglob("*.ts")):
        text = file.read_text(encoding="utf-8")
        name = file.relative_to(SOURCES).as_posix()
        if re.search(r"from '[./]*(?:i18n|pieces|words)'", text) and name not in HANDS_ON:
            found += [(name, key or None, odd or None) for key, odd in CALL.findall(text)]
    return found


def test_keys_are_literals() -> None:
    assert not [(name, odd) for name, key, odd in calls() if key is None]


def test_page_and_catalogue_hold_the_same_keys() -> None:
    used = {PREFIX + key for _, key, _ in calls() if key}
    known = {key for key in catalogue() if key.startswith(PREFIX)}
    assert len(used) > 100
    assert used - known == set(), "the page says what the catalogue lacks"
    assert known - used == set(), "no page says this"


def test_placeholders_are_given() -> None:
    """A call that gives no values must be of a text that needs none."""
    bare = re.compile(r"(?<![\w.])(?:t|other)\('([a-z0-9_.]+)'\)")
    for file in sorted(SOURCES.rglob("*.ts")):
        for key in bare.findall(file.read_text(encoding="utf-8")):
            entry = catalogue().get(PREFIX + key, {})
            assert all("{" not in entry.get(lang, "") for lang in LANGS), f"{file.name}: {key}"


def test_no_words_outside_the_catalogue() -> None:
    """Chinese in the page's code stands in comments, in the language button or among the units."""
    allowed = {"words.ts", "top.ts", "format.ts"}
    for file in sorted((SOURCES / "panels").glob("*.ts")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert file.name in allowed or not re.search(r"[\u4e00-\u9fff]", text), file.name
