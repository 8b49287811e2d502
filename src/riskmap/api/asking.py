"""The question about a layer, with what has to be read before it can be understood."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from riskmap.access.keys import Caller
from riskmap.api.context import Context
from riskmap.api.query import feature_query
from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum, check_city
from riskmap.features import read
from riskmap.features.query import FeatureQuery
from riskmap.features.read import Facts

_SYSTEMS: Final = frozenset({"crs", "bbox-crs", "filter-crs"})


async def ask(
    request: Request, ctx: Context, layer: Layer, who: Caller, *more: str
) -> tuple[FeatureQuery, Facts]:
    """Read a query string and the layer's facts.

    The question is read first, so that what is wrong with it is said while the database is away;
    only one that names a coordinate system needs to know the city's own.

    Parameters
    ----------
    more
        As `feature_query` takes them.

    Raises
    ------
    InputError
        Names the parameter at fault.
    """
    local = bool(_SYSTEMS & request.query_params.keys())
    query = None if local else feature_query(request, layer, who, *more)
    async with ctx.database.read_async() as session:
        facts = await read.facts(session, layer)
    if query is None:
        query = feature_query(request, layer, who, *more, local_srid=facts.local_srid)
    check_datum(query.datum, facts)
    return query, facts


def check_datum(datum: Datum, facts: Facts) -> None:
    """Refuse a datum that cannot serve this city."""
    if datum is not Datum.WGS84 and facts.city is not None:
        check_city(datum, facts.city)
