"""What can be asked of the coverage of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from riskmap.analysis.coverage import MAX_LISTED, MAX_MINUTES
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.errors import InputError, NotFoundError, UnprocessableError
from riskmap.features.summary import RISK_ROLES

MAX_K: Final = 10
MAX_LAYERS: Final = 16
NEIGHBOURS: Final = ("in", "out")
# What a straight line is driven at, to compare with: a guess that the asker states otherwise.
LINE_KMH: Final = 40.0
MAX_LINE_KMH: Final = 200.0
# Arrivals are found until then, so that who is late is told by how much.
HORIZONS_MINUTES: Final = (30.0, MAX_MINUTES)
# Whom it makes sense to reach.
_TARGETS: Final = (*RISK_ROLES, Role.SHELTER, Role.DEPOT, Role.TEAM, Role.AREA, Role.POPULATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersQuery:
    """A question for the coverage of layers.

    Parameters
    ----------
    layers
        Ids; none: all risks that are assessed.
    minutes
        After the alarm, inclusive.
    k
        A feature is covered when so many teams come in time.
    kind
        Only teams of this kind count; None: all.
    neighbours
        ``in``: teams based outside the city's own divisions count, too; ``out``: they do not.
    when
        Kind of day and hour whose speeds count; None: free flow.
    line_kmh
        What straight lines are driven at, to compare with.
    limit
        How many of the uncovered are listed.
    preset
        What is told of the preset whose values count; see `riskmap.analysis.preset_use`.
    """

    layers: tuple[str, ...] = ()
    minutes: float = 15.0
    k: int = 1
    kind: str | None = None
    neighbours: str = "in"
    when: tuple[str, int] | None = None
    line_kmh: float = LINE_KMH
    limit: int = 200
    preset: Mapping[str, Any] | None = None

    def checked(self) -> LayersQuery:
        """Return the query, or say what is wrong with it.

        Raises
        ------
        InputError
            Names the parameter.
        """
        # NaN is neither above nor below anything.
        if not 0 < self.minutes <= MAX_MINUTES:
            raise InputError(
                "response.minutes", parameter="minutes", value=self.minutes, most=MAX_MINUTES
            )
        expected: tuple[tuple[str, Any, bool, str], ...] = (
            ("k", self.k, 1 <= self.k <= MAX_K, f"1 … {MAX_K}"),
            ("neighbours", self.neighbours, self.neighbours in NEIGHBOURS, ", ".join(NEIGHBOURS)),
            ("layer", len(self.layers), len(self.layers) <= MAX_LAYERS, f"1 … {MAX_LAYERS}"),
            (
                "line_kmh",
                self.line_kmh,
                math.isfinite(self.line_kmh) and 1 <= self.line_kmh <= MAX_LINE_KMH,
                f"1 … {MAX_LINE_KMH:g}",
            ),
            ("limit", self.limit, 0 <= self.limit <= MAX_LISTED, f"0 … {MAX_LISTED}"),
        )
        for name, value, fine, words in expected:
            if not fine:
                raise InputError(
                    "parameter.value", parameter=name, value=str(value)[:40], expected=words
                )
        return self

    @property
    def horizon_minutes(self) -> float:
        """Until when arrivals are found at all."""
        return next(one for one in HORIZONS_MINUTES if self.minutes <= one)

    def targets(self, catalog: Catalog) -> list[Layer]:
        """Return the layers asked for.

        Raises
        ------
        NotFoundError
            There is no such layer.
        UnprocessableError
            Nobody drives to features of this layer.
        """
        if not self.layers:
            return [layer for layer in catalog.with_role(*RISK_ROLES) if layer.assessed]
        found = []
        for name in dict.fromkeys(self.layers):
            layer = catalog.get(name)
            if layer is None:
                raise NotFoundError("response.layer", parameter="layer", value=name[:60])
            if layer.role not in _TARGETS:
                raise UnprocessableError("coverage.layer", parameter="layer", value=name)
            found.append(layer)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the query as JSON knows it."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "layers": list(self.layers),
            "when": None if self.when is None else list(self.when),
        }

    @staticmethod
    def from_json(found: dict[str, Any]) -> LayersQuery:
        """Read what `to_json` made; what else is kept beside it is left alone."""
        when = found["when"]
        found = {name: found[name] for name in LayersQuery.__slots__ if name in found}
        return LayersQuery(
            **{
                **found,
                "layers": tuple(found["layers"]),
                "when": None if when is None else (when[0], when[1]),
            }
        )
