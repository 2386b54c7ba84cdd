"""The tables of a locked study, read from its archive, as rows with the study's own names."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.domain.design import TRAINING
from reader_study.domain.protocol import Protocol, parse_protocol

# The question on which readers and AI judge the same thing.
MALIGNANCY = "malignancy"
MALIGNANT, BENIGN = "malignant", "benign"

Row = Mapping[str, str]


class ArchiveUnusable(ValueError):
    """Tables that cannot be used; the text says which and why."""


class Nodule(NamedTuple):
    """What is judged. `subject` is the patient: nodules of one patient may be alike."""

    case: str
    number: str
    subject: str
    training: bool
    diameter_mm: float | None
    malignant: bool | None  # None: the reference standard leaves it open, or there is none
    source: str
    centre_mm: tuple[float, float, float] | None = None  # LPS

    @property
    def name(self) -> str:
        """Its name in every table of the results."""
        return f"{self.case}/{self.number}"


class Place(NamedTuple):
    """A reading as it was dealt out, and how far it came."""

    reader: str
    case: str
    session: int
    position: int
    arm: str
    repeat: bool
    stage: str
    skipped: bool

    @property
    def training(self) -> bool:
        """Whether it was for practice, and counts for nothing."""
        return self.session == TRAINING


class Answered(NamedTuple):
    """One answer to one question; `nodule` is empty for a question on the case."""

    place: Place
    stage: str
    nodule: str
    question: str
    value: str  # empty: it cannot be assessed


class Prediction(NamedTuple):
    """What a model said of a nodule."""

    model: str
    probability: float
    features: dict[str, dict[str, float]]  # feature -> category -> probability


class MarkMade(NamedTuple):
    """A mark of an answer that counts, with its answers by question."""

    place: Place
    stage: str
    point_mm: tuple[float, float, float]  # LPS
    answers: dict[str, str]


class DwellMap(NamedTuple):
    """For how long what lies in each part of a case was on screen, seen from one side."""

    case: str
    arm: str
    stage: str
    readings: int
    projection: str  # axial, coronal or sagittal
    extent_mm: tuple[float, float, float, float]  # left, right, top and bottom of the CT volume
    seconds: list[float]  # row by row from the top left, as many rows as columns


class Locked(NamedTuple):
    """A locked study. Training is in `places` only, and in none of the others."""

    study: dict[str, Any]  # study.json
    protocol: Protocol
    protocol_hash: str
    nodules: dict[str, Nodule]  # by name
    places: list[Place]
    answers: list[Answered]
    predictions: dict[str, Prediction]  # of the study's model, by nodule
    others: dict[str, dict[str, Prediction]]  # of other models, by model and nodule
    failed: dict[str, str]  # nodule -> why the study's model gave nothing
    seconds: dict[tuple[Place, str], float]  # active reading time, by reading and stage
    deviations: dict[str, list[Row]]  # table -> rows: what did not go as planned
    displayed: dict[tuple[Place, str, str], float] = {}  # by reading, stage and nodule, in s
    dwell: list[DwellMap] = []
    marks: list[MarkMade] = []  # where readers mark what they find


# Tables of what did not go as planned; an archive may lack those its study had no use for.
DEVIATIONS = (*("skips", "early_openings", "unlocks", "waivers", "deviations", "withdrawals"),)


def read_locked(folder: Path) -> Locked:
    """Read the tables in `folder`.

    Raises
    ------
    ArchiveUnusable
        If a table is missing or a row in it cannot be understood.
    """
    document = _document(folder / "protocol.json")
    protocol = parse_protocol(document["protocol"])
    truths = {_nodule_of(row): row for row in _rows(folder / "reference.csv")}
    nodules = {}
    for row in _rows(folder / "nodules.csv"):
        name = _nodule_of(row)
        truth = truths.get(name, {})
        nodules[name] = Nodule(
            row["case"],
            row["nodule"],
            row["subject"],
            row["training"] == "true",
            float(row["diameter_mm"]) if row["diameter_mm"] else None,
            {MALIGNANT: True, BENIGN: False}.get(truth.get("truth", "")),
            truth.get("source", ""),
            (float(row["x"]), float(row["y"]), float(row["z"])) if row.get("z") else None,
        )
    skipped = {_key(row) for row in _rows(folder / "skips.csv")}
    places = {
        _key(row): Place(
            row["reader"],
            row["case"],
            int(row["session"]),
            int(row["position"]),
            row["arm"],
            row["repeat"] == "true",
            row["stage"],
            _key(row) in skipped,
        )
        for row in _rows(folder / "allocation.csv")
    }

    def reading_of(row: Row, table: str) -> Place:
        if _key(row) not in places:
            raise ArchiveUnusable(f"{table}: a reading that was never dealt out: {_key(row)}")
        return places[_key(row)]

    answers = [
        Answered(place, row["stage"], _nodule_of(row), row["question"], row["value"])
        for row in _rows(folder / "readings.csv")
        if row.get("current", "true") == "true"  # and not replaced after an unlocking
        and not (place := reading_of(row, "readings.csv")).training
    ]
    models, failed = _predictions(folder, protocol.ai.model)
    own = next((name for name in models if _is(name, protocol.ai.model)), "")
    seconds: dict[tuple[Place, str], float] = {}
    for row in _rows(folder / "times.csv"):
        place = reading_of(row, "times.csv")
        if not place.training:
            at = (place, row["stage"])
            seconds[at] = seconds.get(at, 0.0) + float(row["active_seconds"])
    versions = document.get("versions", [])
    amended: list[Row] = [
        {"version": str(each["number"]), **{key: each[key] for key in ("reason", "by", "at")}}
        for each in versions
        if each["reason"]
    ]
    maps = folder / "dwell_maps.csv"
    displayed: dict[tuple[Place, str, str], float] = {}
    if (folder / "seen.csv").exists():  # earlier archives have none
        for row in _rows(folder / "seen.csv"):
            place = reading_of(row, "seen.csv")
            if not place.training:
                displayed[place, row["stage"], _nodule_of(row)] = float(row["displayed_seconds"])
    return Locked(
        _document(folder / "study.json") | {"protocol_version": max(1, len(versions))},
        protocol,
        document["protocol_hash"],
        {name: nodule for name, nodule in sorted(nodules.items()) if not nodule.training},
        sorted(places.values()),
        answers,
        models.pop(own, {}),
        models,
        failed,
        seconds,
        {
            "amendments": amended,
            **{
                name: list(_rows(path))
                for name in DEVIATIONS
                if (path := folder / f"{name}.csv").exists()
            },
        },
        displayed,
        [_dwell_map(row) for row in _rows(maps)] if maps.exists() else [],
        _marks(folder, reading_of) if protocol.findings.has_marks else [],
    )


def _marks(folder: Path, reading_of: Callable[[Row, str], Place]) -> list[MarkMade]:
    told: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in _rows(folder / "readings.csv"):
        if row.get("mark_id") and row["current"] == "true":
            own = told.setdefault((row["mark_id"], row["arm"], row["stage"]), {})
            own[row["question"]] = row["value"]
    return [
        MarkMade(
            place,
            row["stage"],
            (float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])),
            told.get((row["mark_id"], row["arm"], row["stage"]), {}),
        )
        for row in _rows(folder / "marks.csv")
        if row["current"] == "true"
        and not (place := reading_of(row, "marks.csv")).training
        and not place.repeat
    ]


def _dwell_map(row: Row) -> DwellMap:
    left, right, top, bottom = (
        float(row[f"{side}_mm"]) for side in ("left", "right", "top", "bottom")
    )
    return DwellMap(
        row["case"],
        row["arm"],
        row["stage"],
        int(row["readings"]),
        row["projection"],
        (left, right, top, bottom),
        list(map(float, row["seconds"].split())),
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArchiveUnusable(f"{path.name}: {error}") from None
    return found


def _rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
    except FileNotFoundError:
        raise ArchiveUnusable(f"{path.name} is not among the tables") from None


def _nodule_of(row: Row) -> str:
    return f"{row['case']}/{row['nodule']}" if row["nodule"] else ""


def _key(row: Row) -> tuple[str, int, int]:
    return row["reader"], int(row["session"]), int(row["position"])


def _is(name: str, model: str) -> bool:
    """Whether `name`, with its version, is that of `model`."""
    return name == model or name.startswith(f"{model} ")


def _predictions(
    folder: Path, model: str
) -> tuple[dict[str, dict[str, Prediction]], dict[str, str]]:
    found: dict[str, dict[str, Prediction]] = {}
    failed: dict[str, str] = {}
    for row in _rows(folder / "predictions.csv"):
        nodule = _nodule_of(row)
        if row["status"] != "done":
            if _is(row["model"], model):
                failed[nodule] = row["problem"] or row["status"]
            continue
        of_model = found.setdefault(row["model"], {})
        if row["target"] == MALIGNANCY:
            features = of_model[nodule].features if nodule in of_model else {}
            of_model[nodule] = Prediction(row["model"], float(row["probability"]), features)
        elif nodule in of_model:
            of_feature = of_model[nodule].features.setdefault(row["target"], {})
            of_feature[row["category"]] = float(row["probability"])
    return found, failed
