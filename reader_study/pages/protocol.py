"""The coordinator's page of a protocol: its text, what it comes to, and its versions."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reader_study.actions.protocol import amend_protocol, history, phase_of
from reader_study.actions.study import cases_to_read
from reader_study.domain.allocation import Case
from reader_study.domain.design import TRAINING, conditions
from reader_study.domain.dry_run import balance, dry_run
from reader_study.domain.errors import AllocationImpossible, Refusal
from reader_study.domain.protocol import Protocol
from reader_study.domain.protocol_file import read_with_lines, write_protocol
from reader_study.exports.example import example_table
from reader_study.models import Role, Study, User
from reader_study.pages.access import member

PER_DAY = 20
READERS, CASES = 4, 20
SIZE_LIMIT = 200_000


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
        "phase": phase_of(found),
        "versions": versions[::-1],
        "conditions": conditions(rules.design),
        "plan": rules.analysis,
        **(_plan(found, rules) if not refusal else {}),
    }
    return render(request, "reader_study/protocol.html", context, status=status)


def _plan(study: Study, rules: Protocol) -> dict[str, Any]:
    """Dry-run the protocol with the study's readers and cases, or with made-up ones."""
    readers = [each.pseudonym for each in study.members.readers()]
    there = list(cases_to_read(study))
    cases = [Case(each.pseudonym, each.subject) for each in there]
    made_up = not readers or not cases
    if made_up:
        readers = [f"R{number:02}" for number in range(1, READERS + 1)]
        cases = [Case(f"C{number:04}", f"S{number:04}") for number in range(1, CASES + 1)]
    try:
        run = dry_run(rules, readers, cases, start=date.today(), per_day=PER_DAY)
    except AllocationImpossible as impossible:
        return {"impossible": impossible.detail}
    found = balance(run.places)
    sessions = sorted({session for _, session in found.readings})
    arms = list(dict.fromkeys(arm for arm, _ in found.readings))
    return {
        "run": run,
        "made_up": made_up,
        "readers": len(readers),
        "cases": len(cases),
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
