"""The second factor: an app's codes, and recovery codes. Each function says when; the caller holds the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update

from cms.accounts.codes import APP_CODE, RECOVERY_CODE, find_step, hash_recovery_code, new_recovery_code, plain
from cms.accounts.errors import AccountInvalid
from cms.accounts.limits import Limit
from cms.accounts.models import Passkey, RecoveryCode, SecondFactor, User
from cms.accounts.notices import tell_owner
from cms.accounts.own_account import subject_of
from cms.accounts.queries import AnySession, has_second_factor
from cms.accounts.sealing import seal, unseal
from cms.accounts.sessions import Person, end_sessions
from cms.activity.services import Actor, record

RECOVERY_CODES = 10
# By account: only who has the password comes so far, so no stranger can use them up.
CODES = Limit("code", 5, timedelta(minutes=5))
CODES_PER_HOUR = Limit("code-hour", 20, timedelta(hours=1))
CODES_PER_DAY = Limit("code-day", 50, timedelta(days=1))


@dataclass(frozen=True)
class Protection:
    """What somebody is asked for besides the password. app_since: None without an app."""

    app_since: datetime | None
    recovery_codes: int


def read_protection(session: AnySession, user_id: UUID) -> Protection:
    """Return what an account is protected by. One statement."""
    codes = select(func.count()).where(RecoveryCode.user_id == user_id).scalar_subquery()
    app_since = select(SecondFactor.created_at).where(SecondFactor.user_id == user_id).scalar_subquery()
    row = session.execute(select(app_since.label("app_since"), codes.label("codes"))).one()
    return Protection(row.app_since, row.codes)


def turn_on_app(session: AnySession, person: Person, secret: str, code: str, *, at: datetime) -> list[str]:
    """Ask for an app's codes from now on, of this one alone, and return new recovery codes. Flushes.

    Every other session of the person ends. Raises AccountInvalid if the code is not the app's.
    """
    step = find_step(secret, plain(code), at=at)
    if step is None:
        raise AccountInvalid(
            "the code is wrong", hint="type the one that the app shows now; is your phone's clock right?"
        )
    user = session.get_one(User, person.id, with_for_update=True)
    session.execute(delete(SecondFactor).where(SecondFactor.user_id == user.uuid))
    sealed = seal(secret, about=purpose(user.uuid))
    session.add(SecondFactor(user_id=user.uuid, sealed_secret=sealed, last_step=step, created_at=at))
    codes = replace_recovery_codes(session, user.uuid)
    end_sessions(session, user.uuid, but=person.session_id)
    record(session, "user.app_added", actor=person.actor, at=at, about=subject_of(user))
    tell_owner(session, user.uuid, "An app was set up whose codes are asked for at sign-in.", at=at)
    return codes


def turn_off_app(session: AnySession, person: Person, *, at: datetime) -> bool:
    """Ask for no more codes of an app; False if there is none."""
    removed = delete(SecondFactor).where(SecondFactor.user_id == person.id).returning(SecondFactor.user_id)
    if session.scalar(removed) is None:
        return False
    forget_useless_codes(session, person.id)
    about = subject_of(session.get_one(User, person.id))
    record(session, "user.app_removed", actor=person.actor, at=at, about=about)
    tell_owner(session, person.id, "The codes of an app are no longer asked for at sign-in.", at=at)
    return True


def renew_recovery_codes(session: AnySession, person: Person, *, at: datetime) -> list[str]:
    """Return new recovery codes; those from before no longer count. Flushes."""
    user = session.get_one(User, person.id, with_for_update=True)
    codes = replace_recovery_codes(session, user.uuid)
    record(session, "user.recovery_codes_renewed", actor=person.actor, at=at, about=subject_of(user))
    tell_owner(session, user.uuid, "New recovery codes were made; those from before no longer count.", at=at)
    return codes


def replace_recovery_codes(session: AnySession, user_id: UUID) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=hash_recovery_code(user_id, code), user_id=user_id) for code in codes)
    session.flush()
    return codes


def forget_useless_codes(session: AnySession, user_id: UUID) -> None:
    """Remove the recovery codes of somebody who is asked for nothing but the password."""
    if not session.scalar(select(has_second_factor()).where(User.uuid == user_id)):
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def use_code(session: AnySession, user_id: UUID, typed: str, *, at: datetime) -> bool:
    """Tell whether a code of the app, or a recovery code, is right, and use it up: of several at once one wins."""
    code = plain(typed)
    if APP_CODE.fullmatch(code):
        return use_app_code(session, user_id, code, at=at)
    return bool(RECOVERY_CODE.fullmatch(code)) and use_recovery_code(session, user_id, code, at=at)


def use_app_code(session: AnySession, user_id: UUID, code: str, *, at: datetime) -> bool:
    sealed = session.scalar(select(SecondFactor.sealed_secret).where(SecondFactor.user_id == user_id))
    secret = unseal(sealed, about=purpose(user_id)) if sealed else None
    step = find_step(secret, code, at=at) if secret else None
    if step is None:
        return False
    # One statement: whoever moves the step first has used the code, and all others come too late.
    same_app = (SecondFactor.user_id == user_id, SecondFactor.sealed_secret == sealed, SecondFactor.last_step < step)
    used = update(SecondFactor).where(*same_app).values(last_step=step).returning(SecondFactor.user_id)
    return session.scalar(used) is not None


def use_recovery_code(session: AnySession, user_id: UUID, code: str, *, at: datetime) -> bool:
    own = (RecoveryCode.code_hash == hash_recovery_code(user_id, code), RecoveryCode.user_id == user_id)
    if session.scalar(delete(RecoveryCode).where(*own).returning(RecoveryCode.user_id)) is None:
        return False
    user = session.get_one(User, user_id)
    left = session.scalar(select(func.count()).where(RecoveryCode.user_id == user_id))
    actor = Actor(user.uuid, user.username)
    record(session, "user.recovery_code_used", actor=actor, at=at, about=subject_of(user), details={"left": left})
    tell_owner(session, user_id, f"A recovery code was used to sign in. {left} are left.", at=at)
    return True


def reset_second_factor(session: AnySession, user_id: UUID, *, by: Actor, at: datetime) -> bool:
    """Let somebody who lost everything sign in by password alone; False if nothing else was asked for."""
    if not session.scalar(select(has_second_factor()).where(User.uuid == user_id)):
        return False
    for table in (SecondFactor, Passkey, RecoveryCode):
        session.execute(delete(table).where(table.user_id == user_id))
    about = subject_of(session.get_one(User, user_id))
    record(session, "user.second_factor_reset", actor=by, at=at, about=about)
    tell_owner(session, user_id, "An operator of the site removed your second factor. Set it up again.", at=at)
    return True


def purpose(user_id: UUID) -> str:
    """Return what an app's secret is sealed about, so that it opens nobody else's account."""
    return f"app of {user_id}"
