"""Addresses of the site."""

from django.urls import URLPattern, URLResolver, include, path

from reader_study.api import ai, dicomweb, preferences, readings, truth
from reader_study.pages import (
    accounts,
    conduct,
    display,
    health,
    lock,
    metrics,
    people,
    protocol,
    reading,
    results,
    signing,
    study,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", reading.home, name="home"),
    *accounts.entrance,
    path("account/", include(accounts.urls)),
    path("worklist", reading.worklist, name="worklist"),
    path("worklist/skip", reading.skip, name="skip"),
    path("worklist/sign/<slug:slug>/<int:session>", signing.sign, name="sign"),
    path("reading/<int:reading_id>", reading.reading_room, name="reading"),
    path("studies/new", protocol.new, name="study-new"),
    path("studies/<slug:slug>/", study.study, name="study"),
    path("studies/<slug:slug>/people", people.people, name="study-people"),
    path("studies/<slug:slug>/people/invite", people.invite_member, name="study-invite"),
    path("studies/<slug:slug>/people/waive", people.waive, name="study-waive"),
    path("studies/<slug:slug>/people/key", people.key, name="study-key"),
    path("studies/<slug:slug>/open", study.open_readings, name="study-open"),
    path("studies/<slug:slug>/open-early", study.open_one_early, name="study-open-early"),
    path("studies/<slug:slug>/conduct", conduct.conduct, name="study-conduct"),
    path("studies/<slug:slug>/unlock", conduct.unlock, name="study-unlock"),
    path("studies/<slug:slug>/protocol", protocol.protocol, name="study-protocol"),
    path("studies/<slug:slug>/lock", lock.lock, name="study-lock"),
    path("studies/<slug:slug>/results", results.results, name="study-results"),
    path("studies/<slug:slug>/archive.zip", results.archive, name="study-archive"),
    path(
        "studies/<slug:slug>/results/<path:name>", results.results_file, name="study-results-file"
    ),
    path("studies/<slug:slug>/export.zip", study.export, name="study-export"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("worklist/display/<slug:slug>", display.display, name="display"),
    path("api/preferences", preferences.PreferencesView.as_view(), name="api-preferences"),
    path("api/readings/<int:reading_id>", readings.ReadingView.as_view(), name="api-reading"),
    path("api/readings/<int:reading_id>/open", readings.OpenView.as_view(), name="api-open"),
    path("api/readings/<int:reading_id>/draft", readings.DraftView.as_view(), name="api-draft"),
    path("api/readings/<int:reading_id>/lock", readings.LockView.as_view(), name="api-lock"),
    path("api/readings/<int:reading_id>/submit", readings.SubmitView.as_view(), name="api-submit"),
    path("api/readings/<int:reading_id>/ai", ai.AiView.as_view(), name="api-ai"),
    path("api/readings/<int:reading_id>/truth", truth.TruthView.as_view(), name="api-truth"),
    path("api/readings/<int:reading_id>/events", readings.EventsView.as_view(), name="api-events"),
    path("api/readings/<int:reading_id>/dicomweb/", include(dicomweb.reading_urls)),
    path("dicomweb/", include(dicomweb.service_urls)),
]
