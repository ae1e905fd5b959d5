"""Rules that reading the file answers."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alembic.script import Script

from cms.database.lint.findings import Remark
from cms.database.recording import Statement
from cms.database.steps import BLOCKS

MAY_IMPORT = {*sys.stdlib_module_names, "sqlalchemy", "alembic"}
MAY_IMPORT_OF_OURS = {"cms.database.operations", "cms.database.errors"}
SAYS_NOTHING = {
    *["change", "changes", "db", "fix", "fixes", "message", "migration", "misc", "models", "new", "revision"],
    *["schema", "stuff", "test", "tmp", "todo", "update", "updates", "wip"],
}
READS = {"get_context", "get_bind", "f", "inline_literal"}
NAME = re.compile(r"\d{8}_\d{4}_[a-z0-9_]+\.py")
SECRETS = {
    "a password": r"""(?i)(?:passw(?:or)?d|secret(?:_key)?|api_?key|token)["']?\s*[:=]\s*["'][^"'{}\s]{6,}["']""",
    "a password in an address": r"\b[a-z][a-z0-9+]*://[^\s:/@\"']+:[^\s@/\"'{}]+@",
    "a password of a role": r"(?i)\bPASSWORD\s+'[^']+'",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a key of a service": r"\b(?:AKIA[0-9A-Z]{16}|[sr]k_live_\w{10,}|gh[pousr]_\w{30,}|xox[baprs]-\w{10,})",
    "the hash of a password": r"\$(?:2[aby]\$\d\d|argon2id?)\$",
}


@dataclass(frozen=True)
class Source:
    """A revision's file."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, script: Script) -> Source:
        path = Path(str(script.module.__file__))
        text = path.read_text(encoding="utf-8")
        return cls(path, text, ast.parse(text))

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        return {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    def line_of(self, function: str) -> int:
        return self.functions[function].lineno if function in self.functions else 1

    def calls_in(self, function: str) -> set[str]:
        """Return the names of what a function calls."""
        nodes = ast.walk(self.functions[function]) if function in self.functions else ()
        return {called(node) for node in nodes if isinstance(node, ast.Call)}

    def line_naming(self, line: int, name: str) -> int:
        """Return the line, within the statement that begins at ``line``, that has the name in quotes; else ``line``."""
        ends = [
            node.end_lineno or line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node.lineno == line
        ]
        for number in range(line, max(ends, default=line) + 1):
            if re.search(rf"""["']{re.escape(name)}["']""", self.text.splitlines()[number - 1]):
                return number
        return line


def judge_source(script: Script, source: Source) -> Iterator[Remark]:
    """Yield what is wrong with the file itself."""
    yield from judge_message(script)
    if not NAME.fullmatch(source.path.name):
        yield Remark("file-name", 1, f"the file name {source.path.name} does not say when and what")
    yield from judge_imports(source)
    yield from judge_secrets([Statement(line, number) for number, line in enumerate(source.text.splitlines(), start=1)])
    yield from judge_downgrade(script, source)
    yield from judge_blocks(source)


def judge_secrets(texts: Iterable[Statement]) -> Iterator[Remark]:
    """Yield what looks like a secret in lines of the file, or in the SQL that they make; never shows it."""
    for text in texts:
        for what, pattern in SECRETS.items():
            if re.search(pattern, text.sql):
                yield Remark("secret", text.line, f"{what} seems to stand here")


def judge_message(script: Script) -> Iterator[Remark]:
    words = re.findall(r"\w+", script.doc.lower())
    is_first = script.down_revision is None and words[:1] == ["initial"]
    if not is_first and len([word for word in words if word not in SAYS_NOTHING]) < 2:  # noqa: PLR2004
        yield Remark("message", 1, f"the message {script.doc!r} does not say what changes")


def judge_imports(source: Source) -> Iterator[Remark]:
    for node in ast.walk(source.tree):
        for name in imported(node):
            if name not in MAY_IMPORT_OF_OURS and name.partition(".")[0] not in MAY_IMPORT:
                yield Remark("imports-application", getattr(node, "lineno", 1), f"it imports {name}")


def imported(node: ast.AST) -> list[str]:
    """Return the modules that an import statement, or a call of import_module or __import__, names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        whole = [f"{node.module}.{alias.name}" for alias in node.names]
        return whole if set(whole) <= MAY_IMPORT_OF_OURS else [node.module or "."]
    if isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
        return [str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant)]
    return []


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def judge_downgrade(script: Script, source: Source) -> Iterator[Remark]:
    if not hasattr(script.module, "downgrade"):
        yield Remark("no-downgrade", 1, "there is no downgrade()")
    for node in ast.walk(source.functions.get("downgrade", ast.Module([], []))):
        if isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node):
            yield Remark("no-downgrade", node.lineno, "downgrade() is not written")


def judge_blocks(source: Source) -> Iterator[Remark]:
    """Look for what stands beside building blocks: after an interruption it would be done again."""
    for function in source.functions.values():
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        if any(isinstance(call.func, ast.Name) and call.func.id in BLOCKS for call in calls):
            for call in calls:
                if of_alembic(call) and called(call) not in READS:
                    yield Remark(
                        "autocommit-not-alone", call.lineno, f"op.{called(call)} stands beside building blocks"
                    )


def of_alembic(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "op"


def list_row_changes(source: Source) -> list[int]:
    """Return the lines of upgrade() that change rows, also those that a run on an empty database does not reach."""
    lines = []
    for node in ast.walk(source.functions.get("upgrade", ast.Module([], []))):
        if isinstance(node, ast.Constant) and re.match(
            r"\s*(UPDATE|DELETE FROM|INSERT INTO)\s", str(node.value), re.IGNORECASE
        ):
            lines.append(node.lineno)
        # dict.update() and list.insert() take arguments, those of a table take none
        if isinstance(node, ast.Call) and (
            called(node) == "bulk_insert"
            or (
                called(node) in {"update", "delete", "insert"}
                and (not node.args or ast.unparse(node.func).startswith("sa."))
            )
        ):
            lines.append(node.lineno)
    return lines
