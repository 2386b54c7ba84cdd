"""Results of the field's reference programs, beside ours.

`../shared/data/mrmc/<set>/` holds data and what the reference programs made of them. Each
comparison is (set, method, quantity, ours, theirs, kind); `python -m tests.statistics.references`
prints the largest relative error of each quantity.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.statistics import documents
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import read_study

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "mrmc"
SETS = sorted(p.parent.name for p in FOLDER.glob("*/expected.json")) if FOLDER.is_dir() else []
# statistics-method.md: relative for estimates and df, absolute for p. A ratio of a mean square
# to a variance keeps the digits of both.
TOLERANCES = {"value": 1e-10, "df": 1e-8, "p": 1e-9}
# What is smaller than this is rounding on either side.
ZERO = 1e-14


class Comparison(NamedTuple):
    """One number of ours beside one of a reference program."""

    method: str
    quantity: str
    ours: float | None
    theirs: float
    kind: str = "value"

    @property
    def error(self) -> float:
        """Relative for values, absolute for p values; what is 0 on both sides is equal."""
        if self.ours is None:
            return float("inf")
        gap = abs(self.ours - self.theirs)
        if self.kind == "p":
            return gap
        if gap < ZERO:
            return 0.0
        return gap / abs(self.theirs) if self.theirs else float("inf")

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance of its kind."""
        return self.error <= TOLERANCES[self.kind]


@cache
def expected(name: str) -> dict[str, Any]:
    """Read what the reference programs gave."""
    found: dict[str, Any] = json.loads((FOLDER / name / "expected.json").read_text())
    return found


@cache
def ours(name: str, *options: Any) -> dict[str, Any]:
    """Run our analysis as the command line does."""
    return documents.document(analyse(read_study(FOLDER / name / "data.csv"), Analysis(*options)))


def studies() -> list[str]:
    """Name the sets that are ratings of a study."""
    return [name for name in SETS if "mrmcaov" in expected(name)]


def comparisons(name: str) -> Iterator[Comparison]:
    """Compare all that the reference programs gave for a study."""
    e = expected(name)
    for kind, found in e.get("mrmcaov", {}).items():
        yield from of_mrmcaov(name, found, "or", kind.lower(), "auc", None)
    threshold = e.get("mrmcaov_binary", {}).get("threshold")
    for key, endpoint in (("binary_sens", "sensitivity"), ("binary_spec", "specificity")):
        found = e.get("mrmcaov_binary", {}).get(key, {})
        yield from of_mrmcaov(name, found, "or", "jackknife", endpoint, threshold)
    for method in ("OR", "DBM"):
        found = e.get("rjafroc", {}).get("result", {}).get(method, {})
        yield from of_rjafroc(ours(name, method.lower()), found, method.lower())
    if "error" not in e.get("imrmc_r", {"error": ""}):
        yield from of_imrmc(ours(name, "ustat"), e["imrmc_r"], "ustat")
    threshold = e.get("imrmc_r_binary", {}).get("threshold")
    for key, endpoint in (("tpf", "sensitivity"), ("fpf", "specificity")):
        found = e.get("imrmc_r_binary", {}).get(key, {"error": ""})
        if "error" not in found:
            result = ours(name, "ustat", "jackknife", endpoint, threshold)
            yield from of_imrmc(result, found, f"ustat {endpoint}")
    if "console_full_precision" in e.get("imrmc_java", {}):
        yield from of_java(ours(name, "ustat"), e["imrmc_java"]["console_full_precision"])
    if "proc" in e and "error" not in e["proc"]:
        yield from of_proc(name, e["proc"])


def rows(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the rows of a table of a reference program, if it has it."""
    table = found.get(key, [])
    return table if isinstance(table, list) else []


def is_number(value: Any) -> bool:
    """Whether a cell of a table holds a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def estimates(
    method: str, quantity: str, mine: dict[str, Any], row: dict[str, Any], names: dict[str, str]
) -> Iterator[Comparison]:
    """Compare the columns of one row."""
    for theirs, (key, kind) in {
        column: (name, "df" if name.startswith("df") else "p" if name == "p" else "value")
        for column, name in names.items()
    }.items():
        if is_number(row.get(theirs)):
            yield Comparison(method, f"{quantity} {key}", mine.get(key), row[theirs], kind)


MRMCAOV = {
    "Estimate": "estimate",
    "StdErr": "se",
    "df": "df",
    "CI.Lower": "lower",
    "CI.Upper": "upper",
    "t": "t",
    "z": "z",
    "p-value": "p",
}
COMPONENTS = {
    "reader": "var_r",
    "modality:reader": "var_tr",
    "Error": "error",
    "Cov1": "cov1",
    "Cov2": "cov2",
    "Cov3": "cov3",
    "VarR": "var_r",
    "VarTR": "var_tr",
    "Var": "error",
}


def clipped(mine: dict[str, Any]) -> dict[str, Any]:
    """MRMCaov cuts the interval of one modality at 0 and 1."""
    cut = {k: None if mine[k] is None else min(1, max(0, mine[k])) for k in ("lower", "upper")}
    return {**mine, **cut}


def of_mrmcaov(
    name: str,
    found: dict[str, Any],
    method: str,
    kind: str,
    endpoint: str,
    threshold: float | None,
) -> Iterator[Comparison]:
    """Compare MRMCaov's tables, but for the defects listed in the README of the data."""
    if not any("error" not in part for part in found.values() if isinstance(part, dict)):
        return
    mine = ours(name, method, kind, endpoint, threshold)
    label = f"or {kind}" if endpoint == "auc" else f"or {endpoint}"
    degenerate = no_variance(mine)
    c = mine["components"]
    unclamped = (c["cov2"] or 0) < (c["cov3"] or 0)
    for part in ("RRRC", "FRRC", "RRFC"):
        theirs, own = found.get(part, {}), mine[part.lower()]
        if "error" in theirs:
            continue
        first = (rows(theirs, "metrics") or [{}])[0]
        metric = next((k for k in first if "auc" in k or "bin" in k), "")
        for row in rows(theirs, "metrics"):
            auc = mine["auc"][str(row["modality"])][str(row["reader"])]
            yield Comparison(label, "auc", auc, row[metric])
        for row in rows(theirs, "vcov_comps"):
            key = COMPONENTS[row["row"]]
            yield Comparison(label, f"component {key}", c[key], row["Estimate"])
        # FRRC of MRMCaov takes Cov2 - Cov3 as it is, also below 0 (defect 3).
        skip = degenerate or (part == "FRRC" and unclamped)
        for row in [] if skip else rows(theirs, "test_equality"):
            names = {"F": "f", "df1": "df1", "df2": "df2", "X2": "chi2", "p-value": "p"}
            yield from estimates(label, f"{part} test", own, row, names)
        for row in [] if skip else rows(theirs, "test_diffs"):
            difference = own["differences"][row["Comparison"]]
            yield from estimates(label, f"{part} difference", difference, row, MRMCAOV)
        for row in rows(theirs, "test_means"):
            one = clipped(own["modalities"][str(row["row"])])
            if not one["se"]:
                continue
            if part == "FRRC" and row["Cov2"] < 0:
                continue  # again without the clamp
            yield from estimates(label, f"{part} modality", one, row, MRMCAOV)
        more_than_two = len(mine["auc"]) > 2  # defect 1
        for row in [] if more_than_two else rows(theirs, "reader_test_diffs"):
            difference = own["readers"][str(row["Reader"])][row["Comparison"]]
            if difference["z"] is not None:
                yield from estimates(label, "FRRC reader difference", difference, row, MRMCAOV)
        for row in rows(theirs, "reader_means"):
            one = clipped(own["cells"][str(row["modality"])][str(row["reader"])])
            if one["se"]:
                yield from estimates(label, "FRRC reader", one, row, MRMCAOV)


def no_variance(mine: dict[str, Any]) -> bool:
    """Whether there is nothing to test against: the references print rounding (defect 9)."""
    return mine["rrrc"]["f"] is None and mine["rrfc"]["f"] is None and mine["frrc"]["chi2"] is None


RJAFROC_TEST = {"FStat": "f", "F": "f", "Chisq": "chi2", "p": "p"}
RJAFROC = {
    "Estimate": "estimate",
    "StdErr": "se",
    "DF": "df",
    "CILower": "lower",
    "CIUpper": "upper",
    "t": "t",
    "z": "z",
    "PrGTt": "p",
    "PrGTz": "p",
}


def of_rjafroc(mine: dict[str, Any], found: dict[str, Any], method: str) -> Iterator[Comparison]:
    """Compare RJafroc's tables, whose modalities are in sorted order."""
    dbm, c = method == "dbm", mine["components"]
    for part in ("RRRC", "FRRC", "RRFC"):
        theirs, own = found.get(part, {}), mine[part.lower()]
        if "error" in theirs:
            continue
        names = list(mine["auc"])
        for row, name in zip(rows(theirs, "foms"), names, strict=False):
            readers = [v for k, v in row.items() if k.startswith("rdr")]
            for value, theirs_ in zip(mine["auc"][name].values(), readers, strict=True):
                yield Comparison(method, "auc", value, theirs_)
        anova = theirs.get("ANOVA", {})
        for row in [] if dbm else rows(anova, "VarCom"):
            key = COMPONENTS[row["row"]]
            # RJafroc raises Cov2 - Cov3 to 0 within VarTR, and VarR follows.
            if (
                key in ("var_tr", "var_r")
                and mine["components"]["cov2"] < mine["components"]["cov3"]
            ):
                continue
            yield Comparison(method, f"component {key}", c[key], row["Estimates"])
        for row in rows(anova, "VarCom") if dbm else []:
            key = {"VarErr": "var_error"}.get(row["row"], f"var_{row['row'][3:].lower()}")
            own_value = mine["pseudovalue_components"][key]
            yield Comparison(method, f"pseudovalue component {key}", own_value, row["Estimates"])
        if no_variance(mine) or own.get("f", own.get("chi2")) is None:
            continue
        tests = rows(theirs.get("analysis", {}), "FTests")
        if tests:
            yield from estimates(
                method,
                f"{part} test",
                own,
                tests[0],
                RJAFROC_TEST,
            )
            if len(tests) > 1 and part != "FRRC":
                yield Comparison(method, f"{part} test df2", own["df2"], tests[1]["DF"], "df")
        analysis = theirs.get("analysis", {})
        for row, difference in zip(
            rows(analysis, "ciDiffTrt"), own["differences"].values(), strict=False
        ):
            both = {**difference, "t": difference.get("t", difference.get("z"))}
            yield from estimates(method, f"{part} difference", both, row, RJAFROC)
        for row, one in zip(
            rows(analysis, "ciAvgRdrEachTrt"), own["modalities"].values(), strict=False
        ):
            if one["se"] and one["lower"] is not None:
                columns = {k: v for k, v in RJAFROC.items() if dbm or part != "FRRC" or k != "DF"}
                yield from estimates(method, f"{part} modality", one, row, columns)
        pairs = [d for of_reader in own.get("readers", {}).values() for d in of_reader.values()]
        for row, d in zip(rows(analysis, "ciDiffTrtEachRdr"), pairs, strict=False):
            if len(own["differences"]) == 1 and d["z"] is not None:
                yield from estimates(
                    method, f"{part} reader difference", {**d, "t": d["z"]}, row, RJAFROC
                )


def of_imrmc(mine: dict[str, Any], found: dict[str, Any], method: str) -> Iterator[Comparison]:
    """Compare the U-statistics of iMRMC (R)."""
    for row in rows(found, "Ustat_full"):
        a, b = str(row["modalityID.1"]), str(row["modalityID.2"])
        one = a == b
        own = mine["modalities"][a] if one else mine["differences"][f"{a} - {b}"]
        kind = "modality" if one else "difference"
        columns = [
            ("covariance", own["covariance"], "covAUC", "value"),
            *(
                (quantity, own[quantity][f"M{i}"], f"M{i}{end}", "value")
                for i in range(1, 9)
                for quantity, end in (
                    ("moments", ""),
                    ("moments_biased", ".b"),
                    ("coefficients", ".coeff"),
                )
            ),
            *(
                (quantity, own[quantity][key], f"BCK.{key}{end}", "value")
                for key in ("N", "D", "ND", "R", "NR", "DR", "RND")
                for quantity, end in (("components", ""), ("components_biased", ".b"))
            ),
        ]
        end, variance = ("", "covAUC") if one else (".diff", "varAUC1minusAUC2")
        if own["variance"]:
            columns += [
                ("auc", own["auc"], "AUC.1", "value")
                if one
                else ("estimate", own["estimate"], "AUC1minusAUC2", "value"),
                ("variance", own["variance"], variance, "value"),
                ("variance_biased", own["variance_biased"], f"{variance}.biased", "value"),
                ("df", own["df"], f"dfBDG{end}", "df"),
                ("lower_floor", own["lower_floor"], "botCIBDG", "value"),
                ("upper_floor", own["upper_floor"], "topCIBDG", "value"),
            ]
            if own["variance_biased"] > 0:
                columns.append(("df_biased", own["df_biased"], f"dfBDG.biased{end}", "df"))
            if not one:
                columns.append(("p_floor", own["p_floor"], "pValueBDG", "p"))
        for quantity, value, column, unit in columns:
            if is_number(row.get(column)):
                yield Comparison(method, f"{kind} {quantity}", value, row[column], unit)


def of_java(mine: dict[str, Any], blocks: list[dict[str, Any]]) -> Iterator[Comparison]:
    """Compare the U-statistics (not the MLE) of iMRMC (Java), one block a row."""
    found = [*mine["modalities"].values(), *mine["differences"].values()]
    for own, block in zip(found, blocks[::2], strict=False):
        if not own["variance"] or own["variance"] < 0:
            continue  # Java goes on with the least degrees of freedom
        one = "auc" in own
        kind = "modality" if one else "difference"
        yield Comparison("ustat (Java)", f"{kind} variance", own["variance"], block["totalVar"])
        df = own["df"] if one else own["df_unpaired"]
        yield Comparison("ustat (Java)", f"{kind} df", df, block["BDG"]["DF_BDG"], "df")
        if "Hillis" in block:
            theirs = block["Hillis"]["DF_Hillis"]
            yield Comparison("ustat (Java)", f"{kind} df Hillis", own["df_hillis"], theirs, "df")


def of_proc(name: str, found: dict[str, Any]) -> Iterator[Comparison]:
    """Compare pROC's DeLong variance of each reader, where the reader read every case."""
    study = read_study(FOLDER / name / "data.csv")
    if not study.crossed:
        return
    mine = ours(name, "or", "delong")["frrc"]
    for row in found.get("auc", []):
        cell = mine["cells"][str(row["modality"])][str(row["reader"])]
        yield Comparison("or delong (pROC)", "auc", cell["estimate"], row["auc"])
        yield Comparison("or delong (pROC)", "variance", cell["se"] ** 2, row["var_delong"])


def table() -> str:
    """Show the largest error of every quantity, for each set and method."""
    lines = ["| data set | method | quantity | n | largest error |", "|---|---|---|---|---|"]
    for name in studies():
        worst: dict[tuple[str, str, str], list[float]] = {}
        for c in comparisons(name):
            worst.setdefault((c.method, c.quantity, c.kind), []).append(c.error)
        for (method, quantity, kind), errors in worst.items():
            unit = " abs" if kind == "p" else ""
            error = f"{max(errors):.1e}{unit}"
            error = f"{max(errors):.1e}{unit}"
            lines.append(f"| {name} | {method} | {quantity} | {len(errors)} | {error} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
