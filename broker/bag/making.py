"""What is made of a bag has its name when it is whole: until then it lies beside it under another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.bag.errors import BagError


@contextmanager
def making(out: Path) -> Iterator[Path]:
    """Yield where to write; that becomes `out` at the end, and is removed if an error comes first.

    Args:
        out: the file or folder that is made; must not exist.

    Raises:
        BagError: if it exists, or cannot be written.
    """
    if out.exists():
        msg = f"{out}: exists already; choose another name"
        raise BagError(msg)
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        yield part
        part.rename(out)
    except OSError as error:
        found = out.parent.is_dir()
        why = error.strerror or str(error) if found else f"there is no folder {out.parent}"
        msg = f"{out}: cannot be written: {why}; choose another place"
        raise BagError(msg) from error
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
        return
    with suppress(OSError):  # it became `out`, or never was
        part.unlink()
