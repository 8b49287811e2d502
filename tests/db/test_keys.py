"""API keys in the database: only hashes stay, and a wrong key learns nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from feedrows import ACTOR, rows
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from riskmap.access.keys import ANONYMOUS, Caller, KeyRole, NewKey, new_key
from riskmap.access.store import authenticate, create_key, list_keys, revoke_key
from riskmap.db.sessions import Database
from riskmap.errors import NotFoundError, UnauthenticatedError


def made(database: Database, role: KeyRole = KeyRole.EDITOR, days: float | None = None) -> NewKey:
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with database.own(ACTOR) as session:
        return create_key(session, name="消防支队", role=role, expires_at=expires)


def who(database: Database, token: str) -> Caller:
    async def ask() -> Caller:
        try:
            async with database.read_async() as session:
                return (await authenticate(session, token))[0]
        finally:
            await database.async_engine.dispose()

    return asyncio.run(ask())


def refused(database: Database, token: str) -> UnauthenticatedError:
    with pytest.raises(UnauthenticatedError) as caught:
        who(database, token)
    assert caught.value.parameter == "Authorization"
    return caught.value


@pytest.mark.parametrize("role", KeyRole)
def test_a_key_is_its_role(database: Database, role: KeyRole) -> None:
    key = made(database, role)
    assert who(database, key.token) == Caller(f"key:{key.prefix}", role)


def test_only_the_hash_stays(database: Database) -> None:
    key = made(database)
    secret = key.token.removeprefix(f"rmk_{key.prefix}_")
    with database.own(ACTOR) as session:
        for table in ("api_keys", "audit", "feed", "history"):
            stored = session.execute(text(f"SELECT t::text FROM {table} t")).scalars().all()
            assert not any(secret in row for row in stored)
        assert session.execute(text("SELECT sha256 FROM api_keys")).scalar_one() == key.sha256
        [listed] = list_keys(session)
    assert "sha256" not in listed._fields and listed.prefix == key.prefix


def test_wrong_keys_all_hear_the_same(database: Database) -> None:
    key, other = made(database), new_key()
    secret = key.token[-43:]
    wrong = [
        other.token,
        f"rmk_{key.prefix}_{other.token[-43:]}",
        f"rmk_{other.prefix}_{secret}",
        *("", "rmk_", "Bearer x", secret, key.token + "\n", key.token.upper(), key.token[:-1]),
    ]
    errors = [refused(database, token) for token in wrong]
    assert {(error.key, str(error)) for error in errors} == {("key.wrong", str(errors[0]))}


def test_a_revoked_key(database: Database) -> None:
    key, other = made(database), made(database)
    with database.own(ACTOR) as session:
        revoke_key(session, key.prefix)
    assert refused(database, key.token).key == "key.revoked"
    assert who(database, other.token).role is KeyRole.EDITOR
    guessed = f"rmk_{key.prefix}_{other.token[-43:]}"
    assert refused(database, guessed).key == "key.wrong", "only its holder learns of the revocation"
    for prefix in (key.prefix, "000000000000"):
        with pytest.raises(NotFoundError) as caught, database.own(ACTOR) as session:
            revoke_key(session, prefix)
        assert (caught.value.key, caught.value.parameter) == ("key.unknown", "prefix")


def test_an_expired_key(database: Database) -> None:
    assert who(database, made(database, days=1).token).role is KeyRole.EDITOR
    assert refused(database, made(database, days=-0.001).token).key == "key.expired"


def test_the_audit_of_keys(database: Database) -> None:
    key = made(database)
    with database.own(ACTOR) as session:
        revoke_key(session, key.prefix)
    found = rows(
        database,
        "SELECT action, subject, actor, db_user, request_id, detail FROM audit"
        " WHERE action LIKE '%.%' ORDER BY id",
    )
    by = (key.prefix, ACTOR.name, "riskmap_owner", ACTOR.request_id)
    assert found == [
        ("key.create", *by, {"name": "消防支队", "role": "editor"}),
        ("key.revoke", *by, {}),
    ]


def test_the_role_of_the_service_cannot_make_or_revoke_keys(database: Database) -> None:
    key = made(database)
    with pytest.raises(DBAPIError, match="permission denied"), database.write(ACTOR) as session:
        create_key(session, name="x", role=KeyRole.ADMIN)
    with pytest.raises(DBAPIError, match="permission denied"), database.write(ACTOR) as session:
        revoke_key(session, key.prefix)


def test_what_roles_may() -> None:
    admin, reader = Caller("a", KeyRole.ADMIN), Caller("r", KeyRole.READER)
    assert all(admin.has(role) for role in KeyRole) and admin.has()
    assert reader.has(KeyRole.EDITOR, KeyRole.READER)
    assert not reader.has(KeyRole.EDITOR, KeyRole.ANALYST, KeyRole.ADMIN) and not reader.has()
    assert not any(ANONYMOUS.has(role) for role in KeyRole)
    assert reader.reads_restricted and not ANONYMOUS.reads_restricted
