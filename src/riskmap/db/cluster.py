"""The private PostgreSQL that riskmap starts where no other server is named.

Whoever needs it says ``with cluster.running():``. Three locks in the cluster's folder, all of
them dropped by the kernel when their holder dies, decide the rest:

start.lock       held alone while somebody makes, starts or stops the cluster.
users.lock       shared by every user of the running cluster; who leaves and can then have it
                 alone was the last and stops the cluster.
postmaster.lock  held by PostgreSQL's own processes, which inherit it from the start. While it
                 is held one of them lives; once it is free none does, whatever postmaster.pid,
                 a reused process number or another container's view of /proc would have us think.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TypeAlias

import psycopg
from psycopg import sql
from sqlalchemy import URL

from riskmap.db.data_folder import Notice, Place, choose_place, usable
from riskmap.db.flocks import held, open_lock, take
from riskmap.db.pg_programs import Programs
from riskmap.db.server import OWNER, PORT, Server
from riskmap.settings import Settings

DATABASE: Final = "riskmap"
API_ROLE: Final = "riskmap_api"

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_Handler: TypeAlias = Callable[[int, FrameType | None], object] | signal.Handlers


class Cluster:
    """An embedded cluster: one data folder, one account, one PostgreSQL.

    Attributes
    ----------
    folder
        Holds `pg`, the data folder, beside the locks and the sockets.
    notices
        What whoever starts the service should be told.
    """

    def __init__(self, place: Place, programs: Programs) -> None:
        self._place = place
        self._programs = programs
        self._server = Server(place, programs)
        self.folder: Path = place.folder
        self.notices: tuple[Notice, ...] = place.notices

    @classmethod
    def locate(cls, settings: Settings) -> Cluster:
        """Find the programs and the folder of the settings' cluster. Writes and starts nothing.

        Raises
        ------
        SetupError
            This machine or the folder is not ready; the message says what to do.
        """
        place = choose_place(settings.data_dir)
        programs = Programs.locate(settings.pg_bin, data_major=place.major(), data=place.data)
        return cls(place, programs)

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self._place.data

    @property
    def programs(self) -> Programs:
        """The PostgreSQL that runs it: `programs.folder` holds pg_dump and the others."""
        return self._programs

    def owner_url(self, database: str = DATABASE) -> URL:
        """Return the address of a database for its owner."""
        return self._url(OWNER, database)

    def api_url(self, database: str = DATABASE) -> URL:
        """Return the address of a database for the API's role, which owns nothing."""
        return self._url(API_ROLE, database)

    def _url(self, user: str, database: str) -> URL:
        return URL.create(
            "postgresql+psycopg",
            username=user,
            database=database,
            query={"host": str(self._server.sockets), "port": str(PORT)},
        )

    @contextmanager
    def running(self) -> Iterator[Cluster]:
        """Hold the cluster in use: started if it is not, stopped when its last user leaves.

        Raises
        ------
        SetupError
            It cannot be made or started; the message says what to do.
        """
        self._place.make_folder()
        with _terminated_as_exit():
            with usable(self.folder):
                users = open_lock(self.folder / "users.lock", self._place.account)
            try:
                with self._alone():
                    # Free but for other users: whoever takes it alone holds start.lock, too.
                    take(users, shared=True)
                    self._server.start()
                yield self
            finally:
                with _undisturbed(), self._alone():
                    if take(users):
                        self._server.stop()
                    os.close(users)

    def is_running(self) -> bool:
        """Say whether the cluster takes connections now."""
        return self._server.is_running()

    def ensure_database(self, name: str = DATABASE) -> None:
        """Make a database and the API's role where they are missing. The cluster must run."""
        address = self.owner_url("postgres").set(drivername="postgresql")
        with psycopg.connect(
            address.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            # Neither CREATE knows IF NOT EXISTS; the lock orders everybody who asks first.
            connection.execute("SELECT pg_advisory_lock(hashtext('riskmap ensure_database'))")
            if not connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", [API_ROLE]
            ).fetchone():
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
                    ).format(sql.Identifier(API_ROLE))
                )
            if not connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone():
                # The locale is template0's: the C.UTF-8 that initdb was told.
                connection.execute(
                    sql.SQL(
                        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'"
                    ).format(sql.Identifier(name), sql.Identifier(OWNER))
                )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with held(self.folder / "start.lock", self._place.account):
            yield


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Let SIGTERM and a closed terminal unwind the stack instead of ending us on the spot.

    uvicorn raises the signal anew once it has shut down: with the default handler the process
    would end there, before the cluster is stopped. A handler of somebody else's stays.
    """

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    ours = {n: leave for n in ENDING if signal.getsignal(n) is signal.SIG_DFL}
    with _handlers(ours):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Stop the cluster to the end: impatient signals often come twice, by way of `make`, say."""
    with _handlers(dict.fromkeys((*ENDING, signal.SIGINT), signal.SIG_IGN)):
        yield


@contextmanager
def _handlers(new: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
    """Handle signals otherwise for a while. Only the main thread of a process may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in new.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
