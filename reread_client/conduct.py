"""How studies are conducted, and what was recorded in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reread_client.calls import Calls
from reread_client.models import Deviation, Place, Progress, Study


class Conduct(Calls):
    """Conducting studies, and taking out what was recorded."""

    def schedule(self, name: str) -> list[Place]:
        """Return who reads which case when, and how far that is."""
        return [Place.from_site(each) for each in self._all(f"studies/{name}/allocation")]

    def progress(self, name: str) -> Progress:
        """Say how far the readers are."""
        return Progress.from_site(self._call("GET", f"studies/{name}/progress"))

    def download_export(self, name: str, target: Path) -> Path:
        """Write the export of what was recorded to `target`; see `_download`."""
        return self._download(f"studies/{name}/export", target)

    def download_archive(self, name: str, target: Path) -> Path:
        """Write the archive of a locked study to `target`; see `_download`."""
        return self._download(f"studies/{name}/archive", target)

    def deviations(self, name: str) -> list[Deviation]:
        """Return what did not go as the protocol says, the last first."""
        return [Deviation.from_site(each) for each in self._all(f"studies/{name}/deviations")]

    def review_deviations(self, name: str, numbers: Sequence[int], *, note: str) -> int:
        """Note what was made of deviations, by their `id`; return how many were open."""
        body = {"deviations": list(numbers), "note": note}
        return int(self._call("POST", f"studies/{name}/deviations/reviews", body)["reviewed"])

    def unlock(self, name: str, *, reader: str, session: int, position: int, reason: str) -> None:
        """Reopen the last answer of a submitted reading."""
        self._about(f"studies/{name}/unlocks", reader, session, position, reason)

    def open_early(
        self, name: str, *, reader: str, session: int, position: int, reason: str
    ) -> None:
        """Let a reading begin before its time."""
        self._about(f"studies/{name}/early-openings", reader, session, position, reason)

    def _about(self, address: str, reader: str, session: int, position: int, reason: str) -> None:
        named = {"reader": reader, "session": session, "position": position}
        self._call("POST", address, {**named, "reason": reason})

    def open_points(self, name: str) -> dict[str, str]:
        """Return what is open before the lock, in words by its kind."""
        found = self._all(f"studies/{name}/open-points")
        return {each["kind"]: each["detail"] for each in found}

    def lock_database(
        self,
        name: str,
        *,
        password: str,
        statement: str,
        accepted: Mapping[str, str] | None = None,
    ) -> Study:
        """End all recording, for good; `accepted` says why what is open stays so, by its kind."""
        body: dict[str, Any] = {"password": password, "statement": statement}
        body["accepted"] = dict(accepted or {})
        return Study.from_site(self._call("POST", f"studies/{name}/lock", body))
