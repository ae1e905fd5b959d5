"""Settings: typed, with defaults; a bad value names itself and what would be accepted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.database.target import parse_url
from cms.errors import ConfigurationError
from config import Config, load_config

PRODUCTION = {
    "CMS_ENV": "production",
    "SECRET_KEY": "k7Zq-" * 10,
    "SITE_URL": "https://blog.example.org",
    "TRUSTED_HOSTS": "blog.example.org",
}


def test_development_needs_no_setting():
    config = load_config({})
    assert (config.CMS_ENV, config.POSTS_PER_PAGE) == ("development", 10)
    assert config.DATABASE_URL.startswith("sqlite:///")


def test_production_starts_with_real_values():
    assert load_config(PRODUCTION).TRUSTED_HOSTS == ("blog.example.org",)


@pytest.mark.parametrize("missing", ["SECRET_KEY", "SITE_URL", "TRUSTED_HOSTS"])
def test_production_refuses_to_start_without(missing):
    with pytest.raises(ConfigurationError, match=missing):
        load_config({name: value for name, value in PRODUCTION.items() if name != missing})


@pytest.mark.parametrize("key", ["short", "development-only-and-refused-in-production"])
def test_production_refuses_a_key_that_can_be_guessed(key):
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        load_config({**PRODUCTION, "SECRET_KEY": key})


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("CMS_ENV", "prod", "development, production"),
        ("POSTS_PER_PAGE", "ten", "from 1 to 100"),
        ("POSTS_PER_PAGE", "0", "from 1 to 100"),
        ("POSTS_PER_PAGE", "-3", "from 1 to 100"),
        ("SITE_URL", "blog.example.org", "https://"),
        ("SITE_LANGUAGE", "English!", "pt-BR"),
        ("API_ORIGINS", "https://app.example.org/page", "https://app.example.org"),
        ("API_ORIGINS", "app.example.org", "https://"),
        ("API_CHANGES_PER_MIN", "0", "from 1 to 1000000"),
        ("SECURITY_CONTACT", "security@example.org", "mailto:security@example.org"),
        ("SECURITY_CONTACT", "https://", "mailto:security@example.org"),
        ("MIGRATE_ON_START", "yes", "on, off"),
        ("SECOND_FACTOR_ROLES", "admin,boss", "admin, editor, author"),
        ("OIDC_ISSUER", "http://login.example.org", "https://login.example.org"),
        ("OIDC_ISSUER", "https://login.example.org/?a=b", "https://login.example.org"),
        ("GITHUB_URL", "github.com", "https://"),
        ("GOOGLE_CLIENT_ID", "é", "ASCII"),
        ("BEFORE_UPGRADE", "notify 'open", "no closing quotation"),
        ("UPGRADE_COMMAND_TIMEOUT_S", "0", "from 1 to 86400"),
    ],
)
def test_a_malformed_value_names_setting_value_and_choices(name, value, accepted):
    with pytest.raises(ConfigurationError) as refused:
        load_config({name: value})
    assert name in refused.value.what
    assert value in str(refused.value.why)
    assert accepted in str(refused.value.hint)


def test_a_malformed_secret_is_not_shown():
    with pytest.raises(ConfigurationError) as refused:
        load_config({"DATABASE_URL": "mysql://u:hunter2@h/d"})
    assert "hunter2" not in str(refused.value)
    assert "postgresql://" in str(refused.value)


@pytest.mark.parametrize("url", ["http://:hunter2@h", "redis://:hunter2@h?db=1", "hunter2"])
def test_a_malformed_address_of_redis_is_not_shown(url):
    with pytest.raises(ConfigurationError) as refused:
        load_config({"REDIS_URL": url})
    assert "hunter2" not in str(refused.value)
    assert "redis://" in str(refused.value)


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "key").write_text("from-the-file\n")
    assert load_config({"SECRET_KEY_FILE": str(tmp_path / "key")}).SECRET_KEY == "from-the-file"


def test_a_secret_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="SECRET_KEY_FILE"):
        load_config({"SECRET_KEY_FILE": str(tmp_path / "nothing")})


def test_an_empty_secret_file_is_an_error_and_not_unset(tmp_path):
    (tmp_path / "key").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        load_config({"BACKUP_KEY_FILE": str(tmp_path / "key")})


def test_secrets_are_not_in_the_text_of_the_settings():
    config = load_config({"SECRET_KEY": "hunter2", "DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in repr(config)


@given(name=st.sampled_from([*Config.__dataclass_fields__]), value=st.text(max_size=20))
def test_any_text_is_accepted_or_refused_with_a_message(name, value):
    with suppress(ConfigurationError):
        load_config({name: value})


def test_the_rest_of_a_password_is_not_taken_for_a_host():
    with pytest.raises(ConfigurationError) as refused:
        parse_url("postgresql://cms:one@two@db.example.org/cms")
    assert "two" not in str(refused.value)
