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
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
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
    Resolver404,
    URLPattern,
    URLResolver,
    get_resolver,
    resolve,
    reverse,
)

from reader_study.actions.cases import site_archive
from reader_study.actions.prediction import record_prediction
from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.reading import lock_unaided, open_reading, submit
from reader_study.actions.reference import load_reference
from reader_study.actions.schedule import closes
from reader_study.actions.study import create_study
from reader_study.dicomweb.metadata import value_of
from reader_study.domain.blinding import Item, visible
from reader_study.domain.design import TRAINING
from reader_study.domain.findings import NO_FINDING
from reader_study.domain.questionnaire import Question
from reader_study.domain.reading import Stage
from reader_study.models import (
    Case,
    Job,
    Membership,
    Nodule,
    Prediction,
    Reading,
    Role,
    Series,
    Study,
    User,
)

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
SAFE = {"get", "head", "options"}
# Where a reader may get something; whatever is not named here has to refuse.
FOR_READERS = {
    *("home", "login", "logout", "worklist", "skip", "sign", "reading"),
    *("health-live", "health-ready", "display", "api-preferences"),
    *("api-reading", "api-open", "api-draft", "api-lock", "api-submit", "api-ai", "api-events"),
    *("api-metadata", "api-frame", "api-truth"),
    # Of the account: what it is, its password, its second factors.
    *("account", "account_login", "account_logout", "account_change_password", "account_inactive"),
    *(
        "account_set_password",
        "account_reauthenticate",
        "invitation",
        "socialaccount_login_cancelled",
    ),
    *("socialaccount_login_error", "mfa_index", "mfa_reauthenticate", "mfa_activate_totp"),
    *("mfa_list_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn"),
    *("mfa_login_webauthn", "mfa_generate_recovery_codes"),
}
FOR_NOBODY = {
    *("home", "login", "logout", "health-live", "health-ready", "account_login"),
    *("account_logout", "account_inactive", "invitation", "mfa_login_webauthn"),
    *("socialaccount_login_cancelled", "socialaccount_login_error"),
}
# Every answer of these has a new secret or challenge in it, which no case has a part in.
NEVER_TWICE_THE_SAME = {"mfa_activate_totp", "mfa_add_webauthn"}
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
# The one address that may hand out what of the AI may be seen.
AI_ADDRESS = "api-ai"
# And the one that may hand out the truth of a training case.
TRUTH_ADDRESS = "api-truth"
REFERENCE = "the reference standard"
# Who the patient is, in a header of DICOM: accession number, name, identifier, birth date.
IDENTITY = ("00080050", "00100010", "00100020", "00100030")

# What differs between two answers to the same question, and tells nothing.
VARYING = re.compile(
    rb'name=\\?"csrfmiddlewaretoken\\?" value=\\?"[^"\\]*\\?"'
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)"
    rb"|Expires: [^\n]*|reread-[0-9a-f]{32}|\d\d:\d\d UTC"
)
# Numbers as precise as no form writes them, and hashes: what real predictions are known by.
TELLING = re.compile(rb"\d\.\d{6,}|\b[0-9a-f]{64}\b")

CALLS = 15
ROUNDS = 3
# A difference in time that readers could use: smaller ones drown in those of a network.
SLOWER_S = 0.005
SLOWER_BY = 0.25


class Finding(NamedTuple):
    """What somebody got by one call that they must not get."""

    who: str
    call: str
    problem: str

    def __str__(self) -> str:
        return f"{self.call} as {self.who}: {self.problem}"


class Address(NamedTuple):
    """One address of the site: its route, its name, and the parts to be filled in."""

    route: str
    name: str
    parts: frozenset[str]


class Visitor(NamedTuple):
    """Somebody who calls: `mine` is their reading, `plain` a like one without a prediction.

    `truth` where theirs is of a training case whose truth they may see.
    """

    who: str
    user: User | None
    mine: Reading
    plain: Reading | None
    shown: tuple[Item, ...]
    truth: bool = False


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


def addresses(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[Address]:
    """Yield every address below `patterns`."""
    for pattern in patterns:
        route, parts = str(pattern.pattern), frozenset(pattern.pattern.converters)
        if isinstance(pattern, URLResolver):
            for inner in addresses(pattern.url_patterns):
                yield Address(route + inner.route, inner.name, parts | inner.parts)
        else:
            yield Address(route, pattern.name or "", parts)


def check_blinding(
    study: Study, *, now: datetime, progress: Callable[[str, int, int], None]
) -> Report:
    """Walk the site and take everything back.

    Raises:
        ValueError: the study has no case to walk with.
    """
    with transaction.atomic(), override_settings(**OF_THE_WALK):
        cache.clear()
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
        self.study = study
        self.now = now
        self.progress = progress
        self.addresses = list(addresses(get_resolver().url_patterns))
        self.client = Client(raise_request_exception=False, HTTP_HOST=_host())
        self.mark = secrets.token_hex(6)
        self.hidden = Hidden(study, self.mark)
        self.findings: dict[Finding, None] = {}
        self.calls = self.files = 0
        self.visitors = self._set_up()

    def report(self) -> Report:
        return Report(
            len(self.addresses), len(self.visitors), self.calls, self.files, list(self.findings)
        )

    # A study of its own

    def _set_up(self) -> list[Visitor]:
        series = Series.objects.filter(case__study=self.study, nodules__isnull=False).first()
        if series is None:
            raise ValueError(f"the study {self.study.slug!r} has no case with a nodule")
        self.series = series
        self.hidden.identify(series)
        self.own = create_study(
            slug=f"blinding-check-{self.mark}", document=self.study.protocol, now=self.now
        )
        self.own.allocated_at = self.own.opened_at = self.now
        self.own.save(update_fields=["allocated_at", "opened_at"])
        visitors = []
        design = self.own.rules.design
        for arm in design.every_arm:
            for stage in (Stage.ASSIGNED, *arm.path, Stage.SUBMITTED):
                reader = self._reader(f"{arm.name} {stage}")
                case, plain = self._case(), self._case()
                # What a case that comes back showed must not be read up meanwhile.
                over = stage is Stage.SUBMITTED and closes(self.own.rules)
                visitors.append(
                    Visitor(
                        f"a reader whose reading is {stage} ({arm.name})",
                        reader.user,
                        self._reading(reader, case, arm.name, stage, 1),
                        self._reading(reader, plain, arm.name, stage, 2),
                        () if over else visible(stage, arm.shows(stage)),
                    )
                )
                if design.training and design.training.feedback:
                    visitors.append(self._trainee(arm.name, stage))
        # Those who have seen the AI go first: nothing of it may stay behind in a cache.
        visitors.sort(key=lambda visitor: not visitor.shown)
        ahead = visitors[0].mine
        return [*visitors, Visitor("nobody", None, ahead, None, ())]

    def _trainee(self, arm: str, stage: Stage) -> Visitor:
        """Somebody who reads a training case; its truth is theirs to see in the end."""
        reader, case = self._reader(f"training {arm} {stage}"), self._case()
        case.training = True
        case.save(update_fields=["training"])
        reading = self._reading(reader, case, arm, stage, 1, session=TRAINING)
        over = stage is Stage.SUBMITTED
        shown = self.own.rules.design.arm(arm).shows(stage)
        return Visitor(
            f"a reader whose training reading is {stage} ({arm})",
            reader.user,
            reading,
            None,
            () if over and closes(self.own.rules) else visible(stage, shown),
            truth=over,
        )

    def _reader(self, name: str) -> Membership:
        number = Membership.objects.filter(study=self.own).count() + 1
        user = User.objects.create_user(username=f"check-{self.mark}-{number}")
        return Membership.objects.create(
            study=self.own, user=user, role=Role.READER, pseudonym=f"R{number:02}"
        )

    def _case(self) -> Case:
        number = Case.objects.filter(study=self.own).count() + 1
        case = Case.objects.create(study=self.own, pseudonym=f"C{number:02}", subject=f"S{number}")
        nodules = list(self.series.nodules.all())
        given = self.own.rules.findings.has_given
        copy = Series.objects.get(pk=self.series.pk)
        copy.pk, copy.case = None, case
        copy._state.adding = True
        copy.save()
        for nodule in nodules:
            nodule.pk, nodule.series = None, copy
            nodule._state.adding = True
            if not given:  # then where it lies is hidden, too
                nodule.x, nodule.y, nodule.z = (_number() for _ in "xyz")
                self.hidden.hide_place(nodule)
            nodule.save()
        return case

    def _reading(
        self,
        reader: Membership,
        case: Case,
        arm: str,
        stage: Stage,
        position: int,
        session: int = 1,
    ) -> Reading:
        reading = Reading.objects.create(
            reader=reader, case=case, arm=arm, position=position, session=session
        )
        by: dict[str, Any] = {"reader": reader.user, "reading_id": reading.pk, "now": self.now}
        if stage is not Stage.ASSIGNED:
            open_reading(**by)
        reading.refresh_from_db()
        while reading.stage != stage:
            step = lock_unaided if reading.stage == Stage.UNAIDED else submit
            step(**by, answers=_complete(self.own, case))
            reading.refresh_from_db()
        return reading

    def _predict(self) -> None:
        """Give every case of a visitor its predictions and its truth, all of them marked."""
        for visitor in self.visitors[:-1]:
            for nodule in Nodule.objects.filter(series__case=visitor.mine.case_id):
                job = Job.objects.create(
                    nodule=nodule,
                    model=self.own.rules.ai.model,
                    asked_at=self.now,
                    retry_at=self.now + timedelta(days=1),
                )
                record_prediction(
                    job_id=job.pk, message=marked_result(self.own, self.mark), now=self.now
                )
                load_reference(
                    nodule=nodule,
                    malignant=True,
                    source=f"source {self.mark}",
                    detail={"panel": f"panel {self.mark}"},
                    now=self.now,
                )
        self.hidden.add(Prediction.objects.filter(job__nodule__series__case__study=self.own))

    # The walk

    def everything(self) -> None:
        """Call everything before there is a prediction, and after."""
        before = {}
        for number, visitor in enumerate(self.visitors):
            self.progress("without predictions", number, len(self.visitors))
            if not visitor.shown:
                before[visitor.who] = dict(self._visit(visitor))
        self._predict()
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
                for method in METHODS:
                    call = _Call(method, address, reading, reading == visitor.mine)
                    yield call, self._call(call, visitor)
                    if visitor.user and not self._session():
                        self.client.force_login(visitor.user)

    def _session(self) -> str:
        cookie = self.client.cookies.get(settings.SESSION_COOKIE_NAME)
        return cookie.value if cookie else ""

    def _path(self, address: Address, reading: Reading) -> str:
        """Fill the parts of an address in.

        Raises:
            KeyError: for one of its parts no sample is known.
        """
        uids = [self.series.study_uid, self.series.series_uid, self.hidden.instance]
        if "reading_id" in address.parts:
            uids = [pseudonym(reading, uid) for uid in uids]
        values = {
            "slug": self.own.slug,
            "reading_id": reading.pk,
            **dict(zip(("study_uid", "series_uid", "instance_uid"), uids, strict=True)),
            "frames": "1",
            "number": 1,
            "session": 1,
            "pk": 1,
            "uidb64": "MQ",
            "token": "set-password",
            "name": "results.json",
        }
        return reverse(address.name, kwargs={part: values[part] for part in address.parts})

    def _call(self, call: "_Call", visitor: Visitor) -> Answer:
        self.calls += 1
        path = self._path(call.address, call.reading)
        more: dict[str, Any] = {}
        if call.method not in SAFE:
            body = {
                "stage": visitor.mine.stage,
                "version": 0,
                "answers": _complete(self.own, visitor.mine.case),
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
            head.encode(),
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
            for link in _links(answer.body):
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

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.address.route}"

    def __hash__(self) -> int:
        return hash((self.method, self.address, self.reading.pk))


class Hidden:
    """What must not be seen: of the check's own predictions, of the study's, and of the patient."""

    def __init__(self, study: Study, mark: str) -> None:
        self._mark = mark.encode()
        self._real: set[bytes] = set()
        self._items: dict[bytes, Item | None] = {}
        self._identity: dict[bytes, str] = {}
        self.instance = ""
        stored = Prediction.objects.filter(job__nodule__series__case__study=study)
        for prediction in stored.iterator(100):
            self._real |= {prediction.bundle_hash.encode(), prediction.input_hash.encode()}
            for number in (prediction.probability, prediction.probability_raw):
                self._real.update(TELLING.findall(str(number).encode()))

    def identify(self, series: Series) -> None:
        """Note who the patient is, and where the archive keeps the series."""
        headers = site_archive().series_metadata(series.study_uid, series.series_uid)
        self.instance = str(value_of(headers[0], "00080018"))
        for uid in (series.study_uid, series.series_uid, self.instance):
            self._identity[uid.encode()] = "a UID of the archive"
        for tag in IDENTITY:
            value = value_of(headers[0], tag)
            text = value.get("Alphabetic", "") if isinstance(value, dict) else str(value or "")
            for part in text.split("^"):
                if len(part) > 3:
                    self._identity[part.encode()] = "who the patient is"

    def hide_place(self, nodule: Nodule) -> None:
        """Note where a nodule lies of which only the AI may tell."""
        for number in nodule.centre_mm:
            self._items[str(number).encode()] = None

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Note what the check's own predictions say."""
        for prediction in predictions:
            bundle = prediction.bundle
            parts: dict[Item | None, Any] = {
                Item.SCORE: [
                    *(bundle["probability"], bundle["probability_raw"]),
                    prediction.model_version.card.get("calibration"),
                ],
                Item.SEMANTIC: bundle["semantic"],
                Item.SALIENCY: [
                    *(plane["relevance"] for plane in bundle["planes"]),
                    *(plane["weight"] for plane in bundle["planes"]),
                    bundle["relevance_scale"],
                    bundle["faithfulness"],
                ],
                Item.SIMILAR: [
                    [one[name] for name in ("distance", "diameter_mm", "truth", "thumbnail")]
                    for one in bundle["similar"]
                ],
                Item.REFERENCE: [
                    *(bundle["embedding"], prediction.bundle_hash, bundle["input_hash"]),
                    bundle["likeness"],
                ],
            }
            for item, values in parts.items():
                for text in _leaves(values):
                    self._items[text.encode()] = item

    def of_the_ai(self, content: bytes) -> list[tuple[Item | None, str]]:
        """Return what of AI and truth is in `content`: which item, and in words."""
        found: list[tuple[Item | None, str]] = []
        for text in set(TELLING.findall(content)):
            if text in self._items:
                item = self._items[text]
                kind = f"the AI's {item}"
                if item is Item.REFERENCE:
                    kind = "the AI's output"
                if item is None:
                    kind = "the place of a nodule that nobody is told of"
                found.append((item, f"{kind} ({text.decode()})"))
            elif text in self._real:
                found.append((Item.REFERENCE, f"a prediction of the study ({text.decode()})"))
        if any(word + self._mark in content for word in (b"source ", b"panel ")):
            found.append((Item.REFERENCE, REFERENCE))
        if b"model " + self._mark in content:
            found.append((None, "the AI's name"))
        return found

    def within(self, content: bytes) -> list[tuple[Item | None, str]]:
        """Return what of all that is hidden is in `content`."""
        identity = {what for text, what in self._identity.items() if text in content}
        return [*self.of_the_ai(content), *((Item.REFERENCE, what) for what in identity)]


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for inner in value.values():
                yield from _leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case _:
            yield str(value)


def _number() -> float:
    return float(f"0.{secrets.randbelow(9 * 10**13) + 10**13}")


def marked_result(study: Study, mark: str) -> dict[str, Any]:
    """Return a worker's answer in which every number is unlike any other."""
    number = _number
    questions = [q for q in study.rules.questionnaire.nodule if q.semantic and q.options]
    semantic = {q.name: {o.value: number() for o in q.options} for q in questions}
    plane = {"centre_mm": [0, 0, 0], "row": [1, 0, 0], "column": [0, 1, 0], "cell_mm": 7.0}
    return {
        "status": "done",
        "model": {
            "name": study.rules.ai.model,
            "version": "1",
            **{name: secrets.token_hex(32) for name in ("hash", "weights_hash", "code_hash")},
            "demonstration": False,
            "title": f"model {mark}",
            "notice": f"notice of model {mark}",
            "backbone": f"backbone of model {mark}",
            "token_mm": 7.0,
            "calibration": [
                {
                    **{name: number() for name in ("low", "high", "mean_probability")},
                    **{name: number() for name in ("share", "lower", "upper")},
                    "n": 9,
                }
            ],
        },
        "input_hash": secrets.token_hex(32),
        "probability": number(),
        "probability_raw": number(),
        "semantic": semantic,
        "planes": [
            {"name": name, "weight": number(), "relevance": [[number(), number()]], **plane}
            for name in ("axial", "coronal", "sagittal")
        ],
        "relevance_scale": number(),
        "faithfulness": {"deletion_drop": number(), "random_drop": number()},
        "embedding": [number(), number()],
        "similar": [
            {
                "id": "x",
                "distance": number(),
                "malignant": True,
                "truth": secrets.token_hex(32),
                "diameter_mm": number(),
                "thumbnail": secrets.token_hex(32),
            }
        ],
        "likeness": {"distance": number(), "unlike_above": number(), "unlike": True},
        "device": "cpu",
        "seconds": 1.0,
    }


def _complete(study: Study, case: Case) -> dict[str, Any]:
    """Return answers that are complete."""
    rules = study.rules
    form = rules.questionnaire
    nodules = Nodule.objects.filter(series__case=case).values_list("pk", flat=True)
    answers: dict[str, Any] = {
        "case": {question.name: {"value": _some(question)} for question in form.case},
        "nodules": {},
    }
    if rules.findings.has_given:
        answers["nodules"] = {
            str(nodule): {question.name: {"value": _some(question)} for question in form.nodule}
            for nodule in nodules
        }
    if rules.findings.has_marks:
        answers[NO_FINDING] = True
    return answers


def _some(question: Question) -> Any:
    match question.kind:
        case "single_choice":
            return question.options[0].value
        case "multiple_choice":
            return [question.options[0].value]
        case "text":
            return "text"
    return question.scale.min if question.scale else 1


def _links(page: bytes) -> Iterator[str]:
    """Yield the names of the addresses a page leads to; an empty one outside of the site."""
    for text in re.findall(rb'(?:href|action|src)="([^"#?]*)', page):
        path = text.decode()
        if not path or path.startswith((settings.STATIC_URL, "data:")):
            continue
        try:
            yield resolve(path).url_name or ""
        except Resolver404:
            yield ""


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
