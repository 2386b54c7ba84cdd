"""Whether a reader can see what they must not: every address, as every kind of reader.

The walk calls the site's own code, middleware and URL configuration included, by Django's
test client, in a transaction that is taken back: so it may lock, submit and log out, and
leaves no trace on a site that runs. It makes a study of its own with the protocol and the images
of the one that is checked, since an append to that one's chain would hold up its readers.
What a proxy in front of the site adds is not seen.
"""

import gzip
import json
import logging
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import (
    NoReverseMatch,
    get_resolver,
)

from reader_study.actions.condition import migrated
from reader_study.actions.pseudonyms import pseudonym
from reader_study.management.blinding_addresses import (
    AI_ADDRESS,
    FOR_NOBODY,
    FOR_READERS,
    NEVER_TWICE_THE_SAME,
    TRUTH_ADDRESS,
    Address,
    addresses,
    links,
    sample,
)
from reader_study.management.blinding_hidden import REFERENCE, Finding
from reader_study.management.blinding_study import OwnStudy, Visitor, complete_answers
from reader_study.models import Reading, Study

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
SAFE = {"get", "head", "options"}
# Every call is taken back, and what a cache in the database keeps with it: during the walk
# it is in memory. Nobody counts the walk's attempts to log in.
OF_THE_WALK: dict[str, Any] = {
    "CACHES": {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "blinding-check",
        }
    },
    "ACCOUNT_RATE_LIMITS": False,
    "MFA_RATE_LIMITS": False,
}
# What differs between two answers to the same question, and tells nothing.
VARYING = re.compile(
    rb'name=\\?"csrfmiddlewaretoken\\?" value=\\?"[^"\\]*\\?"'
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)"
    rb"|(?:Expires|X-Request-ID): [^\n]*|reread-[0-9a-f]{32}|\d\d:\d\d UTC"
)
CALLS = 15
ROUNDS = 3
# A difference in time that readers could use: smaller ones drown in those of a network.
SLOWER_S = 0.005
SLOWER_BY = 0.25


class Answer(NamedTuple):
    """What came back."""

    status: int
    head: bytes
    body: bytes
    queries: int
    logged: str
    cookies: bytes

    @property
    def steady(self) -> tuple[int, bytes, bytes]:
        """The answer without what differs from call to call."""
        return self.status, VARYING.sub(b"~", self.head), VARYING.sub(b"~", self.body)


class Report(NamedTuple):
    """What was called, and what was found."""

    addresses: int
    visitors: int
    calls: int
    files: int
    findings: list[Finding]


def check_blinding(
    study: Study, *, now: datetime, progress: Callable[[str, int, int], None]
) -> Report:
    """Walk the site and take everything back.

    Raises:
        ValueError: the study has no case to walk with.
    """
    with transaction.atomic(), override_settings(**OF_THE_WALK):
        cache.clear()
        migrated()  # what is asked once in a process is asked before anything is compared
        try:
            walk = _Walk(study, now, progress)
            walk.everything()
            return walk.report()
        finally:
            transaction.set_rollback(True)


class _Walk:
    def __init__(
        self, study: Study, now: datetime, progress: Callable[[str, int, int], None]
    ) -> None:
        self.progress = progress
        self.addresses = list(addresses(get_resolver().url_patterns))
        self.client = Client(raise_request_exception=False, HTTP_HOST=_host())
        self.own = OwnStudy(study, now)
        self.visitors, self.hidden = self.own.visitors, self.own.hidden
        self.findings: dict[Finding, None] = {}
        self.calls = self.files = 0

    def report(self) -> Report:
        return Report(
            len(self.addresses), len(self.visitors), self.calls, self.files, list(self.findings)
        )

    # The walk

    def everything(self) -> None:
        """Call everything before there is a prediction, and after."""
        before = {}
        for number, visitor in enumerate(self.visitors):
            self.progress("without predictions", number, len(self.visitors))
            if not visitor.shown:
                before[visitor.who] = dict(self._visit(visitor))
        self.own.predict()
        for number, visitor in enumerate(self.visitors):
            self.progress("with predictions", number, len(self.visitors))
            for call, answer in self._visit(visitor):
                self._search(visitor, call, answer)
                if visitor.who in before:
                    self._compare(visitor, call, before[visitor.who][call], answer)
            if not visitor.shown and visitor.plain is not None:
                with _listening():
                    self._time(visitor)
        self._static_files()
        self.progress("with predictions", len(self.visitors), len(self.visitors))

    def _visit(self, visitor: Visitor) -> Iterator[tuple["_Call", Answer]]:
        """Call every address in every way; each call is taken back."""
        if visitor.user is None:
            self.client.logout()
        else:
            self.client.force_login(visitor.user)
        others = [each.mine for each in self.visitors[:-1] if each.mine != visitor.mine]
        # Everybody else's is a reading that does not exist, that of one who is ahead first.
        readings = [visitor.mine, *others[:1], *others[-1:]]
        for address in self.addresses:
            try:
                self._path(address, visitor.mine)
            except (KeyError, NoReverseMatch) as error:
                self._found(visitor.who, address.route, f"no sample is known for it: {error}")
                continue
            for reading in readings if "reading_id" in address.parts else readings[:1]:
                for image in self.own.images if "series_uid" in address.parts else [None]:
                    for method in METHODS:
                        mine = reading == visitor.mine
                        of = tuple(image or self.own.images[0])
                        call = _Call(method, address, reading, mine, of)
                        yield call, self._call(call, visitor)
                        if visitor.user and not self._session():
                            self.client.force_login(visitor.user)

    def _session(self) -> str:
        cookie = self.client.cookies.get(settings.SESSION_COOKIE_NAME)
        return cookie.value if cookie else ""

    def _path(
        self, address: Address, reading: Reading, images: tuple[str, ...] | None = None
    ) -> str:
        uids = list(images or self.own.images[0])
        return sample(address, reading, self.own.study.slug, uids)

    def _call(self, call: "_Call", visitor: Visitor) -> Answer:
        self.calls += 1
        path = self._path(call.address, call.reading, call.images)
        more: dict[str, Any] = {}
        if call.method not in SAFE:
            body = {
                "stage": visitor.mine.stage,
                "version": 0,
                "answers": complete_answers(self.own.study, visitor.mine.case),
                "events": [
                    {"key": str(uuid4()), "kind": "x", "stage": "unaided", "monotonic_ms": 1}
                ],
            }
            more = {"data": json.dumps(body), "content_type": "application/json"}
        # The log holds 9,000 queries, which a whole walk exceeds.
        connection.queries_log.clear()
        with _listening() as logged, transaction.atomic():
            with CaptureQueriesContext(connection) as queries:
                response = getattr(self.client, call.method)(path, **more)
                content = _content(response)
            transaction.set_rollback(True)
        head = "\n".join(f"{name}: {value}" for name, value in sorted(response.headers.items()))
        head += f"\n{response.reason_phrase}"
        return Answer(
            response.status_code,
            # The way to the login page names the address that was asked for: that tells nothing.
            head.replace(path, "").encode(),
            content,
            len(queries),
            "\n".join(logged),
            response.cookies.output().encode(),
        )

    def _found(self, who: str, call: str, problem: str) -> None:
        self.findings[Finding(who, call, problem)] = None

    def _search(self, visitor: Visitor, call: "_Call", answer: Answer) -> None:
        """Look at one answer for what may not be in it, and whether it may be one at all."""

        def found(problem: str) -> None:
            self._found(visitor.who, str(call), problem)

        name = call.address.name
        may = call.mine and name == AI_ADDRESS and call.method == "get"
        told = call.mine and visitor.truth and name == TRUTH_ADDRESS and call.method == "get"
        for item, text in self.hidden.within(answer.head + answer.cookies + answer.body):
            if told and text == REFERENCE:
                continue
            if not (may and (item in visitor.shown or (item is None and visitor.shown))):
                found(f"shows {text}")
        # The operators' log may name a series, though never what the AI or the truth says.
        for _, text in self.hidden.of_the_ai(answer.logged.encode()):
            found(f"writes {text} into the log")
        if not self.own.study.rules.shows_priors(visitor.mine.arm):
            for images in self.own.images[1:]:
                names = [pseudonym(call.reading, uid).encode() for uid in images]
                if any(name in answer.body for name in names):
                    found("names an earlier examination, which the protocol hides")
                if call.images == tuple(images) and answer.status == 200:
                    found("answers about an earlier examination, which the protocol hides")
        if answer.status >= 500:
            found(f"fails with {answer.status}, so that nothing is known of it")
        if not 200 <= answer.status < 300 or call.method == "options":
            return
        allowed = FOR_READERS if visitor.user else FOR_NOBODY
        if name not in allowed:
            found(f"answers {answer.status}, and nothing says that it may")
        elif "reading_id" in call.address.parts and not call.mine:
            found(f"answers {answer.status} about the reading of somebody else")
        if visitor.user and b"no-store" not in answer.head:
            found("may be kept by a cache: Cache-Control does not say no-store")
        if b"text/html" in answer.head and call.method == "get":
            for link in links(answer.body):
                if link not in allowed:
                    found(f"links to {link or 'an address outside of the site'}")

    def _compare(self, visitor: Visitor, call: "_Call", before: Answer, after: Answer) -> None:
        """A case with a prediction has to answer like one without."""
        if call.address.name in NEVER_TWICE_THE_SAME:
            return
        if call.address.name == TRUTH_ADDRESS and visitor.truth and call.mine:
            return
        if before.steady != after.steady:
            parts = zip(("status", "headers", "body"), before.steady, after.steady, strict=True)
            differing = ", ".join(name for name, old, new in parts if old != new)
            problem = f"answers otherwise once there is a prediction ({differing})"
            self._found(visitor.who, str(call), problem)
        elif before.queries != after.queries:
            problem = (
                f"asks the database {after.queries} times once there is a prediction, "
                f"{before.queries} times without"
            )
            self._found(visitor.who, str(call), problem)

    def _time(self, visitor: Visitor) -> None:
        """A case with a prediction has to answer as fast as one without."""
        assert visitor.plain is not None
        for address in self.addresses:
            if address.name not in FOR_READERS or "reading_id" not in address.parts:
                continue
            paths = [self._path(address, reading) for reading in (visitor.mine, visitor.plain)]
            if self.client.get(paths[0]).status_code == 405:
                continue
            slower = [_difference(self.client, *paths)]
            while abs(slower[-1].seconds) > slower[-1].limit and len(slower) < ROUNDS:
                slower.append(_difference(self.client, *paths))
            if len(slower) == ROUNDS and abs(slower[-1].seconds) > slower[-1].limit:
                by = statistics.median(each.seconds for each in slower) * 1000
                problem = f"takes {abs(by):.0f} ms {'more' if by > 0 else 'less'}"
                problem += " for a case with a prediction than for one without"
                self._found(visitor.who, f"GET {address.route}", problem)

    def _static_files(self) -> None:
        """Search what is served to everybody."""
        files = {path for path in Path(settings.STATIC_ROOT).rglob("*") if path.is_file()}
        for finder in get_finders():
            for name, storage in finder.list([]):
                files.add(Path(storage.path(name)))
        for path in sorted(files):
            self.files += 1
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            for _, text in self.hidden.within(content):
                self._found("anybody", f"static file {path.name}", f"shows {text}")


class _Call(NamedTuple):
    method: str
    address: Address
    reading: Reading
    mine: bool
    images: tuple[str, ...]  # the UIDs of study, series and instance

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.address.route}"

    def __hash__(self) -> int:
        return hash((self.method, self.address, self.reading.pk, self.images))


def _host() -> str:
    named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    return named[0] if named else "localhost"


def _content(response: Any) -> bytes:
    return b"".join(response) if response.streaming else bytes(response.content)


class _Difference(NamedTuple):
    seconds: float
    limit: float


def _difference(client: Client, one: str, other: str) -> _Difference:
    """Return how much longer `one` takes than `other`, called in turn, by their lower quartiles."""
    taken: dict[str, list[float]] = {one: [], other: []}
    for path in [one, other] * (CALLS + 1):
        with transaction.atomic():
            began = time.perf_counter()
            _content(client.get(path))
            taken[path].append(time.perf_counter() - began)
            transaction.set_rollback(True)
    # The first call of each fills caches.
    first, second = (statistics.quantiles(taken[path][1:])[0] for path in (one, other))
    return _Difference(first - second, max(SLOWER_S, SLOWER_BY * second))


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Gather what is logged."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener, root = Listener(), logging.getLogger()
    handlers, root.handlers = root.handlers, [listener]
    try:
        yield heard
    finally:
        root.handlers = handlers
