"""Frames as bytes, and a reader on the other side that trusts none of them."""

from __future__ import annotations

import struct
from dataclasses import asdict, replace

import pytest

from ingest_help import BOX, trial_layer
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Kind, Layer
from riskmap.errors import InputError, RiskmapError, UnavailableError
from riskmap.ingest import encode as encoding
from riskmap.ingest.checks import Ready
from riskmap.ingest.encode import RowEncoder, encode_column
from riskmap.ingest.frames import Columns, Reading, Rows, Summary
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.options import ImportOptions
from riskmap.ingest.protocol import (
    HEADER,
    Done,
    Fault,
    Message,
    ProtocolError,
    decode,
    encode,
    payload_length,
)
from riskmap.ingest.report import Problem
from riskmap.ingest.request import Limits, Request

PROBLEM = Problem(3, "ingest.range", "population", "-1", {"minimum": "0", "maximum": "∞"})
SUMMARY = Summary(5, 1, 1, 1, [PROBLEM.to_plain()], [])


def over_the_pipe(message: Message) -> Message:
    data = b"".join(encode(message))
    kind, length = payload_length(data[: HEADER.size])
    assert length == len(data) - HEADER.size
    return decode(kind, data[HEADER.size :])


@pytest.mark.parametrize(
    "message",
    [
        Columns(("riskmap_row", "code", "危险")),
        Rows("1\t危险\\n\n".encode(), 1),
        Rows(b"", 0),
        Reading(5, 10),
        SUMMARY,
        Done("rejected.csv"),
        Done(None),
    ],
)
def test_what_goes_in_comes_out(message: Message) -> None:
    assert over_the_pipe(message) == message


def test_errors_keep_class_key_and_values() -> None:
    for error in (
        InputError("ingest.file.missing", parameter="file", value="a.csv"),
        UnavailableError("ingest.limit.disk", parameter="file"),
    ):
        message = over_the_pipe(Fault(error))
        assert isinstance(message, Fault)
        assert type(message.error) is type(error)
        assert str(message.error) == str(error)
        assert message.error.parameter == "file"
    # A class that the pipe does not know is the file's fault.
    message = over_the_pipe(Fault(RiskmapError("ingest.limit.disk", parameter="file")))
    assert isinstance(message, Fault)
    assert isinstance(message.error, InputError)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.pack(b"X", 0),
        HEADER.pack(b"\x80", 10),
        HEADER.pack(b"R", 1 << 40),
        HEADER.pack(b"C", (1 << 20) + 1),
        HEADER.pack(b"P", 2**64 - 1),
    ],
)
def test_unknown_kinds_and_lengths_are_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        payload_length(header)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (b"C", b"[1, 2]"),
        (b"C", b"7"),
        (b"C", b"\xff"),
        (b"P", b"[1]"),
        (b"P", b'["a", "b"]'),
        (b"R", b"123"),
        (b"S", b"{}"),
        (b"S", b"[]"),
        (b"D", b'"../../etc/passwd"'),
        (b"D", b"[]"),
        (b"E", b'{"class":"SystemExit","key":"ingest.share","parameter":null,"values":{}}'),
        (b"E", b'{"class":"InputError","key":"no.such.key","parameter":null,"values":{}}'),
        (b"E", b'{"class":"InputError","key":"ingest.share","parameter":null,"values":{}}'),
    ],
)
def test_payloads_that_are_none_are_refused(kind: bytes, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(kind, payload)


def test_problems_that_cannot_be_said_are_refused() -> None:
    for broken in (
        PROBLEM.to_plain() | {"key": "nothing"},
        PROBLEM.to_plain() | {"values": {}},
        PROBLEM.to_plain() | {"row": None},
        {"row": 1},
    ):
        payload = b"".join(encode(replace(SUMMARY, problems=[broken])))[HEADER.size :]
        with pytest.raises(ProtocolError):
            decode(b"S", payload)


def test_a_request_is_read_as_it_was_written(tmp_path) -> None:  # type: ignore[no-untyped-def]
    options = ImportOptions(
        crs="EPSG:4528",
        axes="ne",
        datum_shift=(1.0, 2.0, 3.5),
        mapping=FieldMapping({"code": "编号"}, {"risk_level": {"R3": 2}}, {"name": "x"}),
        max_bad_share=0.25,
    )
    request = Request(
        path=tmp_path / b"a\xff.csv".decode(errors="surrogateescape"),
        layer=trial_layer(),
        options=options,
        box=BOX,
        zone="Asia/Shanghai",
        work_dir=tmp_path,
        limits=Limits(1, 2, 3),
        parent=7,
    )
    assert Request.loads(request.dumps()) == request


@pytest.mark.parametrize("layer", load_catalog().values(), ids=lambda layer: layer.id)
def test_every_layer_goes_into_a_request(layer: Layer, tmp_path) -> None:  # type: ignore[no-untyped-def]
    request = Request(
        path=tmp_path, layer=layer, options=ImportOptions(crs=None), box=BOX, zone="UTC"
    )
    read = Request.loads(request.dumps()).layer
    ours, theirs = asdict(read), asdict(layer)
    for name in ("tile", "style"):  # the reader draws nothing
        ours.pop(name)
        theirs.pop(name)
    assert ours == theirs
    # What COPY gets is text: a field of texts whose codes are numbers would need its own encoder.
    for field in (*layer.fields, *(field for child in layer.children for field in child.fields)):
        if field.kind is Kind.TEXT:
            assert all(isinstance(value.code, str) for value in field.values)


def test_columns_are_told_once_and_when_they_change() -> None:
    encoder = RowEncoder(trial_layer())
    frames = [
        *encoder.frames(Ready([1], {"code": ["a"]})),
        *encoder.frames(Ready([2], {"code": ["b"]})),
        *encoder.frames(Ready([], {"code": [], "name": []})),
        *encoder.frames(Ready([3], {"code": ["c"], "population": [None]})),
    ]
    assert frames == [
        Columns(("riskmap_row", "code")),
        Rows(b"1\ta\n", 1),
        Rows(b"2\tb\n", 1),
        Columns(("riskmap_row", "code", "population")),
        Rows(b"3\tc\t\\N\n", 1),
    ]


def test_long_batches_become_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "FRAME_BYTES", 100)
    rows = list(range(1, 51))
    frames = [
        frame
        for frame in RowEncoder(trial_layer()).frames(Ready(rows, {"code": ["x" * 20] * 50}))
        if isinstance(frame, Rows)
    ]
    assert len(frames) > 5
    assert sum(frame.count for frame in frames) == 50
    assert all(frame.data.count(b"\n") == frame.count for frame in frames)
    lines = b"".join(frame.data for frame in frames).splitlines()
    assert [int(line.split(b"\t")[0]) for line in lines] == rows
    monkeypatch.setattr(encoding, "LONGEST_ROW_BYTES", 150)
    ready = Ready([1, 2], {"code": ["a", "x" * 200]})
    with pytest.raises(InputError) as caught:
        list(RowEncoder(trial_layer()).frames(ready))
    assert (caught.value.key, caught.value.values["row"]) == ("ingest.row.too_long", 2)


def test_column_texts() -> None:
    assert encode_column(Kind.TEXT, ["a", None, "\\N"]) == ["a", "\\N", "\\\\N"]
    assert encode_column(Kind.TEXT, ["a\tb", "c\r\n"]) == ["a\\tb", "c\\r\\n"]
    assert encode_column(Kind.NUMBER, [0.1, None, 1e300]) == ["0.1", "\\N", "1e+300"]
    assert encode_column(Kind.BOOLEAN, [True, False, None]) == ["t", "f", "\\N"]
    assert encode_column(Kind.TEXTS, [['a"b', "NULL"], None]) == ['{"a\\\\"b","NULL"}', "\\N"]
    assert struct.calcsize(">cQ") == HEADER.size == 9
