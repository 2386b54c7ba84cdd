"""The check of blinding finds each kind of leak put in on purpose, and none on an honest site."""

import io
import logging
import time

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.urls import clear_url_caches, path

from reader_study import urls
from reader_study.actions.cases import site_archive
from reader_study.actions.reference import load_reference
from reader_study.api import ai, images, shown
from reader_study.api import readings as api
from reader_study.api.access import ReaderView
from reader_study.dicomweb import metadata
from reader_study.domain.blinding import Item
from reader_study.domain.errors import StudyNotOpen
from reader_study.domain.reading import Stage
from reader_study.management import blinding, blinding_study
from reader_study.models import Job, Membership, Nodule, Prediction, Reading, Series, Study, User
from reader_study.models.reference import ReferenceStandard
from reader_study.pages import study as study_page
from tests.dicomweb.series import a_series
from tests.domain.designs import CROSSOVER
from tests.factories import (
    NOW,
    a_case,
    a_prediction,
    a_protocol,
    a_reading,
    a_study,
    free_response,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(settings, tmp_path):
    """A study with one case, its images, its prediction and its truth."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    reading = a_reading(stage=Stage.AIDED)
    store_images(reading.case, tmp_path / "series")
    a_prediction(Nodule.objects.get(), 0.731234567)
    load_reference(nodule=Nodule.objects.get(), malignant=True, source="pathology", now=NOW)
    return reading.reader.study


def store_images(case, folder):
    """Put the images of a case into the archive."""
    series = case.series.get()
    files = a_series(folder, slices=2, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)


@pytest.fixture
def quick(monkeypatch):
    """Leave out what is not the matter: the measurement of times, and most ways to call."""
    monkeypatch.setattr(blinding, "METHODS", ("get",))
    monkeypatch.setattr(blinding._Walk, "_time", lambda walk, visitor: None)


@pytest.fixture
def put_first(monkeypatch):
    """Give the site one more address, before all others."""

    def put(new):
        monkeypatch.setattr(urls, "urlpatterns", [new, *urls.urlpatterns])
        clear_url_caches()

    yield put
    monkeypatch.undo()
    clear_url_caches()


def check(study):
    """What the command says; every line but the last is a leak."""
    out = io.StringIO()
    try:
        call_command("check_blinding", study.slug, stdout=out)
    except CommandError as error:
        return [*out.getvalue().splitlines(), str(error)]
    return out.getvalue().splitlines()


def test_an_honest_site_has_no_leak_and_the_check_leaves_no_trace(study):
    tables = (Study, User, Membership, Reading, Prediction, Job, ReferenceStandard)
    before = [table.objects.count() for table in tables]

    said = check(study)

    assert [line for line in said if not line.startswith("no leak found:")] == []
    assert [table.objects.count() for table in tables] == before


def test_in_free_response_the_places_of_nodules_are_looked_for(study, quick, tmp_path, monkeypatch):
    searching = a_study(**free_response())
    store_images(a_case(searching), tmp_path / "searching")
    (said,) = check(searching)
    assert said.startswith("no leak found:")

    # A room that names nodules as where they are given tells where they lie.
    monkeypatch.setattr(
        shown, "nodules_of", lambda reading: Nodule.objects.filter(series__case=reading.case_id)
    )
    found = check(searching)
    assert any("the place of a nodule that nobody is told of" in line for line in found)


def test_earlier_examinations_are_looked_for_where_the_protocol_hides_them(
    study, quick, tmp_path, monkeypatch
):
    searching = a_study(images={"priors": "hidden"})
    case = a_case(searching)
    store_images(case, tmp_path / "current")
    files = a_series(tmp_path / "prior", slices=2, study="1.2.840.5", series="1.2.840.5.1")
    site_archive().store("1.2.840.5", "1.2.840.5.1", files)
    Series.objects.create(
        case=case, study_uid="1.2.840.5", series_uid="1.2.840.5.1", slices=2, prior=True
    )
    (said,) = check(searching)
    assert said.startswith("no leak found:")

    everything = lambda reading: Series.objects.filter(case=reading.case_id)  # noqa: E731
    monkeypatch.setattr(images, "visible_series", everything)
    monkeypatch.setattr(shown, "series_of", everything)
    found = "\n".join(check(searching))
    assert "metadata as a reader whose reading is unaided (sequential): answers about" in found
    assert "api/readings/<int:reading_id> as a reader whose" in found
    assert "names an earlier examination, which the protocol hides" in found

    # Where readers see it, the same is no leak; its date would be one.
    monkeypatch.undo()
    monkeypatch.setattr(blinding, "METHODS", ("get",))
    monkeypatch.setattr(blinding._Walk, "_time", lambda walk, visitor: None)
    Study.objects.filter(pk=searching.pk).update(protocol=a_protocol())
    (said,) = check(searching)
    assert said.startswith("no leak found:")
    monkeypatch.setitem(metadata.ALLOWED, "00080020", lambda values: True)
    assert any("shows the date of an examination" in line for line in check(searching))


def test_a_design_with_arms_is_walked_in_each_of_them(study, quick, tmp_path):
    crossover = a_study(design=CROSSOVER)
    store_images(a_case(crossover), tmp_path / "crossover")

    (said,) = check(crossover)

    assert said.startswith("no leak found:")
    # Assigned, answering and submitted, with and without AI, and nobody.
    assert "as 7 kinds of visitor" in said


def before_the_lock(lines):
    return [line for line in lines if "is unaided" in line or "is assigned" in line]


def test_a_field_of_a_serializer(study, quick, monkeypatch):
    honest = api.describe

    def leaky(reading):
        found = Prediction.objects.filter(job__nodule__series__case=reading.case_id).first()
        return {**honest(reading), "study": str(found.probability if found else "")}

    monkeypatch.setattr(api, "describe", leaky)

    found = before_the_lock(check(study))

    assert any(
        line.startswith("GET api/readings/<int:reading_id> as a reader whose reading is unaided")
        and "shows the AI's score" in line
        for line in found
    )


def test_a_hint_that_shows_no_number(study, quick, monkeypatch):
    honest = api.describe

    def leaky(reading):
        found = Prediction.objects.filter(job__nodule__series__case=reading.case_id).exists()
        return {**honest(reading), "study": "Seen" if found else "Study"}

    monkeypatch.setattr(api, "describe", leaky)

    assert any(
        "GET api/readings/<int:reading_id>" in line
        and "answers otherwise once there is a prediction (headers, body)" in line
        for line in before_the_lock(check(study))
    )


def test_a_static_file(study, quick, settings):
    (settings.STATIC_ROOT / "bundles.json").write_text(Prediction.objects.get().bundle_hash)

    found = check(study)

    assert found[0].startswith("static file bundles.json as anybody: shows a prediction")


def test_the_text_of_an_error(study, quick, monkeypatch):
    def leaky(*, reader, reading_id, now):
        asked = Prediction.objects.filter(job__nodule__series__case__readings=reading_id).first()
        raise StudyNotOpen(f"Not before the lock: {asked.probability if asked else None}")

    monkeypatch.setattr(ai, "show_ai", leaky)

    assert any(
        line.startswith("GET api/readings/<int:reading_id>/ai") and "shows the AI's score" in line
        for line in before_the_lock(check(study))
    )


def test_an_answer_kept_by_a_cache(study, quick, monkeypatch):
    honest = ai.AiView.get

    def leaky(view, request, reading_id):
        kept = cache.get(request.path)
        if kept is None:
            kept = honest(view, request, reading_id)
            cache.set(request.path, kept.data)
            return kept
        return api.Response(kept)

    monkeypatch.setattr(ai.AiView, "get", leaky)

    found = check(study)

    assert any(
        "GET api/readings/<int:reading_id>/ai" in line and "the reading of somebody else" in line
        for line in before_the_lock(found)
    )


def test_an_answer_that_a_proxy_would_keep(study, quick, monkeypatch):
    honest = ReaderView.finalize_response

    def leaky(view, request, response, *args, **kwargs):
        response = honest(view, request, response, *args, **kwargs)
        response["Cache-Control"] = "private, max-age=60"
        return response

    monkeypatch.setattr(ReaderView, "finalize_response", leaky)

    found = before_the_lock(check(study))

    assert any("may be kept by a cache" in line for line in found)


def test_a_page_of_somebody_else_and_the_link_to_it(study, quick, put_first, monkeypatch):
    monkeypatch.setattr(
        study_page, "member", lambda request, slug, *roles: Study.objects.get(slug=slug)
    )
    page = path(
        "worklist",
        lambda request: HttpResponse('<a href="/studies/x/">Study</a>'),
        name="worklist",
    )
    put_first(page)

    found = before_the_lock(check(study))

    assert any("GET studies/<slug:slug>/ " in f and "nothing says that it may" in f for f in found)
    assert any("GET worklist" in line and "links to study" in line for line in found)


def test_the_time_an_answer_takes(study, monkeypatch):
    monkeypatch.setattr(blinding, "METHODS", ())
    honest = api.describe

    def leaky(reading):
        found = Prediction.objects.filter(job__nodule__series__case=reading.case_id)
        if found.exists():
            time.sleep(0.2)  # far beyond what a busy machine makes of the limit
        return honest(reading)

    monkeypatch.setattr(api, "describe", leaky)

    assert any(
        "GET api/readings/<int:reading_id> as" in line
        and "more for a case with a prediction" in line
        for line in before_the_lock(check(study))
    )


def test_what_is_written_into_the_log(study, quick, monkeypatch):
    honest = api.describe

    def leaky(reading):
        for prediction in Prediction.objects.filter(job__nodule__series__case=reading.case_id):
            logging.getLogger("leaky").warning("%s", prediction.probability)
        return honest(reading)

    monkeypatch.setattr(api, "describe", leaky)

    assert any("into the log" in line for line in before_the_lock(check(study)))


def test_what_the_condition_does_not_show(study, quick, monkeypatch):
    monkeypatch.setattr(
        blinding_study, "visible", lambda stage, shows: (Item.SCORE,) if shows else ()
    )

    found = check(study)

    assert any("shows the AI's saliency" in line for line in found)
    assert not any("shows the AI's score" in line for line in found if "is aided" in line)


def test_an_address_without_a_sample(study, quick, put_first):
    new = path("new/<str:unheard_of>", lambda request, unheard_of: HttpResponse(), name="new")
    put_first(new)

    found = check(study)

    assert any(line.startswith("new/<str:unheard_of>") and "no sample" in line for line in found)


def test_an_address_nobody_said_readers_may_use(study, quick, put_first):
    new = path("new", lambda request: HttpResponse("harmless"), name="new")
    put_first(new)

    assert any("GET new" in f and "nothing says that it may" in f for f in check(study))


def test_a_study_without_cases_says_so():
    study = a_study()
    a_case(study, nodules=0)
    with pytest.raises(CommandError, match="has no case with a nodule"):
        call_command("check_blinding", study.slug)
