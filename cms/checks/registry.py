"""Which checks there are, and running them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cms.checks.messages import Problem

Check = Callable[..., list[Problem]]


@dataclass(frozen=True)
class Registered:
    """One check. deploy: runs only when asked about a production deployment."""

    check: Check
    tag: str
    deploy: bool

    @property
    def needs(self) -> list[str]:
        return list(inspect.signature(self.check).parameters)


@dataclass(frozen=True)
class Findings:
    """What the checks found, the names of those that looked, and of those that could not."""

    problems: tuple[Problem, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]


class Registry:
    """The checks of a program, in the order they were registered."""

    def __init__(self) -> None:
        self._checks: list[Registered] = []

    def register(self, tag: str, *, deploy: bool = False) -> Callable[[Check], Check]:
        """Add the decorated function; its parameters name what it looks at."""

        def add(check: Check) -> Check:
            self._checks.append(Registered(check, tag, deploy))
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

    def run(self, tags: Iterable[str], *, deploy: bool, given: Mapping[str, Any]) -> Findings:
        """Run the checks of the tags whose parameters are all given.

        given: name of a parameter → what the check looks at; Any, since each check looks at something else.
        """
        problems: list[Problem] = []
        checked: list[str] = []
        unchecked: list[str] = []
        for registered in self._chosen(tags, deploy=deploy):
            if all(name in given for name in registered.needs):
                problems += registered.check(**{name: given[name] for name in registered.needs})
                checked.append(registered.check.__name__)
            else:
                unchecked.append(registered.check.__name__)
        return Findings(tuple(problems), tuple(checked), tuple(unchecked))


registry = Registry()
register = registry.register
