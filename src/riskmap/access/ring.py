"""Keys known to this process: recognised without SQL until the feed tells of a change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from riskmap.access.keys import Caller, digest
from riskmap.access.store import authenticate
from riskmap.db.feed import Change, Feed
from riskmap.db.sessions import Database

# The name of the keys in the feed (migration 0008_key_feed).
KEYS: Final = "api-keys"
_MOST: Final = 1_000


class KeyRing:
    """Recognises the holders of keys.

    A key that was revoked stops working within the feed's bound; while the feed is not fresh,
    nobody is recognised from memory.
    """

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database, self._feed = database, feed
        self._known: OrderedDict[bytes, tuple[Caller, datetime | None]] = OrderedDict()
        feed.listen(self._changed)

    def recognise(self, token: str) -> Caller | None:
        """Return who holds a token, where that is known; asks no database."""
        if not self._feed.fresh:
            return None
        caller, expires_at = self._known.get(digest(token), (None, None))
        if expires_at is not None and expires_at <= datetime.now(UTC):
            return None
        return caller

    async def authenticate(self, token: str, *, parameter: str) -> Caller:
        """Return who holds a token, as `riskmap.access.store.authenticate`.

        Raises
        ------
        UnauthenticatedError
            As there.
        """
        known = self.recognise(token)
        if known is not None:
            return known
        position, epoch = self._feed.position, self._feed.epoch
        async with self._database.read_async() as session:
            caller, expires_at = await authenticate(session, token, parameter=parameter)
        changes = self._feed.since(position, (KEYS,))
        if changes == [] and epoch == self._feed.epoch:
            self._known[digest(token)] = caller, expires_at
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return caller

    def _changed(self, changes: Sequence[Change] | None) -> None:
        if changes is None or any(change.layer == KEYS for change in changes):
            self._known.clear()
