"""The programs of PostgreSQL that the embedded cluster runs, and the account they run as."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from riskmap.errors import SetupError

OLDEST: Final = 15
OLDEST_POSTGIS: Final = (3, 3)
NEEDED: Final = ("initdb", "postgres")

# Where Debian and Ubuntu put every major version side by side, outside PATH.
DISTRIBUTION: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Account:
    """Whom the cluster runs as, where that is not ourselves: PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> Account:
        """Return the account of that name."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise SetupError("cluster.no_account", account=name) from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def owning(cls, path: Path) -> Account:
        """Return the account that owns a file."""
        status = path.stat()
        try:
            name = pwd.getpwuid(status.st_uid).pw_name
        except KeyError:
            name = str(status.st_uid)
        return cls(name, status.st_uid, status.st_gid)

    def enters(self, folder: Path) -> bool:
        """Say whether the account can go into a folder.

        The question is put as that account: no look at mode bits knows about access lists,
        mounts and the modes of every folder above.
        """
        question: list[str | Path] = ["/bin/sh", "-c", 'test -x "$1"', "sh", folder]
        answer = subprocess.run(question, check=False, **as_account(self))
        return answer.returncode == 0


def as_account(account: Account | None) -> dict[str, Any]:
    """Return what `subprocess` needs to run a program as the account, away from our settings.

    PGDATA, PGPORT and their like in our environment are about somebody else's server; the folder
    we stand in may be closed to the account; and Ctrl-C at the terminal is for us alone.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    options: dict[str, Any] = {
        "env": {**kept, "LC_ALL": "C.UTF-8"},
        "cwd": "/",
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
    }
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


@dataclass(frozen=True)
class Programs:
    """One installed PostgreSQL: the folder of its programs, its major version."""

    folder: Path
    major: int

    @classmethod
    def locate(cls, pg_bin: Path | None, *, data_major: int | None, data: Path) -> Programs:
        """Find the PostgreSQL to use: the one that made the data, else the newest with PostGIS.

        Parameters
        ----------
        pg_bin
            The folder that the settings name; nothing else is looked at then.
        data_major
            The major version that made the data folder, if there is one.
        data
            The data folder, for the message.

        Raises
        ------
        SetupError
            None is installed, it is too old, of another version than the data, or has no PostGIS.
        """
        found = [cls._in(pg_bin)] if pg_bin is not None else cls._installed()
        recent = [programs for programs in found if programs.major >= OLDEST]
        if not recent and found:
            raise SetupError("cluster.too_old", found=found[0].major, oldest=OLDEST)
        if not recent:
            raise SetupError("cluster.programs_missing", oldest=OLDEST)
        fitting = [programs for programs in recent if data_major in (None, programs.major)]
        if not fitting:
            raise SetupError(
                "cluster.other_version",
                folder=data,
                data_version=data_major,
                program_version=recent[0].major,
            )
        versions = [(programs, programs.postgis()) for programs in fitting]
        for programs, postgis in versions:
            if postgis is not None and postgis >= OLDEST_POSTGIS:
                return programs
        key = "cluster.postgis_old" if any(p for _, p in versions) else "cluster.postgis_missing"
        raise SetupError(
            key,
            major=fitting[0].major,
            folder=fitting[0].folder,
            oldest=".".join(map(str, OLDEST_POSTGIS)),
        )

    @classmethod
    def _in(cls, folder: Path) -> Programs:
        folder = folder.absolute()
        if not _complete(folder):
            raise SetupError(
                "cluster.pg_bin_wrong",
                parameter="RISKMAP_PG_BIN",
                folder=folder,
                programs=", ".join(NEEDED),
            )
        return cls(folder, _major(folder))

    @classmethod
    def _installed(cls) -> list[Programs]:
        folders = [f for f in DISTRIBUTION.glob("*/bin") if f.parent.name.isdigit()]
        folders.sort(key=lambda folder: int(folder.parent.name), reverse=True)
        if on_path := shutil.which("initdb"):
            folders.append(Path(on_path).resolve().parent)
        return [cls(folder, _major(folder)) for folder in folders if _complete(folder)]

    def postgis(self) -> tuple[int, ...] | None:
        """Return the version of PostGIS that `CREATE EXTENSION postgis` would give, if any."""
        for share in self._share_folders():
            control = share / "extension" / "postgis.control"
            if control.is_file():
                text = control.read_text(encoding="utf-8")
                if match := re.search(r"default_version\s*=\s*'(\d+)\.(\d+)", text):
                    return int(match[1]), int(match[2])
        return None

    def _share_folders(self) -> list[Path]:
        pg_config = self.folder / "pg_config"
        if os.access(pg_config, os.X_OK):
            return [Path(_output([pg_config, "--sharedir"]))]
        # Debian's server package comes without pg_config where only the server is installed.
        beside = self.folder.parent / "share"
        return [beside, beside / "postgresql", Path(f"/usr/share/postgresql/{self.major}")]


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in NEEDED)


def _major(folder: Path) -> int:
    match = re.search(r"\d+", _output([folder / "postgres", "--version"]))
    return int(match[0]) if match else 0


def _output(command: list[str | Path]) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # a program of another machine, a script without its interpreter
        return ""
    return answer.stdout.strip()
