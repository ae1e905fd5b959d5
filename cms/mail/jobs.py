"""What the worker does with mail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import current_app

from cms.jobs.errors import JobHopeless
from cms.jobs.kinds import JobRun, job_kind
from cms.mail.errors import MailRefused
from cms.mail.messages import Mail
from cms.mail.sending import send_now
from cms.mail.services import SEND


# Fifteen attempts are a day and more: servers that are down, and those that want to be asked twice, are waited for.
@job_kind(SEND, attempts=15, useless_after=timedelta(hours=48))
def send_stored_mail(run: JobRun) -> None:
    """Send one mail. Raises MailNotSent to be tried again, JobHopeless if the server refuses it for good."""
    mail = Mail(run.arguments["to"], run.arguments["subject"], run.arguments["text"])
    try:
        send_now(mail, current_app.config, identity=str(run.id), at=datetime.now(UTC))
    except MailRefused as refused:
        raise JobHopeless(refused.what, why=refused.why) from refused
