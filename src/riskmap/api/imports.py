"""Imports over the service: send a file, watch it, fetch what was refused, take it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, get_args
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.encoders import jsonable_encoder
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from riskmap.access.keys import Caller, KeyRole
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Language, integer, needs, number, parameters
from riskmap.api.links import address, base
from riskmap.api.problems import problem_body
from riskmap.api.uploads import MIB, Form, received
from riskmap.catalog.spec import Layer
from riskmap.crs.input import AXES
from riskmap.db.city import City, read_city
from riskmap.db.sessions import Actor
from riskmap.errors import ConflictError, InputError, NotFoundError, RiskmapError
from riskmap.i18n import Lang
from riskmap.ingest import store
from riskmap.ingest.folders import Left
from riskmap.ingest.job import (
    ENDINGS,
    Upload,
    check_options,
    problem_lines,
    queue_import,
    safe_name,
)
from riskmap.ingest.mapping import FieldMapping, parse_mapping
from riskmap.ingest.options import MODES, UNSTATED, ImportOptions
from riskmap.ingest.undo import PATIENCE_S, undo_import
from riskmap.jobs import store as jobs

router = APIRouter(prefix="/imports", tags=["imports"])

Editor = Annotated[Caller, Depends(needs(KeyRole.EDITOR))]

MAX_LISTED: Final = 1000
NO_STORE: Final = {"Cache-Control": "private, no-store"}
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_ID: Final = 2**63 - 1
_TRUE: Final = {"true": True, "1": True, "false": False, "0": False}
_MEDIA: Final = {
    ".geojson": "application/geo+json",
    ".json": "application/geo+json",
    ".geojsonl": "application/geo+json-seq",
    ".geojsons": "application/geo+json-seq",
    ".ndjson": "application/x-ndjson",
    ".gpkg": "application/geopackage+sqlite3",
    ".fgb": "application/vnd.flatgeobuf",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".kmz": "application/vnd.google-earth.kmz",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
}
# Name -> (type, words for OpenAPI).
_FIELDS: Final[dict[str, tuple[str, str]]] = {
    "layer": ("string", "图层 layer"),
    "crs": ("string", "坐标系(必填) CRS (needed): EPSG:4490, EPSG:4528, GCJ02, BD09"),
    "axes": ("string", f"先东还是先北 which axis comes first: {', '.join(AXES)}"),
    "datum_shift": ("string", "基准转换参数 towgs84: 3 or 7 numbers, separated by commas"),
    "encoding": ("string", "文本编码 encoding of texts: utf-8, gb18030, cp932 …"),
    "table": ("string", "表或工作表 table of a GeoPackage, sheet of a workbook"),
    "mapping": ("string", 'JSON: {"fields": {}, "values": {}, "constants": {}}'),
    "source_system": ("string", "来源系统 source system"),
    "mode": ("string", ", ".join(MODES)),
    "repair": ("boolean", "修复无效几何 make invalid geometry valid"),
    "max_bad_share": ("number", "可拒收的行所占比例 share of bad rows that may be left out, 0–1"),
    "dry_run": ("boolean", "只检查 check only"),
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "layer", "crs"],
                    "properties": {
                        **{
                            name: {"type": kind, "description": words}
                            for name, (kind, words) in _FIELDS.items()
                        },
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": f"文件 the file: {', '.join(ENDINGS)}",
                        },
                    },
                }
            }
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "同一键的重复请求得到同一次导入 repeated requests get the same import",
        }
    ],
}


class _Asked:
    """The fields of a form, checked: as far as they are there when the file begins, then all."""

    def __init__(self, ctx: Context, city: City) -> None:
        self._ctx = ctx
        self._city = city
        self.layer: Layer
        self.options: ImportOptions
        self.crs: str

    def at_file(self, form: Form) -> None:
        """Refuse before the file is sent what no later field could mend."""
        fields = form.fields
        if fields.get("layer", "").strip():
            self._find(fields["layer"])
        if "layer" not in fields or "crs" not in fields:
            return
        try:
            self.check(form)
        except InputError as error:
            # Parameters of a datum, which a refused CRS asks for, may stand behind the file.
            if error.key != "crs.refused" or "datum_shift" in fields:
                raise

    def check(self, form: Form) -> None:
        """Check all fields."""
        fields = form.fields
        for name in ("layer", "crs"):
            if not fields.get(name, "").strip():
                missing = "crs.missing" if name == "crs" else "parameter.missing"
                raise InputError(missing, parameter=name)
        self.layer = self._find(fields["layer"])
        self.options = _options(fields)
        self.crs = check_options(self.options, self.layer, self._city)

    def _find(self, layer: str) -> Layer:
        try:
            return self._ctx.catalog.find(layer.strip(), parameter="layer")
        except NotFoundError as error:
            # The address is there; what stands in the body is wrong.
            raise InputError(error.key, parameter=error.parameter, **error.values) from None


def _options(fields: dict[str, str]) -> ImportOptions:
    given = {name: text.strip() for name, text in fields.items() if text.strip()}
    shift = given.get("datum_shift")
    return ImportOptions(
        crs=given["crs"],
        axes=given.get("axes", "en"),
        datum_shift=tuple(number(part.strip(), "datum_shift") for part in shift.split(","))
        if shift
        else (),
        mapping=parse_mapping(given["mapping"]) if "mapping" in given else FieldMapping(),
        table=given.get("table"),
        encoding=given.get("encoding"),
        source_system=given.get("source_system", UNSTATED),
        mode=given.get("mode", "upsert"),
        repair=_flag(given.get("repair", "false"), "repair"),
        max_bad_share=number(given.get("max_bad_share", "0"), "max_bad_share"),
        dry_run=_flag(given.get("dry_run", "false"), "dry_run"),
    )


def _flag(text: str, parameter: str) -> bool:
    value = _TRUE.get(text.lower())
    if value is None:
        raise InputError(
            "parameter.value", parameter=parameter, value=text[:40], expected="true, false"
        )
    return value


def _idempotency_key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InputError("idempotency.key", parameter="Idempotency-Key")
    return keys[0]


def _actor(request: Request, who: Caller) -> Actor:
    return Actor(who.name, request.scope.get("riskmap.request_id"))


@router.post("", summary="导入文件 Import a file", response_model=None, openapi_extra=_BODY)
async def send(request: Request, ctx: Ctx, who: Editor, lang: Language) -> Response:
    """Take a file and queue its import; `Location` says where it can be watched."""
    parameters(request, set())
    key = _idempotency_key(request)
    asked = _Asked(ctx, await run_in_threadpool(_city, ctx))
    async with received(
        request,
        ctx.folders.incoming,
        into="upload",
        known=_FIELDS,
        max_file_bytes=ctx.settings.import_max_mb * MIB,
        name_of=safe_name,
        at_file=asked.at_file,
    ) as (folder, form):
        asked.check(form)
        if form.file is None or not form.size:
            name = form.file.name if form.file else ""
            raise InputError("ingest.file.empty", parameter="file", value=name)
        upload = Upload(
            folder, form.file.name, form.sha256, asked.layer.id, asked.crs, asked.options, key
        )
        row = await run_in_threadpool(_queue, ctx, upload, _actor(request, who))
    ctx.jobs.wake()
    body = _shown(request, ctx, row, lang)
    status = 202 if row.status in jobs.OPEN else 200
    return JSONResponse(body, status, {**NO_STORE, "Location": f"/imports/{row.id}"})


def _city(ctx: Context) -> City:
    with ctx.database.read() as session:
        return read_city(session)


def _queue(ctx: Context, upload: Upload, actor: Actor) -> Row[Any]:
    with ctx.database.write(actor) as session:
        import_id, _ = queue_import(session, ctx.folders, upload, actor)
    with ctx.database.read() as session:
        return store.get_import(session, import_id)


@router.get("", summary="导入列表 Imports", response_model=None)
def listed(
    request: Request,
    ctx: Ctx,
    who: Editor,
    lang: Language,
    layer: str | None = None,
    status: str | None = None,
    limit: str | None = None,
    before: str | None = None,
) -> Response:
    """List imports, the newest first; their problems stand with each import alone."""
    del who, layer, status, limit, before  # declared for OpenAPI, read below
    found = parameters(request, {"layer", "status", "limit", "before"})
    if "layer" in found:
        ctx.catalog.find(found["layer"])
    if found.get("status", "done") not in store.STATUSES:
        raise InputError(
            "parameter.value",
            parameter="status",
            value=found["status"][:40],
            expected=", ".join(store.STATUSES),
        )
    most = integer(found.get("limit", "100"), "limit", least=1, most=MAX_LISTED)
    below = integer(found["before"], "before", least=1, most=_ID) if "before" in found else None
    with ctx.database.read() as session:
        rows = store.list_imports(
            session,
            layer=found.get("layer"),
            status=found.get("status"),
            limit=most,
            before=below,
        )
    shown = [_shown(request, ctx, row, lang, whole=False) for row in rows]
    links = []
    if len(rows) == most:
        following = address(request).include_query_params(before=rows[-1].id)
        links.append({"rel": "next", "type": "application/json", "href": str(following)})
    return JSONResponse({"imports": shown, "links": links}, headers=NO_STORE)


@router.get("/{import_id}", summary="一次导入 One import", response_model=None)
def one(request: Request, ctx: Ctx, who: Editor, lang: Language, import_id: str) -> Response:
    """Return status, progress and report of an import."""
    del who
    parameters(request, set())
    return JSONResponse(_shown(request, ctx, _find(ctx, import_id), lang), headers=NO_STORE)


@router.post("/{import_id}/cancel", summary="取消导入 Cancel an import", response_model=None)
def cancel(request: Request, ctx: Ctx, who: Editor, lang: Language, import_id: str) -> Response:
    """Cancel an import that waits or runs; nothing of it is loaded."""
    parameters(request, set())
    row = _find(ctx, import_id)
    if row.status not in jobs.OPEN:
        raise ConflictError("jobs.ended", parameter="id", value=row.id, status=row.status)
    if row.job_id is None:
        raise ConflictError("imports.no_job", parameter="id", value=row.id)
    with ctx.database.write(_actor(request, who)) as session:
        job = jobs.ask_cancel(session, row.job_id)
        if job.status == "cancelled":
            ctx.import_kind.ended(session, job)
    if job.status == "cancelled":
        ctx.import_kind.clean(job)
    ctx.jobs.wake()
    return JSONResponse(_shown(request, ctx, _find(ctx, import_id), lang), 202, NO_STORE)


class UndoBody(BaseModel):
    """How to take an import back."""

    model_config = ConfigDict(extra="forbid")

    skip_changed: bool = Field(
        default=False, description="留下他人后来改过的要素 leave what others have changed since"
    )


@router.post("/{import_id}/undo", summary="撤销导入 Take an import back", response_model=None)
def undo(
    request: Request,
    ctx: Ctx,
    who: Editor,
    lang: Language,
    import_id: str,
    body: UndoBody | None = None,
) -> Response:
    """Take a whole import back, ids kept; the answer is the undo, an import of its own."""
    parameters(request, set())
    number_ = integer(import_id, "id", least=1, most=_ID)
    actor = _actor(request, who)
    skip = body is not None and body.skip_changed
    with ctx.database.write(actor, timeout_s=0) as session:
        undone = undo_import(
            session, number_, actor=actor, skip_changed=skip, patience_s=PATIENCE_S
        )
    row = _find(ctx, str(undone.import_id))
    headers = {**NO_STORE, "Location": f"/imports/{row.id}"}
    return JSONResponse(_shown(request, ctx, row, lang), 201, headers)


@router.get("/{import_id}/rejected", summary="被拒收的行 Refused rows", response_model=None)
def rejected(request: Request, ctx: Ctx, who: Editor, import_id: str) -> Response:
    """Download the refused rows in the file's own format, each with its reason."""
    del who
    parameters(request, set())
    row = _find(ctx, import_id)
    file = _left(ctx, row, "rejected")
    media = _MEDIA.get(file.suffix.lower(), "application/octet-stream")
    name = f"{Path(row.file).stem}-rejected{file.suffix}"
    return FileResponse(file, media_type=media, headers={**NO_STORE, **_attachment(name, row.id)})


@router.get("/{import_id}/problems", summary="全部问题 All problems", response_model=None)
def problems(request: Request, ctx: Ctx, who: Editor, import_id: str) -> Response:
    """Download every problem, one line of JSON each."""
    del who
    parameters(request, set())
    row = _find(ctx, import_id)
    lines: Iterator[bytes] = problem_lines(_left(ctx, row, "problems"))
    name = f"{Path(row.file).stem}-problems.ndjson"
    return StreamingResponse(
        lines,
        media_type="application/x-ndjson",
        headers={**NO_STORE, **_attachment(name, row.id)},
    )


def _attachment(name: str, import_id: int) -> dict[str, str]:
    """Name a download (RFC 6266): in UTF-8, and in ASCII for clients that know no better."""
    plain = name if name.isascii() and '"' not in name else f"import-{import_id}{Path(name).suffix}"
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    }


def _find(ctx: Context, import_id: str) -> Row[Any]:
    number_ = integer(import_id, "id", least=1, most=_ID)
    with ctx.database.read() as session:
        return store.get_import(session, number_)


def _left(ctx: Context, row: Row[Any], stem: Left) -> Path:
    """Return a file that an import left, or say why there is none."""
    if row.status in jobs.OPEN:
        raise NotFoundError("imports.open", parameter="id", value=row.id, status=row.status)
    host = (row.job_parameters or {}).get(jobs.HOST)
    if host is not None and host != ctx.folders.place():
        raise NotFoundError("imports.elsewhere", parameter="id", value=row.id)
    file = ctx.folders.left(row.id, stem)
    if file is None:
        raise NotFoundError(f"imports.none_{stem}", parameter="id", value=row.id)
    return file


def _shown(
    request: Request, ctx: Context, row: Row[Any], lang: Lang, *, whole: bool = True
) -> dict[str, Any]:
    """Return an import as JSON."""
    here = f"{base(request)}/imports/{row.id}"
    fields = row._asdict()
    report = fields.pop("report")
    why = fields.pop("problem")
    asked = fields.pop("job_parameters")
    fields.pop("idempotency_hash")
    if report is not None and not whole:
        report = {k: v for k, v in report.items() if k not in ("problems", "notes")}
    links = [{"rel": "self", "type": "application/json", "href": here}]
    there = asked is None or asked.get(jobs.HOST) == ctx.folders.place()
    if row.status not in jobs.OPEN and there:
        for stem in get_args(Left):
            file = ctx.folders.left(row.id, stem)
            if file is not None:
                media = _MEDIA.get(file.suffix, "application/x-ndjson")
                links.append({"rel": stem, "type": media, "href": f"{here}/{stem}"})
    if row.status == "done" and not (row.report or {}).get("dry_run"):
        links.append({"rel": "undo", "type": "application/json", "href": f"{here}/undo"})
    if row.status in jobs.OPEN and row.job_id is not None:
        links.append({"rel": "cancel", "type": "application/json", "href": f"{here}/cancel"})
    body: dict[str, Any] = jsonable_encoder(fields)
    body["report"] = report
    body["problem"] = None
    if why is not None:
        error = RiskmapError(why["key"], parameter=why["parameter"], **why["values"])
        body["problem"] = problem_body(error, lang, f"/imports/{row.id}", why["status"])
    return body | {"links": links}
