"""The analyses as processes: what each takes and gives, and how one is run.

A process takes what the body of its route takes, read by the same model and answered by the same
function: so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import BaseModel, ValidationError

from riskmap import __version__
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api import circles, coverage, nearest, reach, scenarios, surroundings
from riskmap.api.links import GEOJSON, JSON
from riskmap.api.openapi_convert import to_30
from riskmap.crs.datum import Datum, move_answer
from riskmap.errors import InputError, NotFoundError
from riskmap.i18n import Lang, say

#: The one output of every process.
RESULT: Final = "result"
# What an input may stand in besides itself.
_QUALIFIED: Final = frozenset({"value", "mediaType", "encoding", "schema", "format"})

Told = Callable[[AnalysisService, Any, Stopwatch], tuple[dict[str, Any], Datum]]


@dataclass(frozen=True, slots=True)
class Process:
    """An analysis.

    Attributes
    ----------
    model
        What it takes; `left_out` are fields that make no sense here.
    told
        Answers it.
    media
        Media type of the answer.
    """

    id: str
    model: type[BaseModel]
    told: Told
    media: str = JSON
    left_out: frozenset[str] = frozenset()

    def summary(self, lang: Lang) -> dict[str, Any]:
        """Return what a list says of it."""
        name = self.id.replace("-", "_")
        return {
            "id": self.id,
            "title": say(f"process.{name}", lang),
            "description": say(f"process.{name}_about", lang),
            "version": __version__,
            "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
            "outputTransmission": ["value"],
        }

    def description(self, lang: Lang) -> dict[str, Any]:
        """Return all there is to say of it."""
        schema = self.model.model_json_schema()
        needed = set(schema.get("required", ()))
        inputs = {
            name: {
                "title": name,
                "description": about.get("description", name),
                "schema": to_30({k: v for k, v in about.items() if k not in _ASIDE}),
                "minOccurs": int(name in needed),
                "maxOccurs": 1,
            }
            for name, about in schema["properties"].items()
            if name not in self.left_out
        }
        result = {
            "title": say("process.result", lang),
            "schema": {"type": "object", "contentMediaType": self.media},
        }
        return {**self.summary(lang), "inputs": inputs, "outputs": {RESULT: result}}

    def read(self, inputs: Mapping[str, Any]) -> BaseModel:
        """Read inputs.

        Raises
        ------
        InputError
            Names the input at fault.
        """
        given = {}
        for name, value in inputs.items():
            if name in self.left_out:
                known = ", ".join(sorted(set(self.model.model_fields) - self.left_out))
                raise InputError("process.input", parameter=f"inputs.{name}", reason=known)
            given[name] = _plain(name, value)
        try:
            return self.model(**given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("inputs", *first["loc"]))
            raise InputError("process.input", parameter=where, reason=first["msg"]) from None


_ASIDE: Final = ("title", "description")


def _plain(name: str, value: Any) -> Any:
    """Return an input as it is, out of what it may stand in.

    Raises
    ------
    InputError
        It is elsewhere: nothing is fetched.
    """
    if not isinstance(value, dict):
        return value
    if "href" in value:
        raise InputError("process.href", parameter=f"inputs.{name}")
    if "value" in value and set(value) <= _QUALIFIED:
        return value["value"]
    return value


PROCESSES: Final = {
    one.id: one
    for one in (
        Process("response-circles", circles.CircleBody, circles.told, GEOJSON, frozenset({"f"})),
        Process("reach", reach.ReachBody, reach.told),
        Process("nearest", nearest.NearestBody, nearest.told, GEOJSON, frozenset({"f"})),
        Process("coverage", coverage.CoverageAskedBody, coverage.told),
        Process("surroundings", surroundings.SurroundingsBody, surroundings.told),
        Process("compare-scenario", scenarios.CompareAnyBody, scenarios.told),
    )
}


def find(process_id: str) -> Process:
    """Return a process.

    Raises
    ------
    NotFoundError
        There is none of that name.
    """
    found = PROCESSES.get(process_id)
    if found is None:
        known = ", ".join(PROCESSES)
        raise NotFoundError(
            "process.unknown", parameter="processID", value=process_id[:60], known=known
        )
    return found


def execute(
    analysis: AnalysisService, process_id: str, inputs: Mapping[str, Any], watch: Stopwatch
) -> bytes:
    """Run a process; return its output as JSON.

    Raises
    ------
    RiskmapError
        Whatever the route of the same analysis raises.
    """
    process = find(process_id)
    found, datum = process.told(analysis, process.read(inputs), watch)
    with watch.stage("write"):
        return orjson.dumps(move_answer(found, datum))


def results(process: Process, output: bytes) -> bytes:
    """Return the output as the document of results: an object stands in a qualified value."""
    media = orjson.dumps(process.media)
    return b'{"' + RESULT.encode() + b'":{"value":' + output + b',"mediaType":' + media + b"}}"
