"""The revision files themselves, read without importing them, and what git knows about them."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Named:
    """What a file says about its place in the history."""

    file: Path
    revision: str
    parents: tuple[str, ...]


def list_faults(folder: Path) -> list[str]:
    """Return in words which files share an id and which name a parent that no file has; nothing if all fit."""
    named = list(read_names(folder))
    files: dict[str, list[str]] = {}
    for each in named:
        files.setdefault(each.revision, []).append(each.file.name)
    faults = [
        f"{' and '.join(names)} have the same id {revision}" for revision, names in files.items() if len(names) > 1
    ]
    for each in named:
        faults += [
            f"{each.file.name} follows {parent}, which no file has{told(find_removal(folder, parent))}"
            for parent in each.parents
            if parent not in files
        ]
    return faults


def told(removal: str | None) -> str:
    return f" (commit {removal} removed it)" if removal else ""


def read_names(folder: Path) -> Iterator[Named]:
    """Yield what each readable file says, by name; a file that is no Python is left out."""
    for file in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue
        ids = {name: found for node in tree.body for name, found in assigned_ids(node)}
        for revision in ids.get("revision", ()):
            yield Named(file, revision, ids.get("down_revision", ()))


def assigned_ids(node: ast.stmt) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names that an assignment gives a text, or several, with those texts."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return
    texts = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            yield target.id, tuple(text for text in texts if isinstance(text, str))


def checksum_of(file: str | Path) -> str:
    """Return the SHA-256 of what a file does: its lines without those that are empty or only a comment."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    code = [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def list_uncommitted(folder: Path) -> set[Path]:
    """Return the files in the folder that are new or changed since the last commit; none without git."""
    lines = ask_git(folder, "status", "--porcelain", "--untracked-files=all", "-z", "--", ".")
    top = Path(ask_git(folder, "rev-parse", "--show-toplevel").strip())
    return {top / line[3:] for line in lines.split("\0") if line.endswith(".py")}


def find_removal(folder: Path, revision: str) -> str | None:
    """Return the last commit that took away a revision's file, on any branch: "1a2b3c4 of 2026-11-23 (Subject)"."""
    pattern = rf"^revision.*=.*{revision}"
    found = ask_git(
        folder, "log", "--all", "-1", "--diff-filter=D", f"-G{pattern}", "--format=%h of %cs (%s)", "--", "."
    )
    return found.strip() or None


def read_commit(folder: Path) -> str | None:
    """Return the commit that is checked out, with a mark if files were changed since; None without git."""
    return ask_git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip() or None


def ask_git(folder: Path, *arguments: str) -> str:
    """Return what git prints; nothing without git, without a repository, or in a repository of somebody else."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
