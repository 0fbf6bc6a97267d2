"""docs/results.md: each study's part lies between two markers, and only that is replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from agents.files import write_atomically

END = "<!-- end -->"


def begin(study: str) -> str:
    """Return the marker before a study's part."""
    return f"<!-- study: {study} -->"


def replace_part(page: Path, study: str, text: str, pictures: Mapping[str, bytes], folder: Path) -> None:
    """Write a study's part of a page, and its pictures beside it.

    Args:
        page: a Markdown file; without it, or without the study's markers in it, they are added.
        study: its name.
        text: Markdown: table and where it comes from.
        pictures: PNGs by what they show.
        folder: where pictures go, below the page's.
    """
    links = []
    for name, png in pictures.items():
        path = folder / f"learning_{study}_{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
        links.append(f"![{study}, {name}]({path.relative_to(page.parent)})\n")
    part = f"{begin(study)}\n\n{text}{''.join(f'{chr(10)}{link}' for link in links)}\n{END}"
    before = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    old = re.compile(re.escape(begin(study)) + r".*?" + re.escape(END), re.DOTALL)
    after = old.sub(lambda _: part, before, count=1)
    if not old.search(before):
        after = f"{before.rstrip()}\n\n## {study}\n\n{part}\n"
    write_atomically(page, after.encode())
