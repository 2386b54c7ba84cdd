"""Files for other programs, read back by readers written from the descriptions of the formats."""

import csv
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import strategies as st

from reader_study.statistics.__main__ import main
from reader_study.statistics.formats import parquet
from reader_study.statistics.formats.readings import is_plain, plain_names
from tests.statistics.laws import given
from tests.statistics.test_command_line import readings, refused, write

STRANGE = {"r0": "Dr. O'Hara, 1", "r1": "01", "r2": "truth"}


def exported(path, kind, *options, name="out"):
    """Export a file and return where it lies, and the names that changed."""
    out = path.with_name(name)
    told = path.with_name("told.json")
    command = ["export", str(path), "--format", kind, "--out", str(out), "--json", str(told)]
    assert main([*command, *map(str, options)]) == 0
    [file] = json.loads(told.read_text())["files"]
    ours = {}
    if "names" in file:
        with Path(file["names"]).open(newline="") as text:
            for row in csv.DictReader(text):
                ours[row["what"], row["name_in_file"]] = row["name"]
    return out, ours


def named(rows, ours):
    """Return {(reader, case, modality): rating} with our names."""
    return {
        tuple(
            ours.get((what, value), value)
            for what, value in zip(("reader", "case", "modality"), row[:3], strict=True)
        ): float(row[3])
        for row in rows
    }


def given_as(rows):
    return {(r, c, m): float(x) for r, c, m, _, x in rows}


def strange():
    return [
        [STRANGE[r], f"c {c[1:]}", {"A": "un/aided", "B": "mit KI"}[m], t, x]
        for r, c, m, t, x in readings()
    ]


def test_imrmc_reads_what_was_read(tmp_path):
    rows = strange()[3:]  # three readings are missing
    out, ours = exported(write(tmp_path / "study.csv", rows), "imrmc", "--title", "a\nb")
    lines = out.read_text().split("\n")
    begin = lines.index("BEGIN DATA:")
    counts = dict(line.split(":") for line in lines[1:begin])
    body = [line.split(",") for line in lines[begin + 1 :] if line]
    truth = {row[1]: row[3] for row in body if row[0] == "truth"}

    assert lines[0] == "a b"
    assert counts == {"N0": "8", "N1": "6", "NR": "3", "NM": "2"}
    assert all(len(row) == 4 and not re.search(r'[\s"]', "".join(row)) for row in body)
    assert all(row[2] == "truth" for row in body if row[0] == "truth")
    assert {ours.get(("case", c), c): int(t) for c, t in truth.items()} == {
        row[1]: row[3] for row in rows
    }
    assert named([row for row in body if row[0] != "truth"], ours) == given_as(rows)


def test_or_dbm_reads_numbers_in_its_own_order_of_columns(tmp_path):
    out, ours = exported(write(tmp_path / "study.csv", strange()), "ordbm")
    with out.open() as file:
        found = list(csv.reader(file))

    assert found[0] == ["reader", "treatment", "case", "truth", "rating"]
    assert all(value.isdigit() for row in found[1:] for value in row[:4])
    assert named([(r, c, m, x) for r, m, c, _, x in found[1:]], ours) == given_as(strange())


def test_labmrmc_reads_a_block_a_reader(tmp_path):
    rows = strange()
    out, ours = exported(write(tmp_path / "study.csv", rows), "lrc", name="out.lrc")
    lines = out.read_text().split("\n")[1:]
    modalities = re.findall(r'"([^"]*)"', lines[1])
    found, number = {}, 0
    assert lines[2].split() == ["L"] * len(modalities)
    reader, lines = lines[0], lines[3:]
    while lines[0] != "#":
        if number:
            reader, lines = lines[0], lines[1:]
        case = 0
        for _ in ("benign", "malignant"):
            end = lines.index("*")
            for line in lines[:end]:
                case += 1
                for modality, value in zip(modalities, line.split(), strict=True):
                    found[reader, str(case), modality] = float(value)
            lines = lines[end + 1 :]
        number += 1
    plain = {("modality", v): k for k, v in plain_names({r[2] for r in rows}).items()}
    told = {key: value for key, value in ours.items() if key[0] != "modality"} | plain

    assert named([(*key, value) for key, value in found.items()], told) == given_as(rows)


def sheets_of(path):
    """Read the cells of an Excel file: {sheet: rows}."""
    ns = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        names = [
            s.get("name")
            for s in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{{{ns['m']}}}sheet")
        ]
        found = {}
        for number, name in enumerate(names, start=1):
            sheet = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
            found[name] = [
                [
                    "".join(cell.itertext())
                    if cell.get("t") == "inlineStr"
                    else float(cell.find("m:v", ns).text)
                    for cell in row.iterfind("m:c", ns)
                ]
                for row in sheet.iterfind(".//m:row", ns)
            ]
    return found


def test_rjafroc_reads_three_sheets(tmp_path):
    rows = strange()
    out, ours = exported(write(tmp_path / "study.csv", rows), "rjafroc", name="out.xlsx")
    found = sheets_of(out)
    truth, fp, tp = (found[name] for name in ("TRUTH", "FP", "TP"))

    assert truth[0] == ["CaseID", "LesionID", "Weight", "ReaderID", "ModalityID", "Paradigm"]
    assert [row[5:] for row in truth[1:4]] == [["ROC"], ["FCTRL"], []]
    assert {(ours["case", f"{row[0]:.0f}"], int(row[1])) for row in truth[1:]} == {
        (row[1], row[3]) for row in rows
    }
    assert len({row[3] for row in truth[1:]}) == 1
    assert set(truth[1][3].split(",")) == {row[0] for row in fp[1:]}
    assert fp[0] == ["ReaderID", "ModalityID", "CaseID", "FP_Rating"]
    assert tp[0] == ["ReaderID", "ModalityID", "CaseID", "LesionID", "TP_Rating"]
    back = [(r, f"{c:.0f}", m, x) for r, m, c, x in fp[1:]]
    back += [(r, f"{c:.0f}", m, x) for r, m, c, lesion, x in tp[1:] if lesion == 1]
    assert named(back, ours) == given_as(rows)


def test_marks_lie_on_numbered_lesions_or_elsewhere(tmp_path):
    header = ("reader", "case", "modality", "mark", "lesion_id", "rating")
    marks = [
        ["r", "c2", "A", "LL", "second", "80"],
        ["r", "c2", "A", "NL", "", "20"],
        ["r", "c1", "B", "NL", "", "30"],
    ]
    truth = [["c2", "1", "first", "0.25"], ["c2", "1", "second", "0.75"], ["c1", "0", "", "0"]]
    lesions = write(tmp_path / "truth.csv", truth, ("case", "truth", "lesion_id", "weight"))
    path, out = write(tmp_path / "marks.csv", marks, header), tmp_path / "out.xlsx"
    command = ["export", str(path), "--format", "rjafroc", "--out", str(out)]
    assert main([*command, "--truth", str(lesions), "--json", str(tmp_path / "told")]) == 0
    found = sheets_of(out)

    assert [row[:3] for row in found["TRUTH"][1:]] == [[1, 0, 0], [2, 1, 0.25], [2, 2, 0.75]]
    assert found["TRUTH"][1][5] == "FROC"
    assert found["TP"][1:] == [["r", "A", 2, 2, 80]]
    assert found["FP"][1:] == [["r", "A", 2, 20], ["r", "B", 1, 30]]


@pytest.mark.parametrize("kind", ["ordbm", "lrc", "rjafroc"])
def test_programs_for_crossed_readings_are_not_given_others(tmp_path, capsys, kind):
    path = write(tmp_path / "study.csv", readings()[1:])
    options = ("--format", kind, "--out", str(tmp_path / "out"))

    said = refused(capsys, path, *options, command="export")
    assert "1 of 84 readings are missing" in said
    assert not (tmp_path / "out").exists()


def test_parquet_and_data_frame_hold_the_table_with_its_further_columns(tmp_path):
    header = ("reader", "case", "modality", "truth", "rating", "note")
    rows = [[*row, "naïve, 1" if i % 3 else ""] for i, row in enumerate(strange())]
    path = write(tmp_path / "study.csv", rows, header)
    out, _ = exported(path, "parquet", name="out.parquet")
    back = duckdb.sql(f"select * from '{out}'")

    assert back.columns == list(header)
    assert [str(kind) for kind in back.types] == [*["VARCHAR"] * 3, "BIGINT", "DOUBLE", "VARCHAR"]
    assert back.fetchall() == [(*row[:5], row[5] or None) for row in rows]
    out, _ = exported(path, "mrmcaov", name="frame.csv")
    with out.open(newline="") as file:
        frame = list(csv.reader(file))
    assert frame[0] == ["reader", "treatment", "case", "truth", "rating", "note"]
    assert frame[1:] == [[r, m, c, str(t), str(x), n] for r, c, m, t, x, n in rows]


cells = st.tuples(
    st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
)


@given(st.lists(cells, min_size=1, max_size=40), st.integers(1, 50), examples=40)
def test_parquet_gives_back_any_value_whatever_the_groups(tmp_path_factory, rows, at_once):
    path = tmp_path_factory.mktemp("parquet") / "table.parquet"
    columns = [("a", "text"), ("b", "integer"), ("c", "number"), ("d", "boolean")]
    with pytest.MonkeyPatch.context() as patch, path.open("wb") as file:
        patch.setattr(parquet, "ROWS_AT_ONCE", at_once)
        assert parquet.write_parquet(file, columns, rows) == len(rows)

    assert duckdb.sql(f"select * from '{path}'").fetchall() == rows


def test_a_table_without_rows_is_a_table(tmp_path):
    path = tmp_path / "none.parquet"
    with path.open("wb") as file:
        parquet.write_parquet(file, [("a", "text")], [])

    assert duckdb.sql(f"select * from '{path}'").columns == ["a"]


@given(st.lists(st.text(max_size=6).filter(bool), unique=True, max_size=30))
def test_names_for_other_programs_stay_apart_and_are_kept_where_they_can_be(names):
    found = plain_names(names)

    assert len(set(found.values())) == len(names)
    assert all(is_plain(name) for name in found.values())
    assert all(found[name] == name for name in names if is_plain(name))


def test_everything_is_written_together_the_same_each_time(tmp_path):
    path = write(tmp_path / "study.csv", readings())
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        options = ["--format", "all", "--out", str(folder), "--json", str(tmp_path / "told")]
        assert main(["export", str(path), *options]) == 0
    one, two = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)

    assert one == two
    assert {
        "readings.csv",
        "readings.parquet",
        "readings.imrmc",
        "rjafroc.xlsx",
        "ordbm.csv",
        "labmrmc.lrc",
        "mrmcaov.csv",
        "dictionary.csv",
        "analysis.R",
    } <= set(one)
    with (folders[0] / "dictionary.csv").open() as file:
        assert [row["column"] for row in csv.DictReader(file)][:5] == [
            "reader",
            "case",
            "modality",
            "truth",
            "rating",
        ]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_script_runs_in_r(tmp_path):
    path = write(tmp_path / "study.csv", readings())
    main(
        [
            "export",
            str(path),
            "--format",
            "all",
            "--out",
            str(tmp_path / "all"),
            "--json",
            str(tmp_path / "told"),
        ]
    )
    done = subprocess.run(
        ["Rscript", "analysis.R"], cwd=tmp_path / "all", check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "84 readings of 3 readers, 14 cases, 2 modalities" in done.stdout


@pytest.mark.parametrize("endpoint", ["auc", "sensitivity", "specificity"])
def test_the_script_asks_for_the_main_analysis(tmp_path, endpoint):
    path = write(tmp_path / "study.csv", readings())
    options = ["--covariance", "delong", "--endpoint", endpoint]
    options += [] if endpoint == "auc" else ["--threshold", "50"]
    out, _ = exported(path, "r", *options)
    text = out.read_text()

    wanted = {"auc": "empirical_auc", "sensitivity": "binary_sens", "specificity": "binary_spec"}
    assert f"mrmc({wanted[endpoint]}(truth, " in text
    assert "cov = DeLong" in text
    assert ("data$rating >= 50" in text) is (endpoint != "auc")
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["r0", "c0", "A", "1", "5"], "has read case 'c0' under 'A' twice"),
        (["r0", "cX", "A", "x", "5"], "line 86, column truth: holds 'x'"),
        (["r0", "cX", "A", "1", "5_0"], "line 86, column rating: holds '5_0'"),
        (["", "cX", "A", "1", "5"], "line 86, column reader: is empty"),
        (["r0", "c0", "C", "0", "5"], "case 'c0' has two truths"),
        (["r0", "c0"], "line 86: 2 values for 5 columns"),
    ],
)
def test_readings_that_cannot_be_used_are_not_exported(tmp_path, capsys, row, said):
    path = write(tmp_path / "study.csv", [*readings(), row])
    options = ("--format", "imrmc", "--out", str(tmp_path / "out"))

    assert said in refused(capsys, path, *options, command="export")
