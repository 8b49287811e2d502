"""Major hazard sources: what is stored, and S, α and R as GB 18218-2018 computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.places import Feature, Places, numbered, pick, polygons_of, write_common

SOURCES: Final = 192
SOURCE_PLANTS: Final = 97
# Metres outward of the plant's boundary in which residents count for α.
EXPOSED_M: Final = 500.0
# Residents at least -> α, the first that fits.
ALPHA: Final = ((100, 2.0), (50, 1.5), (30, 1.2), (1, 1.0), (0, 0.5))
# R at least -> level of the source, the first that fits.
LEVELS: Final = ((100.0, 1), (50.0, 2), (10.0, 3), (0.0, 4))


@dataclass(frozen=True, slots=True)
class Chemical:
    """A substance: critical quantity Q in tonnes, β, and whether it is a toxic gas."""

    zh: str
    en: str
    cas: str
    critical_t: float
    beta: float
    toxic_gas: bool = False
    symbol: str | None = None


# Q and β from the edition's public copies; see SOURCES.md for how sure they are.
CHEMICALS: Final = (
    Chemical("液氯", "Chlorine", "7782-50-5", 5, 4, toxic_gas=True),
    Chemical("液氨", "Ammonia", "7664-41-7", 10, 2, toxic_gas=True),
    Chemical("二氧化硫", "Sulphur dioxide", "7446-09-5", 20, 2, toxic_gas=True),
    Chemical("硫化氢", "Hydrogen sulphide", "7783-06-4", 5, 5, toxic_gas=True),
    Chemical("环氧乙烷", "Ethylene oxide", "75-21-8", 10, 2, toxic_gas=True),
    Chemical("氟化氢", "Hydrogen fluoride", "7664-39-3", 1, 5, toxic_gas=True),
    Chemical("液化石油气", "LPG", "68476-85-7", 50, 1.5, symbol="W2"),
    Chemical("天然气", "Natural gas", "8006-14-2", 50, 1.5, symbol="W2"),
    Chemical("氢气", "Hydrogen", "1333-74-0", 5, 1.5, symbol="W2"),
    Chemical("乙炔", "Acetylene", "74-86-2", 1, 1.5, symbol="W2"),
    Chemical("氯乙烯", "Vinyl chloride", "75-01-4", 50, 1.5, symbol="W2"),
    Chemical("汽油", "Petrol", "86290-81-5", 200, 1, symbol="W5.3"),
    Chemical("甲醇", "Methanol", "67-56-1", 500, 1, symbol="W5.3"),
    Chemical("乙醇", "Ethanol", "64-17-5", 500, 1, symbol="W5.3"),
    Chemical("丙酮", "Acetone", "67-64-1", 500, 1, symbol="W5.3"),
    Chemical("甲苯", "Toluene", "108-88-3", 500, 1, symbol="W5.3"),
    Chemical("苯", "Benzene", "71-43-2", 50, 1, symbol="W5.3"),
    Chemical("液氧", "Oxygen", "7782-44-7", 200, 1, symbol="W4"),
    Chemical("硝酸铵", "Ammonium nitrate", "6484-52-2", 50, 1, symbol="W9.1"),
)
# What stands together in one unit, by position in CHEMICALS: kinds of unit with Chinese, English.
_UNITS: Final[tuple[tuple[str, str, str, tuple[int, ...], float], ...]] = (
    ("液氯储罐区", "chlorine tanks", "储存单元", (0,), 14),
    ("液氨储罐区", "ammonia tanks", "储存单元", (1,), 18),
    ("硫回收装置", "sulphur recovery unit", "生产单元", (2, 3), 7),
    ("环氧乙烷装置", "ethylene oxide unit", "生产单元", (4,), 6),
    ("氟化工装置", "fluorine unit", "生产单元", (5,), 4),
    ("液化烃球罐区", "LPG spheres", "储存单元", (6,), 26),
    ("LNG储罐区", "LNG tanks", "储存单元", (7,), 10),
    ("加氢装置", "hydrogenation unit", "生产单元", (8, 6), 14),
    ("乙炔站", "acetylene station", "生产单元", (9,), 6),
    ("氯乙烯罐区", "vinyl chloride tanks", "储存单元", (10, 0), 9),
    ("汽油罐区", "petrol tanks", "储存单元", (11,), 24),
    ("甲醇罐区", "methanol tanks", "储存单元", (12, 13), 18),
    ("溶剂罐区", "solvent tanks", "储存单元", (14, 15), 12),
    ("芳烃罐区", "aromatics tanks", "储存单元", (16, 15), 16),
    ("空分装置", "air separation unit", "生产单元", (17,), 4),
    ("硝酸铵仓库", "ammonium nitrate store", "储存单元", (18,), 4),
)


def alpha_of(persons: int) -> float:
    """Return α for the residents within 500 m of the plant's boundary."""
    return next(alpha for least, alpha in ALPHA if persons >= least)


def level_of(r_value: float) -> int:
    """Return the level of a source for its R."""
    return next(level for least, level in LEVELS if r_value >= least)


def indices(rows: list[dict[str, Any]], alpha: float) -> tuple[float, float]:
    """Return S = Σ q/Q and R = α Σ β q/Q of a unit's chemicals, to three decimals."""
    shares = [(row["quantity_t"] / row["critical_quantity_t"], row["beta"]) for row in rows]
    s_value = sum(share for share, _ in shares)
    return round(s_value, 3), round(alpha * sum(beta * share for share, beta in shares), 3)


def major_hazard_sources(places: Places, plants: list[Feature]) -> list[Feature]:
    """Return the sources of the plants that have any, each within its plant."""
    rng = places.random("major-hazard-sources")
    spread = np.ones(SOURCE_PLANTS, dtype=np.int64)
    # Each plant has one; the rest go to some more than to others.
    fond = rng.lognormal(0, 0.8, SOURCE_PLANTS)
    np.add.at(spread, rng.choice(SOURCE_PLANTS, SOURCES - SOURCE_PLANTS, p=fond / fond.sum()), 1)
    rings = [plant.shape.buffer(EXPOSED_M).difference(plant.shape) for plant in plants]
    exposed = places.persons_in(rings)
    weights = {unit: unit[4] for unit in _UNITS}
    features = []
    for plant, number, persons in zip(plants, spread, exposed, strict=True):
        for place in _inside(rng, plant.shape, int(number)):
            unit = pick(rng, weights)
            features.append(_source(places, rng, plant, place, unit, int(persons)))
    return numbered("ZD", features)


def _inside(rng: np.random.Generator, shape: BaseGeometry, count: int) -> list[shapely.Point]:
    """Return places well inside a plant that keep apart from one another."""
    # Tanks do not stand at a fence.
    inner = polygons_of(shape.buffer(-15))[0]
    west, south, east, north = inner.bounds
    found: list[shapely.Point] = []
    apart = 0.45 * float(np.sqrt(inner.area / count))
    while len(found) < count:
        point = shapely.Point(rng.uniform(west, east), rng.uniform(south, north))
        if inner.contains(point) and all(point.distance(other) >= apart for other in found):
            found.append(point)
        apart *= 0.995
    return found


def _stored(
    rng: np.random.Generator, parts: tuple[int, ...], wanted: float
) -> list[dict[str, Any]]:
    """Return chemicals whose Σ β q/Q is about what is wanted, and whose Σ q/Q is at least 1."""
    shares = rng.dirichlet(np.full(len(parts), 2.0))
    rows = []
    for part, share in zip(parts, shares, strict=True):
        chemical = CHEMICALS[part]
        ratio = max(wanted * share / chemical.beta, 1.02 / len(parts))
        # Three digits at most, as designs are written; upwards, so that S stays at 1 or above.
        digits = max(0, 2 - int(np.floor(np.log10(ratio * chemical.critical_t))))
        tonnes = float(np.ceil(ratio * chemical.critical_t * 10**digits) / 10**digits)
        row: dict[str, Any] = {"name": chemical.zh, "cas": chemical.cas}
        if chemical.symbol is not None:
            row["category_symbol"] = chemical.symbol
        row |= {
            "quantity_t": tonnes,
            "critical_quantity_t": chemical.critical_t,
            "beta": chemical.beta,
        }
        rows.append(row)
    return rows


def _source(
    places: Places,
    rng: np.random.Generator,
    plant: Feature,
    place: shapely.Point,
    unit: tuple[str, str, str, tuple[int, ...], float],
    persons: int,
) -> Feature:
    zh, en, unit_type, parts, _ = unit
    alpha = alpha_of(persons)
    low, high = pick(rng, {(105, 320): 0.1, (52, 98): 0.18, (11, 48): 0.42, (1.5, 9.5): 0.3})
    chemicals = _stored(rng, parts, float(rng.uniform(low, high)) / alpha)
    s_value, r_value = indices(chemicals, alpha)
    level = level_of(r_value)
    owner = plant.properties
    filed = int(rng.integers(2024, 2027))
    day = f"{int(rng.integers(1, 11)):02d}-{int(rng.integers(1, 29)):02d}"
    properties: dict[str, Any] = {
        "name": f"{owner['name']}{zh}",
        "name_en": f"{owner['name_en']} {en}",
        "enterprise_code": owner["code"],
        "unit_type": unit_type,
        "hazard_level": level,
        "s_value": s_value,
        "r_value": r_value,
        "exposed_persons_500m": persons,
        "alpha": alpha,
        "regulation": "gb18218-2018",
        "r_source": pick(rng, {"reported": 0.85, "computed": 0.15}),
        "filing_no": f"演示备{filed}-{int(rng.integers(1000, 9999))}",
        "filed_at": f"{filed}-{day}",
        "valid_until": f"{filed + 3}-{day}",
        "online_status": pick(rng, {"online": 0.93, "offline": 0.05, "none": 0.02}),
        "wind_relevant": any(CHEMICALS[part].toxic_gas for part in parts),
        "chemicals": chemicals,
    }
    # The level of the source is its risk at birth; measures bring some one level down.
    eased = 0.11 if level < 4 else 0.0
    risk = pick(rng, {level: 0.93 - eased, level + 1: eased, None: 0.07})
    if risk is not None:
        properties["risk_level"] = risk
    write_common(
        properties,
        rng,
        department="应急管理局",
        admin_code=places.admin_code(place),
        responsible=1.0,
    )
    return Feature(place, properties)
