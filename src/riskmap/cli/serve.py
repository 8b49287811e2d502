"""`riskmap serve`: the service, and with it the private cluster."""

from __future__ import annotations

import gc
import os
import signal
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from riskmap.cli.demo import load_when_empty
from riskmap.cli.opening import opened, tell
from riskmap.errors import SetupError

if TYPE_CHECKING:
    from riskmap.db.sessions import Database
    from riskmap.settings import Settings


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything else starts: a port in use is known at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        # SO_REUSEADDR lets two sockets bind as long as neither listens: listening tells.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise SetupError(
            "serve.port",
            parameter="RISKMAP_PORT",
            host=settings.host,
            port=settings.port,
            reason=error.strerror,
        ) from error
    bound.set_inheritable(True)
    return bound


def _stop(signum: int, frame: object) -> None:
    # uvicorn hands the signal back when it has stopped; leaving by SystemExit lets the
    # private cluster stop too.
    del signum, frame
    raise SystemExit(0)


def _tell_what_is_missing(database: Database) -> None:
    """Say which commands fill a city that is empty."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.db.city import find_city
    from riskmap.features import statements

    with database.read() as session:
        city = find_city(session)
        filled = session.execute(statements.filled(load_catalog().values())).scalar_one()
    if city is None:
        tell("landing.no_city")
    elif not filled:
        tell("landing.empty", name=city.name)


def serve(
    host: Annotated[str | None, typer.Option(help="监听地址 Address (RISKMAP_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="端口 Port (RISKMAP_PORT)")] = None,
    workers: Annotated[int | None, typer.Option(help="进程数 Processes (RISKMAP_WORKERS)")] = None,
) -> None:
    """启动服务(Ctrl-C 停止) Start the service (Ctrl-C stops it)."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from riskmap.settings import load_settings

    class Server(uvicorn.Server):
        """Says where it listens once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # What was imported stays: it need not be looked through again and again.
            gc.freeze()
            gc.enable()
            if self.started:
                tell("serve.ready", address=address)

    given = {"RISKMAP_HOST": host, "RISKMAP_PORT": port, "RISKMAP_WORKERS": workers}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    settings = load_settings()
    if settings.workers == 1:
        # Looking for garbage among what is imported, where there is none, takes 0.4 s of a start.
        gc.disable()
    signal.signal(signal.SIGTERM, _stop)
    bound = _listen(settings)
    shown, number = bound.getsockname()[:2]
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{number}"
    try:
        tell("serve.starting")
        with opened() as ready:
            # Workers are processes of their own: they learn of the database by the environment.
            os.environ["RISKMAP_DATABASE_URL"] = str(ready.settings.database_url)
            if ready.settings.api_database_url is not None:
                os.environ["RISKMAP_API_DATABASE_URL"] = ready.settings.api_database_url
            # Of an external database, empty or not, its owner decides: riskmap demo load.
            if settings.demo and settings.database_url is None:
                load_when_empty(ready)
            _tell_what_is_missing(ready.database)
            config = uvicorn.Config(
                "riskmap.app:from_environment",
                factory=True,
                workers=settings.workers,
                log_level="info",
                access_log=False,
                timeout_graceful_shutdown=10,
            )
            if settings.workers == 1:
                Server(config).run(sockets=[bound])
                return
            tell("serve.ready", address=address)
            Multiprocess(config, sockets=[bound]).run()
    finally:
        bound.close()
        tell("serve.stopped")
