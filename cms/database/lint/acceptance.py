"""What an author accepted in the revision file itself: ``# accepted: rule: reason``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cms.database.lint.findings import RULES, Remark
from cms.database.lint.source import Source

COMMENT = re.compile(r"#\s*accepted:\s*([\w-]+)\s*:?\s*(.*)")
SHORTEST_REASON = 3


@dataclass(frozen=True)
class Acceptance:
    """One comment; it holds for the whole file, since a revision does one thing."""

    rule: str
    reason: str
    line: int


def read_acceptances(source: Source) -> list[Acceptance]:
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    comments = [(COMMENT.match(token.string), token.start[0]) for token in tokens if token.type == tokenize.COMMENT]
    return [Acceptance(found[1], found[2].strip(), line) for found, line in comments if found]


def judge_acceptances(
    accepted: Collection[Acceptance], remarks: Collection[Remark], *, both_engines: bool, squawk_asked: bool
) -> Iterator[Remark]:
    """Yield what is wrong with the acceptances themselves: no reason, or nothing that they accept.

    both_engines: whether the remarks are of both; what was not looked at may be what is accepted.
    """
    found = {remark.rule for remark in remarks}
    for each in accepted:
        if len(each.reason.split()) < SHORTEST_REASON:
            yield Remark("acceptance-without-reason", each.line, f"{each.rule} is accepted without a reason")
        elif both_engines and each.rule not in found and (squawk_asked or each.rule in RULES):
            yield Remark("useless-acceptance", each.line, f"{each.rule} is accepted, and was not found")
