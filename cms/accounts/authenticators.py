"""What passkeys are asked and what they answer (WebAuthn), without the database. Binary values are base64url here."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from flask import current_app

LONGEST_ANSWER = 20_000
UNREADABLE = (ValueError, RecursionError)  # the second by JSON that is nested deeply


@dataclass(frozen=True)
class NewKey:
    """What a passkey that was just made says of itself."""

    credential_id: str
    public_key: str
    sign_count: int


def new_challenge() -> str:
    """Return 256 random bits that an answer has to have signed."""
    return urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def site_host() -> str:
    """Return the name by which passkeys know this site: they answer no other."""
    return str(urlsplit(current_app.config["SITE_URL"]).hostname)


def site_origin() -> str:
    parts = urlsplit(current_app.config["SITE_URL"])
    return f"{parts.scheme}://{parts.netloc}"


def ask_for_new_key(challenge: str, *, user_id: UUID, username: str, known: Sequence[str]) -> str:
    """Return the options, as JSON, for making a passkey. known: credential ids that the person has already."""
    from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415 - no page of a reader needs it
    from webauthn.helpers import base64url_to_bytes, structs  # noqa: PLC0415

    kept = structs.AuthenticatorSelectionCriteria(resident_key=structs.ResidentKeyRequirement.PREFERRED)
    options = generate_registration_options(
        rp_id=site_host(),
        rp_name=current_app.config["SITE_NAME"],
        user_id=user_id.bytes,
        user_name=username,
        challenge=base64url_to_bytes(challenge),
        authenticator_selection=kept,
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(base64url_to_bytes(each)) for each in known],
    )
    return options_to_json(options)


def read_new_key(answer: str, challenge: str) -> NewKey | None:
    """Return the passkey that answers this challenge on this site; None if the answer is not right."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    if len(answer) > LONGEST_ANSWER:
        return None
    try:
        key = verify_registration_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=site_host(),
            expected_origin=site_origin(),
        )
    except (WebAuthnException, *UNREADABLE):
        return None
    return NewKey(bytes_to_base64url(key.credential_id), bytes_to_base64url(key.credential_public_key), key.sign_count)


def ask_for_key(challenge: str, *, known: Sequence[str] = (), is_alone: bool) -> str:
    """Return the options, as JSON, for showing a passkey. known: which may be shown; none named: any of this site.

    is_alone: nothing else is asked for, so the passkey must see to it that its owner is there (PIN, finger, face).
    """
    from webauthn import generate_authentication_options, options_to_json  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes, structs  # noqa: PLC0415

    wanted = structs.UserVerificationRequirement
    options = generate_authentication_options(
        rp_id=site_host(),
        challenge=base64url_to_bytes(challenge),
        allow_credentials=[structs.PublicKeyCredentialDescriptor(base64url_to_bytes(each)) for each in known],
        user_verification=wanted.REQUIRED if is_alone else wanted.PREFERRED,
    )
    return options_to_json(options)


def name_of_key(answer: str) -> str | None:
    """Return which passkey an answer says it is of; None if it is no answer."""
    from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    if len(answer) > LONGEST_ANSWER:
        return None
    try:
        return bytes_to_base64url(parse_authentication_credential_json(answer).raw_id)
    except (WebAuthnException, *UNREADABLE):
        return None


def read_count(answer: str, challenge: str, *, public_key: str, sign_count: int, is_alone: bool) -> int | None:
    """Return how often the passkey signed by now, if its answer is right; else None.

    Not right is also one whose count did not grow, where it counts: then there are two of it.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=site_host(),
            expected_origin=site_origin(),
            credential_public_key=base64url_to_bytes(public_key),
            credential_current_sign_count=sign_count,
            require_user_verification=is_alone,
        )
    except (WebAuthnException, *UNREADABLE):
        return None
    return verified.new_sign_count
