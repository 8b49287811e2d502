"""What the routes of analyses share: the datum of a question, and how an answer is written.

Every answer holds public fields only. The routes are plain functions: FastAPI runs them in threads,
and the kernels let go of the GIL.
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson
from fastapi.responses import Response

from riskmap.analysis.stopwatch import Stopwatch
from riskmap.crs.datum import Datum, check_city, move_answer, read_datum
from riskmap.db.city import find_city
from riskmap.db.sessions import Database


class Stored(Protocol):
    """What has the city's database: the service's context, or what an analysis stands on."""

    @property
    def database(self) -> Database:
        """The database."""


def read_city_datum(where: Stored, text: str | None) -> Datum:
    """Read in which datum positions come and go; refuse one that cannot serve this city."""
    datum = read_datum(text)
    if datum is not Datum.WGS84:
        with where.database.read() as session:
            city = find_city(session)
        if city is not None:
            check_city(datum, city.bbox)
    return datum


def answer(body: dict[str, Any], media: str, watch: Stopwatch, datum: Datum) -> Response:
    """Write an answer in a datum, with what its stages took."""
    headers = {"Server-Timing": watch.header(), "Cache-Control": "no-store"}
    if datum is not Datum.WGS84:
        headers["X-Datum"] = datum.value
    return Response(orjson.dumps(move_answer(body, datum)), media_type=media, headers=headers)
