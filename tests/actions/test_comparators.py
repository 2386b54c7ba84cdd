"""Clinical models as models of a study: their scores, and what is missing for them."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from reader_study.actions.prediction import request_predictions
from reader_study.models import Job, JobStatus, ModelVersion, Nodule, Prediction, Study
from tests.factories import NOW, a_case, a_prediction, a_study

pytestmark = pytest.mark.django_db

COLUMNS = (
    "case,nodule,age,sex,family_history,emphysema,upper_lobe,nodules,spiculated,consistency,"
    "diameter_mm"
)


@pytest.fixture
def study() -> Study:
    study = a_study(is_open=False)
    a_case(study, nodules=3)
    return study


def clinical(folder: Path, *lines: str, columns: str = COLUMNS) -> Path:
    file = folder / "clinical.csv"
    file.write_text("\n".join([columns, *lines]) + "\n")
    return file


def test_brock_of_a_table_stands_beside_the_network(study, tmp_path, capsys):
    first, second, third = Nodule.objects.order_by("number")
    Nodule.objects.filter(pk=second.pk).update(diameter_mm=10)
    a_prediction(first, 0.73)
    case = first.series.case
    file = clinical(
        tmp_path,
        f"{case},,65,male,no,no,no,1,no,solid,",  # of the patient
        f"{case},{first.label},65,female,yes,yes,yes,1,yes,solid,10",  # of the nodule
    )
    call_command("predict", study.slug, model="brock", clinical=file)
    assert "2 computed, 0 were there already, 1 not computable" in capsys.readouterr().out
    call_command("predict", study.slug, model="brock", clinical=file)  # changes nothing

    scores = dict(
        Prediction.objects.filter(job__model="brock").values_list("job__nodule", "probability")
    )
    # The check values of the publication; the second nodule's size came with its import.
    assert scores == {
        first.pk: pytest.approx(0.331206, abs=5e-7),
        second.pk: pytest.approx(0.034682, abs=5e-7),
    }
    failed = Job.objects.get(model="brock", status=JobStatus.FAILED)
    assert (failed.nodule, failed.code) == (third, "not_computable")
    assert failed.detail == "Brock (PanCan): not known: diameter_mm."
    kept = Prediction.objects.get(job__model="brock", job__nodule=first)
    assert kept.bundle["inputs"]["sex"] == "female"
    assert kept.bundle["inputs"]["diameter_mm"] == 10
    assert Prediction.objects.get(job__nodule=first, job__model="demonstration").probability == 0.73

    # What was missing is known now.
    file = clinical(tmp_path, f"{case},,65,male,no,no,no,1,no,solid,10", columns=COLUMNS)
    with pytest.raises(CommandError, match="another score"):
        call_command("predict", study.slug, model="brock", clinical=file)
    assert Job.objects.filter(model="brock", status=JobStatus.FAILED).count() == 1


def test_a_score_takes_the_place_of_a_reason_once_more_is_known(study, tmp_path):
    call_command("predict", study.slug, model="diameter")
    assert Job.objects.filter(model="diameter", status=JobStatus.FAILED).count() == 3
    case = study.cases.get()
    file = clinical(tmp_path, f"{case},N2,20", columns="case,nodule,diameter_mm")
    call_command("predict", study.slug, model="diameter", clinical=file)
    assert Prediction.objects.get(job__model="diameter").probability == 0.1
    assert Job.objects.filter(model="diameter", status=JobStatus.FAILED).count() == 2


def test_each_clinical_model_is_a_version_of_its_own_and_none_is_a_workers_to_predict(
    study, tmp_path, django_capture_on_commit_callbacks
):
    case = study.cases.get()
    columns = (
        "case,age,ever_smoked,extrathoracic_cancer,upper_lobe,spiculated,consistency,change,"
        "diameter_mm,mean_mm"
    )
    file = clinical(tmp_path, f"{case},65,yes,no,yes,no,solid,baseline,10,9", columns=columns)
    for name in ("mayo", "lung-rads", "diameter"):
        with django_capture_on_commit_callbacks() as sent:
            assert request_predictions(study=study, now=NOW, model=name) == 0
        assert sent == []
        call_command("predict", study.slug, model=name, clinical=file)
    versions = {one.name: one for one in ModelVersion.objects.all()}
    assert {name: one.version for name, one in versions.items()} == {
        "mayo": "1997",
        "lung-rads": "v2022",
        "diameter": "1",
    }
    assert len({one.hash for one in versions.values()}) == 3
    found = {
        name: set(Prediction.objects.filter(job__model=name).values_list("probability", flat=True))
        for name in versions
    }
    assert sorted(found["mayo"]) == pytest.approx([0.192134], abs=5e-7)
    assert found["lung-rads"] == {0.75}  # 4A
    assert found["diameter"] == {0.05}


@pytest.mark.parametrize(
    ("columns", "line", "says"),
    [
        ("nodule,age", "N1,60", "lacks the column case"),
        ("case,agee", "{case},60", "no clinical variable is called agee"),
        ("case,age", "X,60", "Line 2: the study has no case X"),
        ("case,nodule,age", "{case},N9,60", "Line 2: the study has no nodule N9"),
        ("case,age", "{case},60\n{case},61", "Line 3: case .* is there twice"),
    ],
)
def test_a_table_that_cannot_be_of_this_study_is_refused_whole(
    study, tmp_path, columns, line, says
):
    file = clinical(tmp_path, line.format(case=study.cases.get()), columns=columns)
    with pytest.raises(CommandError, match=says):
        call_command("predict", study.slug, model="mayo", clinical=file)
    assert not Job.objects.filter(model="mayo").exists()


def test_clinical_variables_are_of_no_use_to_a_network(study, tmp_path):
    file = clinical(tmp_path, columns="case,age")
    with pytest.raises(CommandError, match="demonstration looks at images"):
        call_command("predict", study.slug, clinical=file)
