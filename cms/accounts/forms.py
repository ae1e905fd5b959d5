"""What people type about themselves, checked field by field. Whether it can be stored, the services say."""

from __future__ import annotations

from wtforms import (
    EmailField,
    Form,
    HiddenField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import EqualTo, InputRequired, Length

from cms.accounts.own_account import LONGEST_BIO, LONGEST_GENDER, LONGEST_WEBSITE
from cms.accounts.services import EMAIL_LIMIT, NAME_LIMIT, PASSWORD_LONGEST, PASSWORD_SHORTEST, USERNAME_LIMIT
from cms.accounts.time_zones import list_time_zones
from cms.accounts.tokens import DAYS

NEEDED = InputRequired("This is needed.")
PRESENT_PASSWORD = {"maxlength": PASSWORD_LONGEST, "autocomplete": "current-password"}
NEW_PASSWORD = {"minlength": PASSWORD_SHORTEST, "maxlength": PASSWORD_LONGEST, "autocomplete": "new-password"}


class LoginForm(Form):
    """Who somebody is; where the password is forgotten, that is all."""

    login = StringField(
        "Username or e-mail address",
        [NEEDED, Length(max=EMAIL_LIMIT)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


class SignInForm(LoginForm):
    """Name and password."""

    password = PasswordField("Password", [NEEDED, Length(max=PASSWORD_LONGEST)], render_kw=PRESENT_PASSWORD)


class ConfirmForm(Form):
    """The password again, of whoever is signed in."""

    password = PasswordField("Password", [NEEDED, Length(max=PASSWORD_LONGEST)], render_kw=PRESENT_PASSWORD)


class NewPasswordForm(Form):
    """A password that somebody chooses, typed twice."""

    new = PasswordField("New password", [NEEDED], render_kw=NEW_PASSWORD)
    again = PasswordField(
        "New password once more", [NEEDED, EqualTo("new", "The two are not the same.")], render_kw=NEW_PASSWORD
    )


class EmailForm(Form):
    """An address for mail."""

    email = EmailField("E-mail address", [NEEDED, Length(max=EMAIL_LIMIT)], render_kw={"autocomplete": "email"})


class NewNameForm(Form):
    """The name of a new account."""

    username = StringField(
        "Username",
        [NEEDED, Length(max=USERNAME_LIMIT)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


class JoinForm(NewNameForm, NewPasswordForm):
    """What a new account with a password needs."""


class PasswordForm(NewPasswordForm):
    """The present password, for another."""

    present = PasswordField("Present password", [NEEDED, Length(max=PASSWORD_LONGEST)], render_kw=PRESENT_PASSWORD)


def given(autocomplete: str) -> dict[str, str]:
    return {"autocomplete": autocomplete}


class ProfileForm(Form):
    """What people tell about themselves."""

    first_name = StringField("First name", [Length(max=NAME_LIMIT)], render_kw=given("given-name"))
    last_name = StringField("Last name", [Length(max=NAME_LIMIT)], render_kw=given("family-name"))
    bio = TextAreaField("About you", [Length(max=LONGEST_BIO)], render_kw={"rows": 3})
    website = StringField("Website", [Length(max=LONGEST_WEBSITE)], render_kw=given("url"))
    country = StringField("Country", [Length(max=NAME_LIMIT)], render_kw=given("country-name"))
    date_of_birth = StringField("Date of birth", render_kw={"type": "date", **given("bday")})
    gender = StringField("Gender", [Length(max=LONGEST_GENDER)], render_kw=given("sex"))
    phone_number = StringField("Telephone number", [Length(max=NAME_LIMIT)], render_kw={"type": "tel", **given("tel")})
    timezone = SelectField(
        "Time zone",
        choices=lambda: [("", "UTC"), *((name, name.replace("_", " ")) for name in list_time_zones())],
        default="",
        coerce=lambda name: name or "",
    )


class TokenForm(Form):
    """A new API token. The choices of scopes are those of whoever asks.

    The types of WTForms know only tuples as choices, which WTForms itself no longer wants.
    """

    name = StringField("Name", [NEEDED, Length(max=NAME_LIMIT)], render_kw=given("off"))
    scopes = SelectMultipleField("What it may do", [InputRequired("Choose what it may do.")])
    days = SelectField("Ends after so many days", choices=[str(days) for days in DAYS], default="90")  # type: ignore[misc]


class CodeForm(Form):
    """The code of an app, or one of the codes on paper."""

    code = StringField(
        "Code",
        [NEEDED, Length(max=100)],
        render_kw={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"},
    )


class AppForm(CodeForm):
    """An app that is set up. sealed: its secret, which the site has not stored yet."""

    sealed = HiddenField()


class PasskeyForm(Form):
    """A new passkey. sealed: what it had to sign; answer: what the browser made of it, as JSON."""

    name = StringField("Name", [NEEDED, Length(max=NAME_LIMIT)], render_kw=given("off"))
    sealed = HiddenField()
    answer = HiddenField()
