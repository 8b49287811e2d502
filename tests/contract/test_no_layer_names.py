"""Behaviour goes by role: outside layers/ and demo/ no code names a layer or its table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import riskmap
from riskmap.catalog.registry import load_catalog

ROOT = Path(riskmap.__path__[0])
MAY_NAME_LAYERS = {"layers", "demo"}
FILES = sorted(
    path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in MAY_NAME_LAYERS
)

NAMES = {name for layer in load_catalog().values() for name in (layer.id, layer.table)}
COMPOUND = "|".join(sorted(name for name in NAMES if "-" in name or "_" in name))
SINGLE = "|".join(sorted(name for name in NAMES if name.isalpha()))
# "rescue_teams" can mean nothing else, wherever it stands. "shelters" is also a word, so a
# sentence may hold it; alone, in a path, or where SQL names a table, it is the layer.
NAMED = re.compile(
    rf"(?<![\w-])(?:{COMPOUND})(?![\w-])"
    rf"|\A(?:{SINGLE})\Z"
    rf"|/(?:{SINGLE})\b"
    rf"|\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ONLY|TRUNCATE)\s+(?:public\.)?\"?(?:{SINGLE})\b"
)


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the string constants of a module, f-strings' parts included, docstrings not."""
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
        ):
            yield node


def named_in(source: str) -> list[str]:
    return [
        f"line {node.lineno}: {node.value!r}"
        for node in strings(ast.parse(source))
        if NAMED.search(node.value)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_layer_is_named(path: Path) -> None:
    found = named_in(path.read_text(encoding="utf-8"))
    assert not found, f"{path}: ask for a role instead of naming a layer: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "if layer.id == 'shelters': pass",
        "if layer.id == 'rescue-teams': pass",
        "SQL = 'SELECT count(*) FROM shelters'",
        "SQL = f'SELECT {x} FROM population_cells WHERE y'",
        "def f():\n    '''Doc.'''\n    return '/collections/enterprises/items'",
    ],
)
def test_the_guard_sees_a_name(source: str) -> None:
    assert named_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "'''The shelters of the rescue-teams.'''",
        "def f():\n    '''Count population_cells.'''\n",
        "help = 'People and shelters inside each band'",
        "role = 'shelter'",
        "column = 'my_rescue_teams_x'",
    ],
)
def test_the_guard_lets_words_pass(source: str) -> None:
    assert not named_in(source)
