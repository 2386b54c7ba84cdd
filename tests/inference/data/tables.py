"""Small tables of nodules for tests."""

from pathlib import Path
from typing import Any

from inference.data.table import Nodule, Table, write_table


def a_nodule(number: int = 1, **changed: Any) -> Nodule:
    values: dict[str, Any] = {
        "nodule": f"n{number}",
        "patient": f"P{number}",
        "series": f"1.2.{number}",
        "x": 1.5,
        "y": -2.0,
        "z": 30.25,
        "label": "malignant" if number % 2 else "benign",
    }
    return Nodule.model_validate(values | changed)


def a_table(*nodules: Nodule, folder: Path = Path()) -> Table:
    lines = tuple(range(2, 2 + len(nodules)))
    return Table(folder, nodules, lines, folder / "nodules.csv")


def written(folder: Path, *nodules: Nodule) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "nodules.csv", nodules)
    return folder / "nodules.csv"
