"""Where the embedded cluster lies: its folder, its sockets' folder, and whom both belong to."""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from riskmap.db.pg_programs import Account
from riskmap.errors import SetupError
from riskmap.i18n import Lang, say

SYSTEM_FOLDER: Final = Path("/var/lib/riskmap")
SYSTEM_ACCOUNT: Final = "postgres"
SOCKET: Final = ".s.PGSQL.5432"

# sockaddr_un.sun_path is 108 bytes, the last of them a NUL.
LONGEST_SOCKET_PATH: Final = 107
# A comma separates hosts for libpq and folders for the server; quotes and blanks are its syntax.
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/._+-]+")


@dataclass(frozen=True)
class Notice:
    """Something that whoever starts the service should be told: an entry of the catalogue."""

    key: str
    values: Mapping[str, object]

    def text(self, lang: Lang) -> str:
        """Return the message in one language."""
        return say(self.key, lang, **self.values)


@dataclass(frozen=True)
class Place:
    """A folder for a cluster, and the account it runs as (None: ourselves)."""

    folder: Path
    account: Account | None
    notices: tuple[Notice, ...] = ()

    @property
    def data(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.folder / "pg"

    @property
    def fingerprint(self) -> str:
        """A short plain name for this folder, the same for every process."""
        return path_hash(self.folder, 12)

    def major(self) -> int | None:
        """Return the major version of the PostgreSQL that made the data, None before it did."""
        with usable(self.folder):
            try:
                text = (self.data / "PG_VERSION").read_text(encoding="ascii")
            except FileNotFoundError:
                return None
        return int(text.split(".")[0])

    def sockets(self) -> Path:
        """Return the folder that the next start puts its socket in."""
        beside = self.folder / "run"
        if fits(beside):
            return beside
        temporary = Path(tempfile.gettempdir()) / f"riskmap-{self.fingerprint}"
        return temporary if fits(temporary) else Path("/tmp") / temporary.name  # noqa: S108

    def make_folder(self) -> None:
        """Make the folder; as root so that the account can pass through, whatever our umask."""
        with usable(self.folder):
            missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                if self.account is not None:
                    path.chmod(0o755)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied", str(self.folder))

    def make_private(self, path: Path) -> None:
        """Make a folder that only the cluster's account can open.

        Raises
        ------
        SetupError
            It is there already and is somebody else's, a link, or open to others: in a shared
            temporary folder that is how one listens in.
        """
        owner = os.geteuid() if self.account is None else self.account.uid
        with usable(path):
            try:
                path.mkdir(0o700)
            except FileExistsError:
                pass
            else:
                path.chmod(0o700)
                self.give(path)
            status = path.lstat()
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid != owner
            or stat.S_IMODE(status.st_mode) != 0o700
        ):
            user = user_name() if self.account is None else self.account.name
            raise SetupError("cluster.socket_folder_taken", folder=path, user=user)

    def give(self, path: Path) -> None:
        """Hand a file of ours to the cluster's account."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def choose_place(data_dir: Path) -> Place:
    """Choose where the cluster of a data folder lies and whom it runs as. Writes nothing.

    An ordinary user's cluster is in `data_dir` and runs as that user. Root's runs as the owner
    of the data that are there, else as the distribution's `postgres`; where that account cannot
    enter, it lies below /var/lib/riskmap, and stays there once it does.
    """
    # realpath and not Path.resolve: it does not fail on a folder that is closed to us.
    wanted = Path(os.path.realpath(data_dir))
    with usable(wanted):
        there = next(path for path in (wanted, *wanted.parents) if path.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if os.geteuid() != 0:
        return Place(wanted, None)
    data = wanted / "pg"
    if data.exists() and data.stat().st_uid != 0:
        account = Account.owning(data)
        if not account.enters(wanted):
            raise SetupError(
                "cluster.folder_closed",
                parameter="RISKMAP_DATA_DIR",
                folder=wanted,
                account=account.name,
            )
        return Place(wanted, account)
    account = Account.named(SYSTEM_ACCOUNT)
    project = wanted.parent.name if wanted.name.startswith(".") else wanted.name
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", project).strip("-")[:32] or "riskmap"
    elsewhere = SYSTEM_FOLDER / f"{plain}-{path_hash(wanted, 8)}"
    if (elsewhere / "pg").exists() or not account.enters(there):
        values = {"account": account.name, "wanted": wanted, "folder": elsewhere}
        return Place(elsewhere, account, (Notice("cluster.elsewhere", values),))
    return Place(wanted, account)


def fits(folder: Path) -> bool:
    """Say whether a socket in that folder has a path that a server and libpq can be told."""
    path = str(folder / SOCKET)
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and bool(PLAIN_PATH.fullmatch(path))


def path_hash(path: Path, digits: int) -> str:
    """Return a short name for a path, the same in every process."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:digits]


def user_name() -> str:
    """Return our own name, or our number where we have none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one clear sentence."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            "cluster.folder_unusable",
            parameter="RISKMAP_DATA_DIR",
            folder=folder,
            user=user_name(),
            reason=error.strerror or type(error).__name__,
        ) from error
