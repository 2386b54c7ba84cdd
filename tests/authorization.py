"""Who may call which address of the site: the rule of each, by its name and method.

An address that is not here fails `tests/test_authorization.py`, and so does one whose answers are
others than docs/authorization.md says. A new address gets a line here; then
`WRITE_AUTHORIZATION=1 .venv/bin/python -m pytest tests/test_authorization.py -n0` writes the table.
"""

from typing import NamedTuple

# Who calls, with the column's head; all about objects of one study and of its first reader.
ROLES = {
    "nobody": "nobody",
    "reader": "reader, own reading",
    "colleague": "another reader",
    "reader elsewhere": "reader elsewhere",
    "panel": "truth panel",
    "investigator": "investi­gator",
    "coordinator": "coordi­nator",
    "coordinator elsewhere": "coordi­nator elsewhere",
    "administrator": "adminis­trator",
    "service": "site's service word",
    "token read": "token read",
    "token export": "token export",
    "token manage": "token manage",
    "token import": "token import",
    "token truth": "token truth",
    "token panel": "token truth of the panel",
    "token service": "token service (admin.)",
    "token elsewhere": "token of coordi­nator elsewhere, all scopes",
}
PEOPLE = frozenset(
    {
        *("reader", "colleague", "reader elsewhere", "panel", "investigator", "coordinator"),
        *("coordinator elsewhere", "administrator"),
    }
)
WITH_A_DESK = PEOPLE - {"reader", "colleague", "reader elsewhere"}


class Rule(NamedTuple):
    """Who may call, in words; `own`: only about an object that is theirs, or below their study."""

    words: str
    may: frozenset[str]


EVERYBODY = Rule("everybody", frozenset(ROLES))
LOGGED_IN = Rule("whoever is logged in", PEOPLE)
READER = Rule("the reader whose reading it is", frozenset({"reader"}))
READERS = Rule("readers of the study", frozenset({"reader", "colleague"}))
TOKENS = Rule("whoever has a desk", WITH_A_DESK)
LOOK = Rule(
    "coordinators and investigators of the study",
    frozenset({"investigator", "coordinator", "administrator"}),
)
ACT = Rule("coordinators of the study", frozenset({"coordinator", "administrator"}))
PANEL = Rule("the truth panel of the study", frozenset({"panel"}))
PANEL_OR_DESK = Rule("coordinators, investigators and panel of the study", LOOK.may | {"panel"})
CREATE = Rule(
    "coordinators of any study",
    frozenset({"coordinator", "coordinator elsewhere", "administrator"}),
)
SERVICE = Rule("services", frozenset({"service", "token service"}))
NOBODY = Rule("nobody, as things are here", frozenset())


def by_token(rule: Rule, scope: str) -> Rule:
    """Let a coordinator's token with `scope` do what its owner may."""
    more = {f"token {scope}"} if "coordinator" in rule.may else set()
    return Rule(f"{rule.words}; tokens: {scope}", rule.may | more)


API_LOOK, API_ACT = by_token(LOOK, "read"), by_token(ACT, "manage")
API_ASK = by_token(ACT, "read")
API_EXPORT, API_EXPORT_ALL = by_token(LOOK, "export"), by_token(ACT, "export")
API_IMPORT = by_token(ACT, "import")
API_TRUTH = by_token(ACT, "truth")
API_PANEL = Rule(f"{PANEL.words}; tokens: truth", PANEL.may | {"token panel"})
API_ANY = Rule("whoever has a desk; tokens: read", WITH_A_DESK | {"token read", "token elsewhere"})
API_CREATE = Rule(
    f"{CREATE.words}; tokens: manage", CREATE.may | {"token manage", "token elsewhere"}
)

_ACCOUNT = ("account", "account_change_password")
_FACTORS = (
    *("mfa_index", "mfa_activate_totp", "mfa_generate_recovery_codes", "mfa_list_webauthn"),
    *("mfa_add_webauthn", "account_set_password"),
)
# Of somebody who has a second factor, which nobody here has: allauth's to decide.
_OF_A_FACTOR = (
    *("mfa_reauthenticate", "mfa_deactivate_totp", "mfa_view_recovery_codes"),
    *("mfa_download_recovery_codes", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn"),
    *("mfa_edit_webauthn", "account_reauthenticate"),
)
_IMAGES = ("api-metadata", "api-block", "api-slice", "api-frame")
_ARCHIVE = (
    *("studies", "series", "instances", "study-series", "study-instances", "series-instances"),
    *("study-metadata", "series-metadata", "instance-metadata", "retrieve-study"),
    *("retrieve-series", "retrieve-instance", "frames"),
)

# By the address's name: by the method, the rule.
TABLE: dict[str, dict[str, Rule]] = {
    "home": {"get": LOGGED_IN},
    # Whoever is logged in is led on, by whatever method.
    **{
        name: dict.fromkeys(("get", "post", "put", "delete"), EVERYBODY)
        for name in ("login", "account_login")
    },
    **{name: {"post": EVERYBODY} for name in ("logout", "account_logout")},
    "account_inactive": {"get": EVERYBODY},
    "invitation": {"get": EVERYBODY, "post": EVERYBODY},
    **{name: {"get": LOGGED_IN, "post": LOGGED_IN} for name in _ACCOUNT + _FACTORS},
    "account": {"get": LOGGED_IN},
    "mfa_index": {"get": LOGGED_IN},
    "mfa_list_webauthn": {"get": LOGGED_IN},
    "tokens": {"get": TOKENS, "post": TOKENS},
    "token-revoke": {"post": TOKENS},
    "worklist": {"get": LOGGED_IN},
    "session-cases": {"get": READER},  # the colleague has none
    "skip": {"post": READER},
    "sign": {"get": NOBODY, "post": NOBODY},  # the protocol asks for none: tests/test_signing.py
    "display": {"get": READERS, "post": READERS},
    "reading": {"get": READER},
    "health-live": {"get": EVERYBODY},
    "health-ready": {"get": EVERYBODY},
    "study-new": {"get": CREATE, "post": CREATE},
    "study": {"get": LOOK},
    "study-people": {"get": ACT},
    "study-invite": {"post": ACT},
    "study-waive": {"post": ACT},
    "study-key": {"post": ACT},
    "study-allocation": {"get": LOOK, "post": ACT},
    "study-allocation-now": {"get": LOOK},
    **{
        f"study-{name}": {"get": ACT}
        for name in (*("cases", "case-picture", "place", "import", "import-now"),)
    },
    "study-imports": {"get": ACT, "post": ACT},
    **{f"desk-{name}": {"get": ACT} for name in ("metadata", "frame")},
    "study-nodules": {"get": ACT, "post": ACT},
    "study-look": {"get": ACT, "post": ACT},
    "study-look-frame": {"get": NOBODY},  # no file lies there: tests/pages/test_imports.py
    **{
        f"study-{name}": {"post": ACT}
        for name in (
            *("case-remove", "place-nodules", "import-begin", "import-files", "import-part"),
            "import-step",
        )
    },
    "study-truth": {"get": PANEL_OR_DESK},
    "study-truth-now": {"get": LOOK},
    "study-truth-bring": {"post": ACT},
    "study-truth-conclude": {"post": ACT},
    "study-truth-read": {"get": PANEL, "post": PANEL},
    **{f"api-panel-{name}": {"get": API_PANEL} for name in ("metadata", "slice")},
    "study-review": {"post": ACT},
    "study-exports": {"get": LOOK},
    "study-progress": {"get": LOOK},
    "study-progress-now": {"get": LOOK},
    "study-open": {"post": ACT},
    "study-open-early": {"post": ACT},
    "study-conduct": {"get": LOOK},
    "study-unlock": {"post": ACT},
    "study-protocol": {"get": LOOK, "post": ACT},
    "study-lock": {"get": ACT, "post": ACT},
    "study-results": {"get": LOOK},
    "study-archive": {"get": LOOK},
    "study-results-file": {"get": LOOK},
    "study-accesses": {"get": ACT},
    "study-accesses-csv": {"get": ACT},
    "study-export": {"get": ACT},
    "api-preferences": {"get": LOGGED_IN, "put": LOGGED_IN},
    "api-reading": {"get": READER},
    **{f"api-{name}": {"post": READER} for name in ("open", "lock", "submit", "events")},
    "api-draft": {"put": READER},
    "api-ai": {"get": READER},
    "api-truth": {"get": NOBODY},  # of a training case that was read: tests/test_training.py
    **{name: {"get": READER} for name in _IMAGES},
    "api-slices": {"get": READER},
    **{f"dicomweb-{name}": {"get": SERVICE} for name in _ARCHIVE},
    "api-desk-schema": {"get": API_ANY},
    "api-desk-studies": {"get": API_ANY, "post": API_CREATE},
    **{
        f"api-desk-{name}": {"get": API_LOOK}
        for name in (
            *("study", "checklist", "predictions", "failures", "versions", "cases", "progress"),
            *("deviations", "signatures", "tasks", "truth", "truth-sources", "computation"),
        )
    },
    "api-desk-any-protocol": {"get": API_ANY},
    "api-desk-templates": {
        "get": Rule(f"{CREATE.words}; tokens: read", CREATE.may | {"token read", "token elsewhere"})
    },
    **{
        f"api-desk-{name}": {"get": API_ASK}
        for name in (
            *("people", "open-points", "accesses", "case-changes", "folders"),
            *("import", "import-series", "import-problems"),
            *("case-picture", "case-metadata", "case-slice"),
        )
    },
    "api-desk-case": {"get": API_ASK, "delete": API_IMPORT},
    "api-desk-nodules": {"get": API_LOOK, "post": API_IMPORT},
    "api-desk-nodule": {"put": API_IMPORT, "delete": API_IMPORT},
    "api-desk-nodule-list": {"post": API_IMPORT},
    "api-desk-archive-search": {"post": API_IMPORT},
    "api-desk-import-picture": {"get": NOBODY},  # no file lies there: tests/api/test_desk_room.py
    **{f"api-desk-truth-{name}": {"post": API_TRUTH} for name in ("list", "conclusion")},
    **{f"api-desk-panel{name}": {"get": API_PANEL} for name in ("", "-nodule")},
    **{f"api-desk-panel-{name}": {"post": API_PANEL} for name in ("read", "decision")},
    **{f"api-desk-{name}": {"get": API_ASK, "post": API_ACT} for name in ("key", "proposals")},
    "api-desk-reviews": {"post": API_ACT},
    **{
        f"api-desk-{name}": {"get": API_LOOK, "post": API_ACT}
        for name in ("allocation", "unlocks", "early-openings")
    },
    "api-desk-waivers": {"get": API_ASK, "post": API_ACT},
    "api-desk-protocol": {"get": API_LOOK, "put": API_ACT},
    "api-desk-imports": {"get": API_ASK, "post": API_IMPORT},
    "api-desk-import-file": {"put": API_IMPORT},
    **{
        f"api-desk-import-{name}": {"post": API_IMPORT}
        for name in ("files", "begin", "cancel", "resume", "decision")
    },
    **{
        f"api-desk-{name}": {"post": API_ACT}
        for name in ("open", "dry-run", "training", "invitations", "lock")
    },
    "api-desk-export": {"get": API_EXPORT_ALL},
    **{f"api-desk-{name}": {"get": API_EXPORT} for name in ("archive", "results", "result-file")},
}
# allauth's own, of which the library knows best who may: looked at for errors of the server only.
ALLAUTH = frozenset(
    {
        *_OF_A_FACTOR,
        *("mfa_authenticate", "mfa_login_webauthn", "openid_connect_login"),
        *("openid_connect_callback", "socialaccount_login_cancelled"),
        *("socialaccount_login_error", "socialaccount_signup"),
        "metrics",  # by an address of its own, or a word: tests/pages
    }
)
# Of a study whose database is locked.
AFTER_THE_LOCK = frozenset(
    {
        *(
            "study-results",
            "study-archive",
            "study-results-file",
            "api-desk-archive",
            "api-desk-computation",
        ),
        *("api-desk-results", "api-desk-result-file"),
    }
)
# What has to be said for the answer to be about the object, and not about the form.
BODIES: dict[str, dict[str, object]] = {
    "api-draft": {"stage": "aided", "version": 0, "answers": {}},
    "api-lock": {"answers": {}},
    "api-submit": {"answers": {}},
    "api-events": {"events": []},
}
