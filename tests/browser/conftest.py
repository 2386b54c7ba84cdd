"""A real browser on the live site."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.utils import timezone
from playwright.sync_api import Page

import phantom
from launcher.chromium import MISSING, find_chromium
from reader_study.actions.cases import import_cases
from reader_study.actions.prediction import request_predictions
from reader_study.actions.study import add_member, allocate_readings, create_study
from reader_study.models import Nodule, Prediction, Reading, Role, Study
from tests.browser.room import pane, wait_until_loaded
from tests.factories import PASSWORD, a_protocol, a_user
from tests.stack import Workers, wait_until

DOCUMENTED = Path(__file__).parents[2] / "docs" / "images"

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip(MISSING)
    return {
        **browser_type_launch_args,
        "executable_path": str(chromium),
        "args": ARGUMENTS,
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1600, "height": 900}}


@pytest.fixture(autouse=True)
def _built() -> None:
    """Without the built front end there is nothing to test here."""
    assert finders.find(".vite/manifest.json"), "the front end is not built: make install"


class _Requests:
    """How many requests the live server is answering, and since when there is none."""

    def __init__(self) -> None:
        self.open = 0
        self.since = time.monotonic()

    def began(self, **_: object) -> None:
        self.open += 1

    def ended(self, **_: object) -> None:
        self.open -= 1
        self.since = time.monotonic()

    def quiet(self) -> bool:
        return self.open <= 0 and time.monotonic() - self.since > 0.3


@pytest.fixture(autouse=True)
def _settled(live_server: Any, transactional_db: None) -> Iterator[None]:
    """Let the server answer what a closing page still sends, before the tables are emptied.

    A request that goes on while they are truncated can end in a deadlock.
    """
    requests = _Requests()
    request_started.connect(requests.began)
    request_finished.connect(requests.ended)
    yield
    requests.since = time.monotonic()
    wait_until(requests.quiet, "the last requests are answered", 30)
    request_started.disconnect(requests.began)
    request_finished.disconnect(requests.ended)


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """A page on which no script may fail and no policy be broken."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    yield page
    assert problems == []


@pytest.fixture
def workers(live_server: Any, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(live_server.url, tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots for the documents go: into them with PICTURES=1, else aside."""
    if os.environ.get("PICTURES") != "1":
        return tmp_path_factory.mktemp("pictures")
    DOCUMENTED.mkdir(exist_ok=True)
    return DOCUMENTED


def a_study_with_members(title: str, document: dict[str, Any] | None = None) -> Study:
    """A study without cases, with a reader and a coordinator; by the demonstration's protocol."""
    protocol = {**(document or a_protocol()), "title": title}
    study = create_study(slug="study", document=protocol, now=timezone.now())
    for name, role, pseudonym in (
        ("reader", Role.READER, "R01"),
        ("coordinator", Role.COORDINATOR, "Desk"),
    ):
        user = a_user(username=name, password=PASSWORD)
        add_member(study=study, user=user, role=role, pseudonym=pseudonym)
    return study


def predict_all(study: Study, workers: Workers) -> None:
    """Deal the cases out and have them predicted; the study then opens by itself."""
    allocate_readings(study=study, now=timezone.now())
    workers.start_site()
    workers.start_inference()
    request_predictions(study=study, now=timezone.now())
    nodules = Nodule.objects.of_study(study).count()
    wait_until(lambda: Prediction.objects.count() == nodules, "all nodules are predicted", 240)
    wait_until(lambda: Study.objects.get(pk=study.pk).opened_at, "the study is open")


@pytest.fixture
def lidc_study(lidc: Path, workers: Workers) -> Study:
    """The complete series LIDC-IDRI-0063, predicted, for one reader and a coordinator."""
    study = a_study_with_members("LIDC-IDRI-0063")
    call_command("import_lidc", str(folder_of(lidc, "0063")), study=study.slug)
    predict_all(study, workers)
    return study


@pytest.fixture
def generated_study(workers: Workers, tmp_path: Path) -> Study:
    """A generated case, predicted, for one reader and a coordinator."""
    study = a_study_with_members("Lung nodules with and without AI")
    folder = tmp_path / "ct"
    (case,) = phantom.demo_cases(1)
    phantom.write_case(case, folder)
    phantom.write_nodules_csv([case], folder / "nodules.csv")
    import_cases(study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now())
    predict_all(study, workers)
    return study


@pytest.fixture
def images_study(live_server: Any, tmp_path: Path) -> Study:
    """A generated case for one reader, open although nothing has been predicted for it."""
    return a_study_of_images([phantom.demo_cases()[8]], tmp_path / "ct")


@pytest.fixture
def two_cases(live_server: Any, tmp_path: Path) -> Study:
    """Two generated cases for one reader, of which the first has been read already."""
    study = a_study_of_images(phantom.demo_cases()[7:9], tmp_path / "ct")
    submit_first(study)
    return study


def a_study_of_images(
    cases: Sequence[phantom.Case], folder: Path, document: dict[str, Any] | None = None
) -> Study:
    study = a_study_with_members("Images alone", document)
    for case in cases:
        phantom.write_case(case, folder / case.patient_id)
    phantom.write_nodules_csv(cases, folder / "nodules.csv")
    import_cases(study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now())
    return open_without_ai(study)


def submit_first(study: Study) -> None:
    """Let the first case be read already: its page shows the images and leads to the next."""
    Reading.objects.filter(reader__study=study, position=1).update(
        stage="submitted",
        version=study.versions.get(),
        opened_at=timezone.now(),
        submitted_at=timezone.now(),
    )


@pytest.fixture
def lidc_images_study(lidc: Path, live_server: Any) -> Study:
    """Two complete series of LIDC-IDRI for one reader, open although nothing is predicted."""
    study = a_study_with_members("LIDC-IDRI")
    call_command("import_lidc", str(lidc), study=study.slug)
    return open_without_ai(study)


def open_without_ai(study: Study) -> Study:
    """Deal the cases out and let reading begin: for tests of the images alone."""
    allocate_readings(study=study, now=timezone.now())
    Study.objects.filter(pk=study.pk).update(opened_at=timezone.now())
    study.refresh_from_db()
    return study


def folder_of(lidc: Path, patient: str) -> Path:
    """The folder of one patient among the unpacked series."""
    (folder,) = [path for path in lidc.iterdir() if patient in path.name]
    return folder


@pytest.fixture
def log_in(page: Page, live_server: Any) -> Callable[[str], None]:
    """Log in through the page, as a user does."""

    def do(name: str) -> None:
        page.context.clear_cookies()
        page.goto(f"{live_server.url}/login")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "/login" not in url)

    return do


@pytest.fixture
def in_the_room(
    page: Page, images_study: Study, log_in: Callable[[str], None]
) -> tuple[Page, Nodule]:
    """The generated case with the images loaded and its first nodule in the middle."""
    log_in("reader")
    page.get_by_role("link", name="Begin with case 1").click()
    wait_until_loaded(page, images_study.cases.get().series.get().slices)
    page.keyboard.press("n")
    page.keyboard.press("N")
    nodule = Nodule.objects.of_study(images_study).order_by("number")[0]
    wait_until(lambda: abs(pane(page)["position_mm"][2] - nodule.z) < 2, "the nodule", 10)
    return page, nodule
