"""What the worker does for accounts: mails that people asked for, and each day it removes what is over."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app

from cms.accounts import invitations
from cms.accounts.limits import prune_limits
from cms.accounts.reset import LASTS, SEND, send_reset
from cms.accounts.sessions import prune_sessions
from cms.accounts.single_use import prune_links
from cms.accounts.steps import prune_steps
from cms.accounts.tokens import prune_tokens
from cms.extensions import transaction
from cms.jobs.kinds import JobRun, job_kind

PRUNED = (prune_sessions, prune_steps, prune_tokens, prune_limits)


@job_kind("accounts.prune", daily=True)
def prune(run: JobRun) -> None:
    """Remove sessions that sign nobody in, and tokens and counts of tries that are over, a batch in a transaction."""
    at, removed = datetime.now(UTC), 1
    while removed:
        run.pause_if_stopping()
        with transaction() as session:
            prune_links(session, at=at)
            removed = sum(remove(session, at=at) for remove in PRUNED)


@job_kind(SEND, useless_after=LASTS)
def send(run: JobRun) -> None:
    """Send the mail that somebody asked for; a second one does no harm."""
    with transaction() as session:
        url = current_app.config["SITE_URL"]
        send_reset(session, run.arguments["login"], site_url=url, at=datetime.now(UTC))


@job_kind(invitations.SEND, useless_after=invitations.LASTS)
def send_registration(run: JobRun) -> None:
    """Send the mail to whoever wants an account; a second one does no harm, only the last link works."""
    with transaction() as session:
        url = current_app.config["SITE_URL"]
        invitations.send_registration(session, run.arguments["email"], site_url=url, at=datetime.now(UTC))
