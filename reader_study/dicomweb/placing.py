"""Nodules of a list, put into the series that were found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import NoduleRow
from reader_study.dicomweb.problems import Problem, Verdict

NEAR_EDGE_MM = 25.0  # the model looks at a cube of 50 mm


@dataclass
class NoduleReport:
    """Which nodules belong to which series, and what is wrong with the others."""

    accepted: dict[str, list[NoduleRow]] = field(default_factory=dict)  # by series UID
    problems: list[Problem] = field(default_factory=list)

    @property
    def refusals(self) -> list[Problem]:
        """Why nodules are not imported."""
        return [p for p in self.problems if p.verdict is Verdict.REFUSES]


def place_nodules(
    rows: Iterable[NoduleRow], problems: Iterable[Problem], series: Sequence[SeriesReport]
) -> NoduleReport:
    """Put nodules into their series; `problems` are those found while reading the list."""
    report = NoduleReport(problems=list(problems))
    by_uid = {one.series_uid: one for one in series}
    seen: dict[tuple[str, str], int] = {}
    for row in rows:

        def say(code: str, detail: str, row: NoduleRow = row) -> None:
            report.problems.append(Problem(code, detail, f"line {row.line}, nodule {row.label}"))

        found = by_uid.get(row.series_uid)
        before = seen.setdefault((row.series_uid, row.label), row.line)
        if before != row.line:
            say("duplicate_label", f"line {before} has a nodule of that name in the same series")
        elif found is None:
            say("unknown_series", f"there is no series {row.series_uid[:64]}")
        elif found.study_uid != row.study_uid:
            say("unknown_study", f"the series belongs to study {found.study_uid}")
        elif found.refusals or found.geometry is None:
            say("series_refused", "its series is refused")
        elif (depth := found.geometry.depth_mm(row.centre_mm)) < 0:
            x, y, z = row.centre_mm
            say("nodule_outside_volume", f"({x:g}, {y:g}, {z:g}) mm is {-depth:.1f} mm outside")
        else:
            report.accepted.setdefault(row.series_uid, []).append(row)
            if depth < NEAR_EDGE_MM:
                say("nodule_near_edge", f"it is {depth:.1f} mm from the edge of the volume")
            if gap := found.geometry.gap_at(row.centre_mm):
                say(
                    "nodule_in_gap",
                    f"slices are missing there: the next ones are {gap:.1f} mm apart",
                )
            if row.patient and found.patient and row.patient != found.patient:
                say("other_patient", "the images name another patient")
    return report
