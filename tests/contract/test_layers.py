"""Every layer keeps the promises that tables, API, tiles, import and docs are derived from."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskmap.catalog.registry import Catalog, load_catalog
from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role
from riskmap.db.base import METADATA

PUBLIC_IDS = {
    "risk-records",
    "geohazard-points",
    "flash-flood-zones",
    "flood-impact-areas",
    "fault-lines",
    "major-hazard-sources",
    "enterprises",
    "shelters",
    "rescue-teams",
    "supply-depots",
    "admin-divisions",
    "population-cells",
    "land-cover",
}
CATALOG = load_catalog()
LAYERS = [pytest.param(layer, id=layer.id) for layer in CATALOG.values()]

CJK = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"[a-z0-9][a-z0-9_-]*")

# Names that an importer takes for a coordinate, that collide with a column of every table, or
# that the API's own query parameters would shadow as property filters.
COORDINATES = {"lon", "lat", "lng", "longitude", "latitude", "x", "y", "coordinates"}
COLUMNS = {"id", "fid", "gid", "geom", "geom_3857", "geometry"}
PARAMETERS = {
    "bbox", "bbox-crs", "crs", "limit", "offset", "datetime", "filter", "filter-lang",
    "filter-crs", "sortby", "properties", "token", "lang", "f", "q", "datum",
}  # fmt: skip


def fields_of(layer: Layer) -> Iterator[tuple[str, Field]]:
    """Yield every field, the children's too, with a path that says where it stands."""
    for field in layer.fields:
        yield f"{layer.id}.{field.name}", field
    for child in layer.children:
        for field in child.fields:
            yield f"{layer.id}.{child.name}[].{field.name}", field


def assert_both_languages(where: str, zh: str, en: str) -> None:
    assert CJK.search(zh), f"{where}: the Chinese text {zh!r} holds no Chinese"
    assert en.strip() and en.isascii(), f"{where}: the English text {en!r} is not plain English"
    assert zh != en


def test_the_ids_are_the_public_names() -> None:
    assert set(CATALOG) == PUBLIC_IDS


def test_a_layers_file_is_named_like_the_layer() -> None:
    folder = Path(sys.modules["riskmap.layers"].__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {layer_id.replace("-", "_") for layer_id in PUBLIC_IDS}


def test_exactly_one_layer_says_where_people_live() -> None:
    assert len(CATALOG.with_role(Role.POPULATION)) == 1
    field = CATALOG.population.field(CATALOG.population.people or "")
    assert field is not None
    assert field.required and field.minimum == 0 and not field.restricted


@pytest.mark.parametrize("layer", LAYERS)
def test_titles_and_labels_are_in_both_languages(layer: Layer) -> None:
    for text in (layer.title, layer.description):
        assert_both_languages(layer.id, text.zh, text.en)
    for child in layer.children:
        assert_both_languages(f"{layer.id}.{child.name}", child.zh, child.en)
    for where, field in fields_of(layer):
        assert_both_languages(where, field.zh, field.en)
        for value in field.values:
            assert_both_languages(f"{where}={value.code}", value.zh, value.en)


@pytest.mark.parametrize("layer", LAYERS)
def test_labels_tell_fields_and_values_apart(layer: Layer) -> None:
    groups = [layer.fields, *(child.fields for child in layer.children)]
    for fields in groups:
        for lang in ("zh", "en"):
            labels = [field.label.in_(lang) for field in fields]
            assert len(set(labels)) == len(labels), sorted(labels)
    for where, field in fields_of(layer):
        for labels in ([v.zh for v in field.values], [v.en for v in field.values]):
            assert len(set(labels)) == len(labels), where


@pytest.mark.parametrize("layer", LAYERS)
def test_fields_say_where_they_come_from(layer: Layer) -> None:
    for where, field in fields_of(layer):
        assert field.source.strip(), where
        if "[U]" in field.source:
            assert field.source.startswith("[U] "), where


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_uncertain_constrains_nothing(layer: Layer) -> None:
    for where, field in fields_of(layer):
        if field.source.startswith("[U]"):
            assert not field.values and not field.required, where
            assert field.maximum is None, where


@pytest.mark.parametrize("layer", LAYERS)
def test_limits_and_values_fit_the_type(layer: Layer) -> None:
    for where, field in fields_of(layer):
        if field.minimum is not None or field.maximum is not None:
            assert field.kind in (Kind.INTEGER, Kind.NUMBER), where
        if field.minimum is not None and field.maximum is not None:
            assert field.minimum < field.maximum, where
        for value in field.values:
            if field.kind is Kind.INTEGER:
                assert isinstance(value.code, int), where
            else:
                assert field.kind in (Kind.TEXT, Kind.TEXTS), where
                assert isinstance(value.code, str) and CODE.fullmatch(value.code), where


@pytest.mark.parametrize("layer", LAYERS)
def test_the_table_has_exactly_the_declared_columns(layer: Layer) -> None:
    table = METADATA.tables[layer.table]
    declared = {field.name for field in layer.fields} | {child.name for child in layer.children}
    low = set() if layer.geometry is Geometry.POINT else {"geom_low"}
    made = {"id", "geom", "geom_3857", "search", *low}
    assert {column.name for column in table.columns} == declared | made
    assert table.info["layer"] == layer.id
    for field in layer.fields:
        if field.required:
            assert not table.c[field.name].nullable, field.name


@pytest.mark.parametrize("layer", LAYERS)
def test_people_are_counted_by_a_public_number(layer: Layer) -> None:
    if layer.people is None:
        assert layer.role not in (Role.SHELTER, Role.TEAM, Role.POPULATION)
        return
    field = layer.field(layer.people)
    assert field is not None and not field.restricted
    assert field.kind in (Kind.INTEGER, Kind.NUMBER) and field.unit == "人" and field.minimum == 0


@pytest.mark.parametrize("layer", LAYERS)
def test_phones_persons_and_hazard_quantities_are_restricted(layer: Layer) -> None:
    secret = re.compile(
        r"phone|mobile|(^|_)person$|keeper|contact|grid_duties"
        r"|quantity_t$|^(s|r)_value$|^attributes$|^raw_[xy]$"
    )
    for where, field in fields_of(layer):
        if secret.search(field.name):
            assert field.restricted, where


def test_the_source_level_is_public_and_its_quantities_are_not() -> None:
    (layer,) = CATALOG.with_role(Role.SOURCE)
    public = {field.name for field in layer.visible(restricted=False)}
    assert "hazard_level" in public
    assert not public & {"s_value", "r_value"}
    (chemicals,) = layer.children
    hidden = {field.name for field in chemicals.fields if field.restricted}
    assert hidden == {"quantity_t", "critical_quantity_t"}


@pytest.mark.parametrize("layer", LAYERS)
def test_tiles_carry_few_public_plain_values(layer: Layer) -> None:
    in_tile = [field for field in layer.fields if field.in_tile]
    assert len(in_tile) <= 6
    for field in in_tile:
        assert not field.restricted, field.name
        assert field.kind not in (Kind.JSON, Kind.TEXTS), field.name
    for child in layer.children:
        assert not any(field.in_tile for field in child.fields), child.name


@pytest.mark.parametrize("layer", LAYERS)
def test_no_name_is_a_known_trap(layer: Layer) -> None:
    for where, field in fields_of(layer):
        assert field.name not in COORDINATES, where
    for name in [field.name for field in layer.fields] + [child.name for child in layer.children]:
        assert name not in COLUMNS | PARAMETERS, f"{layer.id}.{name}"
    for child in layer.children:
        names = [field.name for field in child.fields]
        assert len(set(names)) == len(names), child.name


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_is_in_the_tiles_at_sensible_zooms(layer: Layer) -> None:
    assert 0 <= layer.tile.min_zoom < layer.tile.max_zoom <= 22
    assert layer.tile.max_features > 0
    assert layer.style.symbol
    assert layer.style.by_risk_level == layer.assessed


MODULE = """
from riskmap.catalog.spec import Geometry, Layer, Role, Text
LAYER = Layer(
    id="{id}", title=Text("层", "L"), description=Text("层", "L"),
    geometry=Geometry.POINT, role=Role.{role},
)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package that can be imported by its folder's name; it is forgotten afterwards."""
    folder = tmp_path / f"layers_{tmp_path.name}".replace("-", "_")
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_new_file_is_a_new_layer(package: Path) -> None:
    (package / "people.py").write_text(MODULE.format(id="people", role="POPULATION"))
    (package / "new.py").write_text(MODULE.format(id="new-one", role="HAZARD"))
    assert list(load_catalog(package.name)) == ["new-one", "people"]


def test_a_module_without_layer_fails_and_says_which(package: Path) -> None:
    (package / "people.py").write_text(MODULE.format(id="people", role="POPULATION"))
    (package / "forgotten.py").write_text("layer = None\n")
    with pytest.raises(TypeError, match="forgotten"):
        load_catalog(package.name)


def test_two_layers_of_one_id_fail_and_say_which(package: Path) -> None:
    (package / "one.py").write_text(MODULE.format(id="same", role="POPULATION"))
    (package / "two.py").write_text(MODULE.format(id="same", role="HAZARD"))
    with pytest.raises(ValueError, match="'same'"):
        load_catalog(package.name)


@pytest.mark.parametrize("roles", [[], ["POPULATION", "POPULATION"]])
def test_none_or_two_population_layers_fail(package: Path, roles: list[str]) -> None:
    for number, role in enumerate(roles):
        (package / f"p{number}.py").write_text(MODULE.format(id=f"p{number}", role=role))
    with pytest.raises(ValueError, match="population"):
        load_catalog(package.name)


def test_an_empty_catalog_is_refused() -> None:
    with pytest.raises(ValueError, match="population"):
        Catalog([])
