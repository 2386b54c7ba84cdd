"""What a reader has set in the reading room."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.display import keep_preferences, preferences_of
from reader_study.api.access import ReaderView
from reader_study.domain.images import LAYOUTS, Hanging, Mouse


class LayoutField(serializers.ChoiceField):
    """A layout of the panes."""

    def __init__(self, **more: Any) -> None:
        super().__init__(choices=LAYOUTS, **more)


class PreferencesSerializer(serializers.Serializer[Any]):
    """Settings of the reading room; what is not set is left out."""

    layout = LayoutField(required=False)
    prior = serializers.ChoiceField(get_args(Hanging), required=False)
    mouse = serializers.ChoiceField(get_args(Mouse), required=False)
    thickness_mm = serializers.FloatField(required=False)
    slices_per_s = serializers.FloatField(required=False)


class PreferencesView(ReaderView):
    """A reader's own settings, for all their studies."""

    @extend_schema(responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        return Response(preferences_of(self.reader))

    @extend_schema(request=PreferencesSerializer, responses=PreferencesSerializer)
    def put(self, request: Request) -> Response:
        return Response(keep_preferences(user=self.reader, said=request.data))
