"""Audit rows for what is no change of a layer's rows; those write their own, by triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from riskmap.db.sessions import WriteSession

_RECORD = text("SELECT riskmap.record(:action, :subject, :n, :detail)").bindparams(
    bindparam("detail", type_=JSONB)
)


def record(
    session: WriteSession,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    *,
    row_count: int | None = None,
) -> None:
    """Leave an audit row; the database adds who, when, and for which request.

    Parameters
    ----------
    action
        Two words with a dot between them, such as `key.revoke`.
    """
    session.execute(
        _RECORD, {"action": action, "subject": subject, "n": row_count, "detail": dict(detail)}
    )
