"""One request for a file: https all the way, a token only for the host it belongs to, and every failure in words.

Redirects are followed here and not by the library, because what may be sent along changes on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import requests

from engine.plan.errors import UserError
from engine.plan.sources import TOKENS

MOST_REDIRECTS = 10
CONNECT_SECONDS, READ_SECONDS = 20.0, 20.0  # without a byte: it is taken for broken off, and a stop is obeyed then
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class BrokenOff(Exception):  # noqa: N818 - it may go on
    """The connection broke off, could not be made, or the server is busy: it may be tried again."""


def token_for(host: str, environment: Mapping[str, str] = os.environ) -> str:
    """The token for a host, "" where there is none. Raises UserError "bad-token" for one that no server would take."""
    variable = TOKENS.get(host, "")
    token = environment.get(variable, "").strip() if variable else ""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UserError("bad-token", f"What stands in {variable} is no token.", "Copy it again, all of it.")
    return token


def shown(url: str) -> str:
    """A URL for people and logs: what stands behind a question mark may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


class Connection:
    """Asks for one URL, as often as it takes. Raises UserError `not-https`.

    token: sent to the URL's own origin, as long as no redirect has led away from it. allow_http: for tests.
    """

    def __init__(self, url: str, token: str = "", *, allow_http: bool = False) -> None:
        self.url, self._token = url, token
        self._schemes = ("https", "http") if allow_http else ("https",)
        if urlsplit(url).scheme not in self._schemes:
            raise UserError("not-https", f"{shown(url)} is not downloaded: only https tells who sends the file.")
        self._session = requests.Session()
        self._session.auth = _nothing_more  # else the library looks into ~/.netrc for each host
        self._session.headers.update({"User-Agent": "lora-tui", "Accept-Encoding": "identity"})
        self.reached = False  # whether the server has answered at all

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @contextmanager
    def open(self, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """The answer to a GET with these headers, its body not read yet: of status 200, 206 or 416.

        Raises BrokenOff, also while the body is read inside the block, and UserError `unreachable`, `not-https`,
        `needs-login`, `not-there`, `refused-by-server`, `bad-certificate`.
        """
        try:
            with self._follow(headers) as response:
                self.reached = True
                self._check(response)
                yield response
        except requests.exceptions.SSLError as error:
            if self.reached and "certificate" not in str(error).lower():
                raise BrokenOff from None
            raise UserError(
                "bad-certificate", f"{self.host} cannot prove that it is {self.host}.", "Check the network."
            ) from None
        except requests.exceptions.RequestException:  # its text may hold a signed URL: it is not passed on
            raise BrokenOff from None

    def _follow(self, headers: Mapping[str, str]) -> requests.Response:
        url, token = self.url, self._token
        for _ in range(MOST_REDIRECTS):
            sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
            response = self._session.get(
                url, headers=sent, stream=True, allow_redirects=False, timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            if not response.is_redirect:
                return response
            target = urljoin(url, response.headers["location"])
            response.close()
            if urlsplit(target).scheme not in self._schemes:
                raise UserError(
                    "not-https", f"{self.host} sends on to an address without https, which is not followed."
                )
            if _origin(target) != _origin(url):
                token = ""  # for good: a way back may be forged
            url = target
        raise UserError("refused-by-server", f"{self.host} sends on from one address to the next without end.")

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        if status in _AGAIN:
            raise BrokenOff
        if status in (401, 403):
            raise UserError(
                "needs-login", f"{self.host} does not hand out {shown(self.url)} (error {status}).", self.login
            )
        if status in (404, 410):
            raise UserError("not-there", f"There is no {shown(self.url)} (error {status}).", "Check the URL.")
        raise UserError("refused-by-server", f"{self.host} answers with error {status} for {shown(self.url)}.")

    @property
    def login(self) -> str:
        """What to do where a server wants to know who asks."""
        variable = TOKENS.get(self.host, "")
        if not variable:
            return "It may need a login; download it with a browser and give the path of the file."
        if self._token:
            return f"The token in {variable} may not read it; its page may ask you to accept terms first."
        return f"Make a token on {self.host} and set it in the environment: export {variable}=…"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _nothing_more(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
