"""The command that writes files for other programs."""

from pathlib import Path
from typing import Any

from reader_study.statistics.formats.files import WORKBOOK, Written, write_all, write_file
from reader_study.statistics.formats.readings import Readings
from reader_study.statistics.formats.script import Script


def of_export(
    data: Path,
    kind: str,
    out: Path,
    *,
    title: str,
    truth: Path | None,
    covariance: str,
    endpoint: str,
    threshold: float | None,
) -> dict[str, Any]:
    """Write the readings (or marks) of a file in one format, or in all of them.

    Raises
    ------
    ValueError
        If lesions are given for a format that has none.
    """
    title = title or f"Readings of {data.name}"
    if truth is not None:
        if kind != WORKBOOK:
            raise ValueError("--truth is for marks, which only --format rjafroc can hold")
        from reader_study.statistics.formats.workbook import write_marks

        names = write_marks(data, truth, out, title)
        return {"files": [str(out)], "renamed": len(names.changed())}
    readings = Readings(data)
    script = Script(data.name, title, covariance, endpoint, threshold)
    of = readings.outline
    found: dict[str, Any] = {
        "counts": {
            "modalities": len(of.modalities),
            "readers": len(of.readers),
            "cases": len(of.cases),
            "malignant": sum(of.cases.values()),
            "readings": of.n,
        }
    }
    if kind == "all":
        written, left_out = write_all(readings, out, title=title, script=script)
        return found | {"files": told(written), "left_out": left_out}
    return found | {"files": told([write_file(readings, kind, out, title=title, script=script)])}


def told(written: list[Written]) -> list[dict[str, Any]]:
    """Return what was written, and where to find the names that changed."""
    return [
        {
            "format": each.format,
            "file": str(each.path),
            "renamed": each.renamed,
            **({"names": str(each.names)} if each.names else {}),
        }
        for each in written
    ]
