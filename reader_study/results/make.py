"""All files of the results, from the tables of an archive: the same tables, the same bytes."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import reader_study
from reader_study.results.archive import inputs_hash, sha256
from reader_study.results.drawing import draw
from reader_study.results.figures import HOW
from reader_study.results.findings import Findings, Progress, as_document, find, text_of
from reader_study.results.handover import hand_over
from reader_study.results.report import report
from reader_study.results.report_html import as_html
from reader_study.results.report_pdf import as_pdf

# What the bytes of results hang on besides the tables.
PACKAGES = ("domain", "statistics", "results")
LIBRARIES = ("numpy", "scipy", "matplotlib", "reportlab", "xlsxwriter", "pydantic")

RESULTS, MANIFEST, REPORT, REPORT_PDF = (
    *("results.json", "manifest.json", "report.html", "report.pdf"),
)
MEDIA_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
    ".imrmc": "text/plain",
    ".lrc": "text/plain",
    ".R": "text/plain",
}


class Made(NamedTuple):
    """The files of results by name, and what they were made of and by."""

    files: dict[str, bytes]
    inputs_hash: str
    code_hash: str


def code_hash() -> str:
    """Return the one hash of the program that makes results: its source and its libraries."""
    root = Path(reader_study.__file__).parent
    files = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    lines = [f"{sha256(path.read_bytes())}  {path.relative_to(root).as_posix()}" for path in files]
    lines += [f"{name} {number}" for name, number in versions().items()]
    return sha256("\n".join(lines).encode())


def versions() -> dict[str, str]:
    """Return the versions of what computes and draws."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: version(name) for name in LIBRARIES}}


def media_type(name: str) -> str:
    """Return the media type of a file of the results."""
    return MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")


def make(folder: Path, work: Path, progress: Progress) -> Made:
    """Make every file of the results from the tables in `folder`; `work` is left with the data.

    Raises
    ------
    ArchiveUnusable
        If a table is missing or cannot be understood.
    ValueError
        If nothing can be rated in the study.
    """
    of_tables, of_code = inputs_hash(folder), code_hash()
    found = find(folder, work, progress)
    files = {f"data/{path.name}": path.read_bytes() for path in sorted(work.iterdir())}
    files |= hand_over(found.data)
    files |= {f"tables/{table.name}.csv": table.csv().encode() for table in found.tables}
    for section in found.sections:
        if section.document:
            files[f"analysis/{section.name}.json"] = text_of(section.document).encode()
    figures = [figure for section in found.sections for figure in section.figures]
    for number, figure in enumerate(figures):
        progress(f"drawing {figure.name}", number, len(figures))
        svg, png = draw(figure, HOW[figure.kind])
        files |= {f"figures/{figure.name}.svg": svg, f"figures/{figure.name}.png": png}
    document = document_of(found, of_tables, of_code)
    files[RESULTS] = text_of(document).encode()
    progress("writing the report", 0, 1)
    written = report(found, document)
    files[REPORT] = as_html(written, _drawn(files, ".svg"))
    files[REPORT_PDF] = as_pdf(written, _drawn(files, ".png"))
    files[MANIFEST] = manifest(files, of_tables, of_code).encode()
    return Made(dict(sorted(files.items())), of_tables, of_code)


def _drawn(files: dict[str, bytes], ending: str) -> dict[str, bytes]:
    """Return the figures of one kind by their names."""
    return {
        name.removeprefix("figures/").removesuffix(ending): content
        for name, content in files.items()
        if name.startswith("figures/") and name.endswith(ending)
    }


def document_of(found: Findings, of_tables: str, of_code: str) -> dict[str, Any]:
    """Return what pages and the report show."""
    return {
        **as_document(found),
        "inputs_hash": of_tables,
        "code_hash": of_code,
        "versions": versions(),
    }


def manifest(files: dict[str, bytes], of_tables: str, of_code: str) -> str:
    """Return what the files are, each with its hash."""
    said = {
        "inputs_hash": of_tables,
        "code_hash": of_code,
        "versions": versions(),
        "files": {name: sha256(content) for name, content in sorted(files.items())},
    }
    return json.dumps(said, indent=1) + "\n"
