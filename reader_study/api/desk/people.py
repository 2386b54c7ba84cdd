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
from reader_study.actions.identity import must_know_password
from reader_study.actions.people import (
    REASON_LIMIT,
    cases_known_by,
    grant_waiver,
    invite,
    open_key,
)
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.models import KeyAccess, Membership, Role, Waiver


class MemberSerializer(serializers.Serializer[Any]):
    """A member of a study; who they are is in the key only."""

    pseudonym = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)


class MemberOfAStudySerializer(MemberSerializer):
    """A member of a study, and of how many of its cases they help to find the truth."""

    cases_known = serializers.IntegerField()


class PeopleView(DeskList):
    """The members of a study."""

    @extend_schema(operation_id="list_people", responses=MemberOfAStudySerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        study = self.study(slug, *ACT)
        known = cases_known_by(study)
        members = list(study.members.order_by("role", "pseudonym"))
        for each in members:
            each.cases_known = known.get(each.user_id, 0)  # type: ignore[attr-defined]
        return self.page(members, MemberOfAStudySerializer)


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


class KeyRequestSerializer(serializers.Serializer[Any]):
    """The coordinator's password, and why the key is needed."""

    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    reason = serializers.CharField(max_length=REASON_LIMIT)


class KeyRowSerializer(serializers.Serializer[Any]):
    """Who, or which images, a pseudonym stands for."""

    kind = serializers.CharField()
    pseudonym = serializers.CharField()
    who = serializers.CharField(allow_blank=True)
    more = serializers.CharField(allow_blank=True)


class KeySerializer(serializers.Serializer[Any]):
    """The key of a study's pseudonyms."""

    rows = KeyRowSerializer(many=True)


class KeyAccessSerializer(serializers.Serializer[Any]):
    """That somebody was given the key, and why."""

    by = serializers.CharField(source="by.username")
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class KeyView(DeskList):
    """The key of a study's pseudonyms."""

    @extend_schema(operation_id="list_key_accesses", responses=KeyAccessSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Say who was given it, the last first."""
        found = KeyAccess.objects.filter(study=self.study(slug, *ACT)).select_related("by")
        return self.page(found.order_by("-pk"), KeyAccessSerializer)

    @extend_schema(operation_id="open_key", request=KeyRequestSerializer, responses=KeySerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Hand it out, after the password, for a reason that is recorded."""
        study = self.study(slug)
        sent = KeyRequestSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        must_know_password(self.user, sent.validated_data["password"])
        rows = open_key(
            study=study, by=self.user, reason=sent.validated_data["reason"], now=timezone.now()
        )
        names = ("kind", "pseudonym", "who", "more")
        named = [dict(zip(names, row, strict=True)) for row in rows]
        return Response(KeySerializer({"rows": named}).data)
