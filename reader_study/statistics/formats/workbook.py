"""Readings and marks as the Excel file of RJafroc: the sheets TRUTH, FP and TP."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError

from reader_study.statistics.formats.readings import Names, Outline, Readings, plain_names
from reader_study.statistics.tables import InputError, Table, read_table

MOST_ROWS = 1_048_575  # of a sheet, below its header
TRUTH = ("CaseID", "LesionID", "Weight", "ReaderID", "ModalityID", "Paradigm")
FP = ("ReaderID", "ModalityID", "CaseID", "FP_Rating")
MARKED = ("reader", "case", "modality", "mark", "lesion_id")
TP = ("ReaderID", "ModalityID", "CaseID", "LesionID", "TP_Rating")


class Sheets:
    """The three sheets, each written row by row."""

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.book = Workbook(str(path), {"constant_memory": True, "strings_to_numbers": False})
        # Without the time of writing: the same readings give the same file.
        self.book.set_properties({"title": title, "created": datetime(2000, 1, 1)})
        self.sheets = {name: self.book.add_worksheet(name) for name in ("TRUTH", "FP", "TP")}
        self.rows = dict.fromkeys(self.sheets, 0)
        for name, header in (("TRUTH", TRUTH), ("FP", FP), ("TP", TP)):
            self.add(name, header)

    def add(self, sheet: str, values: Iterable[object]) -> None:
        """Write the next row of a sheet.

        Raises
        ------
        InputError
            If Excel has no further row.
        """
        row = self.rows[sheet]
        if row > MOST_ROWS:
            raise InputError(f"{self.path.name}: a sheet of Excel ends at {MOST_ROWS:,} rows")
        self.sheets[sheet].write_row(row, 0, list(values))
        self.rows[sheet] += 1

    def truth(
        self,
        lesions: Iterable[tuple[str, int, float]],
        names: Names,
        paradigm: str,
    ) -> None:
        """Write the sheet TRUTH from case, lesion (0: benign) and weight."""
        everybody = (
            ",".join(names.readers.values()),
            ",".join(names.modalities.values()),
        )
        first = [paradigm, "FCTRL"]
        for case, lesion, weight in lesions:
            kind = [first.pop(0)] if first else []
            self.add("TRUTH", [int(names.cases[case]), lesion, weight, *everybody, *kind])

    def __enter__(self) -> "Sheets":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.book.close()
        except FileCreateError as error:
            raise InputError(f"{self.path}: {error}") from None


def names_in_workbook(of: Outline) -> Names:
    """Number the cases, and keep the names of readers and modalities where they can be kept."""
    numbers = Names.numbers(of)
    return Names(plain_names(of.readers), numbers.cases, plain_names(of.modalities))


def write_ratings(readings: Readings, path: Path, title: str) -> Names:
    """Write one rating a case: benign cases in FP, malignant ones in TP with one lesion.

    For crossed readings only.

    Raises
    ------
    InputError
        If the readings are too many for Excel.
    """
    of = readings.outline
    names = names_in_workbook(of)
    with Sheets(path, title) as sheets:
        sheets.truth(
            ((case, int(of.cases[case]), float(of.cases[case])) for case in of.cases),
            names,
            "ROC",
        )
        for each in readings:
            start = [names.readers[each.reader], names.modalities[each.modality]]
            case, rating = int(names.cases[each.case]), float(each.rating)
            if each.malignant:
                sheets.add("TP", [*start, case, 1, rating])
            else:
                sheets.add("FP", [*start, case, rating])
    return names


def write_marks(marks: Path, truth: Path, path: Path, title: str) -> Names:
    """Write marks: those on lesions in TP, all others in FP; a lesion nobody marked has no row.

    Parameters
    ----------
    marks : `reader,case,modality,mark,lesion_id,rating`, `mark` being LL or NL
    truth : `case,truth,lesion_id[,weight]`, a row a lesion and a row a benign case

    Raises
    ------
    InputError
        If a value cannot be used, or a reader has no mark at all under some modality.
    """
    table = read_table(marks, ["reader", "case", "modality", "mark", "lesion_id", "rating"])
    lesions = read_table(truth, ["case", "truth", "lesion_id"])
    malignant = lesions.truths("truth").tolist()
    cases: dict[str, bool] = {}
    for case, is_malignant in zip(lesions.text("case"), malignant, strict=True):
        cases[case] = cases.get(case, False) or is_malignant
    of = Outline(
        sorted(set(table.text("reader"))),
        dict(sorted(cases.items())),
        sorted(set(table.text("modality"))),
        len(table),
    )
    names = names_in_workbook(of)
    number = _numbers_of_lesions(lesions, malignant)
    weights = lesions.numbers("weight").tolist() if "weight" in lesions else [0.0] * len(lesions)
    keys = zip(lesions.columns["case"], lesions.columns["lesion_id"], strict=True)
    weight_of = dict(zip(keys, weights, strict=True))
    rating = table.numbers("rating")
    with Sheets(path, title) as sheets:
        sheets.truth(
            [
                row
                for case in of.cases
                for row in (
                    [
                        (case, lesion, weight_of[case, name])
                        for name, lesion in number.get(case, {}).items()
                    ]
                    or [(case, 0, 0.0)]
                )
            ],
            names,
            "FROC",
        )
        for row, (reader, case, modality, kind, lesion) in enumerate(
            zip(*(table.columns[name] for name in MARKED), strict=True)
        ):
            if case not in cases:
                raise table.error(row, "case", f"case '{case}' is not in {truth.name}")
            start = [names.readers[reader], names.modalities[modality], int(names.cases[case])]
            if kind.upper() == "NL":
                sheets.add("FP", [*start, float(rating[row])])
            elif kind.upper() != "LL":
                raise table.error(row, "mark", f"holds '{kind}'; use LL (on a lesion) or NL")
            elif lesion not in number.get(case, {}):
                raise table.error(row, "lesion_id", f"case '{case}' has no lesion '{lesion}'")
            else:
                sheets.add("TP", [*start, number[case][lesion], float(rating[row])])
    return names


def _numbers_of_lesions(lesions: Table, malignant: Sequence[bool]) -> dict[str, dict[str, int]]:
    """Number the lesions of each case from 1, in the order of the file."""
    found: dict[str, dict[str, int]] = {}
    for case, name, is_malignant in zip(
        lesions.columns["case"], lesions.columns["lesion_id"], malignant, strict=True
    ):
        if is_malignant:
            of_case = found.setdefault(case, {})
            of_case[name] = len(of_case) + 1
    return found
