"""CSV in, JSON out: `python -m reader_study.statistics`."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from reader_study.statistics.__main__ import main
from tests.statistics.laws import given

HEADER = ("reader", "case", "modality", "truth", "rating")


def readings(n_modalities=2, n_readers=3, n_malignant=6, n_benign=8, seed=0):
    """Return rows of a study in which malignant cases tend to be rated higher."""
    rng = np.random.default_rng(seed)
    return [
        [
            f"r{j}",
            f"c{k}",
            "ABC"[i],
            int(k < n_malignant),
            int(rng.integers(0, 80)) + 20 * (k < n_malignant),
        ]
        for i in range(n_modalities)
        for j in range(n_readers)
        for k in range(n_malignant + n_benign)
    ]


def write(path, rows, header=HEADER):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def run(path, *options, command="mrmc"):
    """Run a command and return its result."""
    out = path.with_suffix(".json")
    assert main([command, str(path), *map(str, options), "--json", str(out)]) == 0
    text = out.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    return json.loads(text)


def nulls(value, path=""):
    if value is None:
        yield path
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in parts:
        yield from nulls(part, f"{path}/{key}" if path else str(key))


def refused(capsys, path, *options, command="mrmc"):
    """Run a command that must refuse, and return what it says."""
    try:
        status = main([command, str(path), *options])
    except SystemExit as end:  # the options themselves are wrong
        status = end.code
    assert status == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said
    return said


def test_the_command_runs_without_any_environment(tmp_path):
    path = write(tmp_path / "study.csv", readings())
    command = [sys.executable, "-m", "reader_study.statistics", "mrmc", str(path), "--method", "or"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "out.json")],
        cwd=root,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )

    assert done.returncode == 0
    assert set(json.loads((tmp_path / "out.json").read_text())["auc"]) == {"A", "B"}


def test_the_result_has_the_keys_that_others_read(tmp_path):
    path = write(tmp_path / "study.csv", readings())
    for method in ("or", "dbm"):
        found = run(path, "--method", method, "--margin", 0.05)
        assert set(found["auc"]["A"]) == {"r0", "r1", "r2"}
        assert {"var_r", "var_tr", "error", "cov1", "cov2", "cov3"} <= set(found["components"])
        for part in ("rrrc", "rrfc"):
            assert {"f", "df1", "df2", "p"} <= set(found[part])
            difference = found[part]["differences"]["A - B"]
            assert {"estimate", "se", "df", "t", "lower", "upper", "p"} <= set(difference)
            assert {"estimate", "se", "df", "lower", "upper"} <= set(found[part]["modalities"]["B"])
        assert {"chi2", "p", "readers"} <= set(found["frrc"])
        assert {"estimate", "se", "z", "lower", "upper", "p"} <= set(
            found["frrc"]["differences"]["A - B"]
        )
        assert "p" in found["frrc"]["readers"]["r1"]["A - B"]
        assert found["noninferiority"]["A - B"]["margin"] == 0.05
    found = run(path, "--method", "ustat")
    assert {"auc", "variance", "df"} <= set(found["modalities"]["A"])
    wanted = {"estimate", "variance", "df", "p", "p_floor", "moments", "components"}
    assert wanted <= set(found["differences"]["A - B"])


def test_order_quotes_extra_columns_and_spelling_of_truth_do_not_matter(tmp_path):
    rows = readings()
    plain = run(write(tmp_path / "plain.csv", rows), "--method", "ustat")
    random.Random(1).shuffle(rows)
    words = {1: "Malignant", 0: "benign"}
    text = "\ufeffrating, note ,truth,modality,case,reader\n" + "\n".join(
        f'{rating}.0,"seen, twice",{words[truth]}, "{modality}","{case}",{reader} '
        for reader, case, modality, truth, rating in rows
    )
    (tmp_path / "other.csv").write_text(text + "\n\n", encoding="utf-8")

    assert run(tmp_path / "other.csv", "--method", "ustat") == plain


def test_a_missing_reading_may_be_a_missing_row_or_an_empty_rating(tmp_path):
    rows = readings()
    without = run(write(tmp_path / "without.csv", rows[:7] + rows[8:]))
    rows[7][4] = ""
    empty = run(write(tmp_path / "empty.csv", rows))
    rows[7][4] = "NA"

    assert empty == without == run(write(tmp_path / "na.csv", rows))


def test_numbers_as_identifiers_stay_text(tmp_path):
    rows = [[r[1:], c[1:], {"A": "10", "B": "9"}[m], t, x] for r, c, m, t, x in readings()]
    found = run(write(tmp_path / "study.csv", rows))

    assert list(found["rrrc"]["differences"]) == ["10 - 9"]


def test_identifiers_may_be_words_that_the_result_uses(tmp_path):
    names = {"r0": "reason", "r1": "notes", "r2": "a/b"}
    rows = [[names[r], c, {"A": "reason", "B": "auc"}[m], t, x] for r, c, m, t, x in readings()]
    found = run(write(tmp_path / "study.csv", rows))

    assert set(found["auc"]["reason"]) == {"reason", "notes", "a/b"}


def test_a_case_id_that_readers_share_only_by_chance_is_made_nested_by_unique_ids(tmp_path):
    rows = [[r, c + r, m, t, x] for r, c, m, t, x in readings()]
    for kind in ("jackknife", "unbiased"):
        found = run(write(tmp_path / "study.csv", rows), "--covariance", kind)["components"]
        assert found["cov2"] == found["cov3"] == 0
        assert found["cov1"] != 0


def test_a_reader_without_any_malignant_case_is_left_out_and_named(tmp_path):
    rows = [row for row in readings() if row[0] != "r1" or row[3] == 0]
    found = run(write(tmp_path / "study.csv", rows))

    assert set(found["auc"]["A"]) == {"r0", "r2"}
    assert "left out" in found["notes"]["readers/r1"]
    assert found["rrrc"]["p"] is not None


def test_delong_on_missing_readings_says_why_it_has_no_variance(tmp_path):
    found = run(write(tmp_path / "study.csv", readings()[1:]), "--covariance", "delong")

    assert found["rrrc"]["p"] is None
    assert "every reader" in found["notes"]["covariance"]
    assert found["rrfc"]["p"] is not None  # needs no covariance over cases


def test_decisions_of_0_and_1_need_no_threshold(tmp_path, capsys):
    rows = [[*row[:4], int(row[4] > 50)] for row in readings()]
    found = run(write(tmp_path / "decisions.csv", rows), "--endpoint", "sensitivity")
    right = [row[4] for row in rows if row[0] == "r0" and row[2] == "A" and row[3] == 1]

    assert found["auc"]["A"]["r0"] == pytest.approx(np.mean(right))
    path = write(tmp_path / "study.csv", readings())
    assert "--threshold" in refused(capsys, path, "--endpoint", "sensitivity")
    assert "no threshold" in refused(capsys, path, "--threshold", "3")


def test_non_inferiority_is_judged_both_ways_round(tmp_path):
    path = write(tmp_path / "study.csv", readings(n_readers=5, n_malignant=20, n_benign=30))
    found = run(path, "--margin", 0.3)
    one = found["noninferiority"]["A - B"]
    d = found["rrrc"]["differences"]["A - B"]

    assert one["better"] == "A"
    assert one["t"] == pytest.approx((d["estimate"] + 0.3) / d["se"])
    assert one["noninferior"] is (d["lower"] > -0.3)
    assert one["reverse"]["noninferior"] is (d["upper"] < 0.3)
    assert one["equivalent"] is (d["lower"] > -0.3 and d["upper"] < 0.3)
    assert one["superior"] is (d["lower"] > 0)


def test_patients_are_left_out_whole(tmp_path):
    rows = [[*row, f"p{int(row[1][1:]) % 5}"] for row in readings()]
    path = write(tmp_path / "study.csv", rows, (*HEADER, "patient"))

    assert run(path, "--cluster", "patient")["counts"]["clusters"] == 5
    one = run(path, "--cluster", "patient")["components"]["error"]
    assert one != pytest.approx(run(path)["components"]["error"])
    own = run(path, "--cluster", "case")["components"]["error"]
    assert own == pytest.approx(run(path)["components"]["error"])
    u = run(path, "--cluster", "patient", "--method", "ustat")["differences"]["A - B"]
    v = run(path, "--cluster", "patient", "--covariance", "unbiased")["frrc"]["differences"]
    assert u["variance"] is not None
    assert v["A - B"]["estimate"] == pytest.approx(u["estimate"])


def test_the_ai_is_held_against_the_readers_and_is_no_reader(tmp_path):
    rows = readings() + [
        ["ai", c, "AI", t, x] for r, c, m, t, x in readings() if r == "r0" and m == "A"
    ]
    found = run(
        write(tmp_path / "study.csv", rows), "--standalone", "ai", "--covariance", "unbiased"
    )

    assert set(found["auc"]) == {"A", "B"}
    assert "ai" not in found["auc"]["A"]
    assert found["standalone"]["A"]["readers"]["r0"]["estimate"] == 0
    assert set(found["standalone"]) == {"A", "B"}


def test_each_subgroup_is_the_study_of_its_cases_with_p_values_after_holm(tmp_path):
    def size(case):
        return ["large", "small"][int(case[1:]) % 2]

    rows = readings(n_malignant=12, n_benign=14)
    one = {"c3": "lost"}
    marked = [[*row, one.get(row[1], size(row[1]))] for row in rows]
    found = run(write(tmp_path / "study.csv", marked, (*HEADER, "size")), "--subgroup", "size")
    large = run(write(tmp_path / "large.csv", [r for r in rows if size(r[1]) == "large"]))

    assert set(found["subgroups"]) == {"large", "small", "lost"}
    assert found["subgroups"]["large"]["rrrc"] == large["rrrc"]
    assert "no benign case" in found["subgroups"]["lost"]["notes"]["subgroup"]
    raw = {k: v["rrrc"]["p"] for k, v in found["subgroups"].items() if "rrrc" in v}
    assert min(found["holm"]["A - B"].values()) == pytest.approx(min(1, 2 * min(raw.values())))
    u = run(tmp_path / "study.csv", "--subgroup", "size", "--method", "ustat")
    assert set(u["holm"]["A - B"]) == {"large", "small"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["r0", "c1", "A", "2", "5"], "line 86, column truth: holds '2'; use 1 or 0"),
        (["r0", "cX", "A", "1", "high"], "line 86, column rating: holds 'high'; a number"),
        (["r0", "cX", "A", "1", "inf"], "line 86, column rating: holds 'inf'; a finite number"),
        (["r0", "c1", "A", "1", "5"], "line 86, column rating: reader 'r0' has read case 'c1'"),
        (["r0", "c1", "C", "0", "5"], "line 86, column truth: case 'c1' has another value"),
        (["", "c1", "C", "1", "5"], "line 86, column reader: is empty"),
        (["r0", "c1", "C", "1"], "line 86: 4 values for 5 columns"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_line_and_column(tmp_path, capsys, change, said):
    path = write(tmp_path / "study.csv", [*readings(), change])

    assert said in refused(capsys, path)


def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, capsys):
    path = write(tmp_path / "study.csv", [row[:4] for row in readings()], HEADER[:4])
    assert "column 'rating' is missing" in refused(capsys, path)
    assert "no such file" in refused(capsys, tmp_path / "none.csv")
    assert "no row" in refused(capsys, write(tmp_path / "empty.csv", []))
    benign = [row for row in readings() if row[3] == 0]
    assert "no malignant case" in refused(capsys, write(tmp_path / "benign.csv", benign))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(capsys, tmp_path / "binary.csv")
    path = write(tmp_path / "study.csv", readings())
    assert "column 'patient' is missing" in refused(capsys, path, "--cluster", "patient")
    assert "folder" in refused(capsys, tmp_path)
    assert "margin" in refused(capsys, path, "--margin", "-1")
    assert "no reader 'x'" in refused(capsys, path, "--standalone", "x")


@given(
    st.integers(0, 10_000),
    st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 3), (3, 2)]),
    st.sampled_from([(1, 1), (1, 4), (3, 3)]),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([0.0, 0.3, 0.7]),
    st.sampled_from(["or", "dbm", "ustat"]),
    st.sampled_from(["jackknife", "unbiased", "delong"]),
    st.sampled_from(["auc", "sensitivity", "specificity"]),
)
def test_whatever_the_data_each_null_has_its_reason(
    tmp_path_factory, seed, design, cases, levels, missing, method, kind, endpoint
):
    rng = np.random.default_rng(seed)
    rows = [
        [*row[:4], int(rng.integers(levels))]
        for row in readings(*design, *cases)
        if rng.random() >= missing or row[1] in ("c0", f"c{cases[0]}")
    ]
    path = write(tmp_path_factory.mktemp("study") / "study.csv", rows)
    options = ["--method", method, "--endpoint", endpoint, "--margin", 0.1]
    options += ["--threshold", 1] if endpoint != "auc" else []
    options += ["--covariance", kind] if method == "or" else []
    found = run(path, *options)

    notes = found.pop("notes")
    assert set(nulls(found)) <= set(notes)
    assert all(notes.values())


def test_agreement_reads_a_table_of_raters_or_a_list_of_ratings(tmp_path):
    table = [
        ["1", "smooth", "smooth"],
        ["2", "lobulated", "smooth"],
        ["3", "spiculated", "NA"],
        ["4", "smooth", "lobulated"],
    ]
    wide = write(tmp_path / "wide.csv", table, ("case", "a", "b"))
    long = write(
        tmp_path / "long.csv",
        [
            [case, who, value]
            for case, *values in table
            for who, value in zip("ab", values, strict=True)
        ],
        ("case", "reader", "rating"),
    )
    order = ("--categories", "smooth,lobulated,spiculated")

    found = run(wide, *order, command="agreement")
    assert found["categories"] == ["smooth", "lobulated", "spiculated"]
    assert found["n_cases"] == 4
    same = run(long, *order, command="agreement")["modalities"]["all"]
    assert same["coefficients"] == found["coefficients"]


def test_words_without_an_order_have_nominal_agreement_only(tmp_path):
    rows = [["1", "x", "y"], ["2", "y", "y"], ["3", "z", "z"], ["4", "x", "x"]]
    found = run(write(tmp_path / "words.csv", rows, ("case", "a", "b")), command="agreement")

    assert set(found["coefficients"]) == {"unweighted"}
    assert set(found["krippendorff_alpha"]) == {"nominal"}
    assert "icc" not in found


def test_the_other_commands_refuse_bad_rows_with_line_and_column(tmp_path, capsys):
    path = write(
        tmp_path / "time.csv", [["r", "c", "A", "0"]], ("reader", "case", "modality", "seconds")
    )
    assert "line 2, column seconds: must be above 0" in refused(capsys, path, command="time")
    path = write(tmp_path / "p.csv", [["1", "1.5"]], ("truth", "probability"))
    assert "line 2, column probability: holds 1.5" in refused(capsys, path, command="calibration")
    path = write(tmp_path / "roc.csv", [["1", "2"]], ("truth", "points"))
    assert "none of the columns rating" in refused(capsys, path, command="roc")
    write(
        tmp_path / "truth.csv", [["c1", "1", "1"], ["c2", "0", "0"]], ("case", "truth", "lesion_id")
    )
    header = ("reader", "case", "modality", "mark", "lesion_id", "rating")
    path = write(tmp_path / "marks.csv", [["r", "c1", "A", "LL", "2", "3"]], header)
    assert "line 2, column lesion_id: case 'c1' has no lesion '2'" in refused(
        capsys, path, command="froc"
    )


def test_power_comes_from_a_pilot_or_its_components(tmp_path, capsys):
    out = tmp_path / "power.json"
    pilot = write(tmp_path / "study.csv", readings(n_readers=5, n_malignant=20, n_benign=20))
    common = [
        "power",
        "--effect",
        "0.05",
        "--readers",
        "5,10",
        "--cases",
        "100",
        "--json",
        str(out),
    ]
    assert main([*common, "--pilot", str(pilot)]) == 0
    first = json.loads(out.read_text())
    values = ",".join(map(repr, first["components"].values()))
    assert main([*common, f"--components={values}", "--pilot-cases", "40"]) == 0

    assert json.loads(out.read_text())["power"] == first["power"]
    assert main(common) == 2
    assert "--pilot" in capsys.readouterr().err
