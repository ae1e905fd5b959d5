"""The table ``users``, as the sites that this CMS adopts have it, and those that go with it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, String, Uuid, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from cms.database.schema import Base, JsonColumn, UtcDateTime


class Role(Base):
    """A role that people may have. permissions: the roles of cms/accounts/permissions.py whose rights it has."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    description: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    permissions: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default=text("'[]'"))


class User(Base):
    """A person who may sign in, or an author who was imported and cannot (``password_hash`` is None)."""

    __tablename__ = "users"

    uuid: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(String(50), unique=True, index=True)
    email: Mapped[str] = mapped_column(String(255), unique=True, index=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    auth_provider: Mapped[str] = mapped_column(String(50), default="email", server_default="email")
    provider_id: Mapped[str | None] = mapped_column(String(255), index=True)
    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    bio: Mapped[str | None] = mapped_column(String(160))
    profile_picture: Mapped[str | None] = mapped_column(String(500))
    website: Mapped[str | None] = mapped_column(String(500))
    date_of_birth: Mapped[str | None] = mapped_column(String(10))
    gender: Mapped[str | None] = mapped_column(String(50))
    phone_number: Mapped[str | None] = mapped_column(String(20))
    country: Mapped[str | None] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    is_verified: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    role: Mapped[str] = mapped_column(
        ForeignKey("roles.name", ondelete="RESTRICT"), default="user", server_default=text("'user'"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    timezone: Mapped[str | None] = mapped_column(String(64))

    @property
    def display_name(self) -> str:
        """The name that readers see: first and last name, else the username."""
        full = " ".join(part for part in (self.first_name, self.last_name) if part)
        return full or self.username


class UserSession(Base):
    """One browser in which somebody is signed in."""

    __tablename__ = "sessions"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    browser: Mapped[str] = mapped_column(String(200))
    address: Mapped[str | None] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When the person last proved who they are, by password.
    proven_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_sessions_user_used", "user_id", "used_at"),
        Index("ix_sessions_used_at", "used_at"),
    )


class RateLimit(Base):
    """How often something was tried until ``ends_at``. key: the limit's name and a hash of whom it counts."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SingleUse:
    """A link in a mail, which works once until ``ends_at``; see cms/accounts/single_use.py."""

    KEPT = timedelta(0)  # after the end

    token_hash: Mapped[str]
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class PasswordResetToken(SingleUse, Base):
    """What a mail for a forgotten password leads to."""

    __tablename__ = "password_reset_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)


class ApiToken(Base):
    """What a program shows instead of a password. scopes: names of the permissions that it may use."""

    __tablename__ = "api_tokens"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    # How the token begins, by which its owner knows it again.
    prefix: Mapped[str] = mapped_column(String(20))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default=text("'[]'"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SecondFactor(Base):
    """The app that shows somebody's codes. last_step: of the newest code that was used; none up to it counts again."""

    __tablename__ = "second_factors"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True)
    sealed_secret: Mapped[str] = mapped_column(String(255))
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """One of the codes on paper, each of which stands in for the second factor once."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)


class SignInStep(Base):
    """Signing in that is under way, until ``ends_at``. kind: what is asked for; details: what that needs to know."""

    __tablename__ = "sign_in_steps"

    secret_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    details: Mapped[dict[str, str]] = mapped_column(JsonColumn, default=dict, server_default=text("'{}'"))
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Passkey(Base):
    """A device or program by which somebody signs in. credential_id, public_key: base64url, as it named them."""

    __tablename__ = "passkeys"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    credential_id: Mapped[str] = mapped_column(String(1400), unique=True)
    public_key: Mapped[str] = mapped_column(String(2000))
    # How often it signed, by its own count; 0 for those that do not count.
    sign_count: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class EmailConfirmation(SingleUse, Base):
    """What confirms an address: the account's present one, or a new one at the old and at the new."""

    __tablename__ = "email_confirmations"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(255))
    step: Mapped[str] = mapped_column(String(10))

    __table_args__ = (CheckConstraint("step IN ('present', 'old', 'new')", name="step"),)


class Invitation(SingleUse, Base):
    """Somebody who may make an account with a role. email: in small letters. It ends when whoever invited them goes."""

    __tablename__ = "invitations"

    KEPT = timedelta(days=30)  # to be sent again

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    role: Mapped[str] = mapped_column(ForeignKey("roles.name", ondelete="CASCADE"), index=True)
    invited_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_invitations_created", "created_at", "id"),)
