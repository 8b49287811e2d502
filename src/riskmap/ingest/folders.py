"""The folders of imports, in the data folder.

`<data folder>/imports/<id>/` holds `upload/<file>` until the import has ended, and afterwards what
it left: `problems.jsonl` and `rejected.<ending>`.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Final, Literal

from riskmap.jobs.identity import is_gone, new_name

log = logging.getLogger("riskmap")

Left = Literal["rejected", "problems"]
"""What an import leaves, by the start of its file's name."""

_UPLOAD: Final = "upload"
_INCOMING: Final = "incoming-"
_DAY_S: Final = 86_400


class Folders:
    """The folders of imports in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.absolute() / "imports"
        self._place = ""

    def of(self, import_id: int) -> Path:
        """Return the folder of one import."""
        return self.root / str(import_id)

    def upload(self, import_id: int, file: str) -> Path:
        """Return where the file of one import is until it has ended."""
        return self.of(import_id) / _UPLOAD / file

    def place(self) -> str:
        """Return the name of this data folder, by which a job's host is known.

        It is kept in the folder itself: a host's name may change, and two hosts may share one.
        """
        if self._place:
            return self._place
        self.root.mkdir(parents=True, exist_ok=True)
        file = self.root / "place"
        # A link is made whole or not at all: of two processes at once one wins, both read it.
        made = self.root / f"place-{secrets.token_hex(8)}"
        if not file.exists():
            made.write_text(secrets.token_hex(16), encoding="ascii")
            try:
                os.link(made, file)
            except FileExistsError:
                log.debug("another process named the place")
            finally:
                made.unlink()
        self._place = file.read_text(encoding="ascii").strip()
        return self._place

    def incoming(self) -> Path:
        """Make a folder for a file that arrives; its name tells whose it is."""
        folder = self.root / (_INCOMING + new_name().replace("/", "+"))
        (folder / _UPLOAD).mkdir(parents=True)
        return folder

    def adopt(self, incoming: Path, import_id: int) -> None:
        """Make an incoming folder the folder of an import."""
        # An id that was given before can only stem from a transaction that was never committed.
        shutil.rmtree(self.of(import_id), ignore_errors=True)
        # To `prune` it is as old as its transaction, not as its first byte.
        os.utime(incoming)
        incoming.rename(self.of(import_id))

    def left(self, import_id: int, stem: Left) -> Path | None:
        """Return what an import left; None: nothing, or not on this machine (any more)."""
        found = sorted(self.of(import_id).glob(f"{stem}.*"))
        return found[0] if found and found[0].stat().st_size else None

    def clear(self, import_id: int) -> None:
        """Remove what only the run of an import needed."""
        for part in (_UPLOAD, "workspace"):
            shutil.rmtree(self.of(import_id) / part, ignore_errors=True)

    def prune(self, open_ids: set[int], keep_days: int) -> None:
        """Remove what nobody needs: uploads that were cut, files of imports that have ended."""
        if not self.root.is_dir():
            return
        now = time.time()
        for folder in self.root.iterdir():
            if not folder.is_dir():
                continue
            age_days = (now - folder.stat().st_mtime) / _DAY_S
            if folder.name.startswith(_INCOMING):
                owner = folder.name.removeprefix(_INCOMING).replace("+", "/")
                if is_gone(owner) or age_days > 1:
                    shutil.rmtree(folder, ignore_errors=True)
            elif folder.name.isdecimal() and int(folder.name) not in open_ids:
                # A minute: its transaction may be about to commit.
                if age_days > keep_days:
                    shutil.rmtree(folder, ignore_errors=True)
                elif age_days * _DAY_S > 60:
                    shutil.rmtree(folder / _UPLOAD, ignore_errors=True)
