"""How every command begins and ends: options they share, errors that become exit codes, quiet ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from broker.bag.errors import BagError
from broker.errors import AddressError, BrokerError, MessageError, TopicError
from launch.errors import LaunchError
from launch.introspection.address import find_broker
from launch.introspection.errors import QuestionError
from launch.introspection.observer import Observer
from launch.suggest import did_you_mean

Broker = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="CHORUS_BROKER",
        help="Of the broker, such as tcp://host:5550 [that of runs/latest, else tcp://localhost:5550].",
        show_default=False,
        show_envvar=True,
    ),
]

_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
_ADVICE = {
    errno.ENOSPC: ": make room, or write elsewhere",
    errno.EMFILE: ": too many are open in this process, see `ulimit -n`",
    errno.ENOENT: ": correct the path",
    errno.EACCES: ": choose another place, or change its rights",
}
EXIT_CODES = "Exit codes: 0 done, 1 no broker, no answer or no room, 2 the input is wrong, 130 Ctrl-C."


def make_app(text: str) -> typer.Typer:
    """Return the app of a group of commands with its help."""
    app = typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=EXIT_CODES,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)  # a group, however few its commands
    return app


@contextmanager
def guarded() -> Iterator[None]:
    """Turn errors into a line and an exit code; end quietly when nobody reads the output any more."""
    try:
        yield
    except LaunchError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError:
        _give_up_output()
        raise typer.Exit(0) from None
    except (AddressError, TopicError, MessageError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    except BagError as error:
        sys.stderr.write(f"{error}\n")
        refused = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, _WRONG_PATH)
        raise typer.Exit(1 if refused else 2) from error  # no room, or the input is wrong
    except BrokerError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    except OSError as error:  # broker's own are above: some of them are OSErrors too
        _flush_or_give_up_output()
        where = "" if error.filename is None else f"{error.filename}: "
        sys.stderr.write(f"{where}{error.strerror or error}{_ADVICE.get(error.errno or 0, '')}\n")
        raise typer.Exit(2 if isinstance(error, _WRONG_PATH) else 1) from error


def _flush_or_give_up_output() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _give_up_output()


def _give_up_output() -> None:
    """What has not been written cannot be; without this the flush at exit would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def watching(broker: str | None) -> Iterator[Observer]:
    """Connect to the broker that is meant, guarded."""
    with guarded(), Observer(find_broker(broker)) as bus:
        yield bus


def look_up(kind: str, name: str, known: dict[str, Any]) -> Any:
    """Return a record by its name.

    Raises:
        QuestionError: if there is none, saying what was probably meant.
    """
    if name not in known:
        msg = f"{kind} {name}: there is none on this bus; {did_you_mean(name, known)}"
        raise QuestionError(msg)
    return known[name]
