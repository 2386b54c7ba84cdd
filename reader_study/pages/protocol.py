"""The coordinator's page of a protocol: its text, what it comes to, and its versions."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reader_study.actions.planning import FITS, PER_DAY, TEMPLATES, plan, template
from reader_study.actions.protocol import amend_protocol, history, phase_of
from reader_study.actions.study import create_with_desk, may_create_studies
from reader_study.domain.design import TRAINING, conditions
from reader_study.domain.dry_run import balance
from reader_study.domain.errors import AllocationImpossible, Refusal
from reader_study.domain.protocol import Protocol, protocol_schema
from reader_study.domain.protocol_file import read_with_lines, write_protocol
from reader_study.exports.example import example_table
from reader_study.models import Role, Study, User
from reader_study.pages.access import member

SIZE_LIMIT = 200_000
MANY = 40_000  # readings, whose plan takes half a second


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def protocol(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the protocol as text; check what was written, or put it in force."""
    may_look = (Role.COORDINATOR, Role.INVESTIGATOR)
    found = member(request, slug, *(may_look[:1] if request.method == "POST" else may_look))
    assert isinstance(request.user, User)  # whom `member` lets through
    versions = history(found)
    last = versions[-1].version
    text = last.source or write_protocol(last.rules)
    reason, refusal, rules, status = "", None, last.rules, 200
    if request.method == "POST":
        text = request.POST.get("text", "")[:SIZE_LIMIT].replace("\r\n", "\n")
        reason = request.POST.get("reason", "")
        try:
            rules, lines = read_with_lines(text)
            if "save" in request.POST:
                amend_protocol(
                    study=found,
                    document=rules.model_dump(mode="json"),
                    source=text,
                    lines=lines,
                    reason=reason,
                    by=request.user,
                    now=timezone.now(),
                )
                messages.success(request, "This protocol is in force.")
                return redirect("study-protocol", slug=slug)
        except Refusal as refused:
            refusal, status = refused, 409
    context = {
        "study": found,
        "text": text,
        "rows": min(max(text.count("\n") + 2, 12), 40),
        "reason": reason,
        "refusal": refusal,
        "problems": refusal.more.get("problems", []) if refusal else [],
        "schema": protocol_schema(),
        "phase": phase_of(found),
        "versions": versions[::-1],
        "conditions": conditions(rules.design),
        "plan": rules.analysis,
        **(_plan(found, rules, asked=request.method == "POST") if not refusal else {}),
    }
    return render(request, "reader_study/protocol.html", context, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Create a study from a protocol that comes along, or from a file; its creator has its desk."""
    user = request.user
    assert isinstance(user, User)  # whom `login_required` lets through
    if not may_create_studies(user):
        raise Http404
    name = request.POST.get("name", "").strip()
    refusal = None
    if request.method == "POST":
        try:
            text = _chosen(request)
            validate_slug(name)
            rules, _ = read_with_lines(text)
            create_with_desk(
                slug=name,
                document=rules.model_dump(mode="json"),
                source=text,
                by=user,
                now=timezone.now(),
            )
            return redirect("study-protocol", slug=name)
        except ValidationError:
            refusal = Refusal("A name has letters, digits, - and _ only, and is not empty.")
        except Refusal as refused:
            refusal = refused
    context = {
        "templates": [(each, FITS[each]) for each in sorted(TEMPLATES, key=list(FITS).index)],
        "chosen": request.POST.get("template") or next(iter(FITS)),
        "name": name,
        "refusal": refusal,
        "problems": refusal.more.get("problems", []) if refusal else [],
    }
    return render(request, "reader_study/new_study.html", context, status=409 if refusal else 200)


def _chosen(request: HttpRequest) -> str:
    """Return the text of the file that was sent, or of the template that was chosen.

    Raises:
        Refusal: there is neither, or it is no text.
    """
    file = request.FILES.get("file")
    if file is not None:
        try:
            text: str = file.read(SIZE_LIMIT).decode()
            return text
        except UnicodeDecodeError:
            raise Refusal("The file is no text in UTF-8.") from None
    name: str = request.POST.get("template", "")
    if not name:
        raise Refusal("Choose a protocol to start from, or a file.")
    return template(name)


def _plan(study: Study, rules: Protocol, *, asked: bool) -> dict[str, Any]:
    """Dry-run the protocol with the study's readers and cases, or with made-up ones.

    One that takes seconds waits until it is `asked` for.
    """
    waiting = {"readers": study.members.readers().count(), "cases": study.cases.count()}
    if not asked and waiting["readers"] * waiting["cases"] * rules.design.sessions > MANY:
        return {"waiting": True, **waiting}
    try:
        planned = plan(study, rules, start=date.today())
    except AllocationImpossible as impossible:
        return {"impossible": impossible.detail}
    run = planned.run
    found = balance(run.places)
    sessions = sorted({session for _, session in found.readings})
    arms = list(dict.fromkeys(arm for arm, _ in found.readings))
    return {
        "run": run,
        "made_up": planned.made_up,
        "readers": planned.readers,
        "cases": planned.cases,
        "per_day": PER_DAY,
        "training": TRAINING,
        "sessions": sessions,
        "balance": [
            (arm, [found.readings.get((arm, n), 0) for n in sessions], found.mean_position[arm])
            for arm in arms
        ],
        "orders": sorted((" → ".join(order), n) for order, n in found.orders.items()),
        "example": example_table(rules, run.places),
    }
