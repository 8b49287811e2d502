"""What the tests of the demo's ground share: a seed's parts, made once in a run."""

from __future__ import annotations

from functools import cache

import pytest

from riskmap.demo.ground import SEED, People, Streets, Terrain
from riskmap.demo.people import make_people
from riskmap.demo.streets import make_streets
from riskmap.demo.terrain import make_terrain

# The seed that the demo is made of unless told otherwise, and another one.
SEEDS = (SEED, pytest.param(1, marks=pytest.mark.prove))


@cache
def terrain_of(seed: int) -> Terrain:
    """Return the land and water of a seed."""
    return make_terrain(seed)


@cache
def people_of(seed: int) -> People:
    """Return the people and divisions of a seed."""
    return make_people(seed, terrain_of(seed))


@cache
def streets_of(seed: int) -> Streets:
    """Return the road network of a seed."""
    return make_streets(seed, terrain_of(seed), people_of(seed))
