"""The permission table, and that every address of the site asks it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from cms.accounts.permissions import (
    ADMIN,
    ALL,
    AUTHOR,
    CONTRIBUTOR,
    DRAFT,
    EDITOR,
    OWN,
    PERMISSIONS,
    ROLES,
    STATES,
    USER,
    VISITOR,
    Permission,
    is_allowed,
    is_ever_allowed,
    own,
)


@pytest.fixture
def _row(monkeypatch: pytest.MonkeyPatch):
    grants = {EDITOR: ALL, AUTHOR: OWN, CONTRIBUTOR: own(DRAFT)}
    monkeypatch.setitem(PERMISSIONS, "post.test", Permission("post.test", changes=True, grants=grants))


OWNED, OTHERS = "own", "other's"


@pytest.mark.usefixtures("_row")
@pytest.mark.parametrize(
    ("role", "whose", "covered"),
    [
        (EDITOR, OWNED, STATES),
        (EDITOR, OTHERS, STATES),
        (AUTHOR, OWNED, STATES),
        (AUTHOR, OTHERS, set()),
        (CONTRIBUTOR, OWNED, {DRAFT}),
        (CONTRIBUTOR, OTHERS, set()),
        (USER, OWNED, set()),
        (VISITOR, OTHERS, set()),
    ],
)
def test_a_grant_covers_own_and_others_objects_by_state(role: str, whose: str, covered: set[str]):
    asked = {*STATES, "unheard of"}
    assert {each for each in asked if is_allowed({role}, "post.test", is_own=whose == OWNED, state=each)} == covered


@pytest.mark.usefixtures("_row")
def test_the_rights_of_several_roles_add_up_and_no_role_has_none():
    assert is_allowed({USER, AUTHOR}, "post.test", is_own=True)
    assert is_ever_allowed({USER, CONTRIBUTOR}, "post.test")
    assert not is_ever_allowed({USER}, "post.test")
    assert not is_ever_allowed(set(), "site.see")


def test_a_permission_that_is_not_in_the_table_is_a_mistake_and_not_a_refusal():
    with pytest.raises(KeyError):
        is_allowed({ADMIN}, f"post.{uuid4()}")


def test_an_admin_has_every_permission_and_a_visitor_reads_and_signs_in():
    assert all(is_allowed({ADMIN}, name) for name in PERMISSIONS)
    assert all(grants.keys() <= {*ROLES, VISITOR} for grants in (row.grants for row in PERMISSIONS.values()))
