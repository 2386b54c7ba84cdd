"""Archives of simulated studies: tables as they are exported, without a database."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reader_study.domain.design import TRAINING
from reader_study.domain.protocol import parse_protocol, protocol_hash
from reader_study.results.__main__ import main as remake
from reader_study.results.archive import pack
from reader_study.results.make import make

PROTOCOLS = Path(__file__).parents[2] / "reader_study" / "protocols"


def write_archive(
    folder: Path,
    protocol: str = "demonstration",
    *,
    readers: int = 4,
    cases: int = 30,
    seed: int = 1,
    nodules_a_case: int = 1,
    **changes: Any,
) -> Path:
    """Write the tables of a study whose readers are better with the AI than without."""
    document = {**yaml.safe_load((PROTOCOLS / f"{protocol}.yaml").read_text()), **changes}
    rules = parse_protocol(document)
    rng = np.random.default_rng(seed)
    names = [f"C{i:03}" for i in range(1, cases + 1)]
    units = [(case, n) for case in names for n in range(1, nodules_a_case + 1)]
    malignant = {unit: bool(rng.random() < 0.45) for unit in units}
    malignant[units[0]], malignant[units[1]] = True, False
    diameter = {unit: float(rng.uniform(4, 20)) for unit in units}
    hard = {unit: rng.normal(0, 0.8) for unit in units}
    logit = {u: 2.2 * (malignant[u] - 0.5) + rng.normal(0, 1) for u in units}
    probability = {u: float(1 / (1 + np.exp(-x))) for u, x in logit.items()}
    semantic = [q for q in rules.questionnaire.nodule if q.semantic]
    says = {
        (u, q.name): rng.dirichlet(np.ones(len(q.options))).tolist()
        for u in units
        for q in semantic
    }
    allocation, readings, times, skips, predictions = [], [], [], [], []
    design = rules.design
    arms = design.every_arm
    for r in range(1, readers + 1):
        reader, skill = f"R{r:02}", rng.normal(0.9, 0.15)
        plan = [(s, arm, False) for s, arm in enumerate(arms, start=1)]
        if design.repeats:
            plan.append((len(arms) + 1, design.arm(design.repeats.arm or arms[0].name), True))
        if design.training:
            plan.insert(0, (TRAINING, arms[0], False))
        for session, arm, repeat in plan:
            some = names[: design.repeats.cases] if repeat and design.repeats else names
            for position, i in enumerate(rng.permutation(len(some)), start=1):
                case = some[i]
                place = [reader, case, session, position]
                skipped = r == 1 and case == names[-1]
                stage = "assigned" if skipped else "submitted"
                allocation.append([*place, arm.name, str(repeat).lower(), stage])
                if skipped:
                    skips.append([*place, "assigned", "no images"])
                    continue
                before: dict[Any, float] = {}
                for step in arm.stages:
                    aided = bool(step.shows)
                    seconds = float(np.exp(rng.normal(3.2 + 0.2 * aided, 0.4)))
                    times.append([*place, step.stage.value, f"{seconds:.3f}"])
                    for unit in (u for u in units if u[0] == case):
                        own = skill * 2 * (malignant[unit] - 0.5) + hard[unit] + rng.normal(0, 0.8)
                        own = before.get(unit, own)
                        before[unit] = own
                        felt = own + 0.5 * (logit[unit] - own) if aided else own
                        for question in rules.questionnaire.nodule:
                            value = _answer(question, felt, rng, says.get((unit, question.name)))
                            if question.when or value is None:
                                continue
                            key = [*place, arm.name, str(repeat).lower(), unit[1]]
                            readings.append([*key, step.stage.value, question.name, value])
    for unit in units[:-1]:
        place = [*unit, "demonstration 1", "done", ""]
        predictions.append([*place, "malignancy", "malignant", probability[unit]])
        for question in semantic:
            for option, p in zip(question.options, says[unit, question.name], strict=True):
                predictions.append([*place, question.name, option.value, p])
    predictions.append([*units[-1], "demonstration", "failed", "no images", "", "", ""])

    folder.mkdir(parents=True, exist_ok=True)
    at = ["reader", "case", "session", "position"]
    _write(folder / "allocation.csv", [*at, "arm", "repeat", "stage"], allocation)
    columns = [*at, "arm", "repeat", "nodule", "stage", "question", "value"]
    _write(folder / "readings.csv", columns, readings)
    _write(folder / "times.csv", [*at, "stage", "active_seconds"], times)
    _write(folder / "skips.csv", [*at, "stage", "reason"], skips)
    columns = ["case", "nodule", "model", "status", "problem", "target", "category", "probability"]
    _write(folder / "predictions.csv", columns, predictions)
    _write(
        folder / "nodules.csv",
        ["case", "nodule", "subject", "training", "diameter_mm"],
        [[*unit, f"S{unit[0]}", "false", diameter[unit]] for unit in units],
    )
    _write(
        folder / "reference.csv",
        ["case", "nodule", "truth", "source"],
        [[*u, "malignant" if malignant[u] else "benign", "pathology"] for u in units],
    )
    digest = protocol_hash(rules)
    said = {"protocol_hash": digest, "protocol": rules.model_dump(mode="json")}
    (folder / "protocol.json").write_text(json.dumps(said))
    study = {
        "study": "simulated", "title": rules.title, "protocol_hash": digest,
        "locked_at": "2026-03-01T12:00:00Z",
        "locked_by": "Investigator", "records": 1000, "head": "0" * 64, "idle_after_seconds": 60,
        "models": [], "readers": readers,
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(study))
    return folder


def main(folder: Path) -> int:
    """Make the results of a simulated study, archive both, and make them from the archive again."""
    tables, work = write_archive(folder / "tables", readers=5, cases=40), folder / "data"
    work.mkdir()
    made = make(tables, work, lambda *_: None)
    archive = folder / "study.zip"
    with archive.open("wb") as file:
        pack(tables, made.files.items(), file)
    same = remake([str(archive), str(folder / "results")])
    print(f"archive: {archive}\nreport: {folder / 'results' / 'report.pdf'}")
    return same


def _answer(question: Any, felt: float, rng: Any, said: list[float] | None) -> Any:
    share = 1 / (1 + np.exp(-felt))
    match question.kind:
        case "scale":
            low, high = question.scale.min, question.scale.max
            return round(low + share * (high - low))
        case "single_choice":
            values = [option.value for option in question.options]
            if said is not None:  # a feature: as the AI sees it, mostly
                return values[
                    int(np.argmax(said)) if rng.random() < 0.7 else rng.integers(len(values))
                ]
            return values[min(len(values) - 1, int(share * len(values)))]
        case "number":
            return round(float(rng.uniform(4, 20)), 1)
    return None


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
