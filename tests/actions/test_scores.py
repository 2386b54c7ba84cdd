from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from reader_study.actions.prediction import ask_again, record_prediction, standing
from reader_study.actions.scores import read_scores
from reader_study.domain.errors import ScoresInvalid
from reader_study.models import Job, JobStatus, ModelVersion, Nodule, Prediction
from tests.factories import NOW, a_case, a_job, a_prediction, a_study

pytestmark = pytest.mark.django_db


def write(folder: Path, *lines: str) -> Path:
    file = folder / "scores.csv"
    file.write_text("\n".join(["case,nodule,score,reason", *lines]) + "\n")
    return file


def bring_in(study, file: Path, model: str = "Sybil") -> None:
    call_command("import_predictions", study.slug, str(file), model=model, model_version="1.2")


def test_scores_of_another_system_become_predictions_beside_those_of_the_model(tmp_path):
    study = a_study()
    case = a_case(study, nodules=3)
    first, second, third = Nodule.objects.order_by("number")
    a_prediction(first, 0.73)
    file = write(
        tmp_path, f"{case},{first.label},0.25", f"{case},{second.label},,No lung was found."
    )
    bring_in(study, file)
    bring_in(study, file)  # changes nothing

    assert [p.probability for p in Prediction.objects.filter(job__model="Sybil")] == [0.25]
    failed = Job.objects.get(model="Sybil", status=JobStatus.FAILED)
    assert (failed.nodule, failed.detail) == (second, "No lung was found.")
    assert not Job.objects.filter(nodule=third, model="Sybil").exists()
    version = ModelVersion.objects.get(name="Sybil")
    assert (version.version, version.weights_hash) == ("1.2", read_scores(file)[1])
    assert Prediction.objects.get(job__nodule=first, job__model="demonstration").probability == 0.73

    with pytest.raises(CommandError, match="another score"):
        bring_in(study, write(tmp_path, f"{case},{first.label},0.26"))
    with pytest.raises(CommandError, match="twice"):
        bring_in(study, write(tmp_path, *[f"{case},{third.label},0.5"] * 2))
    assert not Job.objects.filter(nodule=third, model="Sybil").exists()
    with pytest.raises(CommandError, match="no nodule X"):
        bring_in(study, write(tmp_path, f"{case},X,0.5"))


@pytest.mark.parametrize("score", ["1.01", "-0.1", "nan", "high"])
def test_what_is_no_score_is_named_by_its_line(tmp_path, score):
    with pytest.raises(ScoresInvalid, match="Line 2"):
        read_scores(write(tmp_path, f"C1,N1,{score}"))


def test_what_failed_has_a_reason_and_can_be_asked_for_again(django_capture_on_commit_callbacks):
    study = a_study(is_open=False)
    a_case(study)
    job = a_job(Nodule.objects.get())
    failure = {"status": "failed", "code": "series_unreadable", "detail": "No images."}
    record_prediction(job_id=job.pk, message=failure, now=NOW)
    now = standing(study=study, model=job.model)
    assert (now.nodules, now.done, now.waiting) == (1, 0, 0)
    assert [one.detail for one in now.failed] == ["No images."]

    with pytest.raises(CommandError, match="1 failed; by the protocol"):
        call_command("predict", study.slug)
    assert ask_again(study=study, model=job.model, now=NOW) == 1
    assert standing(study=study, model=job.model).waiting == 1
