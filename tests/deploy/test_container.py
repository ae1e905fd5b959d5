"""Dockerfile and compose.yaml say the same as each other and as the rest of the house. No Docker is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from config import Config, load_config
from tests.deploy.programs import ROOT, run, settings_of_site

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")


@pytest.fixture
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE)["services"]


def test_the_clients_in_the_image_are_of_the_servers_version(services):
    (clients,) = re.findall(r"ARG PG_MAJOR=(\d+)", DOCKERFILE)
    assert services["db"]["image"] == f"postgres:{clients}"


def test_the_image_has_a_python_that_ci_tests():
    (version,) = re.findall(r"ARG BASE=python:(\d+\.\d+)-", DOCKERFILE)
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert version in workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]


def test_the_site_does_not_run_as_root():
    assert re.findall(r"^USER (.+)$", DOCKERFILE, flags=re.MULTILINE) == ["5678:5678"]
    assert DOCKERFILE.index("\nUSER ") > DOCKERFILE.rindex("\nRUN ")


def test_no_secret_has_a_default():
    used = re.findall(r"\$\{(\w+)(:?[-?]?)", COMPOSE)
    assert {"SECRET_KEY", "POSTGRES_PASSWORD"} <= {name for name, _ in used}
    assert {name for name, rule in used if rule == ":-"} == {
        "SITE_NAME",
        "TRUSTED_PROXIES",
        "MIGRATE_ON_START",
        "MAIL_FROM",
        "MAIL_URL",
    }
    assert not re.findall(r"SECRET_KEY|PASSWORD", DOCKERFILE)


def test_compose_gives_the_site_settings_that_production_takes(services):
    given = {
        "SECRET_KEY": "k" * 64,
        "POSTGRES_PASSWORD": "p" * 64,
        "SITE_URL": "https://b.example",
        "TRUSTED_HOSTS": "b",
    }
    environment = services["web"]["environment"]
    filled = {
        name: re.sub(r"\$\{(\w+):.(.*?)\}", lambda use: fill(use, given), value) for name, value in environment.items()
    }
    image = dict(re.findall(r'(?:ENV |^    )(\w+)=([^"\s]+)(?: \\)?$', DOCKERFILE, flags=re.MULTILINE))
    config = load_config({**image, **filled})
    assert config.is_production
    assert config.DATABASE_URL.endswith(f"//cms:{'p' * 64}@db:5432/cms")
    assert config.WEB_BIND == "0.0.0.0:8000"
    assert config.TRUSTED_PROXIES == 1
    assert config.SITE_NAME == load_config({}).SITE_NAME


def fill(use: re.Match[str], given: dict[str, str]) -> str:
    """Return what compose puts for ${NAME:?message} or ${NAME:-default}."""
    return given.get(use[1], use[2])


def test_every_setting_in_compose_and_the_image_is_one(services):
    known = {*Config.__dataclass_fields__, "PATH", "PYTHONUNBUFFERED"}
    image = re.findall(r"(?:ENV |^    )([A-Z_]+)=", DOCKERFILE, flags=re.MULTILINE)
    assert {*services["web"]["environment"], *image} <= known


def test_docker_waits_longer_for_the_stop_than_gunicorn_for_its_requests(services, tmp_path):
    shown = run(["gunicorn", "-c", "deploy/gunicorn.conf.py", "--print-config"], settings_of_site(tmp_path)).stdout
    (graceful_s,) = re.findall(r"^graceful_timeout\s+=?\s*(\d+)$", shown, flags=re.MULTILINE)
    assert int(services["web"]["stop_grace_period"].removesuffix("s")) > int(graceful_s)


def test_gunicorn_keeps_a_proxys_connections_longer_than_the_proxy(tmp_path):
    settings = settings_of_site(tmp_path, TRUSTED_PROXIES="1")
    shown = run(["gunicorn", "-c", "deploy/gunicorn.conf.py", "--print-config"], settings).stdout
    (ours_s,) = re.findall(r"^keepalive\s+=?\s*(\d+)$", shown, flags=re.MULTILINE)
    (theirs_s,) = re.findall(
        r"^ +keepalive_timeout (\d+)s; # shorter", (ROOT / "deploy/nginx.conf").read_text(), re.MULTILINE
    )
    assert int(ours_s) > int(theirs_s)


def test_database_and_redis_are_not_published(services):
    assert [name for name, service in services.items() if "ports" in service] == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in services["web"]["ports"])


def test_backups_and_media_outlive_the_container(services):
    folders = {volume.split(":")[1] for volume in services["web"]["volumes"]}
    assert folders == set(re.findall(r'"(/[^"]+)"', re.findall(r"^VOLUME (.+)$", DOCKERFILE, flags=re.MULTILINE)[0]))
