"""One run, from the launch file to the exit code."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from broker.address import refuse_busy
from broker.errors import ConnectionFailedError
from launch.agent_names import agents_of
from launch.arguments import parse_overrides
from launch.assemble import assemble
from launch.display import Display, make_display
from launch.errors import StartError
from launch.interrupt import remembered_interrupt, terminated_in_order
from launch.launch_file import list_arguments, read_launch_file
from launch.paths import checked, refuse_missing
from launch.program import Kind, Program
from launch.run_folder import RunFolder, claim_run_folder, new_run_folder, point_latest
from launch.spec import LaunchSpec
from launch.yaml_tree import Entry

AfterTraining = Callable[[LaunchSpec, tuple[str, ...], RunFolder, Display], int]


@dataclass(frozen=True)
class Options:
    """What the command line says, besides the launch file."""

    file: Path
    overrides: list[str]
    run_dir: Path | None = None
    broker: str | None = None
    dry_run: bool = False
    show_arguments: bool = False
    threads: bool = False
    verbose: bool = False


def evaluate_and_report(
    spec: LaunchSpec, agents: tuple[str, ...], folder: RunFolder, display: Display
) -> int:
    """Do what comes after training; imported then, because pictures take a second to import."""
    from launch.after import after_training

    return after_training(spec, agents, folder, display)


def run(options: Options, then: AfterTraining = evaluate_and_report) -> int:
    """Do what the command line says.

    Returns:
        0 at a regular end, 130 if Ctrl-C ended it.

    Raises:
        LaunchFileError: the launch file or what lies over it is wrong.
        LaunchError: the run failed.
    """
    if options.show_arguments:
        _show_arguments(options.file)
        return 0
    tree = read_launch_file(options.file, parse_overrides(options.overrides))
    root = _join_broker(tree.root, options.broker)
    spec = checked(root)
    refuse_missing(root, spec)
    with (
        terminated_in_order(),
        _folder(options, spec) as folder,
        _address(spec, threads=options.threads) as address,
    ):
        if options.dry_run:
            _print_program(assemble(spec, agents_of(root, spec), folder, address))
            return 0
        return _run(options, root, spec, folder, address, then)


def _run(
    options: Options, root: Entry, spec: LaunchSpec, folder: RunFolder, address: str, then: AfterTraining
) -> int:
    display = make_display()
    display.say(f"{spec.name}: {spec.simulator.grid}, run folder {_short(folder.path)}")
    agents = agents_of(root, spec)
    program = assemble(spec, agents, folder, address)
    folder.make_parts()
    if options.run_dir is None and spec.player is None:  # a replay is no run to come back to
        point_latest(folder)
    folder.write_config(spec.model_dump(mode="json", exclude_defaults=True), str(options.file))
    if not options.threads:
        folder.write_address(address)
    for node in program.nodes:
        folder.write_settings(node)
    began = time.monotonic()
    with display, remembered_interrupt() as check_interrupt:
        if options.threads:
            code = _run_threads(program, display, check_interrupt)
        else:
            from launch.supervisor import Supervisor

            check_interrupt()
            if not spec.broker.external:
                _refuse_busy(address)
            code = Supervisor(program, folder, display, verbose=options.verbose).run()
    folder.write_duration(time.monotonic() - began)
    if code != 0 or spec.player is not None:
        return code
    return then(spec, agents, folder, display)


def _refuse_busy(address: str) -> None:
    try:
        refuse_busy(address)
    except ConnectionFailedError as error:
        raise StartError(str(error)) from error


def _run_threads(program: Program, display: Display, check_interrupt: Callable[[], None]) -> int:
    from launch.bus import Bus
    from launch.threads import run_threads
    from launch.watch import Watch

    nodes = [node for node in program.nodes if node.kind != Kind.BROKER]  # threads need none
    watch = Watch(replace(program, nodes=tuple(nodes)), display)
    watch.bus = Bus(program)
    watch.bus.join(1.0)

    def meanwhile() -> None:
        check_interrupt()
        watch.listen(0.0)
        watch.show()

    try:
        code = run_threads(program, meanwhile)
        watch.listen(0.0)
        for slot in watch.slots:
            slot.finished = True
        return code
    finally:
        watch.leave()
        watch.show_last(watch.view().done_ticks)


def _show_arguments(file: Path) -> None:
    arguments = list_arguments(file)
    sys.stdout.write(f"arguments of {file}:\n" if arguments else f"{file} declares no arguments\n")
    for argument in arguments.values():
        sys.stdout.write(f"  {argument.name}={argument.default!s:<12}  {argument.description}\n")


def _join_broker(root: Entry, address: str | None) -> Entry:
    """Lay `--broker ADDRESS` over the launch file."""
    if address is None:
        return root
    where = "--broker"
    broker = root.value.get("broker", Entry({}, where))
    settings = {**broker.value, "address": Entry(address, where), "external": Entry(True, where)}
    return Entry({**root.value, "broker": Entry(settings, where)}, root.where)


@contextmanager
def _folder(options: Options, spec: LaunchSpec) -> Iterator[RunFolder]:
    """Yield the run's folder: made, so that no other launch takes it, but for a dry run."""
    runs = Path("runs")
    if options.dry_run:
        named = options.run_dir
        yield RunFolder(named.absolute()) if named else new_run_folder(runs, spec.name)
        return
    if options.run_dir is None:
        folder = claim_run_folder(runs, spec.name)
    else:
        folder = RunFolder(options.run_dir.absolute())
        folder.claim()
    try:
        yield folder
    finally:
        folder.remove_if_empty()


@contextmanager
def _address(spec: LaunchSpec, *, threads: bool) -> Iterator[str]:
    """Yield the broker's address; without one in the launch file, a socket in a folder of its own."""
    if threads:
        yield f"memory://{spec.name}-{os.getpid()}"
    elif spec.broker.address:
        yield spec.broker.address
    else:
        # Socket paths may have 107 bytes at most: they cannot live in the run folder.
        folder = Path(tempfile.mkdtemp(prefix="chorus-"))
        try:
            yield f"ipc://{folder}/broker"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _print_program(program: Program) -> None:
    out = sys.stdout
    out.write(f"{program.name}: {len(program.nodes)} nodes, {program.total_ticks} ticks; a dry run\n\n")
    for node in program.nodes:
        restart = node.restart
        policy = f"restarts: {restart.max_restarts}" if restart.when == "on-failure" else "no restarts"
        how = "external, waited for" if node.external else f"{'forked' if node.forked else 'fresh'}, {policy}"
        out.write(f"{node.name} ({how})\n    {node.command()}\n")
        if node.config:
            text = yaml.safe_dump(dict(node.config), sort_keys=False, default_flow_style=None)
            out.write("".join(f"        {line}\n" for line in text.splitlines()))


def _short(path: Path) -> Path:
    """Return a path as seen from the working directory, where it lies below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
