"""The access log of a study: who was given which images and answers, and when."""

import csv
from collections.abc import Iterator

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.accesses import note_access
from reader_study.exports.columns import cell, time_of
from reader_study.models import Access, Accessed, Role, Study, User
from reader_study.pages.access import member

SHOWN = 200  # the CSV file has all of them
AT_ONCE = 2000
COLUMNS = ("minute", "who", "what", "case", "session", "position", "token")


@login_required
@never_cache
@require_safe
def accesses(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the last accesses."""
    study = member(request, slug, Role.COORDINATOR)
    found = Access.objects.log_of(study)
    context = {"study": study, "accesses": found[:SHOWN], "of": found.count()}
    return render(request, "reader_study/accesses.html", context)


@login_required
@never_cache
@require_safe
def accesses_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Send all of them as a CSV file."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    note_access(Accessed.LOG, user=request.user, study=study, now=timezone.now())
    response = StreamingHttpResponse(_lines(study), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-accesses.csv"'
    return response


class _Line:
    """What `csv` writes to: it hands the line back."""

    def write(self, line: str) -> str:
        return line


def _lines(study: Study) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for each in Access.objects.log_of(study).iterator(AT_ONCE):
        yield writer.writerow(
            cell(value)
            for value in (
                time_of(each.minute),
                each.who,
                each.what,
                each.case.pseudonym if each.case else "",
                each.reading.session if each.reading else "",
                each.reading.position if each.reading else "",
                each.token.name if each.token else "",
            )
        )
