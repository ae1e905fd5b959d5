"""pg_dump and pg_restore: which ones fit the server, and running them without showing the password."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import zstandard
from psycopg.conninfo import make_conninfo

from cms.database.engines.base import ClientTool, Definitions, Dump, Server
from cms.database.engines.pgtext import spread_casts
from cms.database.envelope import Envelope
from cms.database.errors import BackupFailed, RestoreFailed, ToolMissing
from cms.database.progress import Meter
from cms.database.target import Target
from cms.errors import CmsError

FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")
CHUNK_BYTES = 1 << 20
# A million posts on two cores: level 3 takes 40 % more of the processor than 2 and saves 3 % of the size. One thread:
# pg_dump is the slower end of the pipe all the same, and zstd's own threads cost a tenth more, and 20 MiB each.
ZSTD_LEVEL = 2
SECRETS = {"password", "passfile", "sslpassword"}
PRIVILEGE = re.compile(r"GRANT |REVOKE |ALTER DEFAULT PRIVILEGES |SET SESSION AUTHORIZATION |ALTER .* OWNER TO ")
OWNER = re.compile(r"""^ALTER .* OWNER TO ("[^"]+"|\S+);$""")
GRANTEE = re.compile(r"""^(?:GRANT|REVOKE|ALTER DEFAULT) .* (?:TO|FROM) ("[^"]+"|\S+?)(?: WITH GRANT OPTION)?;$""")


def find_tool(name: str, target: Target, server_major: int) -> ClientTool:
    """Return the program of the lowest version that fits the server; PG_BIN_DIR, if set, is the only place searched.

    An older pg_dump refuses a newer server, and a newer pg_restore sends settings that an older server does not know.
    Raises ToolMissing.
    """
    found = [tool for path in candidates(name, target) if (tool := ask_version(path)) and tool.major >= server_major]
    if not found:
        raise ToolMissing(
            f"no {name} fits the server",
            why=f"version {server_major} or newer is needed; searched "
            + (str(target.pg_bin_dir) if target.pg_bin_dir else f"PATH and /{', /'.join(FOLDERS)}"),
            hint=f"install it (Debian: apt-get install postgresql-client-{server_major}), "
            "or set PG_BIN_DIR to its folder; nothing was touched",
        )
    return min(found, key=lambda tool: tool.major)


def candidates(name: str, target: Target) -> list[str]:
    if target.pg_bin_dir:
        return [str(target.pg_bin_dir / name)]
    on_path = shutil.which(name)
    found = [str(path) for folder in FOLDERS for path in sorted(Path("/").glob(f"{folder}/{name}"))]
    return [*found, on_path] if on_path else found


def ask_version(path: str) -> ClientTool | None:
    """Return the tool behind a path, or None if it cannot be run or does not say a version."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\b(\d+)(?:\.(\d+))?", answer)
    return ClientTool(path, match.group(), int(match.group(1)), int(match.group(2) or 0)) if match else None


def conninfo(target: Target) -> str:
    """Return the connection string without the password: arguments are visible to every user of the machine."""
    parameters = target.url.translate_connect_args(username="user", database="dbname")
    parameters |= {name: str(value) for name, value in target.url.query.items()}
    return make_conninfo("", **{name: value for name, value in parameters.items() if name not in SECRETS})


def environment(target: Target) -> dict[str, str]:
    """Return the child's environment; the password goes this way, which only the same user can read."""
    timeout_s = str(target.limits.connect_timeout_s)
    password = {"PGPASSWORD": str(target.url.password)} if target.url.password else {}
    return {**os.environ, "PGAPPNAME": "cms-tool", "PGCONNECT_TIMEOUT": timeout_s, "LC_MESSAGES": "C", **password}


def dump_database(
    target: Target, server_major: int, snapshot: str, path: Path, *, envelope: Envelope, meter: Meter
) -> Dump:
    """Write a custom-format dump of the exported snapshot, compressed by zstd and in its envelope, into ``path``.

    Uncompressed through a pipe into zstd, with any version of pg_dump: its own gzip takes nine times as long and
    makes a larger file. The pipe also ends a pg_dump whose parent was killed. Raises ToolMissing, BackupFailed.
    """
    tool = find_tool("pg_dump", target, server_major)
    command = [tool.path, "--format=custom", "--compress=0", *reading(target, snapshot)]
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    with running(command, target, unread(target), stdout=subprocess.PIPE) as child:
        plain = cast("BinaryIO", meter.reading(cast("BinaryIO", child.stdout)))
        compressed = compressor.stream_reader(plain, read_size=CHUNK_BYTES)
        return Dump(envelope.store(compressed, path), f"pg_dump {tool.version}")


def reading(target: Target, snapshot: str) -> list[str]:
    """Return the arguments with which pg_dump reads one moment and waits for no lock for long."""
    return ["--lock-wait-timeout=60s", f"--snapshot={snapshot}", f"--dbname={conninfo(target)}"]


def unread(target: Target) -> BackupFailed:
    return BackupFailed(f"pg_dump could not read {target.name}", hint="the database was not touched")


def read_definitions(target: Target, server: Server, snapshot: str) -> Definitions:
    """Return what `pg_dump --schema-only` writes, as digests, without what differs from one run to the next."""
    tool = find_tool("pg_dump", target, server.major)
    command = [tool.path, "--schema-only", *reading(target, snapshot)]
    texts = {True: hashlib.sha256(), False: hashlib.sha256()}
    owners: set[str] = set()
    grantees: set[str] = set()
    with running(command, target, unread(target), stdout=subprocess.PIPE) as child:
        for line in cast("BinaryIO", child.stdout):
            text = line.decode(errors="replace").strip()
            if not text or text.startswith(("--", "\\")):
                continue  # comments hold versions and times, \restrict a random key
            owners.update(OWNER.findall(text))
            grantees.update(GRANTEE.findall(text))
            texts[bool(PRIVILEGE.match(text))].update(f"{spread_casts(text)}\n".encode())
    named = (tuple(sorted(name.strip('"') for name in roles)) for roles in (owners, grantees - {"PUBLIC"}))
    made_by = f"pg_dump {tool.version} of {server.version}"
    return Definitions(made_by, texts[False].hexdigest(), texts[True].hexdigest(), *named)


def restore_database(
    target: Target,
    server_major: int,
    dump: Path,
    *,
    envelope: Envelope,
    privileges: bool,
    settings: str,
    meter: Meter,
) -> None:
    """Load a compressed custom-format dump into the empty target. Raises ToolMissing, RestoreFailed, BackupDamaged.

    privileges: owners and grants too; without, everything belongs to the role that restores.
    settings: start-up options of the session that loads.
    """
    tool = find_tool("pg_restore", target, server_major)
    without = [] if privileges else ["--no-owner", "--no-acl"]
    command = [tool.path, "--exit-on-error", *without, f"--dbname={conninfo(target)}"]
    unloaded = RestoreFailed(
        "the backup could not be loaded into a new database",
        hint="the new database was dropped again; nothing else was changed",
    )
    loading = running(command, target, unloaded, stdin=subprocess.PIPE, settings=settings)
    with loading as child, suppress(BrokenPipeError):
        unpack(dump, cast("BinaryIO", child.stdin), envelope, meter)


def unpack(dump: Path, sink: BinaryIO, envelope: Envelope, meter: Meter) -> None:
    """Write a dump as pg_dump wrote it into the sink, and close that."""
    with sink, zstandard.ZstdDecompressor().stream_writer(sink, closefd=False) as writer:
        envelope.unseal(dump, meter.writing(writer))


def become_psql(target: Target) -> NoReturn:
    """Replace this process by psql on the target. Raises ToolMissing."""
    tool = find_tool("psql", target, server_major=0)
    os.execve(tool.path, [tool.path, conninfo(target)], environment(target))  # noqa: S606 - no shell is wanted


@contextmanager
def running(
    arguments: list[str],
    target: Target,
    failure: CmsError,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    settings: str = "",
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client program; it is ended when the block raises, and waited for in any case.

    settings: start-up options of its session; those that the operator's PGOPTIONS gives come after, and win.
    Raises ``failure``, with the program's own complaint as the reason, if it does not end with status 0.
    """
    with tempfile.TemporaryFile() as errors:
        given = environment(target)
        given["PGOPTIONS"] = f"{settings} {given.get('PGOPTIONS', '')}".strip()
        process = subprocess.Popen(arguments, env=given, stdin=stdin, stdout=stdout, stderr=errors)
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError, ValueError):  # its input may be closed, or refused, already
                process.communicate()
            process.wait()
        if process.returncode:
            errors.seek(0)
            failure.why = first_complaint(errors.read(64_000).decode(errors="replace"), process.returncode)
            raise failure


def first_complaint(text: str, status: int) -> str:
    """Return the first line that tells of an error."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if "error" in line.lower()), f"it ended with status {status}")
