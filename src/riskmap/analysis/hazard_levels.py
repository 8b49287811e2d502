"""Filed against computed: the level of each major hazard source, and why the two differ.

Nothing is stored: what was filed stays as it is, the computed level stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from riskmap.analysis.exposure_store import (
    Exposure,
    read_exposure,
    read_sources,
    read_tables,
)
from riskmap.analysis.gb18218 import (
    DEFAULT_EDITION,
    Chemical,
    Computed,
    Filed,
    Note,
    Tables,
    agrees,
    alpha_of,
    differences,
    exact,
    known_part,
    level_of,
    note,
    plain,
    read_chemicals,
    s_of,
    weighted_of,
    whole_persons,
)
from riskmap.analysis.store import is_filled, layer_revisions
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.db.city import read_city
from riskmap.db.sessions import ReadSession
from riskmap.errors import NotFoundError
from riskmap.features.query import DEFAULT_LIMIT, FeatureQuery

RADIUS_M: Final = 500.0
# From this size on, where in the cell people live matters beside a ring of 500 m.
COARSE_CELL_M: Final = 250.0
CHILD: Final = "chemicals"
_FIELDS: Final = (
    *("code", "name", "name_en", "source_system", "enterprise_code", "hazard_level"),
    *("s_value", "r_value", "exposed_persons_500m", "alpha", "regulation", "r_source"),
)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the answers of one session share."""

    tables: Mapping[str, Tables]
    population: Layer
    populated: bool


def source_layer(catalog: Catalog) -> Layer:
    """Return the layer of sources that declares what the computation reads.

    Raises
    ------
    NotFoundError
        No layer does.
    """
    for layer in catalog.with_role(Role.SOURCE):
        declared = {field.name for field in layer.fields}
        if declared.issuperset(_FIELDS) and any(child.name == CHILD for child in layer.children):
            return layer
    raise NotFoundError("gb18218.no_layer", parameter="layer")


def hazard_levels(
    session: ReadSession, catalog: Catalog, query: FeatureQuery
) -> tuple[dict[str, Any], int | None]:
    """Compute the sources that a query asks for.

    Returns
    -------
    The answer, and the id after which the next page starts (None: there is none).

    Raises
    ------
    NotFoundError
        One source was asked for by its id, and there is none.
    UnavailableError
        There is no city yet, so no local projection.
    """
    layer, city = query.layer, read_city(session)
    most = DEFAULT_LIMIT if query.limit is None else query.limit
    rows = read_sources(session, query, _FIELDS, CHILD, most)
    if query.feature_id is not None and not rows:
        raise NotFoundError(
            "feature.unknown", parameter="feature_id", value=query.feature_id, layer=layer.id
        )
    more, rows = len(rows) > most, rows[:most]
    ground = _Ground(
        tables=read_tables(session),
        population=catalog.population,
        populated=is_filled(session, catalog.population),
    )
    exposures = read_exposure(
        session,
        layer,
        [row["id"] for row in rows],
        catalog.with_role(Role.ENTERPRISE),
        catalog.population,
        srid=city.local_srid,
        radius_m=RADIUS_M,
    )
    revisions = layer_revisions(session, (layer, catalog.population))
    sources = [_source(row, exposures[row["id"]], ground) for row in rows]
    verdicts = [source["agrees"] for source in sources]
    answer = {
        "layer": layer.id,
        "revision": revisions.get(layer.id),
        "sources": sources,
        "numberReturned": len(sources),
        "agree": verdicts.count(True),
        "disagree": verdicts.count(False),
        "not_compared": verdicts.count(None),
        "population": {
            "layer": catalog.population.id,
            "loaded": ground.populated,
            "revision": revisions.get(catalog.population.id),
        },
        "method": {
            "radius_m": RADIUS_M,
            "crs": f"EPSG:{city.local_srid}",
            "polygon_cells": "area_share",
            "point_cells": "area_share of a square of cell_size_m, whole where that is not known",
            **note("gb18218.method").answer(),
        },
        "synthetic": city.synthetic,
    }
    return answer, rows[-1]["id"] if more else None


def _source(row: Mapping[str, Any], exposure: Exposure, ground: _Ground) -> dict[str, Any]:
    edition = row["regulation"] or DEFAULT_EDITION
    tables = ground.tables.get(edition) or Tables(edition, {}, {})
    chemicals = read_chemicals(row[CHILD], tables)
    filed = Filed(
        level=row["hazard_level"],
        s_value=exact(row["s_value"]),
        r_value=exact(row["r_value"]),
        alpha=exact(row["alpha"]),
        persons=row["exposed_persons_500m"],
    )
    persons = whole_persons(exposure.persons) if ground.populated else None
    computed = Computed(
        s_value=s_of(chemicals),
        weighted=weighted_of(chemicals),
        alpha=None if persons is None else alpha_of(persons),
        persons=persons,
    )
    lacks = list(_lacks(chemicals, ground))
    verdict = agrees(filed, computed)
    return {
        **{name: row[name] for name in ("id", "code", "name", "name_en", "enterprise_code")},
        "filed": {
            "level": filed.level,
            "S": plain(filed.s_value),
            "R": plain(filed.r_value),
            "alpha": plain(filed.alpha),
            "persons": filed.persons,
            "regulation": row["regulation"],
            "r_source": row["r_source"],
        },
        "computed": {
            "level": computed.level,
            "major": computed.major,
            "S": plain(computed.s_value),
            "R": plain(computed.r_value),
            "alpha": plain(computed.alpha),
            "persons": computed.persons,
            "persons_raw": round(float(exposure.persons), 6) if ground.populated else None,
            "edition": edition,
        },
        "agrees": verdict,
        "not_computed": [one.answer() for one in lacks],
        "lower_bound": _lower_bound(chemicals, computed),
        "with_filed_alpha": _with_filed_alpha(filed, computed),
        "differences": differences(filed, computed, chemicals),
        "chemicals": [_chemical(chemical) for chemical in chemicals],
        "unverified": _unverified(chemicals, edition),
        "boundary": {
            "kind": "enterprise" if exposure.outline else "source",
            "enterprise": exposure.plant,
            "cells": exposure.cells if ground.populated else None,
        },
        "warnings": [one.answer() for one in _warnings(row, chemicals, exposure, ground)],
    }


def _lacks(chemicals: Sequence[Chemical], ground: _Ground) -> Iterator[Note]:
    if not chemicals:
        yield note("gb18218.no_chemicals")
    for chemical in chemicals:
        yield from chemical.lacks
    if not ground.populated:
        yield note("gb18218.no_population", layer=ground.population.id)


def _lower_bound(chemicals: Sequence[Chemical], computed: Computed) -> dict[str, Any] | None:
    """Return what S and R are at least, where a chemical lacks something. It is neither of them."""
    if not chemicals or computed.weighted is not None:
        return None
    s_least, weighted = known_part(chemicals)
    r_least = None if computed.alpha is None else computed.alpha * weighted
    return {
        "S_at_least": plain(s_least),
        "R_at_least": plain(r_least),
        **note("gb18218.lower_bound").answer(),
    }


def _with_filed_alpha(filed: Filed, computed: Computed) -> dict[str, Any] | None:
    """Return R for the filed α where residents are not known: labelled, not compared."""
    if computed.alpha is not None or filed.alpha is None or computed.weighted is None:
        return None
    r_value: Fraction = filed.alpha * computed.weighted
    return {
        "alpha": plain(filed.alpha),
        "R": plain(r_value),
        "level": level_of(r_value) if computed.major else None,
        **note("gb18218.with_filed_alpha").answer(),
    }


def _chemical(chemical: Chemical) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, used, filed in chemical.figures:
        figures[name] = {
            "value": plain(used.value) if used else None,
            "origin": used.origin if used else None,
            "row": used.key if used else None,
            "verified": used.verified if used else None,
            "source": used.source if used else None,
            "filed": plain(filed),
            "differs": name in chemical.differing,
        }
    return {
        "name": chemical.name,
        "cas": chemical.cas,
        "category_symbol": chemical.symbol,
        "quantity_t": plain(chemical.quantity_t),
        **figures,
        "ratio": plain(chemical.ratio),
    }


def _unverified(chemicals: Sequence[Chemical], edition: str) -> list[dict[str, Any]]:
    """List the rows of the tables that count here and that nobody compared with the print."""
    found: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    for chemical in chemicals:
        for name, used, _ in chemical.figures:
            if used is not None and used.verified is False:
                found[(used.origin, used.key, name)] = {
                    "edition": edition,
                    "origin": used.origin,
                    "row": used.key,
                    "figure": name,
                    "source": used.source,
                }
    return list(found.values())


def _warnings(
    row: Mapping[str, Any], chemicals: Sequence[Chemical], exposure: Exposure, ground: _Ground
) -> Iterator[Note]:
    edition = row["regulation"]
    if edition is None:
        yield note("gb18218.edition_assumed", edition=DEFAULT_EDITION)
    if (edition or DEFAULT_EDITION) not in ground.tables:
        yield note("gb18218.edition_without_tables", edition=edition or DEFAULT_EDITION)
    for chemical in chemicals:
        yield from chemical.odd
    radius = round(RADIUS_M)
    if not exposure.outline:
        found = "gb18218.boundary_none" if exposure.plant is None else "gb18218.boundary_point"
        yield note(found, radius_m=radius, enterprise=row["enterprise_code"] or "-")
    elif exposure.foreign:
        yield note("gb18218.boundary_foreign", enterprise=exposure.plant)
    if not ground.populated:
        return
    if exposure.cells == 0:
        yield note("gb18218.nobody", radius_m=radius)
    if exposure.cell_size_m is not None and exposure.cell_size_m >= COARSE_CELL_M:
        yield note("gb18218.coarse_cells", size_m=exposure.cell_size_m, radius_m=radius)
