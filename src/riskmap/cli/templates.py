"""`riskmap template`: an empty file to fill in, for any layer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from riskmap.cli.opening import out, tell
from riskmap.errors import InputError
from riskmap.i18n import Lang


def write_template(
    layer: Annotated[str | None, typer.Argument(help="图层,不写则列出 Layer; none lists")] = None,
    form: Annotated[str, typer.Option("--format", help="xlsx, csv, geojson")] = "xlsx",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="文件名 File to write")
    ] = None,
    lang: Annotated[str, typer.Option(help="表头语言 Language of the headings: zh, en")] = "zh",
) -> None:
    """写出空的导入模板 Write an empty import template.

    Without -o an XLSX goes to LAYER.xlsx in this folder, CSV and GeoJSON to standard output. With
    -o a CSV gets its notes beside it, as NAME.notes.md.
    """
    from riskmap.catalog.registry import load_catalog
    from riskmap.i18n import LANGS
    from riskmap.ingest.templates import notes_markdown, template

    catalog = load_catalog()
    if layer is None:
        for known in catalog.values():
            out.print(f"{known.id}  {known.title.zh}  {known.title.en}", markup=False)
        return
    found = catalog.find(layer, parameter="LAYER")
    chosen: Lang | None = next((known for known in LANGS if known == lang), None)
    if chosen is None:
        raise InputError(
            "ingest.template.lang", parameter="lang", value=lang[:20], known=", ".join(LANGS)
        )
    content = template(found, form, chosen)
    if output is None and form != "xlsx":
        sys.stdout.buffer.write(content)
        return
    target = output or Path(f"{found.id}.xlsx")
    files = {target: content}
    if form == "csv":
        notes = target.with_name(f"{target.stem}.notes.md")
        files[notes] = notes_markdown(found, chosen).encode()
    for path in files:
        if path.exists():
            raise InputError("ingest.template.exists", parameter="output", value=str(path))
    for path, data in files.items():
        try:
            path.write_bytes(data)
        except OSError:
            raise InputError(
                "ingest.template.denied", parameter="output", value=str(path)
            ) from None
        tell("ingest.template.written", file=str(path))
