"""The mails that a site would send, and doing the jobs that write them."""

from __future__ import annotations

import re
from threading import Event

import sqlalchemy as sa
from flask import Flask

from cms.accounts import jobs as accounts_jobs
from cms.extensions import db
from cms.jobs.kinds import JobRun, kinds
from cms.jobs.models import Job

assert accounts_jobs  # registers the kinds
PATH = re.compile(r"http://127\.0\.0\.1:8000(/\S+)\n")


def do_newest_job(app: Flask, kind: str) -> None:
    """Do the job of this kind that was asked for last, as the worker would."""
    with app.app_context():
        asked = db.session.scalars(sa.select(Job).where(Job.kind == kind).order_by(Job.created_at)).all()[-1]
        run = JobRun(asked.id, asked.arguments, attempt=1, report=lambda _: None, is_stopping=Event().is_set)
        kinds.find(kind).run(run)


def list_mails(app: Flask) -> list[dict[str, str]]:
    """Return the mails that wait to be sent, the oldest first: to, subject, text."""
    with app.app_context():
        sent = sa.select(Job.arguments).where(Job.kind == "mail.send").order_by(Job.created_at)
        return list(db.session.scalars(sent))


def paths_to(app: Flask, address: str) -> list[str]:
    """Return the paths in all mails to an address, the oldest first."""
    return [path for mail in list_mails(app) if mail["to"] == address for path in PATH.findall(mail["text"])]
