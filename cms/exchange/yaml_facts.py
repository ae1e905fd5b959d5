"""YAML from strangers: plain values only, and no way to make a small file cost much."""

from __future__ import annotations

from typing import Any, NoReturn

import yaml

from cms.exchange.errors import FileUnusable

# Aliases multiply: the famous bomb has nine names for nine names … With ten, no file can make itself 40 times as big.
ALIAS_LIMIT = 10
DEPTH_LIMIT = 20


class FactsLoader(yaml.SafeLoader):
    """SafeLoader that counts aliases and depth, and names the line of a value that cannot be (30 February)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.aliases = 0
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # Any: the base class's own signature
        self.aliases += self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.aliases > ALIAS_LIMIT:
            self.refuse(f"more than {ALIAS_LIMIT} aliases")
        if self.depth > DEPTH_LIMIT:
            self.refuse(f"nested deeper than {DEPTH_LIMIT}")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - its signature
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, TypeError, LookupError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def refuse(self, problem: str) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, self.peek_event().start_mark)


def load_yaml(text: str, *, first_line: int) -> Any:  # Any: whatever the text says
    """Return what the YAML says. Raises FileUnusable with the line; first_line is the text's own line in its file."""
    loader = FactsLoader("")
    try:
        loader = FactsLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + mark.line if mark else None
        raise broken_yaml(error.problem or error.context, line) from error
    except yaml.reader.ReaderError as error:
        raise broken_yaml(error.reason, first_line + text.count("\n", 0, error.position)) from error
    except RecursionError as error:
        raise broken_yaml("nested too deep", None) from error
    finally:
        loader.dispose()


def broken_yaml(problem: str | None, line: int | None) -> FileUnusable:
    why = " ".join(str(problem).split())
    hint = "mend that line, then import again"
    return FileUnusable("the front matter is not valid YAML", line=line, why=why, hint=hint)
