"""The same question asked of the running server: what it sends over HTTP, byte for byte.

`blinding.py` walks the site's code with cases of its own. This calls the server itself, with what
stands in front of it, as the readers of the study: on their own readings, as long as nothing of
the AI may be seen there. It only reads, and leaves nothing behind but lines in the access log; each
reader gets a session for as long as the check lasts.
"""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Max
from django.urls import reverse

from reader_study.actions.cases import site_archive
from reader_study.actions.images import visible_series
from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.reading import visible_items
from reader_study.dicomweb.metadata import value_of
from reader_study.management.blinding_hidden import Finding, Hidden
from reader_study.models import Membership, Reading, Series, Study, User

METHODS = ("GET", "HEAD", "OPTIONS")
PASSING = re.compile(
    rb"(?im)^(date|set-cookie|content-security-policy|expires|x-request-id): [^\r\n]*\r?\n"
)


class Sent(NamedTuple):
    """What a server sent: status, header lines and body."""

    status: int
    head: bytes
    body: bytes


class HttpReport(NamedTuple):
    """What was called, and what was found."""

    readers: int
    readings: int
    calls: int
    files: int
    findings: list[Finding]


def check_server(study: Study, address: str) -> HttpReport:
    """Call the server at `address` as every reader of `study`, and search what it sends.

    Raises:
        ValueError: the study has no case, no reading before its AI, or the server is not there.
    """
    walk = _Walk(study, address)
    try:
        return walk.everything()
    except (OSError, HTTPException) as error:
        raise ValueError(f"the server at {address} does not answer: {error}") from None


class _Walk:
    def __init__(self, study: Study, address: str) -> None:
        self.study = study
        self.parts = urlsplit(address)
        series = Series.objects.filter(case__study=study, nodules__isnull=False).first()
        if series is None:
            raise ValueError(f"the study {study.slug!r} has no case with a nodule")
        self.hidden = Hidden(study, "~")
        self.hidden.identify(series)
        for prior in Series.objects.filter(case=series.case, prior=True):
            self.hidden.identify(prior)
        self.findings: dict[Finding, None] = {}
        self.calls = self.readings = 0

    def everything(self) -> HttpReport:
        readers = list(Membership.objects.readers().filter(study=self.study).select_related("user"))
        for reader in readers:
            with _session(reader.user) as cookie:
                for reading in Reading.objects.filter(reader=reader).select_related(
                    "reader__study", "case"
                ):
                    if reading.opened_at is not None and not visible_items(reading):
                        self._visit(reader, reading, cookie)
        if not self.readings:
            raise ValueError("no reading is begun in which the AI may not be seen yet")
        files = self._static_files()
        return HttpReport(len(readers), self.readings, self.calls, files, list(self.findings))

    def _visit(self, reader: Membership, reading: Reading, cookie: str) -> None:
        self.readings += 1
        who = f"{reader.pseudonym}, whose reading is {reading.stage}"
        for path in (reverse("worklist"), *self._paths(reading)):
            for method in METHODS:
                sent = self._call(method, path, cookie)
                self._search(who, f"{method} {path}", sent)
                if method == "GET" and sent.status != 200:
                    problem = f"answers {sent.status}, so that nothing is known of it"
                    self._found(who, f"GET {path}", problem)
        # The AI's address answers like that of a reading which does not exist.
        nowhere = (Reading.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
        for method in METHODS:
            ai, none = (
                self._call(method, reverse("api-ai", args=[number]), cookie)
                for number in (reading.pk, nowhere)
            )
            call = f"{method} {reverse('api-ai', args=[reading.pk])}"
            self._search(who, call, ai)
            if ai != none:
                self._found(who, call, "answers otherwise than for a reading that does not exist")

    def _paths(self, reading: Reading) -> list[str]:
        paths = [reverse(name, args=[reading.pk]) for name in ("reading", "api-reading")]
        for series in visible_series(reading):
            header = site_archive().series_metadata(series.study_uid, series.series_uid)[0]
            instance = str(value_of(header, "00080018"))
            uids = [pseudonym(reading, uid) for uid in (series.study_uid, series.series_uid)]
            of = {"reading_id": reading.pk, "study_uid": uids[0], "series_uid": uids[1]}
            paths.append(reverse("api-metadata", kwargs=of))
            paths.append(reverse("api-block", kwargs={**of, "frames": "1"}))
            of |= {"instance_uid": pseudonym(reading, instance), "number": 1}
            paths.append(reverse("api-frame", kwargs=of))
        return paths

    def _static_files(self) -> int:
        files = [path for path in Path(settings.STATIC_ROOT).rglob("*") if path.is_file()]
        for path in sorted(files):
            name = quote(path.relative_to(settings.STATIC_ROOT).as_posix())
            sent = self._call("GET", f"{settings.STATIC_URL}{name}", "")
            if sent.status == 200:
                self._search("anybody", f"static file {name}", sent, kept=True)
        return len(files)

    def _call(self, method: str, path: str, cookie: str) -> Sent:
        self.calls += 1
        secure = self.parts.scheme == "https"
        link = (HTTPSConnection if secure else HTTPConnection)(self.parts.netloc, timeout=30)
        try:
            headers = {"Accept-Encoding": "gzip", "Accept": "*/*"}
            link.request(method, path, headers={**headers, "Cookie": cookie} if cookie else headers)
            answer = link.getresponse()
            body = answer.read()
            head = "".join(f"{name}: {value}\n" for name, value in answer.getheaders())
            if answer.getheader("Content-Encoding") == "gzip" and body:
                body = gzip.decompress(body)
            return Sent(answer.status, PASSING.sub(b"", head.encode()), body)
        finally:
            link.close()

    def _search(self, who: str, call: str, sent: Sent, *, kept: bool = False) -> None:
        for _, text in self.hidden.within(sent.head + sent.body):
            self._found(who, call, f"sends {text}")
        if sent.status >= 500:
            self._found(who, call, f"fails with {sent.status}, so that nothing is known of it")
        if not kept and sent.status == 200 and b"no-store" not in sent.head:
            self._found(who, call, "may be kept by a cache: Cache-Control does not say no-store")

    def _found(self, who: str, call: str, problem: str) -> None:
        self.findings[Finding(who, call, problem)] = None


@contextmanager
def _session(user: User) -> Iterator[str]:
    """A session of `user` at the server, as a cookie."""
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.set_expiry(600)
    session.save()
    try:
        yield f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    finally:
        session.delete()
