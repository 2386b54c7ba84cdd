"""No page asks the database more often because there are more readings."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse

from reader_study.domain.reading import Stage
from reader_study.management.blinding_addresses import addresses
from reader_study.models import Reading, Role
from tests.factories import a_member, a_prediction, a_reading, a_study

pytestmark = pytest.mark.django_db

# Files that are made of all readings, in pieces; their queries are tested where they are made.
FILES = {"study-export", "study-archive", "api-desk-export", "api-desk-archive"}


def pages(reading):
    """Every address of a study, and those of a reader and of one reading, to be asked with GET."""
    slug = reading.reader.study.slug
    known = {"slug": slug, "study": slug, "reading_id": reading.pk}
    for address in addresses(get_resolver().url_patterns):
        if address.name in FILES or address.route.startswith(("account/", "dicomweb")):
            continue
        if address.parts <= known.keys() and address.name:
            yield address.name, reverse(address.name, kwargs={p: known[p] for p in address.parts})


def counted(users, reading):
    """How many queries each page takes, by whom and name; only of pages that are shown."""
    found = {}
    for who, user in users.items():
        client = Client(raise_request_exception=True)
        client.force_login(user)
        for name, path in pages(reading):
            client.get(path)  # what is kept once a process is not counted
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(path)
            if answer.status_code == 200 and name != "logout":
                found[who, name] = [query["sql"][:200] for query in queries]
            if name in {"logout", "account_logout"}:
                client.force_login(user)
    return found


def more(study, readers):
    """Readers who have read, are reading, and have not begun, each with several readings."""
    for _ in range(readers):
        reader = a_member(study)
        for stage in (Stage.SUBMITTED, Stage.AIDED, Stage.UNAIDED, Stage.ASSIGNED):
            reading = a_reading(study=study, reader=reader, stage=stage)
            a_prediction(reading.case.series.get().nodules.get())


def test_no_page_asks_more_often_when_there_are_more_readings():
    study = a_study()
    more(study, readers=2)
    reading = Reading.objects.filter(stage=Stage.AIDED.value).order_by("pk")[0]
    users = {
        "coordinator": a_member(study, role=Role.COORDINATOR).user,
        "investigator": a_member(study, role=Role.INVESTIGATOR).user,
        "reader": reading.reader.user,
    }
    before = counted(users, reading)

    more(study, readers=5)
    for _ in range(6):  # and of the very reader whose worklist is asked for
        a_reading(study=study, reader=reading.reader, stage=Stage.SUBMITTED)
    after = counted(users, reading)

    grown = {
        page: (len(before[page]), len(after[page]), sorted(set(after[page]) - set(before[page])))
        for page in before
        if page in after and len(after[page]) > len(before[page])
    }
    assert grown == {}
    shown = {name for _, name in before}
    assert {"worklist", "reading", "api-reading", "study", "study-progress", "study-conduct",
            "study-people", "study-cases", "study-lock"} <= shown  # fmt: skip
