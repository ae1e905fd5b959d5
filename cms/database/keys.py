"""The key that signs manifests: a manifest whose digests somebody recomputed is refused all the same."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

from cms.database.errors import BackupDamaged, BackupFailed
from cms.database.files import new_folder, open_private, sync
from cms.database.target import Target


def load_key(target: Target) -> bytes:
    """Return BACKUP_KEY, else the content of the key file. Raises BackupDamaged if there is neither."""
    if target.backup_key:
        return target.backup_key.encode()
    try:
        return target.backup_key_file.read_bytes().strip()
    except FileNotFoundError:
        raise BackupDamaged(
            "there is no key to check the backup's signature with",
            why=f"BACKUP_KEY is not set and {target.backup_key_file} does not exist",
            hint="set BACKUP_KEY or BACKUP_KEY_FILE to the key of the site that made the backup; nothing was changed",
        ) from None


def has_key(target: Target) -> bool:
    return bool(target.backup_key) or target.backup_key_file.exists()


def load_or_make_key(target: Target, *, is_first: bool, say: Callable[[str], None]) -> bytes:
    """Return the key; the first backup of a site that was given none makes one (0600).

    Raises BackupFailed if it cannot be written, or if the key of earlier backups is gone: a new one would make all of
    those untrusted.
    """
    if not has_key(target):
        if not is_first:
            raise BackupFailed(
                "the key that signed the earlier backups is gone",
                why=f"BACKUP_KEY is not set and {target.backup_key_file} does not exist",
                hint="bring it back or set BACKUP_KEY_FILE to it; if it is lost, move the earlier backups to another "
                "folder, and the next backup makes a new key. Nothing was written",
            )
        try_to_make_key(target.backup_key_file)
        say(f"made the key {target.backup_key_file}: copy it to another place, without it no backup can be verified")
    return load_key(target)


def try_to_make_key(path: Path) -> None:
    try:
        make_key(path)
    except OSError as error:
        raise BackupFailed(
            "no key could be made to sign the backup with",
            why=f"{error.filename or path}: {error.strerror}",
            hint="set BACKUP_KEY or BACKUP_KEY_FILE (openssl rand -hex 32 makes one); nothing was written",
        ) from error


def make_key(path: Path) -> None:
    """Write a new random key; if another run was quicker, its key stays."""
    new_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open_private(part) as file:
            file.write(secrets.token_urlsafe(48).encode())
        sync(part)
        path.hardlink_to(part)  # unlike a rename, fails if the name is taken
        sync(path.parent)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)


def sign(key: bytes, content: bytes) -> bytes:
    """Return the HMAC-SHA256 of the content as a line of hex."""
    return hmac.new(key, content, "sha256").hexdigest().encode() + b"\n"


def is_signed(key: bytes, content: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(sign(key, content), signature)
