"""Settings of the site, read from the environment.

What is required and missing stops the start, and so does what makes no sense.
"""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from reader_study.domain.blinding import ARTEFACTS
from reader_study.domain.findings import Findings
from reader_study.domain.images import LAYOUTS
from reader_study.domain.reading import ANSWERING, Stage

BASE_DIR = Path(__file__).resolve().parent.parent


def _required(name: str, meaning: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"the environment variable {name} is missing: {meaning}")
    return value


def _words(name: str, default: str = "") -> list[str]:
    return os.environ.get(name, default).replace(",", " ").split()


def _wrong(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"the environment variable {name} is {value!r}: {wanted}")


def _switch(name: str) -> bool:
    value = os.environ.get(name, "").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise _wrong(name, value, "say on or off")


def _number(name: str, default: float, least: float = 0) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not value >= least or value == float("inf"):
        raise _wrong(name, text, f"say a number, {least:g} at least")
    return value


def _one_of(name: str, *words: str) -> str:
    value = os.environ.get(name) or words[0]
    if value not in words:
        raise _wrong(name, value, f"say {', '.join(words[:-1])} or {words[-1]}")
    return value


def _address(name: str, *schemes: str) -> str:
    value = os.environ.get(name, "")
    if value and (urlsplit(value).scheme not in schemes or not urlsplit(value).netloc):
        raise _wrong(name, value, f"say an address that begins with {schemes[0]}://")
    return value


def _networks(name: str) -> list[str]:
    for word in _words(name):
        try:
            ip_network(word)
        except ValueError:
            raise _wrong(name, word, "say networks, as in 10.0.0.0/8") from None
    return _words(name)


def _database(name: str, meaning: str) -> dict[str, Any]:
    value = _required(name, meaning) if meaning else os.environ.get(name, "")
    if not value:
        return {}
    try:
        found = dj_database_url.parse(value, conn_max_age=60, conn_health_checks=True)
    except (ValueError, dj_database_url.ParseError, dj_database_url.UnknownSchemeError):
        found = None
    if found is None or "postgresql" not in str(found.get("ENGINE")):
        # The value itself has a password in it.
        raise ImproperlyConfigured(
            f"the environment variable {name} cannot be read: "
            "say postgres://user:password@host/name"
        )
    return dict(found)


SECRET_KEY = _required("SECRET_KEY", "a long random text that signs sessions and makes pseudonyms")
SERVICE_TOKEN = _required("SERVICE_TOKEN", "the word by which the inference worker reads images")
SITE_DATABASE = _database(
    "DATABASE_URL", "where PostgreSQL is, as postgres://user:password@host/name"
)
# manage.py logs in as the owner of the tables, where that is another role than the site's.
_owner = _database("OWNER_DATABASE_URL", "") if _switch("MANAGE") else {}
DATABASES = {"default": {**_owner, "CONN_MAX_AGE": 0} if _owner else SITE_DATABASE}
# The role of the site's worker, which may see the truth, for manage.py create_roles to make.
_worker = os.environ.get("WORKER_DATABASE_URL", "") if _switch("MANAGE") else ""
WORKER_DATABASE = dj_database_url.parse(_worker) if _worker else None
DEBUG = _switch("DEBUG")
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", "127.0.0.1 localhost [::1]")
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS")

# What is not in the database: images, built static files.
VAR_DIR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var"))
ARCHIVE_URL = _address(
    "ARCHIVE_URL", "https", "http", "s3"
)  # an upstream DICOMweb server; empty: our own
ARCHIVE_TOKEN = os.environ.get("ARCHIVE_TOKEN", "")
# What the desk imports from: folders below one of this server, and a DICOMweb server to search.
IMPORT_DIR = Path(os.environ["IMPORT_DIR"]) if os.environ.get("IMPORT_DIR") else None
IMPORT_URL = os.environ.get("IMPORT_URL") or ARCHIVE_URL
IMPORT_TOKEN = os.environ.get("IMPORT_TOKEN") or ARCHIVE_TOKEN
# Where files lie while they are imported, and how much one import may bring.
STAGING_DIR = Path(os.environ.get("STAGING_DIR", VAR_DIR / "incoming"))
IMPORT_GB = _number("IMPORT_GB", 100)
IMPORT_FILES = int(_number("IMPORT_FILES", 200_000))
# Where nginx finds images that were shown before; it asks the site whether they may be seen.
FRAMES_DIR = Path(os.environ["FRAMES_DIR"]) if os.environ.get("FRAMES_DIR") else None
CACHE_GB = _number("CACHE_GB", 50)  # of what can be had again: those, and of an object storage
ARCHIVE_DIR = Path(os.environ.get("ARCHIVE_DIR", VAR_DIR / "archive"))

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # times in the list of passkeys
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_vite",
    "csp",
    "reader_study",  # before allauth, whose templates it restyles
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]

MIDDLEWARE = [
    "reader_study.pages.observing.observed",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "reader_study.pages.access.kept_by_nobody",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "reader_study.pages.accounts.RequireSecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "reader_study.urls"
WSGI_APPLICATION = "reader_study.wsgi.application"
AUTH_USER_MODEL = "reader_study.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"desk": "reader_study.pages.navigation"},
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Accounts: allauth checks passwords, second factors and single sign-on, and counts attempts.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "reader_study.pages.accounts.Accounts"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False  # a reading room's computer forgets with its browser
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_RATE_LIMITS = {"login": "300/m/ip", "login_failed": "50/m/ip,5/300s/key"}
# Behind so many proxies of our own: whose word on the caller's address is believed.
ALLAUTH_TRUSTED_PROXY_COUNT = int(_number("PROXIES", 0))
MFA_ADAPTER = "reader_study.pages.accounts.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Reread"
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Browsers allow passkeys without HTTPS on this machine itself, and nowhere else.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _switch("HTTPS")
SECOND_FACTOR = _one_of("SECOND_FACTOR", "optional", "staff", "all")  # staff: all but readers
SOCIALACCOUNT_ADAPTER = "reader_study.pages.accounts.SingleSignOn"
# The provider's e-mail address says which account it is; the provider has verified it.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
OIDC_ISSUER = _address("OIDC_ISSUER", "https", "http")
OIDC_NAME = os.environ.get("OIDC_NAME") or "your hospital's account"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": OIDC_NAME,
                "client_id": _required("OIDC_CLIENT_ID", "what OIDC_ISSUER knows this site by"),
                "secret": os.environ.get("OIDC_CLIENT_SECRET", ""),
                "settings": {"server_url": OIDC_ISSUER},
            }
        ],
    }
    if OIDC_ISSUER
    else {}
}
PASSWORD_RESET_TIMEOUT = 7 * 24 * 3600  # of an invitation, too
SESSION_COOKIE_AGE = int(_number("SESSION_HOURS", 12, least=0.1) * 3600)

# Attempts are counted where all processes see them; the migrations make the table.
CACHES = {
    "default": {
        "BACKEND": "reader_study.json_cache.JsonCache",
        "LOCATION": "reader_study_cache",
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [FRONTEND_DIST] if FRONTEND_DIST.is_dir() else []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Vite puts a hash of the content into every name below assets/.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/assets/"
DJANGO_VITE = {
    "default": {"manifest_path": FRONTEND_DIST / ".vite" / "manifest.json", "dev_mode": False}
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Behind a proxy that speaks HTTPS and says so.
HTTPS = _switch("HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # The image decoders are WebAssembly.
        "script-src": [SELF, "'wasm-unsafe-eval'"],
        "worker-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["reader_study.api.parser.StorableJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "reader_study.api.errors.respond",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Reread",
    "DESCRIPTION": (
        "What the reading room and the desk of a site speak to. The desk's part, below /api/v1/, "
        "is for programs too: it keeps its form within a version."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "reader_study.api.description.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        name: [(value, value) for value in values]
        for name, values in {
            "Stage": [stage.value for stage in Stage],
            "AnsweringStage": [stage.value for stage in ANSWERING],
            "Layout": LAYOUTS,
            "Artefact": [item.value for item in ARTEFACTS],
            "Findings": [each.value for each in Findings],
        }.items()
    },
}

# What operators see. Prometheus shows the token or asks from one of these networks.
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")
METRICS_NETWORKS = _networks("METRICS_NETWORKS")
LEAST_FREE_GB = _number("LEAST_FREE_GB", 1)
LOG_FORMAT = _one_of("LOG_FORMAT", "line", "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "broker.logs.JsonLines", "secret": SERVICE_TOKEN},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Django's own handlers would write addresses, and mail them.
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
