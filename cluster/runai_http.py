"""A session with Run:ai's REST API: its token, tries again, and deadlines. What is asked is ``runai_api``'s.

The token and the secret are in the memory of this object alone, and masked in every text that leaves it.
Source: https://run-ai-docs.nvidia.com/api (Tokens): ``client_credentials`` of service accounts and access keys,
``app_token`` of applications, which is older and deprecated there.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from cluster import runai_errors
from cluster.errors import Misused
from cluster.masking import Masker
from cluster.runai_config import RunaiSettings, is_loopback
from cluster.runai_errors import RunaiError
from cluster.secret_text import Secret

if TYPE_CHECKING:
    import httpx

Query = Sequence[tuple[str, str]]
Around = Callable[[], AbstractContextManager[None]]
"""What each single try of a request is made inside of."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
# A token is renewed so long before it expires: clocks differ, and a request takes its time.
_MARGIN_SECONDS, _MARGIN_SHARE = 60.0, 0.2
_UNKNOWN_LIFETIME = 300.0
_LARGEST_ANSWER = 16 << 20


class _Answer(NamedTuple):
    status: int
    text: str
    wait: float


class _Token(NamedTuple):
    text: Secret
    until: float


class Session:
    """One session. Use ``opened``.

    Args:
        client: for the configured server.
        secret: that of the service account or application.
        masker: learns of each token.
    """

    def __init__(self, client: httpx.Client, settings: RunaiSettings, secret: Secret, masker: Masker) -> None:
        self._client = client
        self._settings = settings
        self._secret = secret
        self._masker = masker
        self._token: _Token | None = None

    @property
    def url(self) -> str:
        """The control plane's address, for messages."""
        return self._settings.url

    def call(self, method: str, path: str, query: Query = (), *, around: Around = nullcontext) -> Any:
        """One request with a token, and the JSON of its answer; None where the answer is empty.

        A token that is refused is renewed once. Tried again while the API is busy, fails or is not reached.

        Args:
            around: each try of the request happens inside of what this gives.

        Raises:
            RunaiError: it was refused, or could not be answered within ``patience``.
        """
        asked = f"{method} {path}"
        end = time.monotonic() + self._settings.patience

        def once(token: Secret) -> _Answer:
            headers = {"Authorization": f"Bearer {token.reveal()}"}
            with around():
                return self._once(method, path, query, headers=headers)

        answer = self._patiently(lambda: once(self._bearer(end)), asked, end)
        if answer.status == 401:
            self._token = None
            answer = self._patiently(lambda: once(self._bearer(end)), asked, end)
        if not 200 <= answer.status < 300:
            raise self._refused(answer, asked)
        return self._json(answer.text, asked) if answer.text.strip() else None

    def masked(self, text: str) -> str:
        """The text without token and secret."""
        return self._masker.mask(text)

    def _bearer(self, end: float) -> Secret:
        if self._token is None or time.monotonic() >= self._token.until:
            self._token = self._login(end)
        return self._token.text

    def _login(self, end: float) -> _Token:
        asked, settings = "POST /api/v1/token", self._settings
        names = ("clientID", "clientSecret") if settings.grant == "client_credentials" else ("appID", "appSecret")
        began = time.monotonic()
        body = {"grantType": settings.grant, names[0]: settings.client_id, names[1]: self._secret.reveal()}
        answer = self._patiently(lambda: self._once("POST", "/api/v1/token", (), body=body), asked, end)
        if not 200 <= answer.status < 300:
            words, where = self._words(answer.text), str(settings.client_secret)
            raise runai_errors.login_refused(answer.status, words, settings.client_id, where, self.url)
        given = self._json(answer.text, asked)
        token = given.get("accessToken") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise runai_errors.odd(self.url, asked, "there is no accessToken in it")
        self._masker.register(token)
        seconds = given.get("expiresIn")
        lasts = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else _UNKNOWN_LIFETIME
        return _Token(Secret(token), began + lasts - min(_MARGIN_SECONDS, lasts * _MARGIN_SHARE))

    def _patiently(self, once: Callable[[], _Answer], asked: str, end: float) -> _Answer:
        pause = _FIRST_PAUSE
        while True:
            wait = pause
            try:
                answer = once()
            except RunaiError as error:
                if error.code != "runai-unreachable" or time.monotonic() + wait > end:
                    raise
            else:
                if not _passes(answer):
                    return answer
                wait = max(wait, answer.wait)
                if time.monotonic() + wait > end:
                    raise self._refused(answer, asked)
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _once(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> _Answer:
        import httpx

        end = time.monotonic() + self._settings.timeout
        try:
            with self._client.stream(method, path, params=list(query), headers=headers, json=body) as response:
                text = self._read(response, end)
                return _Answer(response.status_code, text, _retry_after(response.headers))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = self.masked(str(error) or type(error).__name__)[:300]
            if "CERTIFICATE_VERIFY_FAILED" in why:
                raise runai_errors.untrusted(self.url, why) from None
            if isinstance(error, httpx.TimeoutException):
                why = f"no answer within {self._settings.timeout:g} s"
            # Without its cause: that one holds the request, and with it the token.
            raise runai_errors.unreachable(self.url, why) from None

    def _read(self, response: httpx.Response, end: float) -> str:
        # The timeouts of the library are for each read: an answer that trickles would never end.
        parts, size = list[bytes](), 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if time.monotonic() > end:
                raise runai_errors.unreachable(self.url, f"no whole answer within {self._settings.timeout:g} s")
            if size > _LARGEST_ANSWER:
                raise runai_errors.odd(self.url, "a request", f"it is longer than {_LARGEST_ANSWER >> 20} MiB")
        return b"".join(parts).decode(errors="replace")

    def _refused(self, answer: _Answer, asked: str) -> RunaiError:
        own = runai_errors.is_own(answer.text)
        return runai_errors.refused(answer.status, self._words(answer.text), asked, self.url, own=own)

    def _words(self, text: str) -> str:
        return runai_errors.said(self.masked(text))

    def _json(self, text: str, asked: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            beginning = self.masked(text.strip())[:80]
            raise runai_errors.odd(self.url, asked, f"it is no JSON, but begins with {beginning!r}") from None


def _passes(answer: _Answer) -> bool:
    """Whether it may be another answer soon: the API is busy, or what stands before it does not know it yet."""
    return (
        answer.status == 429 or answer.status >= 500 or (answer.status == 404 and not runai_errors.is_own(answer.text))
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a server asks to wait: as a number, or as a date by its own clock."""
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    then, now = _date(given), _date(headers.get("Date", ""))
    return max(0.0, (then - now).total_seconds()) if then is not None and now is not None else 0.0


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


@contextmanager
def opened(settings: RunaiSettings, secret: Secret, masker: Masker) -> Iterator[Session]:
    """A session, which is closed at the end.

    Raises:
        Misused: ``ca_file`` cannot be used.
    """
    import httpx

    host = urlsplit(settings.url).hostname or ""
    with httpx.Client(
        base_url=settings.url,
        verify=_trust(settings),
        timeout=settings.timeout,
        follow_redirects=False,
        # A proxy for the world outside is none for this very machine.
        trust_env=not is_loopback(host),
        headers={"Accept": "application/json", "User-Agent": "runai-downtime"},
    ) as client:
        yield Session(client, settings, secret, masker)


def _trust(settings: RunaiSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise Misused(
            "runai-ca-file",
            f"The certificate authorities of {settings.ca_file} cannot be read: {error.strerror or error}",
            "Name a file in PEM format as ca_file under [runai].",
        ) from None
