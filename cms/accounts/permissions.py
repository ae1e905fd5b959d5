"""Who may do what: the one table that pages, API and commands ask. Nothing else decides.

A person has a role, a row of ``roles``, and that row names the roles below whose rights it has. A permission says for
each of them which objects it covers: one's own, those of others, and in which states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ADMIN, EDITOR, AUTHOR, CONTRIBUTOR, USER = "admin", "editor", "author", "contributor", "user"
ROLES = (ADMIN, EDITOR, AUTHOR, CONTRIBUTOR, USER)
VISITOR = "visitor"  # whoever is not signed in; no row of ``roles``

DRAFT, IN_REVIEW, SCHEDULED = "draft", "in_review", "scheduled"
PUBLISHED, ARCHIVED, TRASHED = "published", "archived", "trashed"
# The state of what has none, such as a person, is "".
STATES = frozenset({"", DRAFT, IN_REVIEW, SCHEDULED, PUBLISHED, ARCHIVED, TRASHED})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grant:
    """In which states a role may do something to what is its own, and to what is others'."""

    own: frozenset[str] = STATES
    others: frozenset[str] = NONE

    def covers(self, *, is_own: bool, state: str) -> bool:
        return state in (self.own if is_own else self.others)


ALL = Grant(others=STATES)
OWN = Grant()


def own(*states: str) -> Grant:
    """Grant what is one's own, as long as it is in one of these states."""
    return Grant(own=frozenset(states))


@dataclass(frozen=True)
class Permission:
    """One row of the table.

    changes: it is for requests that change something (POST); one that does not is for those that only read (GET).
    is_dangerous: only for somebody who proved a moment ago who they are.
    in_person: only for somebody who signed in, never for a program with a token.
    """

    name: str
    changes: bool
    grants: Mapping[str, Grant]
    is_dangerous: bool = False
    in_person: bool = False

    @property
    def is_scope(self) -> bool:
        """Tell whether a token may be for this. What everybody may do needs none."""
        return not (self.is_dangerous or self.in_person or VISITOR in self.grants)


PERMISSIONS: dict[str, Permission] = {}


def sees(name: str, grants: Mapping[str, Grant], *, is_dangerous: bool = False, in_person: bool = False) -> None:
    """Add a permission to read something. An admin has it without being named."""
    add(Permission(name, changes=False, grants={ADMIN: ALL, **grants}, is_dangerous=is_dangerous, in_person=in_person))


def does(name: str, grants: Mapping[str, Grant], *, is_dangerous: bool = False, in_person: bool = False) -> None:
    """Add a permission to change something. An admin has it without being named."""
    add(Permission(name, changes=True, grants={ADMIN: ALL, **grants}, is_dangerous=is_dangerous, in_person=in_person))


def add(permission: Permission) -> None:
    PERMISSIONS[permission.name] = permission


WRITERS = {EDITOR: ALL, AUTHOR: ALL, CONTRIBUTOR: ALL}
MEMBERS = {**WRITERS, USER: ALL}
EVERYBODY = {**MEMBERS, VISITOR: ALL}

# What everybody meets
sees("site.see", EVERYBODY)
sees("sign_in.see", EVERYBODY)
does("sign_in.do", EVERYBODY)

# One's own account: each of its pages shows and changes the account of whoever asks
sees("account.see", MEMBERS)
does("account.change", MEMBERS, in_person=True)
does("account.sign_out", MEMBERS, in_person=True)
does("account.confirm", MEMBERS, in_person=True)
sees("account.see_security", MEMBERS, in_person=True)
sees("account.see_keys", MEMBERS, is_dangerous=True)
does("account.secure", MEMBERS, is_dangerous=True)

# Posts. Contributors hand theirs in, and what an editor made public is no longer theirs to change.
WRITTEN = STATES - {"", TRASHED}
sees("post.list", WRITERS)
sees("post.read", {EDITOR: ALL, AUTHOR: OWN, CONTRIBUTOR: OWN})
does("post.write", {EDITOR: Grant(WRITTEN, WRITTEN), AUTHOR: Grant(WRITTEN), CONTRIBUTOR: own(DRAFT, IN_REVIEW)})
does("post.submit", {EDITOR: ALL, AUTHOR: OWN, CONTRIBUTOR: own(DRAFT, IN_REVIEW)})
does("post.review", {EDITOR: ALL})
does("post.publish", {EDITOR: ALL, AUTHOR: OWN})
does("post.trash", {EDITOR: ALL, AUTHOR: OWN, CONTRIBUTOR: own(DRAFT, IN_REVIEW, TRASHED)})

# The administration: its first page is for whoever has something to do there
sees("admin.see", WRITERS)
sees("people.see", {})
does("people.change", {}, is_dangerous=True)
sees("activity.see", {})


def list_scopes(roles: frozenset[str]) -> list[Permission]:
    """Return what a token of somebody with these roles may be for, reading first."""
    possible = [each for each in PERMISSIONS.values() if each.is_scope and is_ever_allowed(roles, each.name)]
    return sorted(possible, key=lambda each: (each.changes, each.name))


def is_allowed(roles: Iterable[str], name: str, *, is_own: bool = False, state: str = "") -> bool:
    """Tell whether one of the roles covers this object.

    roles: of the table. name: a permission's; KeyError if there is none. is_own: whether the object belongs to the
    person; False for what belongs to nobody. state: the object's.
    """
    grants = PERMISSIONS[name].grants
    return any(role in grants and grants[role].covers(is_own=is_own, state=state) for role in roles)


def is_ever_allowed(roles: Iterable[str], name: str) -> bool:
    """Tell whether one of the roles covers any object at all, which is what is known before the object was read."""
    return not PERMISSIONS[name].grants.keys().isdisjoint(roles)
