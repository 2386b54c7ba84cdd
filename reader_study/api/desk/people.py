"""The people of a study: members by their pseudonyms, invitations, waivers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.access import ACT
from reader_study.actions.accounts import invitation
from reader_study.actions.people import grant_waiver, invite
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.models import Membership, Role, Waiver


class MemberSerializer(serializers.Serializer[Any]):
    """A member of a study; who they are is in the key only."""

    pseudonym = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)


class PeopleView(DeskList):
    """The members of a study."""

    @extend_schema(operation_id="list_people", responses=MemberSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        members = self.study(slug, *ACT).members.order_by("role", "pseudonym")
        return self.page(members, MemberSerializer)


class InviteSerializer(serializers.Serializer[Any]):
    """Who is invited, as what, and under which pseudonym."""

    name = serializers.CharField(max_length=150)
    email = serializers.EmailField(required=False, default="", allow_blank=True)
    role = serializers.ChoiceField(Role.choices)
    pseudonym = serializers.CharField(max_length=32)


class InvitedSerializer(MemberSerializer):
    """A new member, and the link by which they choose a password if they have none yet."""

    link = serializers.CharField(allow_null=True)


class InvitationsView(DeskView):
    """Give somebody a role in a study."""

    @extend_schema(
        operation_id="invite", request=InviteSerializer, responses={201: InvitedSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        sent = InviteSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        given = {**sent.validated_data, "role": Role(sent.validated_data["role"])}
        try:
            added = invite(study=study, **given)
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None
        user = added.user
        # A link that gives an account away is for those who have none yet.
        link = None if user.has_usable_password() else request.build_absolute_uri(invitation(user))
        return Response(
            {"pseudonym": added.pseudonym, "role": added.role, "link": link}, status=201
        )


class WaiverSerializer(serializers.Serializer[Any]):
    """That a reader may read although they know the truth of cases, and why."""

    reader = serializers.CharField(source="reader.pseudonym", max_length=32)
    reason = serializers.CharField(max_length=1000)
    at = serializers.DateTimeField(read_only=True)


class WaiversView(DeskList):
    """Waivers for members of the truth panel who read."""

    @extend_schema(operation_id="list_waivers", responses=WaiverSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = Waiver.objects.filter(reader__study=self.study(slug, *ACT))
        return self.page(found.select_related("reader").order_by("pk"), WaiverSerializer)

    @extend_schema(
        operation_id="waive", request=WaiverSerializer, responses={201: WaiverSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Let a member of the truth panel read, for a reason that is recorded."""
        study = self.study(slug)
        sent = WaiverSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        named = sent.validated_data["reader"]["pseudonym"]
        reader = Membership.objects.readers().filter(study=study, pseudonym=named).first()
        waiver = grant_waiver(
            study=study,
            reader_id=reader.pk if reader else 0,
            by=self.user,
            reason=sent.validated_data["reason"],
            now=timezone.now(),
        )
        return Response(WaiverSerializer(waiver).data, status=201)
