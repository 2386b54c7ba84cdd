"""Pages of readers: the worklist and the reading room."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from reader_study.actions.home import desks_of
from reader_study.actions.schedule import is_closed, opening_of, skip_reading
from reader_study.actions.study import may_create_studies
from reader_study.actions.worklist import A_PAGE, session_of, worklists_of
from reader_study.domain.errors import Refusal
from reader_study.models import Membership, Reading, Role, User


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead everybody to where their work is."""
    assert isinstance(request.user, User)
    if Membership.objects.readers().filter(user=request.user).exists():
        return redirect("worklist")
    desks = desks_of(request.user)
    if len(desks) == 1:
        page = "study-truth" if desks[0].role == Role.TRUTH_PANEL else "study"
        return redirect(page, slug=desks[0].study.slug)
    may_create = may_create_studies(request.user)
    return render(request, "reader_study/home.html", {"desks": desks, "may_create": may_create})


@login_required
@never_cache
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """Show the reader's cases in their order."""
    assert isinstance(request.user, User)
    lists = worklists_of(request.user, timezone.now())
    # Seconds after which the page looks again by itself.
    refresh = 60 if any(each.rest for each in lists) else 0
    refresh = 5 if any(each.study.opened_at is None for each in lists) else refresh
    context = {"worklists": lists, "refresh": refresh}
    return render(request, "reader_study/worklist.html", context)


@login_required
@never_cache
@require_safe
def session_cases(request: HttpRequest, slug: str, session: int) -> HttpResponse:
    """Show all cases of one of the reader's sessions, page by page."""
    assert isinstance(request.user, User)
    try:
        found = session_of(request.user, slug, session, timezone.now())
    except Reading.DoesNotExist as missing:
        raise Http404 from missing
    pages = Paginator(found.places, A_PAGE)
    # Without a number, where the reader has got to.
    page = pages.get_page(request.GET.get("page") or found.first_open // A_PAGE + 1)
    lines = found.lines(list(page.object_list))
    context = {"study": found.study, "session": found, "page": page, "lines": lines}
    return render(request, "reader_study/session_cases.html", context)


@login_required
@require_POST
def skip(request: HttpRequest) -> HttpResponse:
    """End a reading that cannot be done, with the reason its reader gives."""
    assert isinstance(request.user, User)
    number = request.POST.get("reading", "")
    try:
        skip_reading(
            reader=request.user,
            reading_id=int(number) if number.isdecimal() else 0,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
        messages.success(request, "The case is skipped; the reason is recorded.")
    except Reading.DoesNotExist as missing:
        raise Http404 from missing
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("worklist")


@login_required
@never_cache
@ensure_csrf_cookie
@require_safe
def reading_room(request: HttpRequest, reading_id: int) -> HttpResponse:
    """Show the reading room; what it shows comes from the API."""
    assert isinstance(request.user, User)
    reading = (
        Reading.objects.of(request.user)
        .select_related("reader__study__database_lock", "case")
        .filter(pk=reading_id)
        .first()
    )
    if reading is None:
        raise Http404
    study = reading.reader.study
    if study.opened_at is None or study.is_locked:
        return redirect("worklist")
    if is_closed(reading) or hasattr(reading, "skip"):
        return redirect("worklist")
    now = timezone.now()
    if not opening_of(reading, now).has_come(now):
        return redirect("worklist")
    # A proxy that keeps slices keeps them one by one.
    shown = {"reading": reading, "one_by_one": bool(settings.FRAMES_DIR)}
    return render(request, "reader_study/reading.html", shown)
