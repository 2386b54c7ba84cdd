"""Who may call."""

from collections.abc import Iterable

from django.utils import timezone
from drf_spectacular.authentication import SessionScheme
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reader_study.actions.accesses import note_access
from reader_study.actions.schedule import must_be_open
from reader_study.models import Accessed, Reading, User


class Session(SessionAuthentication):
    """A browser's session; a request without one is told to log in."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class DescribedSession(SessionScheme):  # type: ignore[no-untyped-call]
    """Says in the API's description that `Session` is a cookie."""

    target_class = "reader_study.api.access.Session"


class AnyType(BaseContentNegotiation):
    """For views that look at Accept themselves, or send what they have."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class NotKept(APIView):
    """A view whose answers no cache keeps."""

    def finalize_response(
        self, request: Request, response: Response, *args: object, **kwargs: object
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "private, no-store")
        return response


class ReaderView(NotKept):
    """A view for a reader, about a reading of their own, by their session and nothing else."""

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

    def note(self, what: Accessed, reading: Reading) -> None:
        """Write into the access log that the caller was given `what` of their reading."""
        note_access(what, user=self.reader, reading=reading, now=timezone.now())
