"""Backup and restore of one city's database by pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError

from riskmap.db.migrate import connect_owner, ensure_role, schema_state
from riskmap.db.sessions import Database
from riskmap.errors import ConflictError, InputError, SetupError


def _program(name: str, bin_folder: Path | None) -> str:
    found = shutil.which(name, path=None if bin_folder is None else str(bin_folder))
    if found is None:
        raise SetupError("backup.program", parameter=name)
    return found


def _environment(url: URL, database: str | None = None) -> dict[str, str]:
    """Return libpq's environment: a password in an argument could be read by every user."""
    query = {key: str(value) for key, value in url.query.items()}
    values = {
        "PGHOST": query.get("host", url.host or ""),
        "PGPORT": query.get("port", str(url.port or "")),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": database or url.database or "",
        "PGSSLMODE": query.get("sslmode", ""),
    }
    return {**os.environ, **{key: value for key, value in values.items() if value}}


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise SetupError(
            "backup.failed", parameter=Path(arguments[0]).name, reason=lines[-1] if lines else "?"
        )


def backup(database: Database, target: Path, *, bin_folder: Path | None = None) -> int:
    """Write the database to one file, whole or not at all; return its size in bytes.

    Raises
    ------
    InputError
        The file exists already, or its folder cannot be written to.
    SetupError
        pg_dump is missing or failed.
    """
    if target.exists():
        raise InputError("backup.exists", parameter="file", file=str(target))
    if not os.access(target.absolute().parent, os.W_OK):
        raise InputError("backup.folder", parameter="file", file=str(target.absolute().parent))
    program = _program("pg_dump", bin_folder)
    part = target.with_name(target.name + ".part")
    # Ours alone: it holds phones, hazard quantities and the hashes of keys.
    part.unlink(missing_ok=True)
    part.touch(mode=0o600, exist_ok=False)
    try:
        _run(
            [program, "--format=custom", "--no-owner", f"--file={part}"],
            _environment(database.owner_url),
        )
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def restore(
    database: Database, source: Path, *, replace: bool = False, bin_folder: Path | None = None
) -> None:
    """Put a backup in the place of the database.

    It is restored into a new database beside the old one, looked at, and only then takes the old
    one's name: whatever goes wrong before that leaves the old one as it was.

    Raises
    ------
    InputError
        There is no such file, or it is no backup.
    ConflictError
        The database holds a city and `replace` was not asked for, or somebody is connected.
    SetupError
        A program is missing, we may not create a database, or the backup is of a newer riskmap.
    """
    if not source.is_file():
        raise InputError("backup.missing", parameter="file", file=str(source))
    with source.open("rb") as file:
        if file.read(5) != b"PGDMP":
            raise InputError("backup.no_backup", parameter="file", file=str(source))
    program = _program("pg_restore", bin_folder)
    url = database.owner_url
    name = str(url.database)
    with connect_owner(database.owner_engine) as connection:
        ready = schema_state(connection).current is not None
        if ready and connection.execute(text("SELECT 1 FROM city")).first() and not replace:
            raise ConflictError("backup.holds", parameter="--replace", name=name)
    database.dispose()
    stamp = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    # PostgreSQL cuts names at 63 bytes, silently: two would become one.
    stem = name.encode()[:40].decode(errors="ignore")
    fresh, old = f"{stem}_restore_{stamp}", f"{stem}_before_{stamp}"
    admin = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    quote = admin.dialect.identifier_preparer.quote
    whole = admin.execution_options(isolation_level="READ COMMITTED")
    with connect_owner(whole) as connection, connection.begin():
        ensure_role(connection)
    with connect_owner(admin) as connection:
        try:
            connection.execute(
                text(f"CREATE DATABASE {quote(fresh)} TEMPLATE template0 ENCODING 'UTF8'")
            )
        except DBAPIError as error:
            raise SetupError("backup.create", name=fresh) from error
        try:
            _run(
                [program, "--no-owner", "--exit-on-error", f"--dbname={fresh}", str(source)],
                _environment(url, fresh),
            )
            looked = create_engine(url.set(database=fresh))
            with looked.connect() as restored:
                schema_state(restored)
            looked.dispose()
            # Both names or neither, whatever happens in between.
            with whole.begin() as swap:
                swap.execute(text(f"ALTER DATABASE {quote(name)} RENAME TO {quote(old)}"))
                swap.execute(text(f"ALTER DATABASE {quote(fresh)} RENAME TO {quote(name)}"))
        except BaseException as error:
            connection.execute(text(f"DROP DATABASE IF EXISTS {quote(fresh)} WITH (FORCE)"))
            if isinstance(error, DBAPIError):
                raise ConflictError("backup.busy", parameter=name, name=name) from error
            raise
        connection.execute(text(f"DROP DATABASE {quote(old)} WITH (FORCE)"))
    admin.dispose()
