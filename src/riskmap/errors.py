"""The exceptions of riskmap, and the one table from class to HTTP status.

The tree::

    RiskmapError                500  a fault of ours
    ├── InputError              400  a parameter, a row or a body is wrong; names which
    │   ├── UnprocessableError  422  well formed, but it cannot be answered (far from any road)
    │   ├── MediaTypeError      415  the body is of a kind that this resource does not take
    │   └── TooLargeError       413  more than this service takes
    ├── NotAcceptableError      406  none of the formats that Accept takes
    ├── UnauthenticatedError    401  a key that is missing where one is needed, wrong or revoked
    ├── ForbiddenError          403  a good key whose role does not reach
    ├── NotFoundError           404  no such layer, feature, tile, route
    │   └── GoneError           410  it was there, and the history knows it
    ├── ConflictError           409  it would break what is stored
    ├── PreconditionError       412  it is not at the version that If-Match names
    ├── NoPreconditionError     428  a change that must say in If-Match which version it is of
    ├── UnavailableError        503  database away, or no city, roads or people loaded yet
    ├── StorageFullError        507  the disk cannot hold it
    └── SetupError              503  this machine or database is not ready; the CLI exits with 2

Every message is an entry of the catalogue (`riskmap.i18n`), so that it can be said in Chinese and
in English; `str(error)` is Chinese, then English.
"""

from __future__ import annotations

from typing import Final

from riskmap.i18n import Lang, say


class RiskmapError(Exception):
    """A fault with words for people.

    Parameters
    ----------
    key
        Entry of the catalogue, such as ``"bbox.swapped"``. It is also the last part of the
        problem's ``type``.
    parameter
        The parameter, field, file or setting at fault, as the caller named it.
    values
        What the catalogue's placeholders are filled with.
    """

    status: int = 500

    def __init__(self, key: str, /, *, parameter: str | None = None, **values: object) -> None:
        self.key = key
        self.parameter = parameter
        self.values = values
        super().__init__(key)

    def text(self, lang: Lang) -> str:
        """Return the message in one language."""
        return say(self.key, lang, parameter=self.parameter, **self.values)

    def __str__(self) -> str:
        return f"{self.text('zh')}\n{self.text('en')}"


class InputError(RiskmapError):
    """A parameter, row or body is wrong."""

    status = 400


class UnprocessableError(InputError):
    """Well formed, but it cannot be answered here."""

    status = 422


class MediaTypeError(InputError):
    """The body is of a kind that this resource does not take."""

    status = 415


class TooLargeError(InputError):
    """More than this service takes."""

    status = 413


class NotAcceptableError(RiskmapError):
    """The caller takes none of the formats that there are."""

    status = 406


class UnauthenticatedError(RiskmapError):
    """The key is missing where one is needed, wrong, revoked or expired."""

    status = 401


class ForbiddenError(RiskmapError):
    """The key is good, its role does not reach."""

    status = 403


class NotFoundError(RiskmapError):
    """No such thing."""

    status = 404


class GoneError(NotFoundError):
    """It was there and was deleted: the history has its versions."""

    status = 410


class ConflictError(RiskmapError):
    """It would break what is stored."""

    status = 409


class PreconditionError(RiskmapError):
    """What is stored is not at the version that the caller's If-Match names."""

    status = 412


class NoPreconditionError(RiskmapError):
    """A change must say which version it is of, lest it undoes somebody else's unseen."""

    status = 428


class UnavailableError(RiskmapError):
    """The database is away, or data that the answer needs is not loaded yet."""

    status = 503


class StorageFullError(RiskmapError):
    """The disk cannot hold it."""

    status = 507


class SetupError(RiskmapError):
    """The machine, the settings or the database are not ready; the CLI exits with EXIT_SETUP."""

    status = 503


EXIT_INPUT: Final = 1
EXIT_SETUP: Final = 2
