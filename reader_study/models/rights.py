"""What the database lets the site do: the rights of the role that serves readers, by table.

The role that owns the tables migrates and loads the truth. The web server and the site's
worker log in as another one, which cannot change or delete what is recorded, has no right at all
on the reference standard, and cannot write the chain: that is left to the owner's triggers.
"""

RECORDED = "select, insert"
PLANNED = "select, insert, update"
KEPT = "select, insert, update, delete"
READ = "select"
NOTHING = ""

# A table that is not named here stops `manage.py create_roles`.
RIGHTS = {
    "reader_study_answer": RECORDED,
    "reader_study_rating": RECORDED,
    "reader_study_mark": RECORDED,
    "reader_study_event": RECORDED,
    "reader_study_earlyopening": RECORDED,
    "reader_study_skip": RECORDED,
    "reader_study_displaycheck": RECORDED,
    "reader_study_unlock": RECORDED,
    "reader_study_deviation": RECORDED,
    "reader_study_databaselock": RECORDED,
    "reader_study_waiver": RECORDED,
    "reader_study_keyaccess": RECORDED,
    "reader_study_access": RECORDED,
    "reader_study_sessionsignature": RECORDED,
    "reader_study_protocolversion": RECORDED,
    "reader_study_prediction": RECORDED,
    "reader_study_modelversion": RECORDED,
    "reader_study_record": READ,
    "reader_study_chain": READ,
    "reader_study_referencestandard": NOTHING,
    "reader_study_resultdocument": RECORDED,
    "reader_study_resultsjob": PLANNED,
    # Its payload may hold a truth that is to be loaded.
    "reader_study_desktask": (
        "insert, select (id, study_id, kind, by_id, status, outcome, detail, attempts, asked_at,"
        " retry_at, ended_at)"
    ),
    # Written by the members of the panel, and read by the worker alone.
    "reader_study_panelread": "insert, select (id)",
    "reader_study_paneldecision": "insert, select (id)",
    "reader_study_lockproposal": RECORDED,
    "reader_study_deviationreview": RECORDED,
    "reader_study_study": PLANNED,
    "reader_study_membership": PLANNED,
    # Removed and moved as long as they are not dealt out, which triggers and relations refuse.
    "reader_study_case": "select, insert, delete",
    "reader_study_series": "select, insert, delete",
    "reader_study_nodule": "select, insert, update (number, x, y, z, diameter_mm), delete",
    "reader_study_importjob": PLANNED,
    "reader_study_importfile": PLANNED,
    "reader_study_importseries": PLANNED,
    "reader_study_importproblem": PLANNED,
    "reader_study_casechange": RECORDED,
    # Whose reading it is, of which case and in which place, is written once.
    "reader_study_reading": "select, insert, update (stage, version_id, opened_at, submitted_at)",
    "reader_study_draft": PLANNED,
    "reader_study_readingpace": PLANNED,
    "reader_study_backupmade": PLANNED,
    "reader_study_readerpreferences": PLANNED,
    "reader_study_job": PLANNED,
    "reader_study_personaltoken": (
        "select, insert, update (revoked_at, last_used_at, minute, calls)"
    ),
    "reader_study_user": PLANNED,
    "reader_study_user_groups": KEPT,
    "reader_study_user_user_permissions": KEPT,
    "reader_study_cache": KEPT,
    "account_emailaddress": KEPT,
    "account_emailconfirmation": KEPT,
    "mfa_authenticator": KEPT,
    "socialaccount_socialaccount": KEPT,
    "socialaccount_socialapp": READ,
    "socialaccount_socialtoken": KEPT,
    "auth_group": READ,
    "auth_group_permissions": READ,
    "auth_permission": READ,
    "django_content_type": READ,
    "django_migrations": READ,
    "django_session": KEPT,
}

# What the site's worker has besides, where it logs in as a role of its own: it does what needs
# the truth, and answers no request. What is recorded it cannot change either.
RIGHTS_OF_THE_WORKER = RIGHTS | {
    "reader_study_desktask": PLANNED,
    "reader_study_referencestandard": RECORDED,
    "reader_study_panelread": READ,
    "reader_study_paneldecision": READ,
    "reader_study_case": "select, insert, update (training), delete",
}

# The ways of both to the truth: of a study whose database is locked, of training cases that have
# been read, how many nodules have one, and to the panel what its own part in it is. Each refuses
# all else.
FUNCTIONS = (
    "reader_study_unsealed_reference(bigint)",
    "reread_training_truth(bigint, bigint)",
    "reread_reference_counts(bigint)",
    "reread_reference_sources(bigint)",
    "reread_panel_done(bigint)",
    "reread_panel_disagreements(bigint, bigint)",
    "reread_panel_reads(bigint, bigint)",
    "reread_unsealed_panel(bigint)",
)
