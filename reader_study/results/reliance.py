"""What the AI does to readers: switches, right and wrong ones, and how far advice is taken."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.results.datasets import (
    Contrast,
    Data,
    ai_answers,
    features,
    threshold_in_words,
)
from reader_study.results.files import RATINGS
from reader_study.results.sections import (
    EXPLORATORY,
    Column,
    Figure,
    Section,
    Table,
    listed,
    notes_of,
    told,
)
from reader_study.results.standalone import THRESHOLD, calls
from reader_study.statistics import documents, influence
from reader_study.statistics.intervals import holm

REPEATS = 2000
# Resampling has to give the same again.
SEED = 20260101

Values = NDArray[np.float64]


class Pairs(NamedTuple):
    """Readings of one unit by one reader without and with the AI, and what the AI said."""

    contrast: Contrast
    reader: list[str]
    unit: list[str]
    before: Values
    after: Values
    malignant: NDArray[np.bool_]
    ai: NDArray[np.bool_]
    probability: Values


def pairs_of(data: Data, contrast: Contrast) -> Pairs:
    """Return every reading that was made under both modalities of a contrast."""
    before, after = data.ratings(contrast.second), data.ratings(contrast.first)
    called, scores = calls(data), data.scores()
    both = [
        key for key in sorted(before.keys() & after.keys())
        if key[1] in data.units and key[1] in called
    ]  # fmt: skip
    return Pairs(
        contrast,
        [reader for reader, _ in both],
        [unit for _, unit in both],
        np.array([before[key] for key in both], dtype=np.float64),
        np.array([after[key] for key in both], dtype=np.float64),
        np.array([data.units[unit].malignant for _, unit in both], dtype=np.bool_),
        np.array([called[unit] for _, unit in both], dtype=np.bool_),
        np.array([scores[unit] for _, unit in both], dtype=np.float64),
    )


def switches(data: Data) -> list[Section]:
    """Count switches of the decision by whether the AI was right."""
    found = []
    for contrast in advised(data):
        pairs = pairs_of(data, contrast)
        if len(pairs.reader):
            found.append(_switches(data, pairs))
    return found


def advised(data: Data) -> list[Contrast]:
    """Return the contrasts of an aided modality with an unaided one."""
    aided = {modality.name for modality in data.modalities if modality.aided}
    return [each for each in data.contrasts if each.first in aided and each.second not in aided]


def _switches(data: Data, pairs: Pairs) -> Section:
    at = data.threshold
    before, after = pairs.before >= at, pairs.after >= at
    of_all = influence.influence(before, after, pairs.ai, pairs.malignant)
    document = documents.document(
        {"influence": of_all, "bootstrap": _resampled(pairs, before, after)}
    )
    labels = {
        "benefit": "Beneficial: wrong before, AI right, then right",
        "missed_benefit": "Missed: wrong before, AI right, still wrong",
        "harm": "Harmful: right before, AI wrong, then wrong",
        "commission": "Harmful where the AI said malignant (commission)",
        "omission": "Harmful where the AI said benign (omission)",
        "override": "AI wrong, and the reader right with it",
        "agreement_before": "Agreement with the AI, unaided",
        "agreement_after": "Agreement with the AI, aided",
    }
    rows = []
    for key, label in labels.items():
        one, sampled = document["influence"][key], document["bootstrap"].get(key, {})
        rows.append([label, one["estimate"], one["n"], sampled.get("lower"), sampled.get("upper")])
    counts = _counts(before, after, pairs)
    name = _slug(pairs.contrast)
    benefit, harm = document["influence"]["benefit"], document["influence"]["harm"]
    title = f"Switches, {pairs.contrast.second} to {pairs.contrast.first}"
    flows = Table(
        f"switches-{name}-counts",
        "Readings by the AI's and the reader's decisions",
        [
            *(Column("AI"), Column("Reader before"), Column("Reader after")),
            *(Column("Readings", "count"), Column("Meaning")),
        ],
        [[*key, counts[key], _meaning(key)] for key in sorted(counts, reverse=True)],
    )
    at_text = threshold_in_words(data.question, at)
    return Section(
        f"switches-{name}",
        title,
        EXPLORATORY,
        [
            f"Of {benefit['n']} readings that were wrong without the AI while the AI was right, "
            f"{told(benefit['estimate'], 'share')} became right; of {harm['n']} that were right "
            f"while the AI was wrong, {told(harm['estimate'], 'share')} became wrong. A rating is "
            f"positive from “{at_text}” on, the AI from a probability of {THRESHOLD:g} on. "
            "Intervals resample readers and cases."
        ],
        [
            Figure(
                f"switches-{name}",
                title,
                "Decisions before and after, with the AI right and with the AI wrong: "
                f"{counts.get(('right', 'wrong', 'right'), 0)} beneficial and "
                f"{counts.get(('wrong', 'right', 'wrong'), 0)} harmful switches of "
                f"{len(pairs.reader)} readings.",
                "switches",
                {
                    "flows": [
                        {"ai": ai, "before": b, "after": a, "n": n}
                        for (ai, b, a), n in sorted(counts.items())
                    ],
                    "labels": [pairs.contrast.second, pairs.contrast.first],
                },
            )
        ],
        [
            Table(
                f"switches-{name}",
                "Switches by whether the AI was right",
                [
                    *(Column("Switch"), Column("Share", "share"), Column("Of", "count")),
                    *(Column("95 % interval, from", "share"), Column("to", "share")),
                ],
                rows,
                notes_of(document),
            ),
            flows,
        ],
        document,
        RATINGS,
        ["switches", "bootstrap"],
    )


def _counts(
    before: NDArray[np.bool_], after: NDArray[np.bool_], pairs: Pairs
) -> dict[tuple[str, str, str], int]:
    words = {True: "right", False: "wrong"}
    found: dict[tuple[str, str, str], int] = {}
    for ai, first, second in zip(
        (pairs.ai == pairs.malignant).tolist(),
        (before == pairs.malignant).tolist(),
        (after == pairs.malignant).tolist(),
        strict=True,
    ):
        key = (words[ai], words[first], words[second])
        found[key] = found.get(key, 0) + 1
    return found


def _meaning(key: tuple[str, str, str]) -> str:
    return {
        ("right", "wrong", "right"): "beneficial switch",
        ("wrong", "right", "wrong"): "harmful switch",
        ("right", "right", "wrong"): "switch against a right AI",
        ("wrong", "wrong", "right"): "switch against a wrong AI",
        ("right", "wrong", "wrong"): "stayed wrong, AI right",
        ("wrong", "right", "right"): "stayed right, AI wrong",
    }.get(key, "no switch")


def _resampled(
    pairs: Pairs, before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> dict[str, influence.Resampled]:
    """Return intervals of the shares over readers and cases."""
    readers, reader = np.unique(pairs.reader, return_inverse=True)
    units, unit = np.unique(pairs.unit, return_inverse=True)
    right_before, right_after = before == pairs.malignant, after == pairs.malignant
    right_ai = pairs.ai == pairs.malignant
    kinds = {
        "benefit": (right_after, ~right_before & right_ai),
        "missed_benefit": (~right_after, ~right_before & right_ai),
        "harm": (~right_after, right_before & ~right_ai),
        "commission": (~right_after, right_before & ~right_ai & pairs.ai),
        "omission": (~right_after, right_before & ~right_ai & ~pairs.ai),
        "override": (right_after, ~right_ai),
        "agreement_before": (before == pairs.ai, np.ones_like(before)),
        "agreement_after": (after == pairs.ai, np.ones_like(before)),
    }
    found = {}
    for name, (of, among) in kinds.items():
        # Counts in a table of readers and cases, so that a sample is two products.
        top, bottom = np.zeros((2, len(readers), len(units)))
        np.add.at(top, (reader, unit), (of & among).astype(np.float64))
        np.add.at(bottom, (reader, unit), among.astype(np.float64))

        def share(
            r: NDArray[np.intp],
            c: NDArray[np.intp],
            top: Values = top,
            bottom: Values = bottom,
        ) -> float:
            of_r = np.bincount(r, minlength=len(top)).astype(np.float64)
            of_c = np.bincount(c, minlength=top.shape[1]).astype(np.float64)
            n = float(of_r @ bottom @ of_c)
            return float(of_r @ top @ of_c) / n if n else float("nan")

        rng = np.random.default_rng(SEED)
        found[name] = influence.bootstrap(share, len(readers), len(units), rng, REPEATS)
    return found


def _slug(contrast: Contrast) -> str:
    return f"{contrast.first}-{contrast.second}".replace("/", "-")


def weight(data: Data) -> Section | None:
    """Measure how far each reader's ratings move towards the AI's, and what it did to decisions."""
    low, high = data.scale
    rows, found, told_of = [], {}, []
    for contrast in advised(data):
        pairs = pairs_of(data, contrast)
        if not len(pairs.reader):
            continue
        advice = low + pairs.probability * (high - low)
        reader = np.array(pairs.reader)
        for name in [*sorted(set(pairs.reader)), "All"]:
            own = np.ones(len(reader), dtype=np.bool_) if name == "All" else reader == name
            taken = influence.weight_of_advice(pairs.before[own], pairs.after[own], advice[own])
            moved = influence.reclassification(
                pairs.before[own] >= data.threshold,
                pairs.after[own] >= data.threshold,
                pairs.malignant[own],
            )
            document = documents.document(
                {"weight_of_advice": taken._asdict() | {"values": []}, "reclassification": moved}
            )
            found[f"{contrast.name}: {name}"] = document
            one, net = document["weight_of_advice"], document["reclassification"]
            rows.append(
                [
                    *(name, f"{contrast.second} to {contrast.first}", one["mean"], one["median"]),
                    *(one["n"], net["malignant_up"], net["malignant_down"]),
                    *(net["net_malignant"], net["benign_up"], net["benign_down"]),
                    net["net_benign"],
                ]
            )
        told_of.append(f"{told(rows[-1][2], 'number')} from {contrast.second} to {contrast.first}")
    if not rows:
        return None
    return Section(
        "advice",
        "How far the AI's advice was taken",
        EXPLORATORY,
        [
            "The weight of advice is 0 where a rating did not move and 1 where it became the AI's. "
            f"Its mean over all readings was {listed(told_of)}. Reclassification counts decisions "
            "that changed; its net shares are the changes of sensitivity and of specificity."
        ],
        [],
        [
            Table(
                "advice",
                "Weight of advice and reclassification",
                [
                    *(Column("Reader"), Column("From, to"), Column("Mean weight", "number")),
                    *(Column("Median", "number"), Column("Readings", "count")),
                    *(Column("Malignant up", "count"), Column("down", "count")),
                    *(Column("net", "share"), Column("Benign up", "count")),
                    *(Column("down", "count"), Column("net", "share")),
                ],
                rows,
            )
        ],
        found,
        RATINGS,
        ["advice", "nri"],
    )


def disagreements(data: Data) -> Section | None:
    """Ask on which semantic features a disagreement with the AI goes with a switch."""
    if data.unit != "nodule":
        return None
    rows, found = [], {}
    for contrast in advised(data):
        pairs = pairs_of(data, contrast)
        if not len(pairs.reader):
            continue
        switched = (pairs.before >= data.threshold) != (pairs.after >= data.threshold)
        document = {}
        for question in features(data):
            said = ai_answers(data, question)
            own = {
                (each.reader, each.unit): each.value
                for each in data.rated[question.name]
                if each.modality == contrast.second and not each.repeat and each.value
            }
            keys = list(zip(pairs.reader, pairs.unit, strict=True))
            there = [i for i, key in enumerate(keys) if key in own and key[1] in said]
            if there:
                differs = np.array([own[keys[i]] != said[keys[i][1]] for i in there])
                document[question.name] = (question.label, differs, switched[there])
        if not document:
            continue
        tested = {}
        for name, (_, differs, moved) in document.items():
            tested[name] = influence.disagreement_and_switch({name: differs}, moved)[name]
        adjusted = holm([each.p for each in tested.values()])
        for (name, each), p in zip(tested.items(), adjusted.tolist(), strict=True):
            tested[name] = each._replace(p_holm=p)
            rows.append(
                [
                    *(document[name][0], f"{contrast.second} to {contrast.first}"),
                    *(each.disagreed_and_switched, each.disagreed_and_stayed),
                    *(each.agreed_and_switched, each.agreed_and_stayed, each.odds_ratio, p),
                ]
            )
        found[contrast.name] = documents.document(tested)
    if not rows:
        return None
    return Section(
        "disagreements",
        "Disagreement on a feature, and a switch",
        EXPLORATORY,
        [
            "Whether a reader who saw a feature otherwise than the AI switched the decision more "
            "often. Fisher's exact test, readings taken as independent; p after Holm over features."
        ],
        [],
        [
            Table(
                "disagreements",
                "Switches by agreement with the AI on each feature",
                [
                    *(Column("Feature"), Column("From, to")),
                    *(Column("Differed, switched", "count"), Column("Differed, stayed", "count")),
                    *(Column("Agreed, switched", "count"), Column("Agreed, stayed", "count")),
                    *(Column("Odds ratio", "ratio"), Column("p, Holm", "p")),
                ],
                rows,
            )
        ],
        found,
        RATINGS,
        ["fisher", "holm"],
    )
