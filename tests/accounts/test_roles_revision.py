"""The revisions that give roles their table keep the people of every site that is adopted."""

from __future__ import annotations

from uuid import uuid4

import pytest
import sqlalchemy as sa

from cms.database.target import Target
from tests.database.rows import connected, downgrade, insert, upgrade

BEFORE, AFTER = "e7a4d05b9c62", "2c7d5b81e0a6"
FOUND = {
    "superadmin": ["admin"], "Admin": ["admin"], "manager": ["editor"], "moderator": ["editor"], "author": ["author"],
    "vip": [], "": [],
}  # fmt: skip


@pytest.fixture
def people(target: Target) -> Target:
    upgrade(target, BEFORE)
    with connected(target) as connection:
        for role in FOUND:
            insert(connection, "users", person(role))
    return target


def person(role: str) -> dict[str, object]:
    name = uuid4().hex
    return {"uuid": uuid4(), "username": name, "email": f"{name}@example.org", "role": role}


def read_roles(target: Target) -> dict[str, list[str]]:
    roles = sa.table("roles", sa.column("name"), sa.column("permissions", sa.JSON))
    with connected(target) as connection:
        return dict(tuple(row) for row in connection.execute(sa.select(roles.c.name, roles.c.permissions)))


def list_people(target: Target) -> list[str]:
    with connected(target) as connection:
        return sorted(connection.scalars(sa.text("SELECT role FROM users")))


def test_every_role_in_use_gets_its_row_and_odd_ones_the_rights_that_they_had(people: Target):
    upgrade(people, AFTER)
    roles = read_roles(people)
    assert FOUND.items() <= roles.items()
    built_in = {"admin", "editor", "author", "contributor", "user"}
    assert {name: [name] for name in built_in}.items() <= roles.items()
    assert list_people(people) == sorted(FOUND)


def test_the_release_before_can_still_add_people_and_a_role_that_nobody_knows_is_refused(people: Target):
    upgrade(people, AFTER)
    with connected(people) as connection:
        for role in ("admin", "editor", "author", "user"):
            insert(connection, "users", person(role))
    with pytest.raises(sa.exc.IntegrityError), connected(people) as connection:
        insert(connection, "users", person("unknown"))


def test_going_back_keeps_the_roles_of_people(people: Target):
    upgrade(people, AFTER)
    downgrade(people, BEFORE)
    assert list_people(people) == sorted(FOUND)
