"""What lies in a folder: CT series, what is wrong with them, and whether they can be read.

Nothing stops the look: a problem belongs to a file or a series, and the next one is looked at.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reader_study.dicomweb.judging import SeriesReport, judged
from reader_study.dicomweb.multiframe import is_enhanced, write_slices
from reader_study.dicomweb.problems import Problem, counted
from reader_study.dicomweb.slices import Slice, read_slice


@dataclass(frozen=True)
class Findings:
    """What was found in a folder."""

    series: tuple[SeriesReport, ...]
    set_aside: tuple[Problem, ...]

    @property
    def looked_at_everything(self) -> bool:
        """False when a file or folder could not be opened."""
        return all(problem.code != "unreadable_file" for problem in self.set_aside)

    def lines(self) -> list[str]:
        """Say what was set aside in few lines: a folder of another modality is one line."""
        said: dict[tuple[str, str], list[str]] = {}
        for problem in self.set_aside:
            said.setdefault((problem.code, problem.detail), []).append(problem.where)
        return [
            f"set aside: {places[0]}: {detail}"
            if len(places) == 1
            else f"set aside: {counted(len(places), 'file')}, {places[0]} and others: {detail}"
            for (_, detail), places in said.items()
        ]


Progress = Callable[[int, int], None]


def look_at(
    folder: Path,
    progress: Progress | None = None,
    *,
    besides: Path | None = None,
    slices: Path | None = None,
) -> Findings:
    """Look at every file below `folder`, pixels included, but for the list of nodules `besides`.

    `progress` is called with (files done, files in all). A CT of several frames is taken apart
    into the folder `slices`; without it, such a file is refused.
    """
    aside: list[Problem] = []
    paths = [path for path in _files(folder, aside) if besides is None or path != besides]
    return _look_at_files(paths, folder, aside, progress, slices)


def look_at_series(files: Iterable[Path], folder: Path) -> Findings:
    """Look at the given files only."""
    return _look_at_files(list(files), folder, [], None, None)


def _look_at_files(
    paths: Sequence[Path],
    folder: Path,
    aside: list[Problem],
    progress: Progress | None,
    apart: Path | None,
) -> Findings:
    series: dict[str, list[Slice]] = {}
    for done, path in enumerate(paths):
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        parts: list[Path] | Problem = [path]
        if apart is not None and is_enhanced(path):
            parts = write_slices(path, name, apart, f"{done:06}")
        if isinstance(parts, Problem):
            aside.append(parts)
            parts = []
        for found in (read_slice(part, name) for part in parts):
            if isinstance(found, Problem):
                aside.append(found)
            else:
                series.setdefault(found.series, []).append(found)
        if progress:
            progress(done + 1, len(paths))
    reports = [judged(group, aside) for _, group in sorted(series.items())]
    return Findings(tuple(reports), tuple(aside))


def _files(folder: Path, aside: list[Problem]) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        where = str(error.filename or folder)
        aside.append(Problem("unreadable_file", f"cannot be opened: {error.strerror}", where))

    for parent, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name != "DICOMDIR":
                yield Path(parent) / name
