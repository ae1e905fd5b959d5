"""What every command shares: finding it, its common options, printing its result, and its exit code.

A command is a function whose parameters say what it needs: ``app`` (the site, with its context pushed),
``dry_run`` (adds --dry-run), ``confirm`` (adds --yes), ``progress`` (a line to stderr). It returns a frozen dataclass:
``str(result)`` is for people, its fields are the JSON, and its ``exit_code``, if it has one, ends the process.
Source: Django's BaseCommand, for the contract.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cms.errors import CmsError, Refused

if TYPE_CHECKING:
    from flask import Flask

COMMANDS = "cms.management.commands"
INTERRUPTED = 130
TERMINATED = 143
AGAIN_S = 0.01
T = TypeVar("T")
Confirm = Callable[[str], None]
"""Asks a question about losing something; returns if the answer is yes, raises Refused otherwise."""


class Terminated(BaseException):
    """SIGTERM or a closed terminal; unwinds like KeyboardInterrupt, so that locks and partial files go."""


class Progress:
    """Tells the operator what goes on: lines to stderr, and a bar where stderr is a terminal."""

    def __call__(self, line: str) -> None:
        click.echo(line, err=True)

    def bar(self, items: Iterable[T], label: str, length: int | None = None) -> Iterator[T]:
        """Yield the items; on a terminal a bar with the time left moves along."""
        if not sys.stderr.isatty():
            yield from items
            return
        with click.progressbar(items, label=label, length=length, file=sys.stderr) as bar:
            yield from bar


class ManagementCommand(click.Command):
    """A click command that remembers the function behind it, for ``call_command``."""

    operation: Callable[..., Any]  # Any: each command has its own parameters and result


def command(operation: Callable[..., Any]) -> ManagementCommand:  # Any: see ManagementCommand
    """Make a management command of a function; its docstring's first line is the help, its own name the command's."""
    parameters = inspect.signature(operation).parameters
    options = [click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object.")]
    if "dry_run" in parameters:
        options.append(click.Option(["--dry-run"], is_flag=True, help="Show the plan and change nothing."))
    if "confirm" in parameters:
        options.append(click.Option(["--yes"], is_flag=True, help="Do not ask before losing anything."))
    made = ManagementCommand(
        operation.__name__.replace("_", "-"),
        callback=lambda **given: run(operation, given),
        params=[*reversed(getattr(operation, "__click_params__", [])), *options],
        help=inspect.getdoc(operation),
    )
    made.operation = operation
    return made


def run(operation: Callable[..., Any], given: dict[str, Any]) -> None:  # Any: see ManagementCommand
    """Run a command from the terminal: print its result, end the process with its exit code."""
    as_json = given.pop("as_json")
    try:
        with stoppable():
            result = call(operation, given)
            if result is not None:
                click.echo(as_text(result, as_json=as_json))
    except (KeyboardInterrupt, Terminated) as stopped:
        end_stopped(stopped)
    except click.Abort:
        if sys.stdin.isatty():
            raise SystemExit(INTERRUPTED) from None
        unanswered = Refused("a question was asked and nobody is there to answer", hint="give the answers as options")
        show_error(unanswered, as_json=as_json)
        raise SystemExit(unanswered.exit_code) from None
    except Exception as error:
        if stop := find_stop(error):
            end_stopped(stop)
        if not (known := as_known(error)):
            raise
        if isinstance(error, OSError):
            forget_output()
        show_error(known, as_json=as_json)
        raise SystemExit(known.exit_code) from None
    raise SystemExit(getattr(result, "exit_code", 0))


def as_known(error: Exception) -> CmsError | None:
    """Return an error that people can meet as a message; None for a bug."""
    if isinstance(error, CmsError):
        return error
    from cms.database.everyday import as_cms_error  # noqa: PLC0415 - a help page needs no database

    return as_cms_error(error)


def find_stop(error: BaseException | None) -> BaseException | None:
    """Return the Ctrl-C or SIGTERM during whose tidying up the error arose: a driver in the middle of a query fails."""
    while error is not None and not isinstance(error, (KeyboardInterrupt, Terminated)):
        error = error.__context__
    return error


def end_stopped(stopped: BaseException) -> NoReturn:
    click.echo("error: stopped before the end; the database is as it was, or changed as a whole", err=True)
    raise SystemExit(TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED)


def call(operation: Callable[..., Any], given: dict[str, Any]) -> Any:  # Any: see ManagementCommand
    """Give a command what its parameters ask for, and return its result."""
    wanted = inspect.signature(operation).parameters
    given = dict(given)
    yes = given.pop("yes", False)
    if "confirm" in wanted:
        given["confirm"] = lambda question: confirm(question, yes=yes)
    if "progress" in wanted:
        given["progress"] = Progress()
    with site() if "app" in wanted else nullcontext() as app:
        return operation(app, **given) if app else operation(**given)


def build_site() -> Flask:
    """Return the site as the environment's settings make it. Raises ConfigurationError."""
    from cms.app import create_app  # noqa: PLC0415 - a help page needs no Flask

    return create_app()


@contextmanager
def site() -> Iterator[Flask]:
    """Build the site, push its context, and close its connections at the end."""
    from flask import current_app, has_app_context  # noqa: PLC0415 - a help page needs no Flask

    if has_app_context():
        yield current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
        return
    from cms.extensions import db  # noqa: PLC0415

    app = build_site()
    with app.app_context():
        try:
            yield app
        finally:
            for engine in db.engines.values():
                engine.dispose()


def call_command(name: str, /, **given: Any) -> Any:  # Any: see ManagementCommand
    """Run a command from Python: returns its result, and lets its errors through. ``yes=True`` confirms.

    Raises KeyError if there is no such command.
    """
    found = load_command(name)
    if not isinstance(found, ManagementCommand):
        raise KeyError(name)
    context = click.Context(found)
    defaults = {each.name: each.get_default(context) for each in found.params if each.name != "as_json"}
    # On a command line an option without a default is None; here it is still click's own mark for it.
    unset = click.core.UNSET  # type: ignore[attr-defined]
    values = {name: None if value is unset else value for name, value in defaults.items()}
    return call(found.operation, values | given)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost. Raises Refused without a terminal, or when the answer is not yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            f"not confirmed: {question}",
            why="there is no terminal to ask on",
            hint="add --yes if you mean it; nothing was changed",
        )
    if not click.confirm(question, err=True):
        raise Refused("not confirmed", hint="nothing was changed")


def as_text(result: Any, *, as_json: bool) -> str:  # Any: any frozen dataclass
    """Return a result for people, or as JSON with ISO 8601 times."""
    if not as_json:
        return str(result)
    import dataclasses  # noqa: PLC0415

    return json.dumps(dataclasses.asdict(result), default=plain, ensure_ascii=False, indent=2)


def plain(value: object) -> str:
    """Return a value that JSON does not know as text: a time, a path, an id."""
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat() if isoformat else value).replace("+00:00", "Z")


def show_error(error: CmsError, *, as_json: bool) -> None:
    click.echo(f"error: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"error": error.what, "why": error.why, "hint": error.hint}, ensure_ascii=False))


def forget_output() -> None:
    """Send what is still waiting to be written nowhere: Python would try again at its end, and fail loudly."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, exit_code: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    raise SystemExit(exit_code)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal raise Terminated instead of ending the process on the spot.

    A stop that falls into a finalizer or a weak reference's callback, which nobody can raise out of, is raised again.
    """

    def leave(_number: int, _frame: object) -> NoReturn:
        raise Terminated

    def keep_stop(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
            former_hook(unraisable)
            return
        stop = type(unraisable.exc_value)

        def leave_again(_number: int, _frame: object) -> NoReturn:
            raise stop

        signal.signal(signal.SIGALRM, leave_again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    former_hook, sys.unraisablehook = sys.unraisablehook, keep_stop
    former = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    former[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        sys.unraisablehook = former_hook
        if signal.getsignal(signal.SIGALRM) != former[signal.SIGALRM]:  # or it would end the process by itself
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, handler)


class Manager(click.Group):
    """`manage.py`: each file in commands/ is a command; one that cannot be imported spoils only itself."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        folder = Path(__file__).with_name("commands")
        names = [module.name for module in pkgutil.iter_modules([str(folder)])]
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the whole first sentence of their help; click would cut it at 45 characters."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(limit=200)) for name, found in commands if found])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        try:
            return load_command(name)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others stay usable
            return broken_command(name, error)


def load_command(name: str) -> click.Command:
    """Import one command's file and return the command in it. Raises whatever importing raises."""
    function = name.replace("-", "_")
    module = importlib.import_module(f"{COMMANDS}.{function}")
    found = getattr(module, function, None) or next(
        value for value in vars(module).values() if isinstance(value, click.Command)
    )
    return found if isinstance(found, click.Command) else broken_command(name, TypeError("it declares no command"))


def broken_command(name: str, error: Exception) -> click.Command:
    """Return a command that only tells why its file could not be imported."""
    reason = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))

    def tell(**_: object) -> NoReturn:
        click.echo(trace, err=True)
        fail(f"the command {name} cannot be loaded\n  why:  {reason}", 1)

    return click.Command(
        name,
        callback=tell,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        short_help=f"(broken) {reason}",
    )


def main() -> NoReturn:
    """Run the command line; an exception that nobody expected keeps its traceback."""
    manager = Manager(help="Everything an operator does with the site.", context_settings={"max_content_width": 110})
    manager.main(prog_name="manage.py")
    raise SystemExit(0)
