"""The cases of studies: brought in, looked at, changed."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reread_client.calls import Calls
from reread_client.models import Case, Examination, Import, Listed, Nodule, PatientPoint

PART = 4 << 20  # bytes of a file in one request
NAMED_AT_ONCE = 1000


class Cases(Calls):
    """Bringing cases and nodules in."""

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

    def search_archive(self, study: str, *, patient: str = "", days: str = "") -> list[Examination]:
        """Search the archive that the site imports from, by patient ID, dates or both."""
        asked = {"patient": patient, "days": days}
        said = self._call("POST", f"studies/{study}/archive-search", asked)
        return [Examination.from_site(each) for each in said["examinations"]]

    def import_from_archive(
        self, study: str, series: Sequence[tuple[str, str]], *, nodules: str = ""
    ) -> Import:
        """Bring in series of that archive, each by its study UID and its series UID."""
        return self._begin(study, "archive", f"{len(series)} series", nodules, wanted=series)

    def import_folders(self, study: str) -> list[str]:
        """Return the folders of the server that can be imported."""
        return list(self._call("GET", f"studies/{study}/imports/folders")["folders"] or [])

    def import_folder(self, study: str, folder: str, *, nodules: str = "") -> Import:
        """Bring in a folder of the server."""
        return self._begin(study, "folder", folder, nodules)

    def _begin(self, study: str, source: str, origin: str, nodules: str, **more: Any) -> Import:
        body = {"source": source, "origin": origin, "nodules": nodules, **more}
        return Import.from_site(self._call("POST", f"studies/{study}/imports", body))

    def cases(self, study: str) -> list[Case]:
        """Return the cases of a study."""
        return [Case.from_site(each) for each in self._all(f"studies/{study}/cases")]

    def remove_case(self, study: str, number: int) -> None:
        """Take a case out of the study, by its `id`, as long as nothing is dealt out."""
        self._call("DELETE", f"studies/{study}/cases/{number}")

    def nodules(self, study: str) -> list[Nodule]:
        """Return the nodules of a study."""
        return [Nodule.from_site(each) for each in self._all(f"studies/{study}/nodules")]

    def place_nodule(
        self,
        study: str,
        series: int,
        centre_mm: PatientPoint,
        *,
        diameter_mm: float | None = None,
    ) -> Nodule:
        """Place a nodule in a series at a point, LPS millimetres."""
        body = {"series": series, "centre_mm": centre_mm, "diameter_mm": diameter_mm}
        return Nodule.from_site(self._call("POST", f"studies/{study}/nodules", body))

    def move_nodule(
        self,
        study: str,
        number: int,
        centre_mm: PatientPoint,
        *,
        diameter_mm: float | None = None,
    ) -> Nodule:
        """Place a nodule elsewhere, by its `id`, or give it another diameter."""
        body = {"centre_mm": centre_mm, "diameter_mm": diameter_mm}
        return Nodule.from_site(self._call("PUT", f"studies/{study}/nodules/{number}", body))

    def remove_nodule(self, study: str, number: int) -> None:
        """Take a nodule away, by its `id`."""
        self._call("DELETE", f"studies/{study}/nodules/{number}")

    def import_nodules(self, study: str, text: str, *, dry_run: bool = False) -> Listed:
        """Add the nodules of a list to cases that are there, or say what that would do."""
        body = {"text": text, "dry_run": dry_run}
        return Listed.from_site(self._call("POST", f"studies/{study}/nodules/list", body))
