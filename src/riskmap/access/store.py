"""The rows of API keys, and the audit's."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from riskmap.access.keys import Caller, KeyRole, NewKey, digest, new_key, prefix_of
from riskmap.db.audit import record
from riskmap.db.sessions import AsyncReadSession, ReadSession, WriteSession
from riskmap.db.tables import API_KEYS, AUDIT
from riskmap.errors import InputError, NotFoundError, UnauthenticatedError


def create_key(
    session: WriteSession, *, name: str, role: KeyRole, expires_at: datetime | None = None
) -> NewKey:
    """Make a key and store its hash; the token is in the answer and nowhere else.

    Raises
    ------
    InputError
        The name is empty: nobody could tell later whose key to revoke.
    """
    if not name.strip():
        raise InputError("key.name", parameter="name")
    key = new_key()
    session.execute(
        insert(API_KEYS).values(
            prefix=key.prefix, sha256=key.sha256, name=name, role=role, expires_at=expires_at
        )
    )
    record(session, "key.create", key.prefix, {"name": name, "role": role})
    return key


def revoke_key(session: WriteSession, prefix: str) -> None:
    """Revoke a key by its prefix.

    Raises
    ------
    NotFoundError
        There is no such key, or it is revoked already.
    """
    done = session.execute(
        update(API_KEYS)
        .where(API_KEYS.c.prefix == prefix, API_KEYS.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    if done.rowcount == 0:
        raise NotFoundError("key.unknown", parameter="prefix", value=prefix)
    record(session, "key.revoke", prefix, {})


def list_keys(session: ReadSession) -> Sequence[Row[Any]]:
    """Return every key without its hash, the newest last."""
    columns = [column for column in API_KEYS.c if column.name != "sha256"]
    return session.execute(select(*columns).order_by(API_KEYS.c.id)).all()


async def authenticate(
    session: AsyncReadSession, token: str, *, parameter: str = "Authorization"
) -> tuple[Caller, datetime | None]:
    """Return who holds this token, and until when; `parameter` is the header that it came in.

    Raises
    ------
    UnauthenticatedError
        It has not a key's shape, is unknown, revoked or expired. The answer is the same for all
        of them but the last two, which only a holder of the true token can bring about.
    """
    prefix = prefix_of(token)
    if prefix is None:
        raise UnauthenticatedError("key.wrong", parameter=parameter)
    found = (await session.execute(select(API_KEYS).where(API_KEYS.c.prefix == prefix))).first()
    if found is None or not hmac.compare_digest(bytes(found.sha256), digest(token)):
        raise UnauthenticatedError("key.wrong", parameter=parameter)
    if found.revoked_at is not None:
        raise UnauthenticatedError("key.revoked", parameter=parameter, prefix=prefix)
    if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
        raise UnauthenticatedError("key.expired", parameter=parameter, prefix=prefix)
    return Caller(name=f"key:{prefix}", role=KeyRole(found.role)), found.expires_at


async def read_audit(
    session: AsyncReadSession, *, limit: int, before: int | None
) -> list[dict[str, Any]]:
    """Return audit rows, the newest first, below an id."""
    statement = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AUDIT.c.id < before)
    return [dict(row._mapping) for row in await session.execute(statement)]
