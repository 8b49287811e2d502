"""Talk to the service: one request, one answer, one exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import httpx

Lang = Literal["zh", "en"]

_LANGUAGES = {"zh": "zh-CN", "en": "en"}


class ServiceError(Exception):
    """The service refused a request, or could not be asked.

    Attributes
    ----------
    title, detail
        What is wrong, in the client's language; in both where no service answered.
    parameter
        The parameter at fault, or None.
    status
        HTTP status; None when no service answered.
    """

    def __init__(
        self, title: str, detail: str, *, parameter: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(detail)
        self.title = title
        self.detail = detail
        self.parameter = parameter
        self.status = status


class Service:
    """A connection to one address of riskmap.

    Parameters
    ----------
    timeout_s
        Longest wait for the next bytes of an answer. Nothing is asked twice: a notebook's reader
        should see at once that something is wrong.
    """

    def __init__(self, base_url: str, key: str | None, lang: Lang, timeout_s: float) -> None:
        if lang not in _LANGUAGES:
            raise ValueError(f"lang={lang!r}：应为 zh 或 en | must be zh or en")
        self.base_url = base_url.rstrip("/")
        self.lang = lang
        headers = {"Accept": "application/json", "Accept-Language": _LANGUAGES[lang]}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(
            headers=headers, timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return self._json(self._ask("GET", path, params=params))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON, return JSON."""
        return self._json(self._ask("POST", path, json=body))

    def send_file(
        self, path: str, file: Path, fields: dict[str, str], *, key: str
    ) -> dict[str, Any]:
        """Send a file with fields as a form; return JSON.

        Parameters
        ----------
        key
            The Idempotency-Key: what is sent again under it is not done twice.
        """
        with file.open("rb") as content:
            return self._json(
                self._ask(
                    "POST",
                    path,
                    data=fields,
                    files={"file": (file.name, content)},
                    headers={"Idempotency-Key": key},
                )
            )

    def bytes(self, path: str) -> bytes:
        """Return what is at a path as it is."""
        return self._ask("GET", path).content

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, f"{self.base_url}{path}", **sent)
        except httpx.TimeoutException as error:
            raise self._silent(
                "在时限内没有回答：请稍后再试，或在 Client 中增大 timeout_s。",
                "did not answer in time: try again later, or give Client a larger timeout_s.",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._silent(
                "连不上：请确认服务已启动（make run）且地址无误。",
                "cannot be reached: see that the service runs (make run) and the address is right.",
            ) from error
        if answer.is_success:
            return answer
        raise _refusal(answer)

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        raise self._silent("的回答不是 riskmap 的。", "answers, but not as riskmap does.")

    def _silent(self, zh: str, en: str) -> ServiceError:
        return ServiceError(
            "服务无应答 No answer",
            f"riskmap 服务 {self.base_url} {zh}\nThe riskmap service {self.base_url} {en}",
        )


def _refusal(answer: httpx.Response) -> ServiceError:
    """Read a problem (RFC 9457); what stands before a service, such as a proxy, sends none."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    problem = body if isinstance(body, dict) else {}
    title = str(problem.get("title") or f"HTTP {answer.status_code} {answer.reason_phrase}")
    return ServiceError(
        title,
        str(problem.get("detail") or f"{title}: {answer.request.url}"),
        parameter=problem.get("parameter"),
        status=answer.status_code,
    )
