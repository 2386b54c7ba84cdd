"""The reading room looks a category up in the table it is sent, and finds what the server does."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from reader_study.domain.answers import computed_category
from reader_study.domain.lung_rads import TABLE, Change, Kind
from reader_study.domain.questionnaire import LungRads

CHECKOUT = Path(__file__).parents[2]
SCRIPT = """
import { computedCategory } from "MODULE"
let text = ""
process.stdin.on("data", part => { text += part })
process.stdin.on("end", () => {
  const { rule, inputs } = JSON.parse(text)
  console.log(JSON.stringify(inputs.map(input => computedCategory(rule, input))))
})
"""
RULE = LungRads(
    rule="lung_rads", type="type", diameter_mm="size", solid_mm="solid", change="change", reason="w"
)


def test_server_and_reading_room_find_the_same_category_in_every_case(tmp_path):
    node = shutil.which("node", path=str(CHECKOUT / ".venv/bin")) or shutil.which("node")
    if node is None:
        pytest.skip("no Node here")
    # Both sides of every boundary, halves of a tenth, and what cannot be.
    sizes = [0, 0.04, 0.05, 3.94, 3.95, 4, 5.9, 5.949, 5.95, 6, 6.25, 7.95, 8, 14.95, 15, 29.95, 30]
    inputs = [
        {"type": {"value": kind}, "change": {"value": change}, "size": {"value": size}, **solid}
        for kind in Kind
        for change in Change
        for size in sizes
        for solid in [{}, {"solid": {"cannot_assess": True}}]
        + [{"solid": {"value": each}} for each in sizes]
    ]
    inputs += [{}, {"type": {"value": "solid"}}, {**inputs[-1], "size": {"cannot_assess": True}}]
    rule = {**RULE.model_dump(), "table": [band._asdict() for band in TABLE]}
    script = tmp_path / "script.mjs"
    module = CHECKOUT / "frontend/src/reading/lung_rads.ts"
    script.write_text(SCRIPT.replace("MODULE", module.as_uri()))
    done = subprocess.run(
        [node, "--disable-warning=ExperimentalWarning", str(script)],
        input=json.dumps({"rule": rule, "inputs": inputs}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    here = [computed_category(RULE, each) for each in inputs]
    assert there == here
    assert {each for each in here if each} == {"2", "3", "4a", "4b"}
    assert len(inputs) > 4000
