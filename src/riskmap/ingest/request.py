"""What the process that reads is asked to do, as one JSON text."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from riskmap.catalog.spec import Child, Field, Geometry, Kind, Layer, Role, Text, Value
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.options import ImportOptions
from riskmap.units import Bbox

if TYPE_CHECKING:  # the process that reads starts a tenth of a second sooner without
    from riskmap.settings import Settings

Task = Literal["read", "rejects"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one import may take, as the settings say.

    Parameters
    ----------
    memory_mb
        Memory of the process that reads, beyond its libraries.
    minutes
        Time that reading and checking a file may take.
    max_mb
        Size of the largest file.
    """

    memory_mb: int = 1024
    minutes: int = 60
    max_mb: int = 2048

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits of the settings."""
        return cls(settings.import_memory_mb, settings.import_minutes, settings.import_max_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One task: read and check a file, or copy out the rows that were refused.

    Parameters
    ----------
    layer
        What the layer declares; its id alone would make the reader load every layer and SQL.
    zone
        Name of the city's time zone.
    work_dir
        Folder for the file of problems and for what is unpacked. None: neither is wanted.
    parent
        Number of the process that asks: the other one ends when it is gone.
    """

    task: Task = "read"
    path: Path
    layer: Layer
    options: ImportOptions
    box: Bbox
    zone: str
    work_dir: Path | None = None
    limits: Limits = Limits()
    parent: int = 0

    def dumps(self) -> bytes:
        """Return the request as JSON."""
        content = {
            "task": self.task,
            "path": os.fspath(self.path),
            "layer": asdict(self.layer),
            "options": asdict(self.options),
            "box": list(self.box),
            "zone": self.zone,
            "work_dir": None if self.work_dir is None else os.fspath(self.work_dir),
            "limits": asdict(self.limits),
            "parent": self.parent,
        }
        # Not orjson: a file's name may hold bytes that are no UTF-8.
        return json.dumps(content).encode()

    @classmethod
    def loads(cls, data: bytes) -> Request:
        """Read what `dumps` wrote."""
        content = json.loads(data)
        options = content["options"]
        options["mapping"] = FieldMapping(**options["mapping"])
        options["datum_shift"] = tuple(options["datum_shift"])
        folder = content["work_dir"]
        return cls(
            task=content["task"],
            path=Path(content["path"]),
            layer=_layer(content["layer"]),
            options=ImportOptions(**options),
            box=Bbox(*content["box"]),
            zone=content["zone"],
            work_dir=None if folder is None else Path(folder),
            limits=Limits(**content["limits"]),
            parent=content["parent"],
        )


def _layer(found: Mapping[str, Any]) -> Layer:
    """Read a layer's declaration without what only tiles and pages ask for."""
    return Layer(
        id=found["id"],
        title=Text(**found["title"]),
        description=Text(**found["description"]),
        geometry=Geometry(found["geometry"]),
        role=Role(found["role"]),
        own_fields=tuple(map(_field, found["own_fields"])),
        children=tuple(
            Child(**{**child, "fields": tuple(map(_field, child["fields"]))})
            for child in found["children"]
        ),
        assessed=found["assessed"],
        people=found["people"],
    )


def _field(found: Mapping[str, Any]) -> Field:
    values = tuple(Value(**value) for value in found["values"])
    return Field(**{**found, "kind": Kind(found["kind"]), "values": values})
