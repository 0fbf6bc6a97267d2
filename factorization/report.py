"""One HTML page of a factorization, pictures included: it can be mailed as it is."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from factorization.atomic import write_bytes
from factorization.partition import Partition
from factorization.pictures import colour, png

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:left;vertical-align:top}"
    "img{max-width:100%}pre{background:#f4f4f4;padding:.6rem;overflow:auto}"
)


def write_report(path: Path, partition: Partition, figures: Mapping[str, Figure]) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        partition: to describe.
        figures: heading -> picture.

    Raises:
        OutputError: the file cannot be written.
    """
    title = f"Factorization of {html.escape(partition.environment)}"
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        _clusters(partition),
        _bridges(partition),
        *(_picture(heading, figure) for heading, figure in figures.items()),
        "<h2>How it was found</h2>",
        *(
            f"<h3>{name}</h3><pre>{html.escape(json.dumps(dict(facts), indent=1))}</pre>"
            for name, facts in (
                ("Method", partition.method),
                ("Stability", partition.stability),
                ("Provenance", partition.provenance),
            )
            if facts
        ),
    ]
    write_bytes(path, "\n".join(parts).encode())


def _clusters(partition: Partition) -> str:
    rows = []
    for number, cluster in enumerate(partition.clusters):
        kinds: dict[str, list[str]] = {}
        for variable in cluster.variables:
            kinds.setdefault(variable.kind, []).append(str(variable.id))
        members = "<br>".join(
            f"{html.escape(kind)}: {html.escape(', '.join(ids))}" for kind, ids in kinds.items()
        )
        name = f"<b style='color:{colour(number)}'>{html.escape(cluster.name)}</b>"
        rows.append(f"<tr><td>{name}</td><td>{members}</td></tr>")
    return f"<h2>Clusters</h2><table><tr><th>cluster</th><th>variables</th></tr>{''.join(rows)}</table>"


def _bridges(partition: Partition) -> str:
    if not partition.bridges:
        return "<p>No variable informs about targets outside of its cluster.</p>"
    rows = "".join(
        f"<tr><td>{html.escape(str(b.variable))}</td><td>{b.outside:.1%}</td>"
        f"<td>{html.escape(', '.join(b.clusters))}</td></tr>"
        for b in partition.bridges
    )
    head = "<tr><th>bridge</th><th>of its information goes outside</th><th>to</th></tr>"
    return f"<h2>Bridges between clusters</h2><table>{head}{rows}</table>"


def _picture(heading: str, figure: Figure) -> str:
    data = base64.b64encode(png(figure)).decode()
    title = html.escape(heading)
    return f"<h2>{title}</h2><img alt='{title}' src='data:image/png;base64,{data}'>"
