"""Every setting of the site: typed, with unit and default. The only reader of the environment.

A secret may also come from a file: ``SECRET_KEY_FILE=/run/secrets/key`` instead of ``SECRET_KEY``.
docs/SETTINGS.md has a heading for each field of ``Config``.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from cms.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent
DEVELOPMENT_SECRET_KEY = "development-only-and-refused-in-production"  # noqa: S105 - says itself that it is no secret
SHORTEST_SECRET_KEY = 32

Parser = Callable[[str], Any]  # Any: each setting has its own type


def setting(parse: Parser, default: str | None, *, secret: bool = False) -> Any:  # Any: a field of any type
    """Declare one setting: how its text is read, its default as text (None: unset), whether it must never be shown."""
    return field(metadata={"parse": parse, "default": default, "secret": secret}, repr=not secret)


def text(value: str) -> str:
    return value.strip()


def plain_text(value: str) -> str:
    if not value.strip().isascii():
        raise ValueError("give it as the provider shows it: ASCII characters alone")
    return value.strip()


def key_text(value: str) -> str:
    if len(value.strip()) < SHORTEST_SECRET_KEY:
        raise ValueError(f"give at least {SHORTEST_SECRET_KEY} random characters")
    return value.strip()


def command_line(value: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"give a program and its arguments, quoted as in a shell ({error})".lower()) from None


def choice(*choices: str) -> Parser:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"choose one of: {', '.join(choices)}")
        return value

    return parse


def whole_number(lowest: int, highest: int) -> Parser:
    def parse(value: str) -> int:
        if not value.strip().isdecimal() or not lowest <= int(value) <= highest:
            raise ValueError(f"give a whole number from {lowest} to {highest}")
        return int(value)

    return parse


def folder(value: str) -> Path:
    return (ROOT / value.strip()).resolve()


def words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def role_names(value: str) -> tuple[str, ...]:
    from cms.accounts.permissions import ROLES  # noqa: PLC0415 - no other setting needs it

    if unknown := set(words(value)) - set(ROLES):
        raise ValueError(f"there is no role {min(unknown)}; choose from {', '.join(ROLES)}")
    return words(value)


def language_tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", value.strip()):
        raise ValueError("give a language tag such as en, de or pt-BR")
    return value.strip()


def contact_address(value: str) -> str:
    parts = urlsplit(value.strip())
    if not (parts.scheme in {"http", "https"} and parts.hostname) and not (parts.scheme == "mailto" and parts.path):
        raise ValueError("give an address such as mailto:security@example.org or https://example.org/report")
    return value.strip()


def web_address(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an address such as https://blog.example.org")
    return value.strip().rstrip("/")


def origins(value: str) -> tuple[str, ...]:
    for each in words(value):
        if web_address(each) != f"{urlsplit(each).scheme}://{urlsplit(each).netloc}":
            raise ValueError("give addresses without a path, such as https://app.example.org")
    return words(value)


def database_address(value: str) -> str:
    if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
        raise ValueError("begin it with sqlite:/// or postgresql://")
    return value.strip()


def jobs_address(value: str) -> str:
    known = ("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://", "redis://", "rediss://")
    if not value.startswith(known) or "?" in value:
        raise ValueError("begin it with sqlite:///, postgresql://, redis:// or rediss://, without options")
    return value.strip()


def redis_address(value: str) -> str:
    if not value.startswith(("redis://", "rediss://")) or "?" in value:
        raise ValueError("begin it with redis:// or rediss://, without options")
    return value.strip()


def mail_address(value: str) -> str:
    parts = urlsplit(value.strip())
    serves = parts.scheme in {"smtp", "smtps", "smtp+plain"} and parts.hostname and parts.path in {"", "/"}
    stays = parts.scheme == "console" or (parts.scheme == "file" and parts.path and not parts.netloc)
    if not (serves or stays) or parts.query or parts.fragment:
        raise ValueError("begin it with smtp://, smtps://, smtp+plain:// or file:, or set it to console:")
    _ = parts.port  # raises ValueError for what is no port
    if not unquote(f"{parts.username}{parts.password}").isascii():
        raise ValueError("mail servers take names and passwords of ASCII characters only")
    return value.strip()


def mail_sender(value: str) -> str:
    from cms.mail.messages import parse_sender  # noqa: PLC0415 - the standard library's mail is slow to import

    parse_sender(value.strip())
    return value.strip()


def provider_address(value: str) -> str:
    parts = urlsplit(value.strip())
    is_here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not ((parts.scheme == "https" and parts.hostname) or is_here) or "@" in parts.netloc or parts.query:
        raise ValueError("give an address such as https://login.example.org")
    return value.strip().rstrip("/")


def copy_address(value: str) -> str:
    parts = urlsplit(value.strip())
    known = parts.scheme in {"s3", "gs", "az", "abfs"} and parts.hostname
    if not (known or (parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"))):
        raise ValueError("begin it with file:///, s3://, gs://, az:// or abfs://")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("leave name and password out of it: keys come from AWS_ACCESS_KEY_ID and its like")
    return value.strip().rstrip("/")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings, parsed. A unit stands at the end of a name: _S seconds, _MS milliseconds, _BYTES bytes."""

    CMS_ENV: str = setting(choice("development", "production"), "development")
    SECRET_KEY: str = setting(text, DEVELOPMENT_SECRET_KEY, secret=True)
    SITE_NAME: str = setting(text, "A blog without fear")
    SITE_DESCRIPTION: str = setting(text, "")
    SITE_LANGUAGE: str = setting(language_tag, "en")
    SITE_URL: str = setting(web_address, "http://127.0.0.1:8000")
    SECURITY_CONTACT: str | None = setting(contact_address, None)
    TRUSTED_HOSTS: tuple[str, ...] = setting(words, "")
    TRUSTED_PROXIES: int = setting(whole_number(0, 5), "0")

    DATABASE_URL: str = setting(database_address, "sqlite:///instance/cms.db", secret=True)
    DATABASE_POOL_SIZE: int = setting(whole_number(1, 200), "8")
    DATABASE_CONNECT_TIMEOUT_S: int = setting(whole_number(1, 60), "3")
    PG_BIN_DIR: Path | None = setting(folder, None)

    BACKUP_DIR: Path = setting(folder, "instance/backups")
    BACKUP_KEY: str | None = setting(key_text, None, secret=True)
    BACKUP_COPY_URL: str | None = setting(copy_address, None)
    BACKUP_AGE_RECIPIENTS: tuple[str, ...] = setting(words, "")
    BACKUP_AGE_IDENTITY: str | None = setting(text, None, secret=True)
    BACKUP_PROOF: str = setting(choice("on", "off"), "on")
    BACKUP_MAX_AGE_H: int = setting(whole_number(1, 87_600), "26")
    MEDIA_DIR: Path = setting(folder, "instance/media")
    STATEMENTS_DIR: Path | None = setting(folder, None)

    MAINTENANCE_FILE: Path = setting(folder, "instance/maintenance.json")
    MAINTENANCE_FROM_S: int = setting(whole_number(0, 86_400), "3")

    MIGRATE_ON_START: str = setting(choice("on", "off"), "on")
    MIGRATION_LOCK_TIMEOUT_MS: int = setting(whole_number(10, 60_000), "100")
    MIGRATION_RETRY_S: int = setting(whole_number(0, 86_400), "600")
    MIGRATION_STATEMENT_TIMEOUT_S: int = setting(whole_number(0, 86_400), "0")
    REHEARSAL_MAX_GB: int = setting(whole_number(0, 1_000_000), "0")
    BEFORE_UPGRADE: tuple[str, ...] = setting(command_line, "")
    AFTER_UPGRADE: tuple[str, ...] = setting(command_line, "")
    UPGRADE_COMMAND_TIMEOUT_S: int = setting(whole_number(1, 86_400), "60")
    DEPLOY_LOCK_WAIT_S: int = setting(whole_number(0, 86_400), "900")

    ADMIN_IDLE_MIN: int = setting(whole_number(1, 20_160), "30")
    POSTS_GO_TO: str = setting(text, "")
    SECOND_FACTOR_ROLES: tuple[str, ...] = setting(role_names, "")
    REGISTRATION: str = setting(choice("closed", "open"), "closed")

    GOOGLE_CLIENT_ID: str | None = setting(plain_text, None)
    GOOGLE_CLIENT_SECRET: str | None = setting(plain_text, None, secret=True)
    GITHUB_CLIENT_ID: str | None = setting(plain_text, None)
    GITHUB_CLIENT_SECRET: str | None = setting(plain_text, None, secret=True)
    GITHUB_URL: str = setting(provider_address, "https://github.com")
    OIDC_ISSUER: str | None = setting(provider_address, None)
    OIDC_CLIENT_ID: str | None = setting(plain_text, None)
    OIDC_CLIENT_SECRET: str | None = setting(plain_text, None, secret=True)
    OIDC_NAME: str = setting(text, "your organisation")

    ACTIVITY_KEEP_DAYS: int = setting(whole_number(0, 36_500), "365")

    JOBS_URL: str = setting(jobs_address, "sqlite:///instance/jobs.db", secret=True)
    JOBS_THREADS: int = setting(whole_number(1, 64), "2")

    REDIS_URL: str | None = setting(redis_address, None, secret=True)

    API_ORIGINS: tuple[str, ...] = setting(origins, "")
    API_CHANGES_PER_MIN: int = setting(whole_number(1, 1_000_000), "600")

    POSTS_PER_PAGE: int = setting(whole_number(1, 100), "10")
    MAX_CONTENT_LENGTH: int = setting(whole_number(1024, 1 << 30), "2097152")

    MAIL_URL: str = setting(mail_address, "file:instance/mail", secret=True)
    MAIL_FROM: str | None = setting(mail_sender, None)

    LOG_FORMAT: str = setting(choice("text", "json"), "text")

    WEB_BIND: str = setting(text, "127.0.0.1:8000")
    WEB_WORKERS: int = setting(whole_number(1, 64), "2")
    WEB_THREADS: int = setting(whole_number(1, 64), "4")

    @property
    def is_production(self) -> bool:
        return self.CMS_ENV == "production"


def load_config(environ: Mapping[str, str] = os.environ) -> Config:
    """Read every setting from the environment; an empty value counts as unset.

    Raises ConfigurationError that names the setting, its value (never a secret's) and what would be accepted;
    in production also when SECRET_KEY, SITE_URL or TRUSTED_HOSTS is not a real one.
    """
    config = Config(**{each.name: read_setting(each, environ) for each in fields(Config)})
    if config.is_production:
        refuse_unsafe(config, environ)
    return config


def read_setting(declared: Field[Any], environ: Mapping[str, str]) -> Any:  # Any: see Parser
    """Return one setting's parsed value. Raises ConfigurationError."""
    given = environ.get(declared.name) or read_secret_file(declared, environ) or declared.metadata["default"]
    if given is None:
        return None
    try:
        return declared.metadata["parse"](given)
    except ValueError as error:
        shown = "its value (not shown)" if declared.metadata["secret"] else repr(given)
        raise ConfigurationError(
            f"the setting {declared.name} cannot be used", why=f"{shown} was not understood", hint=str(error)
        ) from None


def read_secret_file(declared: Field[Any], environ: Mapping[str, str]) -> str | None:
    """Return the content of the file that NAME_FILE points to, for secrets only. Raises ConfigurationError."""
    path = environ.get(f"{declared.name}_FILE")
    if not declared.metadata["secret"] or not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or refuse_empty(declared.name, path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file that {declared.name}_FILE names cannot be read",
            why=f"{path}: {getattr(error, 'strerror', None) or 'it is not text'}",
            hint="give a readable text file that holds the value alone",
        ) from None


def refuse_empty(name: str, path: str) -> NoReturn:
    raise ConfigurationError(
        f"the file that {name}_FILE names is empty", why=path, hint="write the value into it, or unset the setting"
    )


def refuse_unsafe(config: Config, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError where production would run on a development value."""
    if config.SECRET_KEY == DEVELOPMENT_SECRET_KEY or len(config.SECRET_KEY) < SHORTEST_SECRET_KEY:
        raise ConfigurationError(
            "production needs a real SECRET_KEY",
            why=f"it is unset, the development value, or shorter than {SHORTEST_SECRET_KEY} characters",
            hint='make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"',
        )
    if not environ.get("SITE_URL"):
        raise ConfigurationError(
            "production needs SITE_URL",
            why="links to this site are made from it, never from a request",
            hint="set it to the site's public address, such as https://blog.example.org",
        )
    if not config.TRUSTED_HOSTS or "*" in config.TRUSTED_HOSTS:
        raise ConfigurationError(
            "production needs TRUSTED_HOSTS",
            why="a request's Host header is believed only when it is in this list",
            hint=f"set it to a comma-separated list, such as {urlsplit(config.SITE_URL).hostname},localhost",
        )
