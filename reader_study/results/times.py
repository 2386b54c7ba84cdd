"""Reading time: with and without the AI, and over the course of a session."""

from pathlib import Path
from typing import Any

import numpy as np

from reader_study.domain.analysis import ReadingTime, named_conditions
from reader_study.results.accuracy import pair_of
from reader_study.results.datasets import Contrast, Data, names_of
from reader_study.results.files import TIMES
from reader_study.results.sections import (
    EXPLORATORY,
    PRE_SPECIFIED,
    Column,
    Figure,
    Section,
    Table,
    interval,
    notes_of,
    p_in_a_sentence,
    told,
)
from reader_study.statistics import documents, tables
from reader_study.statistics.commands import times

KEPT = "times-kept.csv"


def reading_time(data: Data, planned: ReadingTime | None) -> Section | None:
    """Compare reading times by a mixed model, and without one."""
    wanted = data.contrasts
    if planned is not None:
        names = named_conditions(data.locked.protocol.design)
        shortest = names_of(data.locked.protocol.design)
        wanted = [Contrast(*(shortest[names[name]] for name in planned.compare))]
    longest = planned.longest_s if planned else None
    try:
        document = modelled(data.folder / TIMES, wanted, longest, [])
    except ValueError as error:
        if planned is None:
            return None
        text = [f"Reading times could not be analysed: {error}."]
        return Section("time", "Reading time", PRE_SPECIFIED, text)
    rows, of_readers, text = [], [], []
    for contrast in wanted:
        pair = ratio_of(document["differences"], contrast)
        rows.append(
            [
                *(f"{contrast.first} / {contrast.second}", pair["ratio"], pair["ratio_lower"]),
                *(pair["ratio_upper"], pair.get("df"), pair.get("p")),
            ]
        )
        text.append(
            f"A reading {contrast.first} took {told(pair['ratio'], 'ratio')} times as long as "
            f"{contrast.second} ({interval(pair['ratio_lower'], pair['ratio_upper'], 'ratio')}; "
            f"{p_in_a_sentence(pair.get('p'))})."
        )
        for reader, each in document["readers"].items():
            found = paired_of(each, contrast)
            if found is not None:
                of_readers.append([reader, f"{contrast.first} / {contrast.second}", *found])
    left_out = document["counts"]["left_out"]
    if longest is not None:
        text.append(f"Readings longer than {longest:g} s were left out, by the plan: {left_out}.")
    if data.locked.protocol.design.kind != "crossover":
        text.append(
            "Where an arm has both stages, the time with the AI includes that of the unaided stage "
            "before it, since the answer of both is what is locked."
        )
    return Section(
        "time",
        "Reading time",
        PRE_SPECIFIED if planned else EXPLORATORY,
        text,
        [_figure(data, wanted)],
        [
            Table(
                "time",
                "Ratio of reading times",
                [
                    *(Column("Compared"), Column("Ratio", "ratio")),
                    *(Column("95 % interval, from", "ratio"), Column("to", "ratio")),
                    *(Column("Degrees of freedom", "count"), Column("p", "p")),
                ],
                rows,
                notes_of(document),
            ),
            Table(
                "time-readers",
                "Median reading times of each reader, in seconds",
                [
                    *(Column("Reader"), Column("Compared"), Column("Pairs", "count")),
                    *(Column("First", "seconds"), Column("Second", "seconds")),
                    *(Column("Median ratio", "ratio"), Column("p, signed ranks", "p")),
                ],
                of_readers,
            ),
        ],
        document,
        TIMES,
        ["time", "wilcoxon"],
    )


def modelled(
    path: Path,
    wanted: list[Contrast],
    longest: float | None,
    covariates: list[str],
) -> dict[str, Any]:
    """Run the model on the modalities that are compared."""
    names = {name for contrast in wanted for name in contrast}
    kept = path.with_name(KEPT)
    table = tables.read_table(path)
    rows = [
        ",".join(values)
        for values in zip(*table.columns.values(), strict=True)
        if values[list(table.columns).index("modality")] in names
    ]
    if not rows:
        raise ValueError("no reading under these conditions was timed")
    kept.write_text("\n".join([",".join(table.columns), *rows]) + "\n", encoding="utf-8")
    return documents.document(
        times.of_time(kept, longest=longest, covariates=covariates, reader_by_modality=True)
    )


def ratio_of(differences: dict[str, Any], contrast: Contrast) -> dict[str, Any]:
    """Return the ratio of a contrast, the right way round."""
    found = pair_of(differences, contrast) or {}
    if contrast.name in differences or not found:
        return {"ratio": None, "ratio_lower": None, "ratio_upper": None, **found}

    def over(value: float | None) -> float | None:
        return None if not value else 1 / value

    return {
        **found,
        "ratio": over(found["ratio"]),
        "ratio_lower": over(found["ratio_upper"]),
        "ratio_upper": over(found["ratio_lower"]),
    }


def paired_of(of_reader: dict[str, Any], contrast: Contrast) -> list[Any] | None:
    """Return the medians of one reader, those of the first modality first."""
    found = of_reader.get(contrast.name)
    if found is not None:
        first, second, ratio = found["median_first"], found["median_second"], found["median_ratio"]
    else:
        found = of_reader.get(f"{contrast.second} - {contrast.first}")
        if found is None:
            return None
        first, second, ratio = found["median_second"], found["median_first"], found["median_ratio"]
        ratio = None if ratio is None else 1 / ratio
    return [found["n_pairs"], first, second, ratio, found["p"]]


def _figure(data: Data, wanted: list[Contrast]) -> Figure:
    table = tables.read_table(data.folder / TIMES)
    seconds = table.numbers("seconds").tolist()
    names = [m.name for m in data.modalities if any(m.name in contrast for contrast in wanted)]
    boxes: dict[str, dict[str, list[float]]] = {}
    for reader, modality, value in zip(
        table.text("reader"), table.text("modality"), seconds, strict=True
    ):
        if modality in names:
            boxes.setdefault(reader, {}).setdefault(modality, []).append(value)
    medians = {
        name: float(np.median([v for each in boxes.values() for v in each.get(name, [])] or [0]))
        for name in names
    }
    said = ", ".join(f"{told(value, 'seconds')} s {name}" for name, value in medians.items())
    return Figure(
        "time",
        "Reading time of each reader",
        f"Boxes of the active seconds a case for each reader and condition; median {said}.",
        "time",
        {"modalities": names, "readers": dict(sorted(boxes.items()))},
    )


def tiredness(data: Data) -> Section | None:
    """Ask whether readers become faster or slower within and over sessions."""
    try:
        document = modelled(data.folder / TIMES, data.contrasts, None, ["position", "session"])
    except (ValueError, np.linalg.LinAlgError):
        return None
    rows = []
    for name, each in document["covariates"].items():
        if each["estimate"] is not None:
            change = float(np.expm1(each["estimate"]))
            lower, upper = (
                None if each[key] is None else float(np.expm1(each[key]))
                for key in ("lower", "upper")
            )
            rows.append([f"one {name} later", change, lower, upper, each["p"]])
    if not rows:
        return None
    return Section(
        "fatigue",
        "Reading time over the course of the study",
        EXPLORATORY,
        ["The same model with the place of a case in its session, and the session, added."],
        [],
        [
            Table(
                "fatigue",
                "Change of reading time",
                [
                    *(Column("For"), Column("Change", "share")),
                    *(Column("95 % interval, from", "share"), Column("to", "share")),
                    Column("p", "p"),
                ],
                rows,
                notes_of(document),
            )
        ],
        document,
        TIMES,
        ["time"],
    )
