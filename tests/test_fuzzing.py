"""The API called as its description allows and as it does not, as everybody who may call it.

By hypothesis and schemathesis, seeded, a few calls for each operation; `make fuzz-api` makes many.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.generation.modes import GenerationMode

from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.tokens import make_token, use_token
from reader_study.api.desk import base
from tests.world import World, a_world

pytestmark = pytest.mark.django_db(transaction=True)
FEW = 2
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", FEW))
SEED = int(os.environ.get("FUZZ_SEED", "20260105"))
DESCRIPTION = Path(__file__).parent.parent / "docs/openapi.yaml"
# What the site promises of every answer.
PROMISED = (
    *("not_a_server_error", "status_code_conformance"),
    *("content_type_conformance", "response_schema_conformance"),
)
NAMED = ("slug", "reading_id", "file_id", "series_id", "case_id", "nodule_id")
ALL_SCOPES = ("read", "export", "manage", "import", "truth")


@pytest.fixture
def world(settings, tmp_path, monkeypatch) -> World:
    # Thousands of calls a minute are the matter here.
    monkeypatch.setattr(base, "use_token", partial(use_token, at_most=10**9))
    return a_world(settings, tmp_path)


def headers_of(world: World, role: str, host: str) -> dict[str, str]:
    """What a client of somebody sends: a token at the desk, a session in the reading room."""
    client, _ = world.clients[role]
    if role.startswith("reader"):
        session = client.cookies["sessionid"].value
        word = "a" * 32
        cookie = f"sessionid={session}; csrftoken={word}"
        return {"Cookie": cookie, "X-CSRFToken": word, "Origin": host}
    user = world.users[role]
    _, token = make_token(user=user, name="f", scopes=ALL_SCOPES, days=9, now=timezone.now())
    return {"Authorization": f"Bearer {token}"}


def test_no_call_fails_and_every_answer_is_as_described(live_server, world, capsys):
    found: dict[str, str] = {}
    calls: dict[int, int] = {}
    raw = yaml.safe_load(DESCRIPTION.read_text())
    schema = schemathesis.openapi.from_dict(raw)
    checks = CHECKS.get_by_names(list(PROMISED))
    who = {
        role: headers_of(world, role, live_server.url)
        for role in ("reader", "coordinator", "panel")
    }
    if EXAMPLES > FEW:
        roles = ("reader elsewhere", "coordinator elsewhere", "administrator", "investigator")
        who |= {role: headers_of(world, role, live_server.url) for role in roles}
    known = known_of(world)

    def call(role: str, case: Any, is_real: bool) -> None:
        if is_real:
            case.path_parameters.update(
                {name: known[name] for name in case.path_parameters if name in known}
            )
        response = case.call(base_url=live_server.url, headers=who[role], timeout=60)
        calls[response.status_code] = calls.get(response.status_code, 0) + 1
        case.validate_response(response, checks=checks)

    def calling(role: str) -> Any:
        return lambda case, is_real: call(role, case, is_real)

    for operation in schema.get_all_operations():
        operation = operation.ok()
        of_the_room = not operation.path.startswith("/api/v1/")
        for role in who:
            if of_the_room != role.startswith("reader"):
                continue
            for mode in GenerationMode:
                how = hypothesis.settings(
                    max_examples=EXAMPLES,
                    derandomize=EXAMPLES <= FEW,
                    database=None,
                    deadline=None,
                    phases=[Phase.explicit, Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                strategy = operation.as_strategy(generation_mode=mode)
                try:
                    tried = given(case=strategy, is_real=st.booleans())(calling(role))
                    seed(SEED)(how(tried))()
                except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 (all of them are told at the end)
                    name = f"{operation.method.upper()} {operation.path}"
                    found[name] = f"{role}, {mode.value}: {error}"[:1500]

    with capsys.disabled():
        if EXAMPLES > FEW:
            print(f"\n{sum(calls.values())} calls, by status: {dict(sorted(calls.items()))}")
    assert found == {}
    assert sum(calls.values()) > 200


def known_of(world: World) -> dict[str, Any]:
    """What fills the parts of an address so that there is something."""
    series = world.reading.case.series.get()
    uids = [series.study_uid, series.series_uid, f"{series.series_uid}.1"]
    names = ("study_uid", "series_uid", "instance_uid")
    return {
        **{name: world.values[name] for name in NAMED},
        "id": world.values["pk"],
        "pk": world.values["pk"],
        "number": 1,
        "name": "table.csv",
        **{name: pseudonym(world.reading, uid) for name, uid in zip(names, uids, strict=True)},
    }
