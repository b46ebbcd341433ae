"""The far side of an expert that lives elsewhere: asked over HTTP, with a timeout, retries and a rate."""

from __future__ import annotations

import importlib
import threading
import time
from dataclasses import dataclass
from typing import Any

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.selection import check_number
from orxe_plugins.util.arguments import check_count

#: answers that may be other ones in a moment: too many requests, and gateways without a server behind them
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class FarExpertError(OrxeError):
    """An expert that lives elsewhere did not answer: it is cut off, too slow, or refuses."""


@dataclass(frozen=True)
class Manners:
    """How the far side is asked.

    Attributes:
        timeout: seconds for a batch, with all its retries and with waiting for the rate.
        retries: how often a batch is asked again after a fault that may pass.
        rate: samples a second, at most; None for no limit.
    """

    timeout: float = 10.0
    retries: int = 2
    rate: float | None = None

    def __post_init__(self) -> None:
        check_number("timeout", self.timeout)
        check_count("retries", self.retries)
        check_number("rate", self.rate)
        if self.timeout <= 0 or (self.rate is not None and self.rate <= 0):
            raise OrxeError(f"timeout is {self.timeout:g} and rate {self.rate}: expected numbers above 0")


class FarSide:
    """A URL that is asked by POST, in JSON.

    Args:
        url: the address.
        manners: timeout, retries and rate.
    """

    def __init__(self, url: str, manners: Manners) -> None:
        self.url, self.manners = url, manners
        self._pace = _Pace(manners.rate)
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # A connection and a lock cannot be copied, and need not be.
        return {"url": self.url, "manners": self.manners}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def ask(self, request: dict[str, Any], size: int, end: float) -> Any:
        """The answer's JSON to a request of so many samples, asked for until ``end`` of the monotonic clock.

        Raises:
            FarExpertError: there is none in time, it is refused, or it is no JSON.
        """
        httpx = _httpx()
        problem = "no answer"
        for attempt in range(self.manners.retries + 1):
            if attempt and not _wait(0.05 * 2**attempt, end):
                break
            if not self._pace.wait(size, end):
                problem = f"the rate of {self.manners.rate:g} samples a second leaves no room"
                break
            try:
                left = max(end - time.monotonic(), 1e-3)
                response = self._connection(httpx).post(self.url, json=request, timeout=left)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}".rstrip(": ")
                continue
            if response.status_code == 200:
                return self._read(response)
            problem = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code not in _TRY_AGAIN:
                break
        raise FarExpertError(f"{self.url} did not answer within {self.manners.timeout:g} seconds ({problem})")

    def _read(self, response: Any) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise FarExpertError(f"{self.url} answered no JSON: {error}") from error

    def _connection(self, httpx: Any) -> Any:
        if self._client is None:
            self._client = httpx.Client(follow_redirects=False)
        return self._client


class _Pace:
    """Lets so many samples a second through, to several threads."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._free, self._lock = rate, 0.0, threading.Lock()

    def wait(self, size: int, end: float) -> bool:
        """Whether ``size`` samples may go, after waiting for their turn; False if that would be after ``end``."""
        if self._rate is None:
            return True
        with self._lock:
            start = max(self._free, time.monotonic())
            if start > end:
                return False
            self._free = start + size / self._rate
        return _wait(start - time.monotonic(), end)


def _wait(seconds: float, end: float) -> bool:
    """Whether there is time left after waiting so long."""
    if time.monotonic() + seconds >= end:
        return False
    time.sleep(max(seconds, 0.0))
    return True


def _httpx() -> Any:
    try:
        return importlib.import_module("httpx")
    except ImportError as error:
        raise OrxeError(
            'an http: expert needs httpx, which is not installed. Install it with\npip install "orxe-plugins[serve]"'
        ) from error
