"""`chorus launch`: the command line of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from launch.errors import LaunchError
from launch.imports import ROOT

DEFAULT_FILE = ROOT / "launch" / "files" / "case14.yaml"

EXAMPLES = """Examples:

\b
  chorus launch                                   the default ensemble, on a 14-substation grid
  chorus launch launch/files/case14.yaml --show-args
  chorus launch launch/files/case14.yaml updates=10 seed=3
  chorus launch launch/files/case14.yaml agents.hyperparameters.learning_rate=1e-3
  chorus launch my.yaml --dry-run                 check the file, and print what would start
  chorus launch my.yaml --broker tcp://control-room:5550     join a broker that already runs

name=value (or name:=value, as in ROS) sets an argument that the file declares; a name with dots sets
any key of the file. docs/launch.md describes everything that a launch file may say.

Exit codes: 0 regular end, 1 the run failed, 2 the input is wrong, 130 ended with Ctrl-C.
"""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=EXAMPLES)
def launch(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE] [name=value ...]",
            help="A launch file (default: launch/files/case14.yaml), and values laid over it.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, print what would start, start nothing.")
    ] = False,
    show_args: Annotated[bool, typer.Option("--show-args", "-s", help="Print the file's arguments.")] = False,
    run_dir: Annotated[Path | None, typer.Option(help="Folder of this run [runs/NAME-TIME].")] = None,
    broker: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Join a broker that already runs, such as tcp://host:5550."),
    ] = None,
    threads: Annotated[
        bool, typer.Option("--threads", help="Run the nodes as threads of this process, without sockets.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every line the nodes log, not only warnings.")
    ] = False,
) -> None:
    """Bring up an ensemble from a launch file, and run it to its end."""
    if not (dry_run or show_args or threads):
        _start_importing()
    from launch.run import Options, run

    file, overrides = _split(words or [])
    options = Options(
        file=file,
        overrides=overrides,
        run_dir=run_dir,
        broker=broker,
        dry_run=dry_run,
        show_arguments=show_args,
        threads=threads,
        verbose=verbose,
    )
    try:
        code = run(options)
    except LaunchError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except OSError as error:
        where = f" {error.filename}:" if error.filename else ""
        sys.stderr.write(
            f"the run failed:{where} {error.strerror or error}; make room, or choose another --run-dir\n"
        )
        code = 1
    except KeyboardInterrupt:  # before the supervisor took over the signals, or with --threads
        code = 130
    raise typer.Exit(code)


def _start_importing() -> None:
    """Start the fork server before anything else: its imports take longest, on another core."""
    from launch import processes
    from launch.nodes import PRELOADED

    processes.set_environment(PRELOADED)
    processes.start_fork_server()


def _split(words: list[str]) -> tuple[Path, list[str]]:
    """Tell the launch file, if one is named, from name=value."""
    if words and "=" not in words[0]:
        return Path(words[0]), words[1:]
    return DEFAULT_FILE, words
