"""Which layers there are: every module of `riskmap.layers`, found at start, loudly."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache

from riskmap.catalog.spec import Layer, Role
from riskmap.errors import NotFoundError


class Catalog(Mapping[str, Layer]):
    """The layers by id, in the order of their roles and names.

    Raises
    ------
    ValueError
        Two layers share an id, or there is not exactly one population layer.
    """

    def __init__(self, layers: list[Layer]) -> None:
        order = list(Role)
        self._layers: dict[str, Layer] = {}
        for layer in sorted(layers, key=lambda layer: (order.index(layer.role), layer.id)):
            if layer.id in self._layers:
                raise ValueError(f"two layers have the id {layer.id!r}")
            self._layers[layer.id] = layer
        if len(self.with_role(Role.POPULATION)) != 1:
            raise ValueError("exactly one layer must have the role population")

    def __getitem__(self, layer_id: str) -> Layer:
        return self._layers[layer_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def find(self, layer_id: str, *, parameter: str = "layer") -> Layer:
        """Return a layer by its id.

        Raises
        ------
        NotFoundError
            There is no such layer; the message names the parameter and what there is.
        """
        layer = self._layers.get(layer_id)
        if layer is None:
            raise NotFoundError(
                "layer.unknown", parameter=parameter, value=layer_id, known=", ".join(self)
            )
        return layer

    def with_role(self, *roles: Role) -> tuple[Layer, ...]:
        """Return the layers that have one of these roles."""
        return tuple(layer for layer in self.values() if layer.role in roles)

    @property
    def population(self) -> Layer:
        """The one layer that says where people live."""
        return self.with_role(Role.POPULATION)[0]


@cache
def load_catalog(package: str = "riskmap.layers") -> Catalog:
    """Import every module of the package and collect their `LAYER`.

    Raises
    ------
    TypeError
        A module has no `LAYER`: a layer that is silently left out would be worse.
    """
    layers = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        layer = getattr(importlib.import_module(f"{package}.{module.name}"), "LAYER", None)
        if not isinstance(layer, Layer):
            raise TypeError(f"{package}.{module.name} declares no LAYER = Layer(...)")
        layers.append(layer)
    return Catalog(layers)
