"""The form of a truth panel: how the verdict on a nodule is asked for, and what else is."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from reader_study.domain.answers import Problem, find_problems, only_asked
from reader_study.domain.mistakes import Mistakes
from reader_study.domain.questionnaire import NUMBERS, Question, Questionnaire, check_questions
from reader_study.domain.strict import Strict

# What a truth panel may say of a nodule.
VERDICTS = ("malignant", "benign", "undetermined")
Verdict = Literal["malignant", "benign", "undetermined"]
NODULE = "nodule"
# What the export calls the other answers of the form.
TAKEN = ("verdict", "confidence", "note")


class Labels(Strict):
    """What the verdicts are called; without one for it, `undetermined` is not offered."""

    malignant: str = Field(default="Malignant", min_length=1)
    benign: str = Field(default="Benign", min_length=1)
    undetermined: str | None = "Undetermined"


class PanelForm(Strict):
    """What a member of the panel is asked of a nodule.

    The verdict always, in the words of `verdict` and `labels`; how sure they are, from 0 to 100,
    unless `confidence` is null; a `note`; and `questions`, as readers are asked them, but for
    those that need the reading room's viewer. Who adjudicates is asked the same questions, and
    for a reason.
    """

    verdict: str = Field(default="This nodule is", min_length=1)
    labels: Labels = Labels()
    confidence: str | None = "How sure you are, from 0 to 100"
    note: Literal["optional", "required", "none"] = "optional"
    questions: tuple[Question, ...] = ()

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        wrong = Mistakes()
        names = [each.name for each in self.questions]
        for number, each in enumerate(self.questions):
            place = ("questions", number)
            if each.kind == "measurement" or each.computed:
                wrong.at(*place, "kind", says="the panel's form takes nothing from the viewer")
            if each.semantic:
                wrong.at(*place, "semantic", says="the panel is shown no AI")
            if each.name in TAKEN:
                wrong.at(*place, "name", says=f"{each.name!r} is an answer of its own")
            if names.index(each.name) < number:
                wrong.at(*place, "name", says=f"two questions are named {each.name!r}")
        check_questions(wrong, "questions", self.questions)
        wrong.tell()
        return self

    @property
    def offered(self) -> dict[str, str]:
        """The verdicts that can be chosen, with what they are called."""
        return {name: label for name, label in self.labels if label is not None}

    def asked(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return `answers` without those to questions that are not asked."""
        kept = only_asked(self._questionnaire, {"nodules": {NODULE: answers}})
        asked: dict[str, Any] = kept["nodules"][NODULE]
        return asked

    def problems(self, answers: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with, or missing in, the answers to `questions`."""
        given = {"nodules": {NODULE: answers}}
        return find_problems(self._questionnaire, [NODULE], given, complete=True)

    def in_words(self, answers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what was asked and what was answered, as people read it."""
        for question in self.questions:
            answer = answers.get(question.name)
            if answer is None:
                continue
            labels = {option.value: option.label for option in question.options}
            value = answer.get("value")
            if "cannot_assess" in answer:
                said = "cannot be assessed"
            elif question.kind in NUMBERS:
                said = f"{value:g}{f' {question.unit}' if question.unit else ''}"
            else:
                chosen = value if isinstance(value, list) else [value]
                said = ", ".join(labels.get(each, str(each)) for each in chosen)
            yield question.label, said

    @property
    def _questionnaire(self) -> Questionnaire:
        return Questionnaire(nodule=self.questions)
