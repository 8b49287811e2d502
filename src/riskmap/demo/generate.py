"""The demo city from a seed: ground, layers, checks, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from riskmap.demo.checks import check
from riskmap.demo.city import make_layers
from riskmap.demo.files import write_files
from riskmap.demo.ground import Ground
from riskmap.demo.people import make_people
from riskmap.demo.places import Layers
from riskmap.demo.streets import make_streets
from riskmap.demo.terrain import make_terrain

Progress = Callable[[str], None]


def make_city(seed: int, progress: Progress | None = None) -> tuple[Ground, Layers]:
    """Return the ground and the layers of a seed, checked.

    Raises
    ------
    ValueError
        A check failed; the message lists what is wrong.
    """
    tell = progress or (lambda stage: None)
    tell("terrain")
    terrain = make_terrain(seed)
    tell("people")
    people = make_people(seed, terrain)
    tell("streets")
    streets = make_streets(seed, terrain, people)
    ground = Ground(seed, terrain, people, streets)
    tell("layers")
    layers = make_layers(ground)
    tell("checks")
    check(ground, layers)
    return ground, layers


def generate(seed: int, folder: Path, progress: Progress | None = None) -> None:
    """Write the city of a seed into a folder.

    Parameters
    ----------
    progress
        Called with the name of each stage as it begins.

    Raises
    ------
    ValueError
        A check failed; nothing was written.
    """
    ground, layers = make_city(seed, progress)
    if progress is not None:
        progress("files")
    write_files(ground, layers, folder)
