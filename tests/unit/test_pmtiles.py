"""PMTiles as another program's reader sees it: numbers, directories, runs, broken files."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.reader import MemorySource, Reader, all_tiles
from pmtiles.tile import tileid_to_zxy, zxy_to_tileid

from riskmap.tiles import archive_format, archive_list
from riskmap.tiles.archive_format import NotAnArchiveError

BOUNDS = (119.5, 35.25, 121.0, 36.75)
METADATA = {"name": "测试市", "vector_layers": [{"id": "a", "fields": {"名": "String"}}]}


def archive(tiles: dict[int, bytes], zooms: tuple[int, int] = (0, 14)) -> bytes:
    """Write tiles by number; equal bytes are one content."""
    contents = {data: n for n, data in enumerate(dict.fromkeys(tiles.values()))}
    packed = {n: gzip.compress(data, mtime=0) for data, n in contents.items()}
    numbered = [(tile, contents[data]) for tile, data in sorted(tiles.items())]
    found = list(archive_format.entries(numbered, {n: len(data) for n, data in packed.items()}))
    file = io.BytesIO()
    order = dict.fromkeys(content for _, content in numbered)
    archive_format.write(
        file,
        found,
        (packed[content] for content in order),
        metadata=METADATA,
        bounds=BOUNDS,
        zooms=zooms,
    )
    return file.getvalue()


def tiles_in(raw: bytes) -> dict[int, bytes]:
    return {
        zxy_to_tileid(*place): gzip.decompress(data) for place, data in all_tiles(MemorySource(raw))
    }


@pytest.mark.parametrize("zoom", range(7))
def test_every_number_of_the_first_zooms(zoom: int) -> None:
    for x in range(1 << zoom):
        for y in range(1 << zoom):
            tile = archive_format.number(zoom, x, y)
            assert tile == zxy_to_tileid(zoom, x, y)
            assert archive_format.place(tile) == (zoom, x, y)


@given(st.integers(7, 22), st.integers(0, 2**22 - 1), st.integers(0, 2**22 - 1))
def test_numbers_of_any_zoom(zoom: int, x: int, y: int) -> None:
    x, y = x % (1 << zoom), y % (1 << zoom)
    tile = archive_format.number(zoom, x, y)
    assert tile == zxy_to_tileid(zoom, x, y)
    assert archive_format.place(tile) == (zoom, x, y) == tileid_to_zxy(tile)


@given(
    st.dictionaries(
        st.integers(0, 400), st.sampled_from([b"a", b"bb", b"ccc", b"dddd"]), min_size=1
    )
)
def test_any_set_of_tiles_is_read_back(tiles: dict[int, bytes]) -> None:
    raw = archive(tiles, (0, 4))
    assert tiles_in(raw) == tiles
    header = Reader(MemorySource(raw)).header()
    assert header["addressed_tiles_count"] == len(tiles)
    assert header["tile_contents_count"] == len(set(tiles.values()))
    assert header["clustered"]


def test_more_tiles_than_a_root_directory_holds_go_into_leaves() -> None:
    chance = random.Random(5)
    numbers = chance.sample(range(10_000_000), 60_000)
    tiles = {tile: tile.to_bytes(4) for tile in numbers}
    raw = archive(tiles)
    reader = Reader(MemorySource(raw))
    header = reader.header()
    assert header["leaf_directory_length"] > 0
    assert header["root_offset"] + header["root_length"] <= 16_384
    assert header["tile_entries_count"] == len(tiles)
    for tile in [min(numbers), max(numbers), *chance.sample(numbers, 300)]:
        assert gzip.decompress(reader.get(*tileid_to_zxy(tile))) == tiles[tile]
    missing = next(tile for tile in range(10_000_000) if tile not in tiles)
    assert reader.get(*tileid_to_zxy(missing)) is None
    assert tiles_in(raw) == tiles


def test_neighbours_of_one_content_are_one_entry() -> None:
    raw = archive({**dict.fromkeys(range(100, 20_000), b"sea"), 50: b"land", 30_000: b"sea"})
    header = Reader(MemorySource(raw)).header()
    assert header["tile_entries_count"] == 3
    assert header["addressed_tiles_count"] == 19_902
    assert header["tile_contents_count"] == 2
    assert header["tile_data_length"] == sum(
        len(gzip.compress(text, mtime=0)) for text in (b"sea", b"land")
    )


def test_header_and_metadata_are_read_by_both() -> None:
    raw = archive({0: b"x"}, (0, 14))
    theirs, (header, metadata) = (
        Reader(MemorySource(raw)),
        archive_format.read(io.BytesIO(raw), len(raw)),
    )
    assert theirs.metadata() == metadata == METADATA
    told = theirs.header()
    assert (told["min_zoom"], told["max_zoom"]) == (header.min_zoom, header.max_zoom) == (0, 14)
    assert header.bounds == BOUNDS
    assert (told["min_lon_e7"], told["max_lat_e7"]) == (1_195_000_000, 367_500_000)
    assert told["tile_type"].name == "MVT" and told["tile_compression"].name == "GZIP"
    assert header.tiles == 1


@pytest.mark.parametrize("keep", [0, 1, 126, 127, 150, -1])
def test_a_file_that_is_cut_off_is_none(keep: int) -> None:
    raw = archive({0: b"x", 1: b"y"})[:keep]
    with pytest.raises(NotAnArchiveError):
        archive_format.read(io.BytesIO(raw), len(raw))


def broken(at: int, *values: int) -> bytes:
    raw = bytearray(archive({0: b"x"}))
    raw[at : at + len(values)] = bytes(values)
    return bytes(raw)


@pytest.mark.parametrize(
    "raw",
    [
        broken(0, ord("Q")),
        broken(7, 2),
        broken(24, *b"\xff" * 8),  # the metadata lie behind the end of the world
        broken(97, 1),  # said not to be compressed
        bytes(200),
        b"PMTiles\x03" + b"\xff" * 200,
    ],
)
def test_a_file_that_is_broken_is_none(raw: bytes) -> None:
    with pytest.raises(NotAnArchiveError):
        archive_format.read(io.BytesIO(raw), len(raw))


@pytest.mark.parametrize("metadata", ["[1, 2]", "{", "null", "{}" + " " * (8 << 20)])
def test_strange_metadata_do_no_harm(metadata: str) -> None:
    """A bomb is read no farther than an archive's metadata may go."""
    packed = gzip.compress(metadata.encode())
    raw = bytearray(archive({0: b"x"}))
    raw[24:32] = len(raw).to_bytes(8, "little")
    raw[32:40] = len(packed).to_bytes(8, "little")
    raw += packed
    file = io.BytesIO(raw)
    if metadata.startswith("{}"):
        assert archive_format.read(file, len(raw))[1] == {}
    else:
        with pytest.raises(NotAnArchiveError):
            archive_format.read(file, len(raw))


@given(st.binary(max_size=400), st.integers(0, 300))
def test_any_bytes_are_an_archive_or_none(noise: bytes, at: int) -> None:
    raw = bytearray(archive({0: b"x"}))
    raw[at : at + len(noise)] = noise
    try:
        archive_format.read(io.BytesIO(raw), len(raw))
    except NotAnArchiveError:
        return


def test_a_folder_lists_what_lies_there(tmp_path: Path) -> None:
    folder = archive_list.folder_of(tmp_path)
    assert archive_list.listed(folder) == []
    folder.mkdir()
    (folder / "城市.pmtiles").write_bytes(archive({0: b"x"}))
    (folder / "cut.pmtiles").write_bytes(archive({0: b"x"})[:60])
    for left_out in (".hidden.pmtiles", "city.pmtiles.part", "city.pmtiles.new", "a b.pmtiles"):
        (folder / left_out).write_bytes(b"x")
    (folder / "folder.pmtiles").mkdir()
    found = {one.name: one for one in archive_list.listed(folder)}
    assert set(found) == {"城市", "cut"}
    assert found["cut"].problem is not None and found["cut"].header is None
    assert found["城市"].problem is None and found["城市"].ours == {}
