"""Designs for tests: one of each kind the product can run."""

from typing import Any

UNAIDED: dict[str, Any] = {"name": "unaided", "stages": [{"stage": "unaided"}]}


def aided(name: str, *shows: str) -> dict[str, Any]:
    """An arm that shows the AI from the start."""
    return {"name": name, "stages": [{"stage": "aided", "shows": list(shows)}]}


def then_aided(name: str, *shows: str) -> dict[str, Any]:
    """An arm that is sequential in itself."""
    return {
        "name": name,
        "stages": [{"stage": "unaided"}, {"stage": "aided", "shows": list(shows)}],
    }


SEQUENTIAL: dict[str, Any] = {
    "kind": "sequential",
    "stages": then_aided("", "score", "semantic", "saliency")["stages"],
}
CROSSOVER: dict[str, Any] = {
    "kind": "crossover",
    "washout_days": 28,
    "arms": [UNAIDED, aided("score", "score")],
}
THREE_CONDITIONS: dict[str, Any] = {
    "kind": "crossover",
    "washout_days": 28,
    "arms": [
        UNAIDED,
        aided("score", "score"),
        aided("explained", "score", "semantic", "saliency"),
    ],
}
HYBRID: dict[str, Any] = {
    "kind": "hybrid",
    "washout_days": 14,
    "arms": [then_aided("revised", "score", "semantic"), aided("at_once", "score", "semantic")],
}
EVERY_DESIGN: dict[str, dict[str, Any]] = {
    "sequential": SEQUENTIAL,
    "crossover": CROSSOVER,
    "mixed sessions": {**CROSSOVER, "counterbalance": "readers_and_cases"},
    "three conditions": THREE_CONDITIONS,
    "four conditions": {
        **THREE_CONDITIONS,
        "arms": [*THREE_CONDITIONS["arms"], aided("semantic", "semantic")],
        "counterbalance": "readers_and_cases",
    },
    "latin": {**THREE_CONDITIONS, "order": "latin"},
    "fixed": {**CROSSOVER, "order": "fixed"},
    "hybrid": HYBRID,
    "split-plot": {**CROSSOVER, "case_sets": 2},
    "split-plot sequential": {**SEQUENTIAL, "case_sets": 3},
    "repeats": {**SEQUENTIAL, "washout_days": 28, "repeats": {"cases": 2}},
    "crossover with repeats": {**CROSSOVER, "repeats": {"cases": 2, "arm": "unaided"}},
    "training": {**CROSSOVER, "training": {"cases": 3}},
}
