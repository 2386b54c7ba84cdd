"""Personal access tokens: made by whoever proves who they are, and never used to read."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.tokens import CALLS_A_MINUTE, make_token
from reader_study.domain.errors import TokenRefused
from reader_study.domain.reading import Stage
from reader_study.models import PersonalToken, Role
from tests.factories import PASSWORD, a_member, a_reading, a_study, a_user
from tests.pages.test_accounts import log_in, set_up_codes

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return a_study()


@pytest.fixture
def anna(study):
    """A coordinator of `study`."""
    user = a_user(username="anna", password=PASSWORD)
    a_member(study, role=Role.COORDINATOR, user=user)
    return user


def bearer(user, *scopes):
    """What a client of `user` sends: a token with `scopes`."""
    _, word = make_token(user=user, name="t", scopes=scopes, days=7, now=timezone.now())
    return {"Authorization": f"Bearer {word}"}


def test_a_token_is_made_on_the_page_after_a_proof_and_shown_once(client, anna, study):
    client.force_login(anna)
    wanted = {"name": "nightly", "scopes": ["read", "export"], "days": "30"}
    led_away = client.post(reverse("tokens"), wanted)
    assert led_away.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert not PersonalToken.objects.exists()
    client.post(led_away.headers["Location"], {"password": PASSWORD})

    made = client.post(reverse("tokens"), wanted)

    word = made.context["word"]
    token = PersonalToken.objects.get()
    assert word.startswith("reread_")
    assert word in made.content.decode()
    assert word not in client.get(reverse("tokens")).content.decode()
    assert word not in str(vars(token))
    headers = {"Authorization": f"Bearer {word}"}
    state = Client().get(f"/api/v1/studies/{study.slug}", headers=headers)
    assert state.json()["name"] == study.slug
    token.refresh_from_db()
    assert token.last_used_at is not None

    client.post(reverse("token-revoke", args=[token.pk]))
    refused = Client().get("/api/v1/studies", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")


def test_where_there_is_a_second_factor_the_password_is_no_proof(client, anna):
    log_in(client)
    set_up_codes(client)
    password = client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert password.status_code == 302

    led_away = client.post(reverse("tokens"), {"name": "x", "scopes": ["read"], "days": "7"})

    assert led_away.headers["Location"].startswith(reverse("mfa_reauthenticate"))


def test_a_token_does_what_its_scopes_and_its_owners_roles_allow(client, anna, study):
    elsewhere = a_study()
    reads, exports = bearer(anna, "read"), bearer(anna, "export")
    at = f"/api/v1/studies/{study.slug}"

    assert client.get(at, headers=reads).status_code == 200
    assert b"".join(client.get(f"{at}/export", headers=exports))[:2] == b"PK"
    for refused in (
        client.get(f"{at}/export", headers=reads),
        client.get(at, headers=exports),
        client.post(f"{at}/open", headers=reads),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    hidden = client.get(f"/api/v1/studies/{elsewhere.slug}", headers=reads)
    assert hidden.status_code == 404


def test_no_token_opens_a_reading_or_a_page(client):
    reading = a_reading(stage=Stage.UNAIDED)
    # A reader of one study who coordinates another has tokens, and reads with none of them.
    a_member(a_study(), role=Role.COORDINATOR, user=reading.reader.user)
    headers = bearer(reading.reader.user, "read", "export", "manage", "import")

    for name in ("api-reading", "api-ai", "api-truth"):
        assert client.get(reverse(name, args=[reading.pk]), headers=headers).status_code == 401
    assert client.post(reverse("api-open", args=[reading.pk]), headers=headers).status_code == 401
    assert client.get("/worklist", headers=headers).headers["Location"].startswith("/login")
    own = client.get(f"/api/v1/studies/{reading.reader.study.slug}", headers=headers)
    assert own.status_code == 404


def test_who_only_reads_has_no_tokens_and_only_administrators_make_services(client, anna):
    reader = a_member(a_study()).user
    client.force_login(reader)

    assert client.get(reverse("tokens")).status_code == 404
    with pytest.raises(TokenRefused, match="a reader has no use"):
        bearer(reader, "read")
    with pytest.raises(TokenRefused, match="administrator"):
        bearer(anna, "service")
    admin = a_user(is_superuser=True)
    assert client.get("/dicomweb/studies", headers=bearer(admin, "service")).status_code == 200
    assert client.get("/dicomweb/studies", headers=bearer(admin, "read")).status_code == 401


def test_a_token_ends_and_is_counted(client, anna):
    headers = bearer(anna, "read")
    token = PersonalToken.objects.get()
    now = timezone.now()
    PersonalToken.objects.update(
        minute=now.replace(second=0, microsecond=0), calls=CALLS_A_MINUTE + 2
    )
    answer = client.get("/api/v1/studies", headers=headers)
    if timezone.now().minute == now.minute:
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "60"

    PersonalToken.objects.filter(pk=token.pk).update(
        calls=0, created_at=now - timedelta(days=8), expires_at=now - timedelta(days=1)
    )
    assert client.get("/api/v1/studies", headers=headers).status_code == 401
    PersonalToken.objects.filter(pk=token.pk).update(expires_at=now + timedelta(days=1))
    assert client.get("/api/v1/studies", headers=headers).status_code == 200
    anna.is_active = False
    anna.save()
    assert client.get("/api/v1/studies", headers=headers).status_code == 401
