"""Operations: what programs may ask and do, each declared once for routing, checking and documentation.

``@reads`` and ``@writes`` stand above a function that gets what was sent already checked. One that writes gets the
transaction, too, in which the answer to a repeated request is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Blueprint, request
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import NoResultFound
from werkzeug.exceptions import NotFound, UnsupportedMediaType
from werkzeug.wrappers import Response

from cms.accounts.current import needs, now
from cms.accounts.queries import AnySession
from cms.api.answers import Answer, invalid, respond
from cms.api.limits import count_change
from cms.api.refusals import REFUSALS, problem_of
from cms.api.repeating import Repeatable, find_kept, keep, repeatable_of_request
from cms.api.shapes import Query
from cms.extensions import transaction
from cms.web.paging import CursorInvalid
from cms.web.problems import Problem

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
View = Callable[..., Answer]
NOTHING = Query()

api = Blueprint("api", __name__, url_prefix="/api/v1", template_folder="templates")


@dataclass(frozen=True)
class Operation:
    """One address and method.

    name: of the function. query, body, answer: the shapes. matches: it wants If-Match. etag: its answer has
    one, and If-None-Match is heard. is_secret: its answer is shown once and kept nowhere. about: what the documentation
    says of it, its first line for the list.
    """

    name: str
    method: str
    path: str
    permission: str
    answer: Any  # Any: a model, or a list of one
    query: type[Query] = Query
    body: type[BaseModel] | None = None
    status: int = 200
    matches: bool = False
    etag: bool = False
    is_secret: bool = False
    about: str = ""

    @property
    def takes(self) -> str:
        return MERGE_PATCH if self.method == "PATCH" else JSON


OPERATIONS: dict[str, Operation] = {}


def reads(path: str, permission: str, answer: Any, **more: Any) -> Callable[[View], View]:  # Any: of Operation
    """Declare an operation that only reads; its function gets the query, and the parts of the path by name."""

    def declare(view: View) -> View:
        operation = describe(view, "GET", path, permission, answer=answer, **more)

        @wraps(view)
        def run(**parts: Any) -> Response:
            query = read_query(operation.query)
            try:
                return respond(view(query, **parts), operation.status)
            except CursorInvalid:
                raise invalid("before, after", "no place of an answer of this list, or both at once") from None

        add(operation, run)
        return view

    return declare


def writes(method: str, path: str, permission: str, answer: Any, **more: Any) -> Callable[[View], View]:
    """Declare an operation that changes something; its function gets the transaction and the body, if it takes one."""

    def declare(view: View) -> View:
        operation = describe(view, method, path, permission, answer=answer, **more)

        @wraps(view)
        def run(**parts: Any) -> Response:
            read_query(operation.query)
            sent = (read_body(operation),) if operation.body else ()
            if operation.matches:
                refuse_unconditional()
            this = repeatable_of_request(is_secret=operation.is_secret)
            count_change()
            try:
                with transaction() as session:
                    return once(session, this, lambda: respond(view(session, *sent, **parts), operation.status))
            except NoResultFound as error:
                raise NotFound from error
            except tuple(REFUSALS) as refused:
                raise problem_of(refused) from refused

        add(operation, run)
        return view

    return declare


def once(session: AnySession, this: Repeatable | None, answer: Callable[[], Response]) -> Response:
    """Return the answer, or the one that was given when the request came for the first time."""
    if this is None:
        return answer()
    if (kept := find_kept(session, this, at=now())) is not None:
        return kept
    response = answer()
    keep(session, this, response)
    return response


def describe(view: View, method: str, path: str, permission: str, **more: Any) -> Operation:  # Any: of Operation
    return Operation(view.__name__, method, path, permission, about=view.__doc__ or "", **more)


def add(operation: Operation, run: Callable[..., Response]) -> None:
    OPERATIONS[operation.name] = operation
    view = needs(operation.permission)(run)
    api.add_url_rule(operation.path, operation.name, view, methods=[operation.method])


# --- what was sent ------------------------------------------------------------------------------------------------


def read_query(model: type[Query]) -> Any:  # Any: of the model
    """Return the parameters of the address; 422 for one that is unknown, given twice, or cannot be used."""
    if not request.args:
        return model() if model is not Query else NOTHING
    given = request.args.to_dict(flat=False)
    for name, values in given.items():
        if len(values) > 1:
            raise invalid(name[:100], "is given more than once")
    try:
        return model.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise refuse(error, "A parameter of the address cannot be used.", where="parameter") from None


def read_body(operation: Operation) -> Any:  # Any: of the operation's model
    """Return what was sent; 415 for another type, 400 for what is no JSON, 422 for what cannot be used."""
    assert operation.body is not None  # noqa: S101 - who calls has looked
    sent = request.get_data()
    if request.mimetype != operation.takes and (sent or request.mimetype):
        raise wrong_type(operation)
    if not sent and has_defaults(operation.body):
        return operation.body()
    try:
        return operation.body.model_validate_json(sent)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False, include_context=False)[0]["type"] == "json_invalid":
            raise Problem(400, "no-json", "The body is not JSON. Nothing was changed.") from None
        raise refuse(error, "Something in the body cannot be used. Nothing was changed.", where="pointer") from None


def has_defaults(model: type[BaseModel]) -> bool:
    return not any(field.is_required() for field in model.model_fields.values())


def wrong_type(operation: Operation) -> UnsupportedMediaType:
    """Return the error with the header that says what the address takes."""
    error = UnsupportedMediaType()
    name = "Accept-Patch" if operation.method == "PATCH" else "Accept-Post"
    response = error.get_response()
    response.headers[name] = operation.takes
    return UnsupportedMediaType(response=response)


def refuse(error: ValidationError, detail: str, *, where: str) -> Problem:
    """Say what is wrong with which field, never what was sent: it may be a secret."""
    errors = [
        {where: place_of(each["loc"], where), "code": each["type"], "message": each["msg"]}
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return Problem(422, "invalid", detail, more={"errors": errors[:20]})


def place_of(parts: tuple[int | str, ...], where: str) -> str:
    """Return the field's name, or for a body where it stands (RFC 6901)."""
    names = [str(part)[:100] for part in parts]
    if where == "parameter":
        return ".".join(names)
    return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)


def refuse_unconditional() -> None:
    """Answer 428 to a change that does not say which state it changes."""
    if not request.if_match or request.if_match.star_tag:
        detail = "Send If-Match with the ETag of what you have seen, so that no change is lost. Nothing was changed."
        raise Problem(428, "match-needed", detail)
