"""Addresses of the desk's API, below /api/v1/."""

from django.urls import URLPattern, path

from reader_study.api.desk import (
    archive,
    cases,
    conduct,
    data,
    imports,
    nodules,
    people,
    protocol,
    schema,
    studies,
    truth,
)

_STUDY = "studies/<slug:slug>"
_IMPORT = f"{_STUDY}/imports/<int:pk>"
_CASE = f"{_STUDY}/cases/<int:case_id>"
_PANEL = f"{_STUDY}/panel/<int:nodule_id>"
_IMAGES = "images/studies/<str:study_uid>/series/<str:series_uid>"

urlpatterns: list[URLPattern] = [
    path("schema", schema.SchemaView.as_view(), name="api-desk-schema"),
    path("protocol-schema", protocol.SchemaOfProtocolsView.as_view(), name="api-desk-any-protocol"),
    path("templates", studies.TemplatesView.as_view(), name="api-desk-templates"),
    path("studies", studies.StudiesView.as_view(), name="api-desk-studies"),
    path(_STUDY, studies.StudyView.as_view(), name="api-desk-study"),
    path(f"{_STUDY}/checklist", studies.ChecklistView.as_view(), name="api-desk-checklist"),
    path(f"{_STUDY}/open", studies.OpenStudyView.as_view(), name="api-desk-open"),
    path(f"{_STUDY}/allocation", studies.AllocationView.as_view(), name="api-desk-allocation"),
    path(f"{_STUDY}/tasks", studies.TasksView.as_view(), name="api-desk-tasks"),
    path(f"{_STUDY}/predictions", studies.PredictionsView.as_view(), name="api-desk-predictions"),
    path(
        f"{_STUDY}/predictions/failures", studies.FailuresView.as_view(), name="api-desk-failures"
    ),
    path(f"{_STUDY}/protocol", protocol.ProtocolView.as_view(), name="api-desk-protocol"),
    path(f"{_STUDY}/protocol/versions", protocol.VersionsView.as_view(), name="api-desk-versions"),
    path(f"{_STUDY}/protocol/dry-run", protocol.DryRunView.as_view(), name="api-desk-dry-run"),
    path(f"{_STUDY}/cases", cases.CasesView.as_view(), name="api-desk-cases"),
    path(f"{_STUDY}/cases/training", cases.TrainingView.as_view(), name="api-desk-training"),
    path(_CASE, cases.CaseView.as_view(), name="api-desk-case"),
    path(f"{_CASE}/picture", cases.CasePictureView.as_view(), name="api-desk-case-picture"),
    path(
        f"{_CASE}/{_IMAGES}/metadata",
        cases.CaseMetadataView.as_view(),
        name="api-desk-case-metadata",
    ),
    path(
        f"{_CASE}/{_IMAGES}/slices/<int:number>/frames/1",
        cases.CaseSliceView.as_view(),
        name="api-desk-case-slice",
    ),
    path(f"{_STUDY}/case-changes", cases.CaseChangesView.as_view(), name="api-desk-case-changes"),
    path(f"{_STUDY}/nodules", nodules.NodulesView.as_view(), name="api-desk-nodules"),
    path(f"{_STUDY}/nodules/list", nodules.NoduleListView.as_view(), name="api-desk-nodule-list"),
    path(
        f"{_STUDY}/nodules/<int:nodule_id>",
        nodules.NoduleView.as_view(),
        name="api-desk-nodule",
    ),
    path(f"{_STUDY}/truth", truth.TruthRoomView.as_view(), name="api-desk-truth"),
    path(f"{_STUDY}/truth/sources", truth.SourcesView.as_view(), name="api-desk-truth-sources"),
    path(f"{_STUDY}/truth/list", truth.TruthListView.as_view(), name="api-desk-truth-list"),
    path(
        f"{_STUDY}/truth/conclusion",
        truth.ConclusionView.as_view(),
        name="api-desk-truth-conclusion",
    ),
    path(f"{_STUDY}/panel", truth.PanelListView.as_view(), name="api-desk-panel"),
    path(_PANEL, truth.PanelNoduleView.as_view(), name="api-desk-panel-nodule"),
    path(f"{_PANEL}/read", truth.PanelReadView.as_view(), name="api-desk-panel-read"),
    path(f"{_PANEL}/decision", truth.PanelDecisionView.as_view(), name="api-desk-panel-decision"),
    path(
        f"{_STUDY}/archive-search",
        archive.ArchiveSearchView.as_view(),
        name="api-desk-archive-search",
    ),
    path(f"{_STUDY}/imports/folders", archive.FoldersView.as_view(), name="api-desk-folders"),
    path(f"{_STUDY}/imports", imports.ImportsView.as_view(), name="api-desk-imports"),
    path(_IMPORT, imports.ImportView.as_view(), name="api-desk-import"),
    path(f"{_IMPORT}/files", imports.ImportFilesView.as_view(), name="api-desk-import-files"),
    path(
        f"{_IMPORT}/files/<int:file_id>",
        imports.ImportFileView.as_view(),
        name="api-desk-import-file",
    ),
    path(f"{_IMPORT}/begin", imports.BeginWorkView.as_view(), name="api-desk-import-begin"),
    path(f"{_IMPORT}/cancel", imports.CancelImportView.as_view(), name="api-desk-import-cancel"),
    path(f"{_IMPORT}/resume", imports.ResumeImportView.as_view(), name="api-desk-import-resume"),
    path(f"{_IMPORT}/series", imports.ImportSeriesView.as_view(), name="api-desk-import-series"),
    path(
        f"{_IMPORT}/series/<int:series_id>",
        imports.DecisionView.as_view(),
        name="api-desk-import-decision",
    ),
    path(
        f"{_IMPORT}/series/<int:series_id>/pictures/<int:frame>",
        imports.HeldPictureView.as_view(),
        name="api-desk-import-picture",
    ),
    path(
        f"{_IMPORT}/problems", imports.ImportProblemsView.as_view(), name="api-desk-import-problems"
    ),
    path(f"{_STUDY}/people", people.PeopleView.as_view(), name="api-desk-people"),
    path(f"{_STUDY}/invitations", people.InvitationsView.as_view(), name="api-desk-invitations"),
    path(f"{_STUDY}/waivers", people.WaiversView.as_view(), name="api-desk-waivers"),
    path(f"{_STUDY}/key", people.KeyView.as_view(), name="api-desk-key"),
    path(f"{_STUDY}/progress", conduct.ProgressView.as_view(), name="api-desk-progress"),
    path(f"{_STUDY}/deviations", conduct.DeviationsView.as_view(), name="api-desk-deviations"),
    path(f"{_STUDY}/deviations/reviews", conduct.ReviewsView.as_view(), name="api-desk-reviews"),
    path(f"{_STUDY}/signatures", conduct.SignaturesView.as_view(), name="api-desk-signatures"),
    path(f"{_STUDY}/unlocks", conduct.UnlocksView.as_view(), name="api-desk-unlocks"),
    path(
        f"{_STUDY}/early-openings",
        conduct.EarlyOpeningsView.as_view(),
        name="api-desk-early-openings",
    ),
    path(f"{_STUDY}/open-points", data.OpenPointsView.as_view(), name="api-desk-open-points"),
    path(f"{_STUDY}/lock", data.LockDatabaseView.as_view(), name="api-desk-lock"),
    path(f"{_STUDY}/lock/proposals", data.ProposalsView.as_view(), name="api-desk-proposals"),
    path(f"{_STUDY}/export", data.ExportView.as_view(), name="api-desk-export"),
    path(f"{_STUDY}/archive", data.ArchiveView.as_view(), name="api-desk-archive"),
    path(f"{_STUDY}/computation", data.ComputationView.as_view(), name="api-desk-computation"),
    path(f"{_STUDY}/results", data.ResultsView.as_view(), name="api-desk-results"),
    path(
        f"{_STUDY}/results/<path:name>", data.ResultFileView.as_view(), name="api-desk-result-file"
    ),
    path(f"{_STUDY}/accesses", data.AccessLogView.as_view(), name="api-desk-accesses"),
]
