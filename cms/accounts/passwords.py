"""Passwords: argon2id hashes, and comparing with one. Source: OWASP password storage cheat sheet for the strength."""

from __future__ import annotations

import string
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# Of a password that nobody knows: what is compared where there is no hash, so that it takes as long.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$PMfRlDuAlF/hlRvWs2LKOA$GpTL0gwu8PR50hshzzi6Ik9c8HxyfRwep7ZlVYo3oZs"


@cache
def hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - no page of a reader needs it

    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def hash_password(password: str) -> str:
    """Return the argon2id hash with its parameters and salt: 19 MiB, 2 rounds, 1 thread."""
    return hasher().hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Tell whether the hash is this password's. Takes as long where there is no hash, or one of another kind."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        return hasher().verify(password_hash or NOBODYS_HASH, password) and password_hash is not None
    except VerificationError:
        return False
    except InvalidHashError:
        return is_password(password, None)


def is_outdated(password_hash: str) -> bool:
    """Tell whether the hash was made with less, or other, strength than is agreed now."""
    return hasher().check_needs_rehash(password_hash)


SIGNS = string.digits + string.punctuation + " "
FEWEST_CHARACTERS = 4

# --- choosing one -------------------------------------------------------------------------------------------------

FILE = Path(__file__).with_name("common_passwords.txt")
KEYS_IN_A_ROW = (
    "01234567890123456789",
    "98765432109876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
)
LOOKS_LIKE = str.maketrans("@$0134578!", "asoieastbi")


@cache
def common_words() -> frozenset[str]:
    """Return passwords that were found in breaches, and words that such passwords are made of."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - 12 MB, which no page of a reader needs

    return frozenset(FREQUENCY_LISTS["passwords"]) | frozenset(FILE.read_text(encoding="utf-8").split())


def is_common(password: str, *names: str) -> bool:
    """Tell whether it is one of the passwords that everybody tries first, or little more than the person's own name.

    Known without asking anybody: 30,000 passwords of breaches, with digits and signs around or in place of letters,
    keys in a row, and few different characters.
    """
    typed = password.lower()
    plain = {
        typed,
        typed.strip(SIGNS),
        typed.strip(SIGNS).translate(LOOKS_LIKE),
        typed.translate(LOOKS_LIKE).strip(SIGNS),
    }
    own = {part for name in names for part in (name.lower(), name.lower().partition("@")[0])}
    return (
        len(set(typed)) < FEWEST_CHARACTERS
        or not plain.isdisjoint(common_words() | own | {""})
        or any(typed in row for row in KEYS_IN_A_ROW)
    )
