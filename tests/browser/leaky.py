"""A site that says in a header, on purpose, what the AI has predicted."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tests.browser.settings import *  # noqa: F403
from tests.browser.settings import MIDDLEWARE as HONEST

MIDDLEWARE = ["tests.browser.leaky.leak", *HONEST]


def leak(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add the first prediction to every answer."""

    def call(request: HttpRequest) -> HttpResponse:
        from reader_study.models import Prediction

        response = answer(request)
        if (found := Prediction.objects.first()) is not None:
            response["X-Leak"] = str(found.probability)
        return response

    return call
