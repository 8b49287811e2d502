"""Encodings of texts: as stated, as the file says, and never with replacement characters."""

from __future__ import annotations

import codecs
import re
from typing import Final

from riskmap.ingest.text_encoding import known_encoding

# GB 18030 contains GBK and GB 2312, and files that claim the smaller ones hold characters of it.
_WIDER: Final = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf-8-sig": "utf-8"}

# The byte at 29 of a .dbf. 0x57 is what ArcGIS and GDAL write for "whatever this computer uses":
# it says nothing, and Chinese files with it hold GBK.
_LDID: Final = {
    0x01: "cp437",
    0x02: "cp850",
    0x03: "cp1252",
    0x13: "cp932",
    0x4D: "gb18030",
    0x4E: "cp949",
    0x4F: "big5",
    0x7A: "gb18030",
    0x78: "big5",
    0x79: "cp949",
    0x7B: "cp932",
}
_CODEPAGE: Final = re.compile(r"(?:ansi|oem|cp|windows)?[\s_-]*(\d{3,5})")


def read_encoding(text: str | None) -> str | None:
    """Return the codec of a stated encoding, without the mark that UTF-8 may begin with.

    Raises
    ------
    InputError
        There is no such encoding of texts.
    """
    return None if text is None else known_encoding(text).removesuffix("-sig")


def declared_encoding(text: str) -> str | None:
    """Return the codec that a file declares (`UTF-8`, `936`, `ANSI 936`), None: unknown."""
    word = text.strip().strip("\ufeff\0").lower()
    number = _CODEPAGE.fullmatch(word)
    if number is not None:
        word = {"65001": "utf-8", "88591": "latin-1"}.get(number[1], f"cp{number[1]}")
    try:
        name = codecs.lookup(word).name
        "".encode(name)
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name)


def ldid_encoding(ldid: int) -> str | None:
    """Return the codec that a .dbf's language driver id means, None where it says nothing."""
    return _LDID.get(ldid)
