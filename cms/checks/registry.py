"""Which checks there are, and running them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cms.checks.messages import Problem

Check = Callable[..., list[Problem]]
Looking = Callable[[], AbstractContextManager[None]]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Registered:
    """One check. deploy: runs only when asked about a production deployment; only: on this kind of database, or any."""

    check: Check
    tag: str
    deploy: bool
    only: str | None

    @property
    def name(self) -> str:
        return self.check.__name__

    @property
    def finds(self) -> str:
        """Return the docstring's first line, which begins with the id of what it finds."""
        return (inspect.getdoc(self.check) or self.name).partition("\n")[0]

    @property
    def needs(self) -> list[str]:
        return list(inspect.signature(self.check).parameters)


@dataclass(frozen=True)
class Measured:
    """A check that looked, and what it would have found."""

    check: str
    finds: str


@dataclass(frozen=True)
class Unchecked:
    """A check that could not look, what it would have found, and why it could not."""

    check: str
    finds: str
    why: str


@dataclass(frozen=True)
class Findings:
    """What the checks found, those that looked, and those that could not."""

    problems: tuple[Problem, ...]
    checked: tuple[Measured, ...]
    unchecked: tuple[Unchecked, ...]


class CannotLook(Exception):
    """What a check looks at cannot be seen now; the text says why."""


class Registry:
    """The checks of a program, in the order they were registered."""

    def __init__(self) -> None:
        self._checks: list[Registered] = []

    def register(self, tag: str, *, deploy: bool = False, only: str | None = None) -> Callable[[Check], Check]:
        """Add the decorated function; its parameters name what it looks at, ``only`` the kind of database it is for."""

        def add(check: Check) -> Check:
            self._checks.append(Registered(check, tag, deploy, only))
            return check

        return add

    @property
    def tags(self) -> list[str]:
        return sorted({registered.tag for registered in self._checks})

    def needs(self, tags: Iterable[str], *, deploy: bool) -> set[str]:
        """Return the names of everything that the checks of the tags look at."""
        return {name for registered in self._chosen(tags, deploy=deploy) for name in registered.needs}

    def _chosen(self, tags: Iterable[str], *, deploy: bool) -> list[Registered]:
        wanted = set(tags)
        return [each for each in self._checks if each.tag in wanted and (deploy or not each.deploy)]

    def run(
        self,
        tags: Iterable[str],
        *,
        deploy: bool,
        given: Mapping[str, Any],
        lacking: Mapping[str, str] = NOTHING,
        looking: Looking = nullcontext,
    ) -> Findings:
        """Run the checks of the tags whose parameters are all given.

        given: name of a parameter → what the check looks at; Any, since each check looks at something else.
        lacking: name of a parameter, or a tag → why checks that need it, or have it, cannot look.
        looking: opened around each check; raises CannotLook for what the check failed with, if that is no bug.
        """
        problems: list[Problem] = []
        checked: list[Measured] = []
        unchecked: list[Unchecked] = []
        for registered in self._chosen(tags, deploy=deploy):
            if registered.only not in {None, getattr(given.get("target"), "engine_name", None)}:
                continue
            missing = [name for name in registered.needs if name not in given]
            missing += [registered.tag] if registered.tag in lacking else []
            if missing:
                why = lacking.get(missing[0], f"there is no {missing[0]} to look at")
                unchecked.append(Unchecked(registered.name, registered.finds, why))
                continue
            try:
                with looking():
                    problems += registered.check(**{name: given[name] for name in registered.needs})
            except CannotLook as unable:
                unchecked.append(Unchecked(registered.name, registered.finds, str(unable)))
            else:
                checked.append(Measured(registered.name, registered.finds))
        return Findings(tuple(problems), tuple(checked), tuple(unchecked))


registry = Registry()
register = registry.register
