"""Who may call."""

from django.utils import timezone
from drf_spectacular.authentication import SessionScheme
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reader_study.actions.schedule import must_be_open
from reader_study.models import Reading, User


class Session(SessionAuthentication):
    """A browser's session; a request without one is told to log in."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class DescribedSession(SessionScheme):  # type: ignore[no-untyped-call]
    """Says in the API's description that `Session` is a cookie."""

    target_class = "reader_study.api.access.Session"


class ReaderView(APIView):
    """A view for a reader, about a reading of their own.

    Nothing it answers is kept by a cache.
    """

    authentication_classes = [Session]
    request: Request

    @property
    def reader(self) -> User:
        """Whoever calls."""
        assert isinstance(self.request.user, User)  # what IsAuthenticated lets through
        return self.request.user

    def reading(self, reading_id: int) -> Reading:
        """Return the caller's reading, with what describing it needs.

        Raises:
            Reading.DoesNotExist: the caller has no such reading.
            ReadingNotOpenYet: its session or the washout of its case has not come.
        """
        reading = (
            Reading.objects.of(self.reader)
            .select_related("reader__study", "reader__user", "case", "version")
            .get(pk=reading_id)
        )
        must_be_open(reading, timezone.now())
        return reading

    def finalize_response(
        self, request: Request, response: Response, *args: object, **kwargs: object
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "private, no-store")
        return response
