"""The way about a study's desk: the same on each of its pages, and to where the caller may go."""

from typing import Any, NamedTuple

from django import template

from reader_study.models import Membership, Role, Study

register = template.Library()


class Place(NamedTuple):
    """A page of the desk, and the pages that belong to it."""

    label: str
    page: str
    below: tuple[str, ...] = ()
    for_investigators: bool = True
    after_the_lock: bool = False


PLACES = (
    Place("Overview", "study"),
    Place("Protocol", "study-protocol"),
    Place("People", "study-people", for_investigators=False),
    Place(
        "Cases",
        "study-cases",
        ("study-imports", "study-import", "study-nodules", "study-look"),
        for_investigators=False,
    ),
    Place("Truth", "study-truth"),
    Place("Schedule", "study-allocation"),
    Place("Progress", "study-progress"),
    Place("Conduct", "study-conduct", ("study-lock",)),
    Place("Results", "study-results", after_the_lock=True),
    Place("Exports", "study-exports"),
    Place("Access log", "study-accesses", for_investigators=False),
)


@register.inclusion_tag("reader_study/desk_nav.html", takes_context=True)
def desk_nav(context: dict[str, Any]) -> dict[str, Any]:
    """Return where the caller may go at the desk of the page's study, and where they are."""
    request, study = context["request"], context["study"]
    assert isinstance(study, Study)
    mine = Membership.objects.filter(study=study, user=request.user.pk)
    is_investigator = mine.filter(role=Role.INVESTIGATOR).exists()
    here = request.resolver_match.url_name if request.resolver_match else ""
    places = [
        place
        for place in PLACES
        if (place.for_investigators or not is_investigator)
        and (study.is_locked or not place.after_the_lock)
    ]
    return {
        "study": study,
        "places": [(place, here == place.page or here in place.below) for place in places],
        "here": here,
    }
