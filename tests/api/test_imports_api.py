"""Imports over the service: what is taken, what is refused, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api_help import Served, eventually, listening, serving
from riskmap.api import scenarios, uploads
from riskmap.api.uploads import MIB
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.errors import InputError
from riskmap.ingest.folders import Folders
from riskmap.ingest.job import safe_name
from riskmap.jobs.identity import machine

LAYER = "risk-records"
CSV = "code,name,longitude,latitude\nR1,甲,120.5,36.5\nR2,乙,120.6,36.6\n"
BAD = "code,name,longitude,latitude\nR3,丙,120.5,36.5\nR4,丁,10,36.6\n"
FIELDS = {"layer": LAYER, "crs": "EPSG:4326"}


@pytest.fixture
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def send(
    served: Served,
    content: str | bytes = CSV,
    *,
    name: str = "records.csv",
    role: str | None = "editor",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> Any:
    return served.client.post(
        "/imports",
        data={**FIELDS, **fields},
        files={"file": (name, content)},
        headers={**served.headers(role), **(headers or {})},
    )


def ended(served: Served, answer: Any) -> dict[str, Any]:
    assert answer.status_code in (200, 202), answer.text
    path = answer.headers["location"]
    eventually(lambda: served.get(path, "editor").json()["status"] not in ("queued", "running"))
    found: dict[str, Any] = served.get(path, "editor").json()
    return found


def codes(served: Served) -> list[str]:
    return sorted(one["properties"]["code"] for one in served.items(LAYER))


def folder(served: Served) -> Path:
    return served.settings.data_dir / "imports"


def waiting(served: Served) -> list[str]:
    return [path.name for path in folder(served).glob("incoming-*")]


def count(served: Served) -> int:
    return len(served.get("/imports", "editor", limit=1000).json()["imports"])


def refused(served: Served, answer: Any, status: int, parameter: str, key: str) -> None:
    """Check for a clear refusal that left nothing behind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["parameter"], body["type"].rpartition(":")[2]) == (parameter, key), body
    assert waiting(served) == []
    assert count(served) == 0


def test_a_file_lands_and_the_import_tells_all(served: Served) -> None:
    answer = send(served, name="风险 点.csv", headers={"X-Request-ID": "req-7"})
    assert answer.status_code == 202
    first = answer.json()
    assert answer.headers["location"] == f"/imports/{first['id']}"
    assert first["status"] in ("queued", "running")
    found = ended(served, answer)
    assert codes(served) == ["R1", "R2"]
    assert (found["status"], found["layer"], found["file"]) == ("done", LAYER, "风险 点.csv")
    assert (found["crs"], found["mode"], found["source_system"]) == ("EPSG:4326", "upsert", "local")
    assert found["report"]["inserted"] == 2 and found["problem"] is None
    assert found["actor"].startswith("key:") and found["request_id"] == "req-7"
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]
    assert {link["rel"] for link in found["links"]} == {"self", "undo"}
    # What was sent is gone, and who did it is known to the audit.
    eventually(lambda: not (folder(served) / str(found["id"]) / "upload").exists())
    audit = served.get("/audit", "admin").json()["audit"]
    inserts = [one for one in audit if one["action"] == "insert" and one["subject"] == LAYER]
    assert [(one["actor"], one["import_id"], one["request_id"]) for one in inserts] == [
        (found["actor"], found["id"], "req-7")
    ]


def test_the_same_again_changes_nothing_and_dry_run_writes_nothing(served: Served) -> None:
    assert ended(served, send(served, dry_run="true"))["report"]["inserted"] == 2
    assert codes(served) == []
    ended(served, send(served))
    again = ended(served, send(served))["report"]
    assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 2)


def test_fields_after_the_file_count_too(served: Served) -> None:
    parts: list[Any] = [
        ("file", ("a.csv", CSV)),
        ("layer", (None, LAYER)),
        ("crs", (None, "EPSG:4326")),
        ("source_system", (None, "民政局")),
    ]
    answer = served.client.post("/imports", files=parts, headers=served.headers("editor"))
    assert ended(served, answer)["source_system"] == "民政局"
    assert served.items(LAYER, source_system="民政局")


def test_a_mapping_is_used(served: Served) -> None:
    content = "编号,E,N\nX1,120.5,36.5\n"
    mapping = {"fields": {"code": "编号", "x": "E", "y": "N"}, "constants": {"name": "甲"}}
    ended(served, send(served, content, mapping=json.dumps(mapping)))
    (one,) = served.items(LAYER)
    assert (one["properties"]["code"], one["properties"]["name"]) == ("X1", "甲")


@pytest.mark.parametrize(
    ("fields", "parameter", "key"),
    [
        ({"layer": "nowhere"}, "layer", "layer.unknown"),
        ({"layer": ""}, "layer", "parameter.missing"),
        ({"crs": ""}, "crs", "crs.missing"),
        ({"crs": "EPSG:1"}, "crs", "crs.unknown"),
        ({"mode": "merge"}, "mode", "ingest.mode"),
        ({"axes": "xy"}, "axes", "crs.axes"),
        ({"repair": "maybe"}, "repair", "parameter.value"),
        ({"dry_run": "perhaps"}, "dry_run", "parameter.value"),
        ({"max_bad_share": "2"}, "max_bad_share", "ingest.share"),
        ({"max_bad_share": "nan"}, "max_bad_share", "parameter.number"),
        ({"datum_shift": "1,x"}, "datum_shift", "parameter.number"),
        ({"source_system": "x" * 65}, "source_system", "ingest.source_system"),
        ({"mapping": "{"}, "mapping", "ingest.mapping.file"),
        ({"mapping": "[]"}, "mapping", "ingest.mapping.file"),
        ({"mapping": '{"fields": {"no_such": "a"}}'}, "mapping", "ingest.mapping.field"),
        ({"colour": "red"}, "colour", "upload.field"),
        ({"encoding": "x" * 70_000}, "encoding", "upload.long"),
        ({"table": "a\x00b"}, "table", "upload.text"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_is_named_and_nothing_kept(
    served: Served, fields: dict[str, str], parameter: str, key: str
) -> None:
    refused(served, send(served, **fields), 400, parameter, key)


def form(*parts: tuple[str, str], end: str = "--x--\r\n") -> bytes:
    body = "".join(
        f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n" for head, value in parts
    )
    return (body + end).encode()


NAMED = 'name="layer"', LAYER
STATED = 'name="crs"', "EPSG:4326"
FILE = 'name="file"; filename="a.csv"', CSV


@pytest.mark.parametrize(
    ("body", "parameter", "key"),
    [
        (form(NAMED, NAMED, STATED, FILE), "layer", "upload.twice"),
        (form(NAMED, STATED, FILE, FILE), "file", "upload.twice"),
        (form(NAMED, STATED), "file", "upload.form"),
        (form(NAMED, STATED, ('name="file"', CSV)), "file", "upload.form"),
        (form(NAMED, STATED, FILE, end=""), "body", "upload.broken"),
        (form(NAMED, STATED, FILE)[:-40], "body", "upload.broken"),
        (form(NAMED, STATED, ("nothing=1", "x")), "body", "upload.broken"),
        (b"no form at all", "body", "upload.broken"),
        (b"", "body", "upload.broken"),
        (form(("a" * 9000, "x")), "body", "upload.broken"),
        (form(NAMED, STATED, ('name="file"; filename="a.csv"', "")), "file", "ingest.file.empty"),
        (form(NAMED, STATED, ('name="file"; filename="a.exe"', "x")), "file", "upload.ending"),
        (form(NAMED, STATED, ('name="file"; filename=".csv"', "x")), "file", "upload.ending"),
    ],
)
def test_a_form_that_is_none(served: Served, body: bytes, parameter: str, key: str) -> None:
    headers = {**served.headers("editor"), "Content-Type": "multipart/form-data; boundary=x"}
    answer = served.client.post("/imports", content=body, headers=headers)
    refused(served, answer, 400, parameter, key)


def test_another_media_type_is_refused(served: Served) -> None:
    for media in ("application/json", "multipart/form-data", "text/csv"):
        headers = {**served.headers("editor"), "Content-Type": media}
        answer = served.client.post("/imports", content=b"{}", headers=headers)
        refused(served, answer, 400, "body", "upload.form")


def test_an_error_speaks_the_callers_language(served: Served) -> None:
    for lang, words in (("zh", "必须写明坐标系"), ("en", "state the coordinate system")):
        answer = send(served, crs="", headers={"Accept-Language": lang})
        assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("避难所.csv", "避难所.csv"),
        ("/etc/passwd/../../a.csv", "a.csv"),
        ("C:\\数据\\a.CSV", "a.CSV"),
        ("..\\..\\a.zip", "a.zip"),
        ("a\r\nSet-Cookie: x.csv", "aSet-Cookie: x.csv"),
        ("\u202evsc.exe\u202c.csv", "vsc.exe.csv"),
        ("...a.csv . ", "a.csv"),
        ("長" * 300 + ".xlsx", "長" * 65 + ".xlsx"),
    ],
)
def test_names_are_made_safe(given: str, kept: str) -> None:
    assert safe_name(given) == kept


@pytest.mark.parametrize(
    "given", ["", "a", "a.exe", ".csv", "..", "a.csv/", "a.vrt", "a.csv\x00.sh"]
)
def test_names_that_are_none(given: str) -> None:
    with pytest.raises(InputError):
        safe_name(given)


@contextmanager
def limited(cluster: Cluster, migrated: str, **settings: Any) -> Iterator[tuple[Served, int]]:
    """Serve with other settings, by a real uvicorn: what arrives when is the socket's matter."""
    with serving(cluster, migrated) as served:
        other = create_app(served.settings.model_copy(update=settings))
        with listening(other) as port:
            yield served, port


def speak(port: int, head: dict[str, str], *pieces: bytes) -> tuple[int, dict[str, Any]]:
    """Send a request piece by piece, and read the answer whenever it comes."""
    lines = [f"{name}: {value}" for name, value in head.items()]
    text_ = "\r\n".join(["POST /imports HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(text_.encode())
        for piece in pieces:
            try:
                sock.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        answer = b""
        while part := sock.recv(65536):
            answer += part
    head_, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" in head_.lower():
        body = body[body.index(b"\r\n") + 2 :]
        body = body[: body.rindex(b"}") + 1]
    return int(head_.split()[1]), json.loads(body)


def test_too_large_is_413_before_and_while_it_arrives(cluster: Cluster, migrated: str) -> None:
    with limited(cluster, migrated, import_max_mb=1) as (served, port):
        head = {**served.headers("editor"), "Content-Type": "multipart/form-data; boundary=x"}
        start = form(NAMED, STATED, end="") + (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        )
        status, body = speak(port, {**head, "Content-Length": str(10**10)}, start)
        assert (status, body["type"]) == (413, "urn:riskmap:problem:upload.too_large")
        assert "1 MiB" in body["detail"] and "RISKMAP_IMPORT_MAX_MB" in body["detail"]
        # Without a length it is counted as it comes.
        lump = b"%x\r\n%s\r\n" % (65536, b"a" * 65536)
        begin = b"%x\r\n%s\r\n" % (len(start), start)
        status, body = speak(
            port, {**head, "Transfer-Encoding": "chunked"}, begin, *[lump] * 20, b"0\r\n\r\n"
        )
        assert (status, body["type"]) == (413, "urn:riskmap:problem:upload.too_large")
        assert waiting(served) == [] and count(served) == 0
        # As large as may be is not too large.
        exact = start + b"a" * 1024 * 1024 + b"\r\n--x--\r\n"
        status, body = speak(port, {**head, "Content-Length": str(len(exact))}, exact)
        assert status == 202


def test_a_full_disk_is_507(cluster: Cluster, migrated: str) -> None:
    with limited(cluster, migrated, import_max_mb=1024**2) as (served, port):
        head = {**served.headers("editor"), "Content-Type": "multipart/form-data; boundary=x"}
        status, body = speak(port, {**head, "Content-Length": str(2**40)}, b"--x\r\n")
        assert (status, body["type"]) == (507, "urn:riskmap:problem:upload.disk_full")
        # The kernel refuses in mid-file: here by the size that this process may write.
        whole = form(NAMED, STATED, ('name="file"; filename="a.csv"', "a" * 3_000_000))
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, old[1]))
        try:
            status, body = speak(port, {**head, "Content-Length": str(len(whole))}, whole)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert (status, body["type"]) == (507, "urn:riskmap:problem:upload.disk_full")
        assert waiting(served) == [] and count(served) == 0


def test_a_reserve_stays_on_the_disk(
    cluster: Cluster, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """507 before the disk is full, by what is announced and by what others write meanwhile."""
    free = uploads.RESERVE_BYTES + 50 * MIB
    monkeypatch.setattr(uploads, "free_bytes", lambda _folder: free)
    with limited(cluster, migrated, import_max_mb=1024) as (served, port):
        head = {**served.headers("editor"), "Content-Type": "multipart/form-data; boundary=x"}
        status, body = speak(port, {**head, "Content-Length": str(free)}, b"--x\r\n")
        assert (status, body["type"]) == (507, "urn:riskmap:problem:upload.disk_full")
        assert "512 MiB" in body["detail"]
        whole = form(NAMED, STATED, ('name="file"; filename="a.csv"', "a" * (40 * MIB)))
        sizes: list[int] = []

        def shrinking(at: Path) -> int:
            sizes.append(sum(file.stat().st_size for file in at.rglob("*.csv")))
            return free if sizes[-1] < 20 * MIB else uploads.RESERVE_BYTES

        monkeypatch.setattr(uploads, "free_bytes", shrinking)
        status, body = speak(port, {**head, "Content-Length": str(len(whole))}, whole)
        assert (status, body["type"]) == (507, "urn:riskmap:problem:upload.disk_full")
        assert 20 * MIB <= max(sizes) < 40 * MIB, "it was seen while the file arrived"
        eventually(lambda: waiting(served) == [])
        assert count(served) == 0


def test_a_client_that_leaves_leaves_nothing_behind(cluster: Cluster, migrated: str) -> None:
    with limited(cluster, migrated) as (served, port):
        whole = form(NAMED, STATED, ('name="file"; filename="a.csv"', "a" * 3_000_000))
        head = served.headers("editor")["Authorization"]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(
                f"POST /imports HTTP/1.1\r\nHost: x\r\nAuthorization: {head}\r\nContent-Length: "
                f"{len(whole)}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
            )
            sock.sendall(whole[:2_000_000])
            eventually(lambda: any(folder(served).glob("incoming-*/upload/a.csv")))
            (name,) = folder(served).glob("incoming-*/upload/a.csv")
            eventually(lambda: name.stat().st_size > 1_000_000)  # on the disk, not in memory
        eventually(lambda: waiting(served) == [])
        assert count(served) == 0


def test_a_wrong_layer_is_refused_before_the_file_is_sent(cluster: Cluster, migrated: str) -> None:
    with limited(cluster, migrated) as (served, port):
        head = {**served.headers("editor"), "Content-Type": "multipart/form-data; boundary=x"}
        start = form(('name="layer"', "nowhere"), STATED, end="") + (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        )
        began = start + b"a" * 100
        # The rest of the gigabyte never comes; the answer does.
        status, body = speak(port, {**head, "Content-Length": str(10**9)}, began)
        assert (status, body["parameter"]) == (400, "layer")


def test_one_key_one_import(served: Served) -> None:
    headers = {"Idempotency-Key": "abc-1"}
    first, second = send(served, headers=headers), send(served, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == second.headers["location"]
    ended(served, first)
    third = send(served, headers=headers)
    assert (third.status_code, third.json()["status"]) == (200, "done")
    assert count(served) == 1 and waiting(served) == []


@pytest.mark.parametrize(
    "change",
    [{"content": CSV + "R9,壬,120.5,36.5\n"}, {"dry_run": "true"}, {"source_system": "x"}],
)
def test_another_request_under_the_same_key_is_422(served: Served, change: dict[str, str]) -> None:
    headers = {"Idempotency-Key": "abc-1"}
    first = send(served, headers=headers)
    answer = send(served, headers=headers, **change)
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "Idempotency-Key"
    assert str(first.json()["id"]) in answer.json()["detail"]
    assert count(served) == 1 and waiting(served) == []
    assert ended(served, first)["report"]["inserted"] == 2


def test_a_key_belongs_to_its_caller(served: Served) -> None:
    headers = {"Idempotency-Key": "abc-1"}
    one, other = send(served, headers=headers), send(served, headers=headers, role="admin")
    assert one.json()["id"] != other.json()["id"]


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\tb"])
def test_a_key_that_is_none(served: Served, key: str) -> None:
    answer = send(served, headers={"Idempotency-Key": key.encode()})  # type: ignore[dict-item]
    refused(served, answer, 400, "Idempotency-Key", "idempotency.key")


def test_many_requests_at_once_with_one_key_are_one_import(cluster: Cluster, migrated: str) -> None:
    with limited(cluster, migrated) as (served, port):
        whole = form(NAMED, STATED, FILE)
        head = {
            **served.headers("editor"),
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": str(len(whole)),
            "Idempotency-Key": "at-once",
        }
        gate = threading.Barrier(6)

        def one(_: int) -> tuple[int, dict[str, Any]]:
            gate.wait()
            return speak(port, head, whole)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(one, range(6)))
        assert {status for status, _ in answers} <= {200, 202}
        assert len({body["id"] for _, body in answers}) == 1
        assert count(served) == 1 and waiting(served) == []


def test_a_rejected_import_has_its_report_and_its_files(served: Served) -> None:
    found = ended(served, send(served, BAD, name="坏 数据.csv"))
    assert (found["status"], found["problem"]) == ("rejected", None)
    assert codes(served) == []
    (problem,) = found["report"]["problems"]
    assert problem["row"] == 2 and set(problem["reason"]) == {"zh", "en"}
    # What the importer leaves there (tests of its own) is handed out as it is.
    home = folder(served) / str(found["id"])
    (home / "rejected.csv").write_text("code,riskmap_row\nR4,2\n", encoding="utf-8")
    line = {"row": 2, "key": "ingest.required", "field": "code", "value": None, "values": {}}
    (home / "problems.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    path = f"/imports/{found['id']}"
    rels = {one["rel"]: one for one in served.get(path, "editor").json()["links"]}
    assert rels["rejected"]["type"].startswith("text/csv")
    file = served.get(f"{path}/rejected", "editor")
    assert file.text == "code,riskmap_row\nR4,2\n"
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == (
        f'attachment; filename="import-{found["id"]}.csv"; '
        "filename*=UTF-8''%E5%9D%8F%20%E6%95%B0%E6%8D%AE-rejected.csv"
    )
    lines = served.get(f"{path}/problems", "admin")
    assert lines.headers["content-type"] == "application/x-ndjson"
    (told,) = map(json.loads, lines.text.splitlines())
    assert (told["row"], told["problem"]) == (2, "ingest.required")
    assert told["reason"]["zh"] == "code 必填"


def test_where_nothing_was_refused_there_is_nothing_to_fetch(served: Served) -> None:
    found = ended(served, send(served))
    for name in ("rejected", "problems"):
        answer = served.get(f"/imports/{found['id']}/{name}", "editor")
        assert answer.status_code == 404
        assert answer.json()["type"] == f"urn:riskmap:problem:imports.none_{name}"


def test_a_failed_import_says_why_in_the_readers_language(served: Served) -> None:
    found = ended(served, send(served, "code,name\nR1,x\n"))
    assert (found["status"], found["report"]) == ("failed", None)
    assert found["problem"]["type"] == "urn:riskmap:problem:ingest.coordinates.none"
    assert found["problem"]["status"] == 400
    headers = {**served.headers("editor"), "Accept-Language": "en"}
    english = served.client.get(f"/imports/{found['id']}", headers=headers).json()["problem"]
    assert "no columns of coordinates" in english["detail"]
    eventually(lambda: not (folder(served) / str(found["id"]) / "upload").exists())


def test_the_list_filters_and_pages(served: Served) -> None:
    ids = [ended(served, send(served))["id"] for _ in range(3)]
    bad = ended(served, send(served, BAD))["id"]
    listed = served.get("/imports", "editor").json()["imports"]
    assert [one["id"] for one in listed] == [bad, *ids[::-1]]
    assert all("problems" not in one["report"] for one in listed)
    done = served.get("/imports", "editor", status="done", layer=LAYER, limit=2).json()
    assert [one["id"] for one in done["imports"]] == ids[:0:-1]
    (link,) = done["links"]
    rest = served.client.get(link["href"], headers=served.headers("editor")).json()
    assert [one["id"] for one in rest["imports"]] == ids[:1] and rest["links"] == []
    assert served.get("/imports", "editor", layer="shelters").json()["imports"] == []
    for wrong in ({"status": "odd"}, {"limit": "0"}, {"before": "x"}, {"colour": "red"}):
        answer = served.get("/imports", "editor", **wrong)
        assert answer.status_code == 400 and answer.json()["parameter"] == next(iter(wrong))


def hold(served: Served) -> Any:
    """Hold the lock that a load into the layer takes: the import waits inside."""
    session = served.database.engine.connect()
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('riskmap.import.risk_records'))"))
    return session


def test_undos_do_not_wait_for_an_import_for_long(served: Served) -> None:
    path = send(served).headers["location"]
    eventually(lambda: served.get(path, "editor").json()["status"] == "done")
    (id_,) = served.get(f"/collections/{LAYER}/items", "editor", limit=1).json()["features"]
    with hold(served):
        answer = served.client.post(f"{path}/undo", headers=served.headers("editor"))
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:riskmap:problem:imports.busy"
        restored = served.client.post(
            f"/collections/{LAYER}/items/{id_['id']}/restore",
            json={"version": 1},
            headers=served.headers("editor"),
        )
        assert restored.status_code == 409
        assert restored.json()["type"] == "urn:riskmap:problem:imports.busy"
    answer = served.client.post(f"{path}/undo", headers=served.headers("editor"))
    assert answer.status_code == 201


def test_one_that_waits_for_the_layer_ends_when_cancelled(served: Served) -> None:
    with hold(served):
        first = send(served)
        path = first.headers["location"]
        eventually(lambda: served.get(path, "editor").json()["status"] == "running")
        served.client.post(f"{path}/cancel", headers=served.headers("editor"))
        assert ended(served, first)["status"] == "cancelled"


def test_cancel_of_one_that_waits(served: Served) -> None:
    with hold(served):
        running, queued = send(served).json(), send(served).json()
        eventually(
            lambda: served.get(f"/imports/{running['id']}", "editor").json()["status"] == "running"
        )
        path = f"/imports/{queued['id']}"
        answer = served.client.post(f"{path}/cancel", headers=served.headers("editor"))
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        assert not (folder(served) / str(queued["id"]) / "upload").exists()
        again = served.client.post(f"{path}/cancel", headers=served.headers("editor"))
        assert again.status_code == 409
        open_ = served.get(f"/imports/{running['id']}/rejected", "editor")
        assert open_.json()["type"] == "urn:riskmap:problem:imports.open"
        # The service answers while the worker waits.
        assert served.get("/livez").status_code == 200
    assert ended(served, send(served))["status"] == "done"


def test_a_cancel_that_was_answered_with_yes_holds_until_the_commit(served: Served) -> None:
    """The load waits for the layer, or is let go at the same moment: it commits nothing."""
    with hold(served):
        first = send(served)
        path = first.headers["location"]
        eventually(lambda: served.get(path, "editor").json()["status"] == "running")
        answer = served.client.post(f"{path}/cancel", headers=served.headers("editor"))
        assert (answer.status_code, answer.json()["cancel_asked"]) == (202, True)
    assert ended(served, first)["status"] == "cancelled"
    assert codes(served) == []


def test_what_earlier_processes_left_is_removed(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    place, mine = folders.place(), folders.incoming()
    assert Folders(tmp_path).place() == place
    dead = folders.root / f"incoming-{machine()}+4194304.1+dead"
    for name in (dead, *(folders.of(number) for number in (1, 2, 3, 4))):
        (name / "upload").mkdir(parents=True)
        (name / "problems.jsonl").write_text("{}")
    day = time.time() - 86_400
    for number, days in ((1, 31), (2, 31), (3, 29), (4, 0)):
        os.utime(folders.of(number), (day - (days - 1) * 86_400,) * 2)
    folders.prune({1}, keep_days=30)
    left = sorted(str(path.relative_to(folders.root)) for path in folders.root.glob("*/*"))
    assert left == sorted(
        [
            *("1/problems.jsonl", "1/upload"),  # still open: whatever its age
            "3/problems.jsonl",  # has ended; what it left is kept
            *("4/problems.jsonl", "4/upload"),  # perhaps about to commit
            f"{mine.name}/upload",  # of this very process
        ]
    )


def test_files_of_another_machine_are_not_here(served: Served) -> None:
    found = ended(served, send(served, BAD))
    with served.database.own(Actor("test")) as session:
        session.execute(text('UPDATE jobs SET parameters = parameters || \'{"host": "x"}\''))
    answer = served.get(f"/imports/{found['id']}/rejected", "editor")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:riskmap:problem:imports.elsewhere"


def test_cancel_of_one_that_runs(served: Served) -> None:
    rows = "".join(f"C{n},甲,120.5,36.5\n" for n in range(60_000))
    first = send(served, CSV.splitlines(keepends=True)[0] + rows)
    path = first.headers["location"]
    eventually(lambda: served.get(path, "editor").json()["progress"] is not None)
    answer = served.client.post(f"{path}/cancel", headers=served.headers("editor"))
    found = ended(served, first)
    if answer.status_code == 202:
        assert (found["status"], codes(served)) == ("cancelled", [])
    else:  # it was faster
        assert (answer.status_code, found["status"]) == (409, "done")


def test_undo_takes_an_import_back_and_is_an_import_itself(served: Served) -> None:
    first = ended(served, send(served))
    path = f"/imports/{first['id']}/undo"
    answer = served.client.post(path, json={}, headers=served.headers("editor"))
    assert answer.status_code == 201, answer.text
    undone = answer.json()
    assert (undone["kind"], undone["undo_of"], undone["status"]) == ("undo", first["id"], "done")
    assert undone["report"]["deleted"] == 2 and codes(served) == []
    assert answer.headers["location"] == f"/imports/{undone['id']}"
    again = served.client.post(path, headers=served.headers("editor"))
    assert again.status_code == 409
    redone = served.client.post(
        f"/imports/{undone['id']}/undo",
        json={"skip_changed": True},
        headers=served.headers("editor"),
    )
    assert redone.status_code == 201 and codes(served) == ["R1", "R2"]
    wrong = served.client.post(path, json={"force": True}, headers=served.headers("editor"))
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "force")


def test_openapi_shows_the_form(served: Served) -> None:
    about = served.get("/openapi.json").json()["paths"]["/imports"]["post"]
    schema = about["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["required"] == ["file", "layer", "crs"]
    assert set(schema["properties"]) == {
        *("layer", "crs", "axes", "datum_shift", "encoding", "table", "mapping"),
        *("source_system", "mode", "repair", "max_bad_share", "dry_run", "file"),
    }
    # Beside the parameter that every resource takes, which is described once for all.
    own = [parameter for parameter in about["parameters"] if "$ref" not in parameter]
    assert [parameter["name"] for parameter in own] == ["Idempotency-Key"]


def test_other_routes_keep_their_small_limit(served: Served) -> None:
    too_long = b" " * (scenarios.MAX_BODY_BYTES + 1)
    for path in ("/analysis/coverage", "/imports/1/cancel"):
        answer = served.client.post(path, content=too_long, headers=served.headers("editor"))
        assert answer.status_code in (404, 413), path
    answer = served.client.post("/analysis/coverage", content=too_long)
    assert answer.status_code == 413
