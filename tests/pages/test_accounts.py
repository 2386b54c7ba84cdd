"""Passwords, second factors, invitations and single sign-on, as users meet them."""

import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from reader_study.models import Role, User
from tests.factories import PASSWORD, a_member, a_study, a_user

pytestmark = pytest.mark.django_db


def log_in(client, name="anna", password=PASSWORD):
    return client.post("/login", {"login": name, "password": password})


def code_of(secret):
    counter = int(time.time()) // 30
    return format_hotp_value(hotp_value(secret, counter))


@pytest.fixture
def anna():
    return a_user(username="anna", password=PASSWORD)


@pytest.fixture(autouse=True)
def _no_attempts():
    cache.clear()


def set_up_codes(client):
    """Set a second factor up as the pages lead to it; return its secret."""
    address = reverse("mfa_activate_totp")
    confirm = client.get(address).headers["Location"]
    assert confirm.startswith(reverse("account_reauthenticate"))
    page = client.post(confirm, {"password": PASSWORD}, follow=True)
    secret = page.context["form"].secret
    done = client.post(address, {"code": code_of(secret)})
    assert done.status_code == 302, done.content
    return secret


def test_with_a_second_factor_the_password_alone_opens_nothing(client, anna):
    log_in(client)
    secret = set_up_codes(client)
    stored = Authenticator.objects.get(user=anna, type="totp").data["secret"]

    other = Client()
    asked = log_in(other)

    assert secret not in stored
    assert asked.headers["Location"].startswith(reverse("mfa_authenticate"))
    assert other.get("/worklist").headers["Location"].startswith("/login")
    wrong = other.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert wrong.status_code == 200
    # A code works once; the next one is the next half minute's.
    after = int(time.time()) // 30 + 1
    next_code = format_hotp_value(hotp_value(secret, after))
    assert other.post(reverse("mfa_authenticate"), {"code": next_code}).status_code == 302
    assert other.get("/worklist").status_code == 200


def test_after_five_wrong_passwords_even_the_right_one_waits(client, anna):
    for _ in range(5):
        said = log_in(client, password="wrong").content.decode()
        assert "do not match" in said

    said = log_in(client).content.decode()

    assert "Too many attempts" in said
    assert client.get("/worklist").headers["Location"].startswith("/login")


@pytest.mark.parametrize(
    ("setting", "role", "led_away"),
    [
        ("optional", Role.COORDINATOR, False),
        ("staff", Role.READER, False),
        ("staff", Role.COORDINATOR, True),
        ("all", Role.READER, True),
    ],
)
def test_a_site_can_ask_for_a_second_factor(client, settings, setting, role, led_away):
    settings.SECOND_FACTOR = setting
    member = a_member(a_study(), role=role)
    client.force_login(member.user)

    answer = client.get("/")

    assert (answer.headers.get("Location") == reverse("mfa_index")) is led_away
    refused = client.get("/api/readings/1")
    assert (refused.status_code == 403) is led_away
    if led_away:
        assert refused.json()["code"] == "second_factor_missing"
        assert client.get(reverse("mfa_index")).status_code == 200
        Authenticator.objects.create(user=member.user, type="totp", data={"secret": "x"})
        assert client.get("/").headers.get("Location") != reverse("mfa_index")


def test_an_invitation_lets_its_user_choose_a_password_once(client):
    out = io.StringIO()
    call_command("add_member", a_study(is_open=False).slug, "berta", "reader", "R01", stdout=out)
    link = out.getvalue().split()[-1]
    page = client.get(link, follow=True)
    assert "berta" in page.content.decode()
    form = page.redirect_chain[-1][0]

    weak = client.post(form, {"new_password1": "12345678", "new_password2": "12345678"})
    assert "too common" in weak.content.decode()
    done = client.post(form, {"new_password1": PASSWORD, "new_password2": PASSWORD})

    assert done.status_code == 302
    assert client.get("/account/").status_code == 200
    assert log_in(Client(), "berta").status_code == 302
    assert "used up" in Client().get(link, follow=True).content.decode()


class Provider(ThreadingHTTPServer):
    """An OpenID Connect provider (OpenID Connect Core 1.0, code flow) of one user."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.key = rsa.generate_private_key(65537, 2048)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.email, self.nonce, self.asked = "anna@hospital.example", None, []


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        url = self.server.url
        if self.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": url,
                    "authorization_endpoint": f"{url}/authorize",
                    "token_endpoint": f"{url}/token",
                    "userinfo_endpoint": f"{url}/userinfo",
                    "jwks_uri": f"{url}/keys",
                }
            )
        elif self.path == "/keys":
            numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.server.key.public_key()))
            self.answer({"keys": [{**numbers, "kid": "1", "alg": "RS256", "use": "sig"}]})
        else:
            self.answer(self.claims())

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(form)
        now = int(time.time())
        token = jwt.encode(
            {**self.claims(), "iss": self.server.url, "aud": "reread", "iat": now, "exp": now + 60},
            self.server.key,
            algorithm="RS256",
            headers={"kid": "1"},
        )
        self.answer({"access_token": "a", "token_type": "Bearer", "id_token": token})

    def claims(self):
        return {"sub": "4711", "email": self.server.email, "email_verified": True}

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def provider(settings):
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings.OIDC_ISSUER = server.url
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {
                "OAUTH_PKCE_ENABLED": True,
                "APPS": [
                    {
                        "provider_id": "sso",
                        "name": "Hospital",
                        "client_id": "reread",
                        "secret": "s",
                        "settings": {"server_url": server.url},
                    }
                ],
            }
        }
        yield server
        server.shutdown()
        thread.join()


def sign_on(client):
    """Go to the provider and come back with a code."""
    leaving = client.post(reverse("openid_connect_login"))
    asked = parse_qs(urlsplit(leaving.headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    return client.get(
        reverse("openid_connect_callback"), {"code": "c", "state": asked["state"][0]}, follow=True
    )


def test_single_sign_on_finds_the_account_by_its_address(client, anna, provider):
    anna.email = provider.email
    anna.save()

    assert "Use your hospital" in client.get("/login").content.decode()
    sign_on(client)

    assert client.get("/account/").context["user"] == anna
    assert SocialAccount.objects.get().user == anna
    assert provider.asked[0]["code_verifier"]


def test_single_sign_on_makes_no_account(client, anna, provider):
    said = sign_on(client).content.decode()

    assert "You have no account here" in said
    assert User.objects.count() == 1
    assert client.get("/worklist").headers["Location"].startswith("/login")
