"""What git knows about the revision files, where there is git and a repository."""

from __future__ import annotations

import subprocess
from pathlib import Path


def list_uncommitted(folder: Path) -> set[Path]:
    """Return the files in the folder that are new or changed since the last commit; none without git."""
    lines = ask_git(folder, "status", "--porcelain", "--untracked-files=all", "-z", "--", ".")
    names = ask_git(folder, "rev-parse", "--show-toplevel")
    top = Path(names.strip())
    return {top / line[3:] for line in lines.split("\0") if line[3:].endswith(".py")}


def ask_git(folder: Path, *arguments: str) -> str:
    """Return what git prints; nothing without git, without a repository, or in a repository of somebody else."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
