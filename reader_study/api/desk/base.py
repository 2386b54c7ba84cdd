"""What the desk's views share: who may call, with which scope, and lists in pages."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reader_study.actions.access import ACT, LOOK, has_a_desk, study_for
from reader_study.actions.tokens import use_token
from reader_study.api.access import AnyType, NotKept, Session
from reader_study.models import PersonalToken, Reading, Role, Scope, Study, User

__all__ = ["AnyType", "Bearer", "DeskList", "DeskView", "Pages", "reading_named"]

PAGE = 50
LONGEST_PAGE = 500


class Bearer(BaseAuthentication):
    """A personal access token in the header `Authorization: Bearer`."""

    def authenticate(self, request: Request) -> tuple[User, PersonalToken] | None:
        scheme, _, word = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = use_token(word.decode("latin-1").strip(), timezone.now())
        if token is None:
            raise exceptions.AuthenticationFailed
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="desk"'


class DescribedBearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Says in the API's description what `Bearer` is."""

    target_class = "reader_study.api.desk.base.Bearer"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A personal access token, made on the page of one's account.",
        }


class ScopeMissing(exceptions.PermissionDenied):
    """The token may not be used for this."""

    default_code = "scope_missing"


class HasScope(BasePermission):
    """A token has to have the scope a view names for the method; a session needs none."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, PersonalToken):
            return True
        assert isinstance(view, DeskView)
        needed = view.scope_for(request.method or "")
        if needed not in token.scopes:
            raise ScopeMissing(f"This token may not do that: it lacks the scope {needed}.")
        return True


class DeskView(NotKept):
    """A view for those who conduct studies, by their session or by a token.

    `scopes` says what a token needs where it is not `read` to look and `manage` to act.
    """

    authentication_classes = [Bearer, Session]
    permission_classes = [IsAuthenticated, HasScope]
    scopes: ClassVar[Mapping[str, Scope]] = {}
    request: Request

    def scope_for(self, method: str) -> Scope:
        """Return what a token needs for `method`."""
        looks = method in {"GET", "HEAD", "OPTIONS"}
        return self.scopes.get(method, Scope.READ if looks else Scope.MANAGE)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let nobody in who only reads, whatever the view would say."""
        super().initial(request, *args, **kwargs)
        if not has_a_desk(self.user):
            raise exceptions.NotFound

    @property
    def user(self) -> User:
        """Whoever calls."""
        assert isinstance(self.request.user, User)  # what IsAuthenticated lets through
        return self.request.user

    @property
    def token(self) -> PersonalToken | None:
        """By what they call, if not by a session."""
        return self.request.auth if isinstance(self.request.auth, PersonalToken) else None

    def study(self, slug: str, *roles: Role) -> Study:
        """Return the study if the caller may look at it, or act where the method acts.

        Raises:
            Study.DoesNotExist: they may not, or there is none.
        """
        looks = self.request.method in {"GET", "HEAD", "OPTIONS"}
        return study_for(self.user, slug, *(roles or (LOOK if looks else ACT)))


class Pages(LimitOffsetPagination):
    """Parts of a list: `limit` of them from `offset` on."""

    default_limit = PAGE
    max_limit = LONGEST_PAGE

    def get_limit(self, request: Request) -> int:
        return _number(request, "limit", PAGE, 1, LONGEST_PAGE)

    def get_offset(self, request: Request) -> int:
        return _number(request, "offset", 0, 0, 2**31)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        def number(name: str, says: str, **limits: int) -> dict[str, Any]:
            schema = {"type": "integer", **limits}
            return {"name": name, "in": "query", "description": says, "schema": schema}

        return [
            number("limit", "how many at most", default=PAGE, minimum=1, maximum=LONGEST_PAGE),
            number("offset", "from which on", default=0, minimum=0, maximum=2**31),
        ]


def _number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    """Read a number of the query.

    Raises:
        ValidationError: it is none, or outside of its limits.
    """
    text = request.query_params.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
        raise exceptions.ValidationError({name: [f"a whole number from {least} to {most}"]})
    return int(text)


class DeskList(DeskView):
    """A list that is sent in parts."""

    pagination_class = Pages

    def page(self, rows: Any, serializer: type[Any]) -> Response:
        """Answer with the part of `rows` that was asked for."""
        pages = self.pagination_class()
        part: Sequence[Any] = pages.paginate_queryset(rows, self.request, view=self) or []
        return pages.get_paginated_response(serializer(part, many=True).data)


def reading_named(study: Study, named: Mapping[str, Any]) -> Reading:
    """Return the reading of `study` that is named by reader, session and position.

    Raises:
        Reading.DoesNotExist: there is none.
    """
    return Reading.objects.of_study(study).get(
        reader__pseudonym=named["reader"], session=named["session"], position=named["position"]
    )
