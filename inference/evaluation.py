"""What an evaluation found, as JSON and in words."""

from pydantic import BaseModel, computed_field

from inference.estimates import Calibration, Comparison, Estimate, Group, HighRecall, Pair


class Semantic(BaseModel):
    """One category against the rest, weighted by prevalence."""

    auroc: float | None
    lower: float | None
    upper: float | None
    n: int


class Beside(Pair):
    """What is held against the model; its AUROC stands there by itself too, as the model's does."""

    @classmethod
    def of(cls, pair: Pair) -> "Beside":
        """Take both figures of `pair`."""
        return cls(auroc=pair.auroc, auprc=pair.auprc)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def estimate(self) -> float | None:
        """The AUROC."""
        return self.auroc.estimate

    @computed_field  # type: ignore[prop-decorator]
    @property
    def lower(self) -> float | None:
        """The lower end of its interval."""
        return self.auroc.lower

    @computed_field  # type: ignore[prop-decorator]
    @property
    def upper(self) -> float | None:
        """The upper end of its interval."""
        return self.auroc.upper


class Evaluation(BaseModel):
    """What `--json` holds."""

    model: dict[str, str]
    nodules: int
    patients: int
    malignant: int
    benign: int
    left_out: int
    left_out_as_seen: int
    auroc: Estimate
    auprc: Estimate
    baseline_diameter: Beside
    combined: Beside
    model_minus_diameter: Estimate
    combined_minus_diameter: Estimate
    against: dict[str, Comparison] = {}
    calibration: Calibration | None
    at_high_recall: dict[str, HighRecall]
    subgroups: dict[str, dict[str, Group]]
    shortcuts: dict[str, Estimate] = {}
    semantic: dict[str, Semantic]
    notes: list[str]


def printed(evaluation: Evaluation) -> str:
    """Say in a few lines what was found."""
    of = evaluation
    lines = [
        f"{of.nodules} nodules of {of.patients} patients: {of.malignant} suspicious, {of.benign} "
        f"not; left out: {of.left_out} rows without scores, size or image, {of.left_out_as_seen} "
        "nodules of patients the model has seen",
        f"{'':24}{'AUROC':>25}{'AUPRC':>25}",
    ]
    pairs = {
        "model": Pair(auroc=of.auroc, auprc=of.auprc),
        "diameter alone": of.baseline_diameter,
        "both": of.combined,
    }
    for name, pair in pairs.items():
        lines.append(f"{name:24}{_in_words(pair.auroc):>25}{_in_words(pair.auprc):>25}")
    for name, one in of.against.items():
        p = "not defined" if one.p is None else f"{one.p:.3f}"
        lines.append(f"{'less ' + name:24}{_in_words(one.difference):>25}   p {p} (DeLong)")
    for wanted, cost in of.at_high_recall.items():
        lines.append(
            f"{'at recall ' + wanted:24}{'false positives':>25} "
            f"{_in_words(cost.false_positive_rate)}, precision {_in_words(cost.precision)}"
        )
    if of.calibration:
        for figure in ("brier", "expected_error", "slope", "intercept"):
            one_figure: Estimate = getattr(of.calibration, figure)
            lines.append(f"{figure.replace('_', ' '):24}{_in_words(one_figure):>25}")
    for groups in of.subgroups.values():
        for name, group in groups.items():
            lines.append(
                f"{name:24}{_in_words(group.auroc):>25}   n {group.nodules}, "
                f"diameter {_in_words(group.baseline_diameter)}"
            )
    for name, shortcut in of.shortcuts.items():
        lines.append(f"{name:24}{_in_words(shortcut):>25}")
    for name, feature in of.semantic.items():
        estimate = Estimate(estimate=feature.auroc, lower=feature.lower, upper=feature.upper)
        lines.append(f"{name:24}{_in_words(estimate):>25}   n {feature.n}")
    lines.extend(of.notes)
    return "\n".join(lines)


def _in_words(one: Estimate) -> str:
    if one.estimate is None:
        return "not defined"
    if one.lower is None or one.upper is None:
        return f"{one.estimate:.3f} (no interval)"
    return f"{one.estimate:.3f} ({one.lower:.3f} to {one.upper:.3f})"
