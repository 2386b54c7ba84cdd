"""Readings as text files: iMRMC, OR-DBM MRMC, LABMRMC, and a plain table."""

import csv
from collections.abc import Callable, Iterator
from typing import TextIO

import numpy as np

from reader_study.statistics.formats.readings import Names, Readings


def write_imrmc(readings: Readings, out: TextIO, title: str) -> Names:
    """Write the input file of iMRMC (R and Java).

    Rows are reader, case, modality, score; the truth of a case is the score that the reader
    "truth" gives it under the modality "truth". Readings may be missing.
    """
    of, names = readings.outline, Names.plain(readings.outline)
    n_malignant = sum(of.cases.values())
    out.write(f"{' '.join(title.split())}\n")
    counts = {
        "N0": len(of.cases) - n_malignant,
        "N1": n_malignant,
        "NR": len(of.readers),
        "NM": len(of.modalities),
    }
    for name, count in counts.items():
        out.write(f"{name}:{count}\n")
    out.write("BEGIN DATA:\n")
    for case, malignant in of.cases.items():
        out.write(f"truth,{names.cases[case]},truth,{int(malignant)}\n")
    for each in readings:
        out.write(
            f"{names.readers[each.reader]},{names.cases[each.case]},"
            f"{names.modalities[each.modality]},{each.rating}\n"
        )
    return names


def write_ordbm(readings: Readings, out: TextIO, _: str) -> Names:
    """Write the five columns of OR-DBM MRMC: reader, treatment, case, truth, rating.

    All identifiers are numbers. For crossed readings only.
    """
    names = Names.numbers(readings.outline)
    out.write("reader,treatment,case,truth,rating\n")
    for each in readings:
        out.write(
            f"{names.readers[each.reader]},{names.modalities[each.modality]},"
            f"{names.cases[each.case]},{int(each.malignant)},{each.rating}\n"
        )
    return names


def write_lrc(readings: Readings, out: TextIO, title: str) -> Names:
    """Write the file of LABMRMC: for each reader benign, then malignant cases, a line each.

    A line holds the case's ratings under all modalities; `L` says that larger ones are more
    suspicious. For crossed readings only.
    """
    of, names = readings.outline, Names.places(readings.outline)
    place = [{name: i for i, name in enumerate(own)} for own in names]
    ratings = np.empty([len(own) for own in place])
    for each in readings:
        at = place[0][each.reader], place[1][each.case], place[2][each.modality]
        ratings[at] = float(each.rating)
    quoted = [f'"{name}"' for name in Names.plain(of).modalities.values()]
    n_benign = len(of.cases) - sum(of.cases.values())
    out.write(f"{' '.join(title.split())}\n")
    for j, reader in enumerate(names.readers.values()):
        out.write(f"{reader}\n")
        if j == 0:
            out.write(f"{' '.join(quoted)}\n{' '.join('L' for _ in quoted)}\n")
        # Benign cases come first in the order of their places.
        for rows in (ratings[j, :n_benign], ratings[j, n_benign:]):
            out.writelines(" ".join(f"{x:.17g}" for x in row) + "\n" for row in rows.tolist())
            out.write("*\n")
    out.write("#\n")
    return names


def write_mrmcaov(readings: Readings, out: TextIO, _: str) -> Names:
    """Write a data frame for MRMCaov: reader, treatment, case, truth, rating, and further columns.

    Names stay as they are.
    """
    of = readings.outline
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["reader", "treatment", "case", "truth", "rating", *readings.more])
    writer.writerows(
        [each.reader, each.modality, each.case, int(each.malignant), each.rating, *each.rest]
        for each in readings
    )
    return Names(*({name: name for name in own} for own in (of.readers, of.cases, of.modalities)))


def write_long(readings: Readings, out: TextIO, _: str) -> Names:
    """Write the readings as the commands here read them."""
    of = readings.outline
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["reader", "case", "modality", "truth", "rating", *readings.more])
    writer.writerows(_rows(readings))
    return Names(*({name: name for name in own} for own in (of.readers, of.cases, of.modalities)))


def _rows(readings: Readings) -> Iterator[list[object]]:
    for each in readings:
        yield [
            each.reader,
            each.case,
            each.modality,
            int(each.malignant),
            each.rating,
            *each.rest,
        ]


TextFormat = Callable[[Readings, TextIO, str], Names]
TEXTS: dict[str, TextFormat] = {
    "imrmc": write_imrmc,
    "ordbm": write_ordbm,
    "lrc": write_lrc,
    "mrmcaov": write_mrmcaov,
    "csv": write_long,
}
