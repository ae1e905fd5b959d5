"""Who somebody is elsewhere, and the attempt to find out. Without the database, and without the network."""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from cms.accounts.errors import AccountInvalid, ProviderFailed
from cms.accounts.providers import WORLDWIDE
from cms.accounts.services import USERNAME, check_email
from cms.mail.errors import MailInvalid
from cms.mail.messages import address_of

LONGEST_ID = 255
SUBJECT = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Attempt:
    """What one attempt to sign in elsewhere is known by.

    state: to the browser that comes back. nonce: in what the provider signs. verifier: when its code is given back.
    redirect_uri: where the provider sends people back to; it knows the address and takes no other.
    """

    state: str
    nonce: str
    verifier: str
    redirect_uri: str

    @property
    def challenge(self) -> str:
        """Return what the provider learns of the verifier beforehand (PKCE, RFC 7636)."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).decode().rstrip("=")


def new_attempt(redirect_uri: str) -> Attempt:
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(state, nonce, verifier, redirect_uri)


@dataclass(frozen=True)
class Identity:
    """Who somebody is at a provider, as it told. provider_id: issuer and subject, the only thing that counts.

    place: the provider as people know it. email: None if it named none. is_confirmed: it saw to it that the address is
    theirs.
    """

    provider: str
    place: str
    provider_id: str
    email: str | None
    is_confirmed: bool
    username: str

    @property
    def names(self) -> list[str]:
        """Return what an account may keep of it: sites that we adopted left out the issuer where there is only one."""
        issuer, _, subject = self.provider_id.partition(" ")
        return [self.provider_id, subject] if issuer in WORLDWIDE else [self.provider_id]

    @property
    def own_email(self) -> str | None:
        """Return the address, if it is known to be theirs."""
        return self.email if self.is_confirmed else None

    @property
    def suggested_username(self) -> str:
        return self.username if USERNAME.fullmatch(self.username) else ""

    def as_details(self) -> dict[str, str]:
        """Return it as the details of a step."""
        return {name: str(value or "") for name, value in asdict(self).items()}


def identity_of(details: Mapping[str, str]) -> Identity | None:
    """Return the identity that is in the details of a step, or None."""
    if "provider_id" not in details:
        return None
    return Identity(
        details["provider"], details["place"], details["provider_id"], details["email"] or None,
        bool(details["is_confirmed"]), details["username"],
    )  # fmt: skip


def provider_id_of(issuer: str, subject: object) -> str:
    """Return what an account keeps of an identity. Raises ProviderFailed for what cannot be kept."""
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise ProviderFailed("its answer makes no sense", why=f"the subject is {subject!r:.60}")
    if len(kept := f"{issuer} {subject}") > LONGEST_ID:
        raise ProviderFailed("it calls you by a name that is too long to be kept", why=f"{len(kept)} characters")
    return kept


def checked_email(given: object) -> str | None:
    """Return the address if it is one that an account may have and mail can go to."""
    if not isinstance(given, str):
        return None
    try:
        check_email(given)
        address_of(given)
    except (AccountInvalid, MailInvalid):
        return None
    return given
