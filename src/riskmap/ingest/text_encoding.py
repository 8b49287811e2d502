"""Which encoding a text file has: as stated, by its byte order mark, else UTF-8, else GB 18030.

Unstated, the whole file is decoded: a guess from its start can be wrong later. GB 18030 takes
nearly any bytes, those of Japanese cp932 too, and would make other characters of them. That is why
any other encoding has to be stated.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.report import shorten

USUAL: Final = ("utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk", "big5", "cp932", "euc-kr")
# What is called by the smaller set's name has characters of the larger one, sooner or later.
_WIDER: Final = {
    "utf-8": "utf-8-sig",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "big5": "cp950",
    "euc_kr": "cp949",
    "ascii": "utf-8-sig",
}
# Python calls these text encodings; no table is written in them.
_NO_TABLES: Final = frozenset(
    ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7", "mbcs")
)
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16: first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1 << 20


def find_encoding(path: Path, stated: str | None) -> str:
    """Return the codec that decodes the whole file.

    Raises
    ------
    InputError
        What is stated is no encoding of texts, or the file does not decode; the message names the
        line.
    """
    if stated is not None:
        name = known_encoding(stated)
        line = _undecodable_line(path, name)
        if line is None:
            return name
        raise InputError("ingest.text.line", parameter="encoding", value=shorten(stated), line=line)
    with path.open("rb") as file:
        head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            tried: tuple[str, ...] = (name,)
            break
    else:
        tried = ("utf-8-sig", "gb18030")
    for name in tried:
        if _undecodable_line(path, name) is None:
            return name
    raise InputError(
        "ingest.file.encoding", parameter="file", value=path.name, known=", ".join(USUAL)
    )


def known_encoding(stated: str) -> str:
    """Return the codec of a stated encoding.

    Raises
    ------
    InputError
        There is no such encoding of texts; the message lists the usual ones.
    """
    try:
        codec = codecs.lookup(stated.strip())
        "".encode(codec.name)  # base64 and its like are codecs, but not of texts
        codec.incrementaldecoder()
    except (LookupError, ValueError, TypeError):
        codec = None
    if codec is None or codec.name in _NO_TABLES:
        raise InputError(
            "ingest.text.encoding",
            parameter="encoding",
            value=shorten(stated),
            known=", ".join(USUAL),
        )
    return _WIDER.get(codec.name, codec.name)


def _undecodable_line(path: Path, name: str) -> int | None:
    """Return the number of the first line that does not decode, or None."""
    decoder = codecs.getincrementaldecoder(name)()
    lines = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            try:
                lines += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as error:
                good = error.object[: error.start]
                return lines + good.decode(name, errors="ignore").count("\n")
            except UnicodeError:  # UTF-16 and UTF-32 without their mark
                return lines
            if not chunk:
                return None
