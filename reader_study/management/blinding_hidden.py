"""What must not be seen, marked so that it is known again wherever it turns up."""

import json
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reader_study.actions.cases import site_archive
from reader_study.dicomweb.metadata import value_of
from reader_study.domain.blinding import Item
from reader_study.models import Nodule, Prediction, Series, Study

REFERENCE = "the reference standard"
# Who the patient is, in a header of DICOM: accession number, name, identifier, birth date.
IDENTITY = ("00080050", "00100010", "00100020", "00100030")
# When: study, series, acquisition, content.
DATES = ("00080020", "00080021", "00080022", "00080023")

# Numbers as precise as no form writes them, and hashes: what real predictions are known by.
TELLING = re.compile(rb"\d\.\d{6,}|\b[0-9a-f]{64}\b")


class Finding(NamedTuple):
    """What somebody got by one call that they must not get."""

    who: str
    call: str
    problem: str

    def __str__(self) -> str:
        return f"{self.call} as {self.who}: {self.problem}"


class Hidden:
    """What must not be seen: of the check's own predictions, of the study's, and of the patient."""

    def __init__(self, study: Study, mark: str) -> None:
        self._mark = mark.encode()
        self._real: set[bytes] = set()
        self._items: dict[bytes, Item | None] = {}
        self._identity: dict[bytes, str] = {}
        stored = Prediction.objects.filter(job__nodule__series__case__study=study)
        for prediction in stored.iterator(100):
            self._real |= {prediction.bundle_hash.encode(), prediction.input_hash.encode()}
            for number in (prediction.probability, prediction.probability_raw):
                self._real.update(TELLING.findall(str(number).encode()))

    def identify(self, series: Series) -> list[str]:
        """Note who the patient is, when they came, and where the archive keeps the series.

        Returns the UIDs of study, series and one instance.
        """
        headers = site_archive().series_metadata(series.study_uid, series.series_uid)
        uids = [series.study_uid, series.series_uid, str(value_of(headers[0], "00080018"))]
        for uid in uids:
            self._identity[uid.encode()] = "a UID of the archive"
        for tag in DATES:
            if value := value_of(headers[0], tag):
                self._identity[json.dumps(str(value)).encode()] = "the date of an examination"
        for tag in IDENTITY:
            value = value_of(headers[0], tag)
            text = value.get("Alphabetic", "") if isinstance(value, dict) else str(value or "")
            for part in text.split("^"):
                if len(part) > 3:
                    self._identity[part.encode()] = "who the patient is"
        return uids

    def hide_place(self, nodule: Nodule) -> None:
        """Note where a nodule lies of which only the AI may tell."""
        for number in nodule.centre_mm:
            self._items[str(number).encode()] = None

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Note what the check's own predictions say."""
        for prediction in predictions:
            bundle = prediction.bundle
            parts: dict[Item | None, Any] = {
                Item.SCORE: [
                    *(bundle["probability"], bundle["probability_raw"]),
                    prediction.model_version.card.get("calibration"),
                ],
                Item.SEMANTIC: bundle["semantic"],
                Item.SALIENCY: [
                    *(plane["relevance"] for plane in bundle["planes"]),
                    *(plane["weight"] for plane in bundle["planes"]),
                    bundle["relevance_scale"],
                    bundle["faithfulness"],
                ],
                Item.SIMILAR: [
                    [one[name] for name in ("distance", "diameter_mm", "truth", "thumbnail")]
                    for one in bundle["similar"]
                ],
                Item.REFERENCE: [
                    *(bundle["embedding"], prediction.bundle_hash, bundle["input_hash"]),
                    bundle["likeness"],
                ],
            }
            for item, values in parts.items():
                for text in _leaves(values):
                    self._items[text.encode()] = item

    def of_the_ai(self, content: bytes) -> list[tuple[Item | None, str]]:
        """Return what of AI and truth is in `content`: which item, and in words."""
        found: list[tuple[Item | None, str]] = []
        for text in set(TELLING.findall(content)):
            if text in self._items:
                item = self._items[text]
                kind = f"the AI's {item}"
                if item is Item.REFERENCE:
                    kind = "the AI's output"
                if item is None:
                    kind = "the place of a nodule that nobody is told of"
                found.append((item, f"{kind} ({text.decode()})"))
            elif text in self._real:
                found.append((Item.REFERENCE, f"a prediction of the study ({text.decode()})"))
        if any(word + self._mark in content for word in (b"source ", b"panel ")):
            found.append((Item.REFERENCE, REFERENCE))
        if b"model " + self._mark in content:
            found.append((None, "the AI's name"))
        return found

    def within(self, content: bytes) -> list[tuple[Item | None, str]]:
        """Return what of all that is hidden is in `content`."""
        identity = {what for text, what in self._identity.items() if text in content}
        return [*self.of_the_ai(content), *((Item.REFERENCE, what) for what in identity)]


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for inner in value.values():
                yield from _leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case _:
            yield str(value)


def a_number() -> float:
    return float(f"0.{secrets.randbelow(9 * 10**13) + 10**13}")


def marked_result(study: Study, mark: str) -> dict[str, Any]:
    """Return a worker's answer in which every number is unlike any other."""
    number = a_number
    questions = [q for q in study.rules.questionnaire.nodule if q.semantic and q.options]
    semantic = {q.name: {o.value: number() for o in q.options} for q in questions}
    plane = {"centre_mm": [0, 0, 0], "row": [1, 0, 0], "column": [0, 1, 0], "cell_mm": 7.0}
    return {
        "status": "done",
        "model": {
            "name": study.rules.ai.model,
            "version": "1",
            **{name: secrets.token_hex(32) for name in ("hash", "weights_hash", "code_hash")},
            "demonstration": False,
            "title": f"model {mark}",
            "notice": f"notice of model {mark}",
            "backbone": f"backbone of model {mark}",
            "token_mm": 7.0,
            "calibration": [
                {
                    **{name: number() for name in ("low", "high", "mean_probability")},
                    **{name: number() for name in ("share", "lower", "upper")},
                    "n": 9,
                }
            ],
        },
        "input_hash": secrets.token_hex(32),
        "probability": number(),
        "probability_raw": number(),
        "semantic": semantic,
        "planes": [
            {"name": name, "weight": number(), "relevance": [[number(), number()]], **plane}
            for name in ("axial", "coronal", "sagittal")
        ],
        "relevance_scale": number(),
        "faithfulness": {"deletion_drop": number(), "random_drop": number()},
        "embedding": [number(), number()],
        "similar": [
            {
                "id": "x",
                "distance": number(),
                "malignant": True,
                "truth": secrets.token_hex(32),
                "diameter_mm": number(),
                "thumbnail": secrets.token_hex(32),
            }
        ],
        "likeness": {"distance": number(), "unlike_above": number(), "unlike": True},
        "device": "cpu",
        "seconds": 1.0,
    }
