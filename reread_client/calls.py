"""What all calls of the client share: the token, repetition, lists in parts, downloads."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from reread_client.errors import Refused, Unreachable

PAGE = 500
ATTEMPTS = 5
BUSY = (429, 502, 503, 504)
# What may be said again although an answer was lost.
SAFE = ("GET", "PUT")


class Calls:
    """Calls the site at `url` with a personal access token.

    What may be repeated is repeated when the line fails, `attempts` times in all.
    """

    def __init__(
        self, url: str, *, token: str, timeout_s: float = 60, attempts: int = ATTEMPTS
    ) -> None:
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
        )
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _all(self, address: str) -> Iterator[Any]:
        """Yield every entry of a list, page by page."""
        offset = 0
        while True:
            said = self._call("GET", address, params={"limit": PAGE, "offset": offset})
            yield from said["results"]
            offset += PAGE
            if said["next"] is None:
                return

    def _call(
        self,
        method: str,
        address: str,
        body: Any = None,
        *,
        params: Mapping[str, int] | None = None,
        content: bytes | None = None,
    ) -> Any:
        more: dict[str, Any] = {} if body is None else {"json": body}
        if content is not None:
            more = {"content": content, "headers": {"Content-Type": "application/octet-stream"}}
        for attempt in range(self._attempts):
            is_last = attempt + 1 == self._attempts
            try:
                answer = self._http.request(method, address, params=params, **more)
            except httpx.TransportError as error:
                # A request that never left may be sent again, whatever it asks for.
                if is_last or not (method in SAFE or isinstance(error, httpx.ConnectError)):
                    raise Unreachable(f"{method} {address}: {error}") from error
                time.sleep(min(2**attempt, 30) / 10)
                continue
            may_repeat = answer.status_code == 429 or method in SAFE
            if answer.status_code in BUSY and may_repeat and not is_last:
                wait = answer.headers.get("Retry-After", "")
                time.sleep(float(wait) if wait.isdigit() else min(2**attempt, 30) / 10)
                continue
            if answer.is_success:
                return None if answer.status_code == 204 else answer.json()
            raise _refusal(answer)
        raise AssertionError("the last attempt has returned or raised")

    def _outcome(self, study: str, number: int, every_s: float) -> dict[str, Any]:
        """Wait for what was asked of the site's worker; return what came of it.

        Raises:
            Refused: it failed; the text says why.
        """
        while True:
            task = next(
                each for each in self._all(f"studies/{study}/tasks") if each["id"] == number
            )
            if task["status"] == "failed":
                raise Refused(409, "task_failed", task["detail"])
            if task["status"] == "done":
                return dict(task["outcome"])
            time.sleep(every_s)

    def _download(self, address: str, target: Path) -> Path:
        """Write a file of the site; one that broke off, now or in an earlier run, goes on.

        What is there already lies beside `target` as `.part`, its hash in `.part.sha256`. Where
        something was recorded in between, the site sends all of it, and it begins anew.

        Raises:
            Unreachable: it broke off too often, or is not what the site says it sent.
        """
        part = target.with_name(f"{target.name}.part")
        tag = target.with_name(f"{target.name}.part.sha256")
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(min(2**attempt, 30) / 10)
            try:
                self._fetch(address, part, tag)
            except httpx.TransportError:
                continue
            with part.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found == tag.read_text():
                part.replace(target)
                tag.unlink()
                return target
            part.unlink()
        raise Unreachable(f"{address} could not be downloaded in {self._attempts} attempts")

    def _fetch(self, address: str, part: Path, tag: Path) -> None:
        there = part.stat().st_size if part.exists() and tag.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if there:
            headers |= {"Range": f"bytes={there}-", "If-Range": f'"{tag.read_text()}"'}
        with self._http.stream("GET", address, headers=headers) as answer:
            if answer.status_code == 416:  # all of it is there
                return
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            tag.write_text(answer.headers["ETag"].strip('"'))
            with part.open("ab" if answer.status_code == 206 else "wb") as file:
                for content in answer.iter_raw():
                    file.write(content)


def _refusal(answer: httpx.Response) -> Exception:
    try:
        said = answer.json()
        return Refused(answer.status_code, said["code"], said["detail"], said.get("problems"))
    except (ValueError, KeyError, TypeError):
        return Unreachable(f"{answer.request.url} answered {answer.status_code}")
