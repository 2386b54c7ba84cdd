"""Who gets what: every address, by every method, as everybody, about somebody else's objects."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.urls import get_resolver, reverse

from reader_study.actions.pseudonyms import panel_pseudonym, pseudonym, pseudonym_at_desk
from reader_study.management.blinding_addresses import Address, addresses
from reader_study.models import (
    Case,
    ImportFile,
    ImportJob,
    ImportSeries,
    Membership,
    Nodule,
    PersonalToken,
    Role,
)
from tests.authorization import AFTER_THE_LOCK, ALLAUTH, BODIES, ROLES, TABLE, Rule
from tests.world import World, a_world

pytestmark = pytest.mark.django_db
DOCUMENT = Path(__file__).parent.parent / "docs/authorization.md"
METHODS = ("get", "post", "put", "delete")
# With these alone a method that an address does not have is tried.
FEW = ("reader", "coordinator", "administrator")
REFUSED = {401, 403, 404}
# Parts of addresses that name an object of a study.
OBJECTS = {"pk", "file_id", "series_id", "case_id", "nodule_id"}
# Forms of allauth and Django, which take PUT for POST.
FORMS = ("account_", "mfa_", "invitation")


@pytest.fixture
def world(settings, tmp_path: Path) -> World:
    return a_world(settings, tmp_path)


def path_of(world: World, address: Address, slug: str | None = None) -> str:
    """Fill an address in.

    Raises:
        KeyError: no sample is known for one of its parts.
    """
    series = world.reading.case.series.get()
    uids = [series.study_uid, series.series_uid, f"{series.series_uid}.1"]
    if "reading_id" in address.parts:
        uids = [pseudonym(world.reading, uid) for uid in uids]
    if address.name.startswith(("desk-", "api-desk-case")):
        uids = [pseudonym_at_desk(world.reading.case, uid) for uid in uids]
    names = ("study_uid", "series_uid", "instance_uid")
    values = {**world.values, **dict(zip(names, uids, strict=True))}
    if address.name in AFTER_THE_LOCK:
        values["slug"] = world.locked
    if "/cases/" in address.route and not address.name.startswith("api-"):
        values["pk"] = world.reading.case_id
    if address.name.startswith(("study-truth", "api-panel")):
        nodule = series.nodules.get()
        panel = Membership.objects.get(study=world.reading.reader.study, role=Role.TRUTH_PANEL)
        values["pk"] = nodule.pk
        if address.name.startswith("api-panel"):
            uids = [panel_pseudonym(panel, nodule, uid) for uid in uids]
            values |= dict(zip(names, uids, strict=True))
    if address.name == "study-import-part":
        values["number"] = values["file_id"]
    if address.name.startswith("study-look"):
        values["number"] = values["series_id"]
    if address.name == "token-revoke":
        values["pk"] = PersonalToken.objects.order_by("pk")[0].pk
    if slug:
        values["slug"] = slug
    return reverse(address.name, kwargs={part: values[part] for part in address.parts})


def call(
    world: World, role: str, method: str, path: str, *, name: str = "", keep: bool = False
) -> int:
    """Call, and take back whatever it did; return the status, 401 for a way to the login."""
    client, headers = world.clients[role]
    cookies = copy.deepcopy(client.cookies)
    is_api = path.startswith(("/api/", "/dicomweb/"))
    accept = {"Accept": "*/*"}
    if "/frames/" in path:
        accept = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    more: dict[str, Any] = {"headers": {**headers, **accept}}
    if method != "get" and is_api:
        more |= {"data": json.dumps(BODIES.get(name, {})), "content_type": "application/json"}
        if "/files/" in path:
            more |= {"data": b"abc", "content_type": "application/octet-stream"}
    elif name == "skip":
        more["data"] = {"reading": world.reading.pk, "reason": "x"}
    with transaction.atomic():
        response = getattr(client, method)(path, **more)
        b"".join(response) if response.streaming else response.content
        transaction.set_rollback(not keep)
    client.cookies = cookies
    to_login = response.status_code == 302 and response.headers["Location"].startswith("/login")
    status = response.status_code
    assert status < 500, f"{method} {path} as {role}: {status} {response.exc_info}"
    return 401 if to_login and not is_api and path != "/logout" else response.status_code


def walked(world: World) -> Iterator[tuple[Address, str, Rule, dict[str, int]]]:
    """Call every address of the table as everybody."""
    seen = set()
    for address in addresses(get_resolver().url_patterns):
        if address.name in seen:
            continue
        seen.add(address.name)
        path = path_of(world, address)
        for method in METHODS:
            rule = TABLE.get(address.name, {}).get(method)
            roles = ROLES if rule else FEW
            found = {role: call(world, role, method, path, name=address.name) for role in roles}
            if rule:
                yield address, method, rule, found
            elif not address.name.startswith(FORMS) and address.name not in ALLAUTH:
                # Asked for by a method that it has not, an address does nothing for anybody.
                yield address, method, Rule("nobody: no such method", frozenset()), found


def test_every_address_lets_in_whom_its_rule_names_and_nobody_else(world, capsys):
    names = {address.name for address in addresses(get_resolver().url_patterns)}
    assert names - ALLAUTH - TABLE.keys() == set(), "no rule says who may call these addresses"
    assert (TABLE.keys() | ALLAUTH) - names == set(), "these addresses do not exist"

    rows, wrong = [], []
    for address, method, rule, found in walked(world):
        if method not in TABLE.get(address.name, {}):
            if not set(found.values()) <= {405, *REFUSED}:
                wrong.append(f"{method.upper()} {address.route} is answered: {found}")
            continue
        may = {role for role, status in found.items() if status not in REFUSED}
        if may != rule.may:
            line = f"{method.upper()} {address.route} is for {rule.words}: "
            wrong.append(line + str({role: found[role] for role in may ^ rule.may}))
        rows.append((address, method, rule, found))

    text = document(rows)
    if os.environ.get("WRITE_AUTHORIZATION"):
        DOCUMENT.write_text(text)
    assert not wrong, "\n".join(wrong)
    assert DOCUMENT.read_text() == text, f"{DOCUMENT.name} is not current: see authorization.py"


def test_an_object_of_another_study_does_not_exist_below_ones_own(world):
    def state() -> list[Any]:
        tables = (Case, Nodule, ImportJob, ImportFile, ImportSeries)
        return [list(table.objects.order_by("pk").values()) for table in tables]

    before, tried, wrong = state(), 0, []
    for address in addresses(get_resolver().url_patterns):
        if "slug" not in address.parts or not address.parts & OBJECTS:
            continue
        path = path_of(world, address, slug=world.elsewhere)
        for method in TABLE[address.name]:
            for role in ("coordinator elsewhere", "token elsewhere", "administrator"):
                tried += 1
                status = call(world, role, method, path, keep=True)
                # A page that changes something says on the page it leads to that there is none.
                told = {302} if method == "post" and not path.startswith("/api/") else set()
                if status not in {404, *told} and not (status == 401 and "token" in role):
                    wrong.append(f"{method} {address.route} as {role}: {status}")

    assert (wrong, state()) == ([], before)
    assert tried >= 90


def test_nobody_revokes_the_token_of_somebody_else(world):
    token = PersonalToken.objects.order_by("pk")[0]
    client, _ = world.clients["administrator"]
    client.post(reverse("token-revoke", args=[token.pk]))

    token.refresh_from_db()
    assert token.revoked_at is None


def document(rows: list[tuple[Address, str, Rule, dict[str, int]]]) -> str:
    """Write the table down."""
    head = f"| address | who may | {' | '.join(ROLES.values())} |"
    lines = [
        "# Who may call which address",
        "",
        "Made by `tests/test_authorization.py`, which calls every address as everybody; not written"
        " by hand. Each row is about the objects of one study: everybody but its own people, and"
        " another reader of it, meets objects that are foreign to them. Bold: let in, whatever"
        " the answer then is to an empty request (400, 409, 422). 401: sent to the login, or told"
        " to; 404: as if it were not there; 403: the token lacks the scope.",
        "",
        head,
        f"|---|---|{'---|' * len(ROLES)}",
    ]
    for address, method, rule, found in rows:
        cells = (
            str(found[role]) if found[role] in REFUSED else f"**{found[role]}**" for role in ROLES
        )
        route = address.route.replace("|", "\\|")
        lines.append(f"| `{method.upper()} /{route}` | {rule.words} | {' | '.join(cells)} |")
    lines += [
        "",
        "Not in the table: what allauth alone decides about second factors and single sign-on of"
        " the account that is logged in, and `/metrics`, open to whom the settings name.",
        "",
    ]
    return "\n".join(lines)
