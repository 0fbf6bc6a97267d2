"""`chorus doctor`: is the bus well?"""

from __future__ import annotations

import typer

from launch.introspection.checks import Verdict, examine
from launch.introspection.session import EXIT_CODES, Broker, guarded

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=EXIT_CODES)
def doctor(broker: Broker = None) -> None:
    """Check broker, ports, versions, nodes, ticks, leases, lost messages and clocks; 1 if a check fails."""
    with guarded():
        verdicts = []
        for finding in examine(broker):
            verdicts.append(finding.verdict)
            typer.echo(f"{finding.verdict.value:4}  {finding.check:8}  {finding.text}")
        failed, warned = verdicts.count(Verdict.FAILED), verdicts.count(Verdict.WARNING)
        if failed or warned:
            typer.echo(f"\n{failed} of {len(verdicts)} checks failed, {warned} with a warning")
        else:
            typer.echo(f"\nAll {len(verdicts)} checks passed")
        if failed:
            raise typer.Exit(1)
