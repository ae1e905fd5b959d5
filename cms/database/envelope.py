"""How files lie in a backup: as they are, or encrypted with age for keys whose secret halves are elsewhere.

Source: the age format, https://age-encryption.org/v1; each 64 KiB of content is authenticated, and so is its end.
"""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from cms.database.errors import BackupDamaged, RestoreRefused
from cms.database.files import DigestingFile, FileEntry
from cms.database.progress import Readable, Writable
from cms.errors import ConfigurationError

if TYPE_CHECKING:
    from pyrage.x25519 import Identity, Recipient

CHUNK_BYTES = 1 << 20


class Envelope(ABC):
    """What happens to a file's content on its way into a backup and out of it. Content passes in pieces."""

    suffix: str
    """At the end of the names of files in this envelope."""

    recipients: tuple[str, ...] = ()
    """The public keys for which the files are encrypted; none if they are not."""

    @abstractmethod
    def seal(self, source: Readable, sink: Writable) -> str | None:
        """Write the source's content into the sink; return its SHA-256 if the sink does not hold it as it is."""

    @abstractmethod
    def unseal(self, path: Path, sink: Writable) -> None:
        """Write the content of a backup's file into the sink. Raises BackupDamaged, RestoreRefused."""

    def store(self, source: Readable, path: Path) -> FileEntry:
        """Write the content into a new private file of the backup, synced. Raises OSError."""
        with DigestingFile(path) as file:
            content_sha256 = self.seal(source, file)
            return replace(file.finish(), content_sha256=content_sha256)


class Plain(Envelope):
    """The file is the content."""

    suffix = ""

    def seal(self, source: Readable, sink: Writable) -> None:
        shutil.copyfileobj(source, sink, CHUNK_BYTES)

    def unseal(self, path: Path, sink: Writable) -> None:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sink, CHUNK_BYTES)


class Age(Envelope):
    """The file is an age file: `age --decrypt -i KEYFILE` reads it.

    identities: the secret keys at hand. While a backup is made that is one that exists only in this process, so that
    what was written can be read back and proven without the operator's secret key.
    """

    suffix = ".age"

    def __init__(self, recipients: tuple[str, ...], identities: list[Identity], sealing_for: list[Recipient]) -> None:
        self.recipients = recipients
        self._identities = identities
        self._sealing_for = sealing_for

    def seal(self, source: Readable, sink: Writable) -> str:
        import pyrage  # noqa: PLC0415 - only who encrypts needs it

        reader, writer = Hashing(source), Remembering(sink.write)
        with faithful(reader, writer):
            pyrage.encrypt_io(cast("BinaryIO", reader), cast("BinaryIO", writer), self._sealing_for)
        return reader.digest.hexdigest()

    def unseal(self, path: Path, sink: Writable) -> None:
        import pyrage  # noqa: PLC0415 - only who encrypts needs it

        writer = Remembering(sink.write)
        try:
            with path.open("rb") as file, faithful(writer):
                pyrage.decrypt_io(file, cast("BinaryIO", writer), self._identities)
        except pyrage.DecryptError as error:
            raise RestoreRefused(
                f"{path.name} was not encrypted for the key at hand",
                why=f"{str(error).lower()}; it was encrypted for {', '.join(self.recipients)}",
                hint="set BACKUP_AGE_IDENTITY_FILE to the secret key of one of these; nothing was changed",
            ) from error
        except OSError as error:
            if error.errno is not None:  # the disk's, and not the library's own
                raise
            raise BackupDamaged(
                f"{path.name} cannot be decrypted", why=str(error), hint="use another backup; nothing was changed"
            ) from error


class Remembering:
    """Calls a function on behalf of the library, and remembers what it raised, of which the library only keeps text."""

    def __init__(self, call: Callable[[bytes], int]) -> None:
        self._call = call
        self.raised: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._call(data)
        except BaseException as error:
            self.raised = error
            raise

    def flush(self) -> None:
        """Do nothing: whoever owns the file does it."""


class Hashing:
    """Reads on behalf of the library, hashes what was read, and remembers what was raised."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.digest = hashlib.sha256()
        self.raised: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size)
        except BaseException as error:
            self.raised = error
            raise
        self.digest.update(data)
        return data


@contextmanager
def faithful(*streams: Hashing | Remembering) -> Iterator[None]:
    """Raise what a stream raised, also SIGTERM's exception, and not the library's text about it.

    Also where the library said nothing: it buffers the end of a file, and ignores an error when that is written.
    """
    try:
        yield
    except Exception as error:
        raise_what_is_remembered(streams, error)
        raise
    raise_what_is_remembered(streams, None)


def raise_what_is_remembered(streams: tuple[Hashing | Remembering, ...], cause: Exception | None) -> None:
    for stream in streams:
        if stream.raised is not None:
            raise stream.raised from cause


def parse_recipients(recipients: tuple[str, ...]) -> list[Recipient]:
    """Return the public keys. Raises ConfigurationError for one that is none."""
    if not recipients:
        return []
    import pyrage  # noqa: PLC0415 - only who encrypts needs it

    try:
        return [pyrage.x25519.Recipient.from_str(each) for each in recipients]
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            "the setting BACKUP_AGE_RECIPIENTS cannot be used",
            why=f"{', '.join(recipients)}: {error}",
            hint="give public keys of age, age1…, with commas between them; `age-keygen` makes a pair",
        ) from error


def envelope_for(recipients: tuple[str, ...]) -> Envelope:
    """Return the envelope for a new backup. Raises ConfigurationError for a public key that is none."""
    if not recipients:
        return Plain()
    import pyrage  # noqa: PLC0415 - only who encrypts needs it

    passing = pyrage.x25519.Identity.generate()
    return Age(recipients, [passing], [*parse_recipients(recipients), passing.to_public()])


def envelope_of(recipients: tuple[str, ...], identity: str | None) -> Envelope:
    """Return the envelope of a backup that is there.

    identity: the secret key, AGE-SECRET-KEY-1…. Raises RestoreRefused if it is needed and is not there or not one.
    """
    if not recipients:
        return Plain()
    import pyrage  # noqa: PLC0415 - only who encrypts needs it

    needed = RestoreRefused(
        "the backup is encrypted",
        why=f"it can be read with the secret key of {', '.join(recipients)}",
        hint="set BACKUP_AGE_IDENTITY_FILE to a file with that key (AGE-SECRET-KEY-1…) while you restore; "
        "nothing was changed",
    )
    if not identity:
        raise needed
    try:
        return Age(recipients, [pyrage.x25519.Identity.from_str(secret_line(identity))], [])
    except pyrage.IdentityError as error:
        needed.why = f"the key that BACKUP_AGE_IDENTITY gives is none: {str(error).lower()}"
        raise needed from error


def secret_line(text: str) -> str:
    """Return the key in a file as `age-keygen` writes it, below its comments."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")
