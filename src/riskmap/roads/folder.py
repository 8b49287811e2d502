"""A folder of .npy files that is either whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.errors import UnavailableError

FORMAT: Final = 3
_META: Final = "meta.json"


class StoredGraphError(UnavailableError):
    """The stored graph is missing, damaged or of another format: build it again and save it."""


def write_folder(
    folder: Path, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, object]
) -> None:
    """Write arrays and their description, visible all at once.

    The files are written and synced in a temporary folder beside, which is then renamed. A folder
    of that name is moved away first, since a rename does not replace a folder that is not empty:
    whoever looks in between finds none and gets `StoredGraphError`. Processes that have the old
    files mapped keep them.

    Raises
    ------
    OSError
        The disk is full, or the parent cannot be written to. Nothing is left behind.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        # mkdtemp makes it 0700; other workers may run as another user.
        temporary.chmod(0o755)
        described: dict[str, object] = {}
        for name, array in arrays.items():
            path = temporary / f"{name}.npy"
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            described[name] = zlib.crc32(path.read_bytes())
        with (temporary / _META).open("w", encoding="utf-8") as text:
            json.dump({**meta, "format": FORMAT, "arrays": described}, text, ensure_ascii=False)
            text.flush()
            os.fsync(text.fileno())
        _sync_folder(temporary)
        old = temporary.with_name(temporary.name + "-old")
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
        _sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_folder(folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Map the arrays of a folder read-only, each checked against its CRC.

    Returns
    -------
    arrays, meta
        Arrays by name, and what `write_folder` was given with them.

    Raises
    ------
    StoredGraphError
        Missing, damaged, or written by another format version.
    """
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise StoredGraphError(
                "roads.graph_format", parameter=str(folder), found=meta["format"], expected=FORMAT
            )
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, crc in meta["arrays"].items():
            path = folder / f"{name}.npy"
            if zlib.crc32(path.read_bytes()) != crc:
                raise StoredGraphError("roads.graph_damaged", parameter=str(path), reason="CRC")
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoredGraphError(
            "roads.graph_damaged", parameter=str(folder), reason=repr(error)
        ) from error
    return arrays, meta


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
