"""The client: one method for each thing a program does at a desk."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from reread_client.errors import Refused, Unreachable
from reread_client.models import Checklist, Import, Invited, Member, Plan, Progress, Study

PART = 4 << 20  # bytes of a file in one request
NAMED_AT_ONCE = 1000
PAGE = 500
ATTEMPTS = 5
BUSY = (429, 502, 503, 504)
# What may be said again although an answer was lost.
SAFE = ("GET", "PUT")


class Client:
    """Speaks to the desk of the site at `url` with a personal access token.

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

    # Studies

    def studies(self) -> list[Study]:
        """Return the studies one conducts."""
        return [Study.from_site(each) for each in self._all("studies")]

    def study(self, name: str) -> Study:
        """Return one study."""
        return Study.from_site(self._call("GET", f"studies/{name}"))

    def create_study(
        self, name: str, *, protocol: str | None = None, template: str | None = None
    ) -> Study:
        """Create a study from the text of a protocol, or from a template of the site.

        Raises:
            Refused: there is one of this name, or the protocol cannot be run: `problems` say where.
        """
        given = {"protocol": protocol, "template": template}
        body = {"name": name, **{key: value for key, value in given.items() if value is not None}}
        return Study.from_site(self._call("POST", "studies", body))

    def protocol(self, name: str) -> str:
        """Return the text of the protocol in force."""
        return str(self._call("GET", f"studies/{name}/protocol")["text"])

    def amend_protocol(self, name: str, text: str, *, reason: str = "") -> int:
        """Put another protocol in force; return the number of its version."""
        body = {"text": text, "reason": reason}
        return int(self._call("PUT", f"studies/{name}/protocol", body)["version"])

    def dry_run(self, name: str, *, text: str | None = None, per_day: int = 20) -> Plan:
        """Say what a protocol would come to: the one in force, or `text`."""
        body: dict[str, Any] = {"per_day": per_day} | ({} if text is None else {"text": text})
        return Plan.from_site(self._call("POST", f"studies/{name}/protocol/dry-run", body))

    def checklist(self, name: str) -> Checklist:
        """Say what the study needs before it can open."""
        said = self._call("GET", f"studies/{name}/checklist")
        missing = (
            f"{each['name']}: {each['detail']}" for each in said["checks"] if not each["met"]
        )
        return Checklist(said["can_open"], tuple(missing))

    def allocate(
        self, name: str, *, training: Sequence[str] = (), every_s: float = 1
    ) -> dict[str, Any]:
        """Have the cases dealt out, once; return what came of it once the worker has done it.

        Raises:
            Refused: the cases cannot be dealt out; the text says why.
        """
        asked = self._call("POST", f"studies/{name}/allocation", {"training": list(training)})
        while True:
            task = next(
                each for each in self._all(f"studies/{name}/tasks") if each["id"] == asked["id"]
            )
            if task["status"] == "failed":
                raise Refused(409, "task_failed", task["detail"])
            if task["status"] == "done":
                return dict(task["outcome"])
            time.sleep(every_s)

    def open_study(self, name: str) -> Study:
        """Let readings begin."""
        return Study.from_site(self._call("POST", f"studies/{name}/open", {}))

    # People

    def people(self, name: str) -> list[Member]:
        """Return the members of a study."""
        return [Member.from_site(each) for each in self._all(f"studies/{name}/people")]

    def invite(
        self, study: str, *, name: str, role: str, pseudonym: str, email: str = ""
    ) -> Invited:
        """Give somebody a role, and return the link by which they choose a password."""
        body = {"name": name, "role": role, "pseudonym": pseudonym, "email": email}
        return Invited.from_site(self._call("POST", f"studies/{study}/invitations", body))

    # Cases

    def upload(
        self,
        study: str,
        folder: Path,
        *,
        nodules: str = "",
        profile: Mapping[str, Any] | None = None,
        go_on_with: int | None = None,
    ) -> Import:
        """Send every file below `folder`, and hand them to the site's worker.

        An upload that broke off goes on with the number of its import, `go_on_with`: what is
        there is not sent again. Without `profile` images are de-identified as the site does it.
        """
        if go_on_with is None:
            body: dict[str, Any] = {"source": "upload", "origin": folder.name, "nodules": nodules}
            if profile is not None:
                body["profile"] = dict(profile)
            go_on_with = int(self._call("POST", f"studies/{study}/imports", body)["id"])
        at = f"studies/{study}/imports/{go_on_with}"
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for begin in range(0, len(files), NAMED_AT_ONCE):
            some = files[begin : begin + NAMED_AT_ONCE]
            named = [
                {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size}
                for path in some
            ]
            for here in self._call("POST", f"{at}/files", {"files": named})["files"]:
                self._send(at, here, folder / here["path"])
        return Import.from_site(self._call("POST", f"{at}/begin", {}))

    def _send(self, at: str, here: Mapping[str, Any], path: Path) -> None:
        received = int(here["received"])
        with path.open("rb") as file:
            while received < here["size"]:
                file.seek(received)
                said = self._call(
                    "PUT",
                    f"{at}/files/{here['id']}",
                    content=file.read(PART),
                    params={"offset": received},
                )
                received = int(said["received"])

    def import_(self, study: str, number: int) -> Import:
        """Say how far an import is."""
        return Import.from_site(self._call("GET", f"studies/{study}/imports/{number}"))

    def wait_for_import(self, study: str, number: int, *, every_s: float = 1) -> Import:
        """Return an import once it has ended, however it did: `state` and `detail` say."""
        while not (found := self.import_(study, number)).has_ended:
            time.sleep(every_s)
        return found

    # Conduct and data

    def progress(self, name: str) -> Progress:
        """Say how far the readers are."""
        return Progress.from_site(self._call("GET", f"studies/{name}/progress"))

    def download_export(self, name: str, target: Path) -> Path:
        """Write the export of what was recorded to `target`; see `_download`."""
        return self._download(f"studies/{name}/export", target)

    def download_archive(self, name: str, target: Path) -> Path:
        """Write the archive of a locked study to `target`; see `_download`."""
        return self._download(f"studies/{name}/archive", target)

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

    # Calls

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
                return answer.json()
            raise _refusal(answer)
        raise AssertionError("the last attempt has returned or raised")


def _refusal(answer: httpx.Response) -> Exception:
    try:
        said = answer.json()
        return Refused(answer.status_code, said["code"], said["detail"], said.get("problems"))
    except (ValueError, KeyError, TypeError):
        return Unreachable(f"{answer.request.url} answered {answer.status_code}")
