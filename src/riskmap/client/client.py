"""A riskmap service as a notebook sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import folium
import geopandas as gpd
import httpx
import numpy as np
import pandas as pd
from shapely.geometry import MultiPoint, shape
from shapely.geometry.base import BaseGeometry

from riskmap.client import maps
from riskmap.client.base import Base, read_base
from riskmap.client.frames import CRS, features_frame, filter_value
from riskmap.client.http import Lang, Service

# The service's own bound of one answer is 10,000 features; smaller pages show progress sooner.
_PAGE = 2000
_ARRIVAL = ("layer", "id", "name", "name_en", "kind", "personnel", "lon", "lat", "arrival_s")
_PHASES = ("call_handling_s", "turnout_s", "travel_s", "setup_s")
_LEVEL_TEXTS = ("id", "code", "name", "name_en", "enterprise_code", "agrees")
_FILED = ("level", "S", "R", "alpha", "persons", "regulation", "r_source")
_COMPUTED = ("level", "major", "S", "R", "alpha", "persons", "persons_raw", "edition")
_LEVEL_LISTS = ("differences", "not_computed", "warnings", "unverified", "chemicals")
_LEVEL_COLUMNS = [
    *_LEVEL_TEXTS,
    *(f"filed_{name}" for name in _FILED),
    *(f"computed_{name}" for name in _COMPUTED),
    *_LEVEL_LISTS,
]

Places: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | BaseGeometry | gpd.GeoSeries


class Client:
    """A riskmap service.

    Parameters
    ----------
    base_url
        Where it listens, such as `http://127.0.0.1:8000`.
    key
        An API key; without one the public fields are read.
    lang
        Language of labels, errors and maps: `zh` or `en`.
    timeout_s
        Longest wait for the service, seconds.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        lang: Lang = "zh",
        *,
        timeout_s: float = 60.0,
    ) -> None:
        self._service = Service(base_url, key, lang, timeout_s)
        self.lang = lang

    def __repr__(self) -> str:
        return f"Client({self._service.base_url!r}, lang={self.lang!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    @cached_property
    def city(self) -> dict[str, Any] | None:
        """The city: name, name_en, bbox, synthetic; None when there is none yet."""
        found: dict[str, Any] | None = self._service.get("/")["city"]
        return found

    def layers(self) -> pd.DataFrame:
        """Return all layers by id: title, title_en, role, revision, updated_at."""
        found = self._service.get("/collections")["collections"]
        rows = {
            one["id"]: {
                "title": one["titles"]["zh"],
                "title_en": one["titles"]["en"],
                "role": one["role"],
                "revision": one["revision"],
                "updated_at": one["updated_at"],
            }
            for one in found
        }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer")
        frame["revision"] = frame["revision"].astype("Int64")
        frame["updated_at"] = pd.to_datetime(frame["updated_at"], utc=True, format="ISO8601")
        return frame

    def fields(self, layer: str) -> pd.DataFrame:
        """Return the fields of a layer that this client may read: label, type, unit, values."""
        found = self._service.get(f"/collections/{layer}")["fields"]
        return pd.DataFrame(found).set_index("name")

    def read(
        self,
        layer: str,
        bbox: Sequence[float] | None = None,
        limit: int | None = None,
        **filters: Any,
    ) -> gpd.GeoDataFrame:
        """Read the features of a layer, all pages of them.

        Parameters
        ----------
        bbox
            West, south, east, north.
        limit
            At most so many features; None: all.
        filters
            Fields and their values; a list means any of them, None what is not known:
            `risk_level=[1, 2]`, `risk_level=None` (未评估).

        Returns
        -------
        The features in EPSG:4326, ids as index. `attrs` hold layer, title, title_en, role and
        `matched`, the service's own number of matches.
        """
        about = self._service.get(f"/collections/{layer}")
        params = {name: filter_value(name, value) for name, value in filters.items()}
        if bbox is not None:
            params["bbox"] = ",".join(repr(float(value)) for value in bbox)
        features: list[dict[str, Any]] = []
        matched: int | None = None
        following: dict[str, str] | None = {}
        while following is not None:
            left = _PAGE if limit is None else min(_PAGE, limit - len(features))
            page = self._service.get(
                f"/collections/{layer}/items", {**params, **following, "limit": str(left)}
            )
            matched = page.get("numberMatched") if matched is None else matched
            features += page["features"]
            enough = limit is not None and len(features) >= limit
            following = None if enough else _following(page["links"])
        frame = features_frame(features, about["fields"])
        frame.attrs.update(
            layer=layer,
            title=about["titles"]["zh"],
            title_en=about["titles"]["en"],
            role=about["role"],
            matched=matched,
        )
        return frame

    def circle(
        self, points: Places, minutes: Iterable[float] = (5, 10, 15), **phases: Any
    ) -> gpd.GeoDataFrame:
        """Ask what is reached from a place within so many minutes of the alarm.

        Parameters
        ----------
        points
            One or several starts: `(lon, lat)`, `[(lon, lat), …]`, a shapely geometry (its
            representative point, of a multipoint each point) or a GeoSeries.
        phases
            `kind`, `profile`, `call_handling_s`, `turnout_s`, `setup_s`; what is not given is
            that of the kind of team.

        Returns
        -------
        One row for each band, the shortest first: minutes, travel_s, area_km2, people, a column
        of counts for each layer, and the whole disk. `attrs` hold method, profile, phases,
        starts, network_revision, speed_source, people_by_minute, synthetic, and as `inside` the
        counts by layer with their levels (`pd.DataFrame(circle.attrs["inside"])`).
        """
        body = {"points": starts_of(points), "minutes": [float(value) for value in minutes]}
        answer = self._service.post("/analysis/response-circles", {**body, **phases})
        bands = sorted(answer["features"], key=lambda band: float(band["properties"]["minutes"]))
        rows, inside = [], []
        for band in bands:
            facts = dict(band["properties"])
            layers = facts.pop("layers")
            rows.append(facts | {name: counted["count"] for name, counted in layers.items()})
            inside += [
                {"minutes": facts["minutes"], "layer": name, **_flat(counted)}
                for name, counted in layers.items()
            ]
        shapes = [shape(band["geometry"]) for band in bands]
        frame = gpd.GeoDataFrame(pd.DataFrame(rows), geometry=gpd.GeoSeries(shapes, crs=CRS))
        frame.attrs.update(
            {name: value for name, value in answer.items() if name not in ("type", "features")},
            inside=inside,
            synthetic=bool(self.city and self.city["synthetic"]),
        )
        return frame

    def reach(self, lon: float, lat: float, minutes: float = 15) -> pd.DataFrame:
        """List the teams that reach a place within so many minutes, the first to arrive first.

        `attrs["unavailable"]` lists those that would, were they not away.
        """
        place = {"lon": repr(float(lon)), "lat": repr(float(lat)), "minutes": repr(float(minutes))}
        answer = self._service.get("/analysis/reach", place)
        rows = [{**team, **team["phases"]} for team in answer["teams"]]
        frame = pd.DataFrame(rows, columns=[*_ARRIVAL, *_PHASES])
        facts = {name: value for name, value in answer.items() if name != "teams"}
        frame.attrs.update(facts)
        return frame

    def coverage(self, minutes: float = 15) -> pd.DataFrame:
        """Return how many assessed features some team reaches in time, by layer and level.

        The level `null` is 未评估 (not assessed). `attrs` hold the rest of the answer: total,
        major, population, uncovered.
        """
        answer = self._service.get("/analysis/coverage", {"minutes": repr(float(minutes))})
        rows = [
            {"layer": layer, "risk_level": level, **counts}
            for layer, found in answer["layers"].items()
            for level, counts in found["by_risk_level"].items()
        ]
        frame = pd.DataFrame(rows, columns=["layer", "risk_level", "count", "covered"])
        frame.attrs.update({name: value for name, value in answer.items() if name != "layers"})
        return frame

    def hazard_levels(self, bbox: Sequence[float] | None = None) -> pd.DataFrame:
        """Return filed and computed levels of the major hazard sources; this needs a key.

        One row for each source by id: code, name, agrees (null: cannot be compared), filed_* and
        computed_* (level, S, R, alpha, persons), and as lists of what the service says
        differences, not_computed, warnings, unverified (rows of the standard's tables that
        nobody verified) and chemicals. `attrs` hold method, population and revision.
        """
        where = {} if bbox is None else {"bbox": ",".join(repr(float(value)) for value in bbox)}
        rows: list[dict[str, Any]] = []
        facts: dict[str, Any] = {}
        following: dict[str, str] | None = {}
        while following is not None:
            page = self._service.get("/analysis/hazard-levels", {**where, **following})
            facts = facts or {name: page[name] for name in ("method", "population", "revision")}
            rows += [_level_row(source) for source in page["sources"]]
            following = _following(page["links"])
        frame = pd.DataFrame(rows, columns=_LEVEL_COLUMNS).set_index("id")
        kinds = {"agrees": "boolean", "computed_major": "boolean"}
        for name in ("filed_level", "computed_level", "filed_persons", "computed_persons"):
            kinds[name] = "Int64"
        frame = frame.astype(kinds)
        frame.attrs.update(facts)
        return frame

    def overview(self) -> dict[str, Any]:
        """Return the city at a glance: counts by level, shelters, teams, divisions, roads."""
        return self._service.get("/overview")

    def map(
        self,
        *layers: gpd.GeoDataFrame | str,
        circle: gpd.GeoDataFrame | None = None,
        base: bool = True,
        height: int | str = 560,
    ) -> folium.Map:
        """Draw layers and a circle on the service's own base map; nothing comes from elsewhere.

        Parameters
        ----------
        layers
            What `read` returned, or parts of it, or ids of layers.
        circle
            What `circle` returned.
        base
            Draw water, hills, districts and main roads beneath.
        height
            Height in a notebook, pixels.
        """
        frames = [self.read(layer) if isinstance(layer, str) else layer for layer in layers]
        return maps.draw(
            frames,
            circle=circle,
            base=self._base if base else Base.empty(),
            synthetic=bool(self.city and self.city["synthetic"]),
            lang=self.lang,
            base_url=self._service.base_url,
            height=height,
        )

    @cached_property
    def _base(self) -> Base:
        return read_base(self.layers(), self.read, self._service)


def _level_row(source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: source[name] for name in (*_LEVEL_TEXTS, *_LEVEL_LISTS)},
        **{f"filed_{name}": source["filed"][name] for name in _FILED},
        **{f"computed_{name}": source["computed"][name] for name in _COMPUTED},
    }


def starts_of(points: Places) -> list[list[float]]:
    """Return starts as `[[lon, lat], …]`."""
    if isinstance(points, gpd.GeoSeries | gpd.GeoDataFrame):
        known = points.geometry if points.crs is None else points.geometry.to_crs(CRS)
        return [_lonlat(geometry) for geometry in known]
    if isinstance(points, MultiPoint):
        return [_lonlat(point) for point in points.geoms]
    if isinstance(points, BaseGeometry):
        return [_lonlat(points)]
    found: list[list[float]] = np.atleast_2d(np.asarray(points, dtype=float)).tolist()
    return found


def _lonlat(geometry: BaseGeometry) -> list[float]:
    place = geometry.representative_point()
    return [float(place.x), float(place.y)]


def _following(links: Iterable[Mapping[str, str]]) -> dict[str, str] | None:
    """Return what leads to the next page.

    Of the link only the query is taken: behind a proxy the service may know itself by another
    address, and a key must not go to any other host.
    """
    for link in links:
        if link["rel"] == "next":
            return dict(httpx.URL(link["href"]).params)
    return None


def _flat(counted: Mapping[str, Any]) -> dict[str, Any]:
    levels = counted.get("by_risk_level", {})
    rest = {name: value for name, value in counted.items() if name != "by_risk_level"}
    return rest | {f"level_{level}": number for level, number in levels.items()}
