"""API keys and what their roles may do.

A key is `rmk_<prefix>_<secret>`: the prefix finds its row, the secret (256 random bits) is known
to its holder alone; the database keeps the SHA-256 of the whole. A slow hash would add nothing,
since nobody guesses 256 bits, and would cost every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_TOKEN: Final = re.compile(r"rmk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class KeyRole(StrEnum):
    """Role of an API key."""

    READER = "reader"
    EDITOR = "editor"
    ANALYST = "analyst"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. No role: an anonymous caller, who reads public fields."""

    name: str = "anonymous"
    role: KeyRole | None = None

    @property
    def reads_restricted(self) -> bool:
        """Every key reads restricted fields (phones, hazard quantities)."""
        return self.role is not None

    def has(self, *roles: KeyRole) -> bool:
        """Say whether the caller has one of these roles; an admin has them all."""
        return self.role is not None and (self.role is KeyRole.ADMIN or self.role in roles)


ANONYMOUS: Final = Caller()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its making: the only time that the token itself is seen."""

    prefix: str
    token: str
    sha256: bytes


def new_key() -> NewKey:
    """Make a key from the system's random source."""
    prefix = secrets.token_hex(6)
    token = f"rmk_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(prefix, token, digest(token))


def digest(token: str) -> bytes:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def prefix_of(token: str) -> str | None:
    """Return the prefix of a token, or None when it has not a key's shape."""
    match = _TOKEN.fullmatch(token)
    return match.group(1) if match else None
