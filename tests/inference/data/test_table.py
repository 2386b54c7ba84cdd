from pathlib import Path

import pytest

from inference.data.table import MOST_PROBLEMS, read_table, write_table
from inference.errors import DataUnusable
from tests.inference.data.tables import a_nodule

HEAD = "nodule,patient,series,x,y,z,label,margin"
LINE = "n1,P1,1.2.3,1,2,3,malignant,smooth"


def test_a_table_that_was_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    nodules = [
        a_nodule(
            1, features={"margin": "spiculated"}, suspicion=0.8125, readers=4, diameter_mm=7.3
        ),
        a_nodule(
            2, split="test", diameter_mm=7.3, other={"sybil": "0.25"}, scanner='GE "LightSpeed", 16'
        ),
        a_nodule(3, series="", image="images/a.png", spacing_mm=0.703125, x=None, y=None, z=None),
    ]
    write_table(tmp_path / "nodules.csv", nodules)
    table = read_table(tmp_path / "nodules.csv")
    assert list(table.nodules) == nodules
    assert table.where(1) == "nodules.csv, line 3 (nodule n2)"
    header = (tmp_path / "nodules.csv").read_text().splitlines()[0]
    assert "frame_of_reference" not in header  # empty throughout


WRONG = {
    "line 2, column x: 'left'": f"{HEAD}\nn1,P1,1.2.3,left,2,3,,",
    "line 2, column x: 'nan'": f"{HEAD}\nn1,P1,1.2.3,nan,2,3,,",
    "line 3, column label: 'maligant'": f"{HEAD}\n{LINE}\nn2,P1,1.2.3,1,2,3,maligant,",
    "line 2, column margin: 'fuzzy': is none of smooth": f"{HEAD}\nn1,P1,1.2.3,1,2,3,,fuzzy",
    "line 2, column series: '1.a': is no DICOM UID": f"{HEAD}\nn1,P1,1.a,1,2,3,,",
    "line 2, column patient": f"{HEAD}\nn1,,1.2.3,1,2,3,,",
    "line 2, x, y and z are needed": f"{HEAD}\nn1,P1,1.2.3,1,2,,,",
    "line 2, neither series nor image": f"{HEAD}\nn1,P1,,1,2,3,,",
    "line 3, column nodule: n1 is on line 2": f"{HEAD}\n{LINE}\n{LINE}",
    "line 1: there is no column margn; is margin meant": f"{HEAD}n\n".replace("margin", "marg"),
    "line 1: the column patient is missing": "nodule,series,x,y,z\nn1,1.2,1,2,3",
    "line 1: the column x is there twice": f"{HEAD},x\n{LINE},1",
    "line 2: more cells": f"{HEAD}\n{LINE},1",
    "holds no nodule": HEAD,
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_said_with_file_line_and_column(said: str, tmp_path: Path) -> None:
    (tmp_path / "nodules.csv").write_text(WRONG[said] + "\n")
    with pytest.raises(DataUnusable) as error:
        read_table(tmp_path / "nodules.csv")
    assert str(error.value).startswith("nodules.csv")
    assert said in str(error.value)


def test_everything_that_is_wrong_is_said_at_once_up_to_a_screenful(tmp_path: Path) -> None:
    lines = [f"n{n},P1,1.2.3,left,2,3,," for n in range(MOST_PROBLEMS + 5)]
    (tmp_path / "nodules.csv").write_text("\n".join([HEAD, *lines]) + "\n")
    with pytest.raises(DataUnusable) as error:
        read_table(tmp_path / "nodules.csv")
    said = str(error.value).splitlines()
    assert len(said) == MOST_PROBLEMS + 1
    assert said[-1] == "... and 5 more"
