"""What a new file of a bag follows: the files that its folder has already, and the end of their hash chain.

A recorder that is started again goes on with the chain where the file before ends. If that file was cut off,
it is the last chunk which can be read: the new file attests what was there when it began, and `verify`, which
arrives at the same link, still names the cut.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from mcap.opcode import Opcode
from mcap.records import Metadata

from broker.bag import chain, scan
from broker.bag.errors import BagError
from broker.bag.reader import SUFFIX, files_of, order_of
from broker.bag.scan import Place


def next_path(folder: Path, name: str) -> Path:
    """Return the path of the file that comes after all of the same name; those that are gone leave no room.

    Raises:
        OSError: if the folder cannot be read.
    """
    numbered = re.compile(rf"{re.escape(name)}_(\d+){re.escape(SUFFIX)}")
    numbers = [int(match[1]) for path in folder.iterdir() if (match := numbered.fullmatch(path.name))]
    return folder / f"{name}_{max(numbers, default=-1) + 1}{SUFFIX}"


def head_before(folder: Path, name: str) -> str:
    """Return the head of the hash chain that the next file in a folder follows.

    Raises:
        OSError: if the folder cannot be read.
    """
    if not folder.is_dir():
        return chain.START
    place = order_of(next_path(folder, name))
    before: list[Path] = []
    with suppress(BagError):  # none there
        before = [path for path in files_of(folder) if order_of(path) < place]
    for path in reversed(before):
        with suppress(BagError):  # no bag, which whoever reads the folder is told
            return head_of(path)
    return chain.START


def head_of(path: Path) -> str:
    """Return the head of the hash chain at the end of a file: of the last chunk that can be read.

    Raises:
        BagError: if it is no bag.
        OSError: if it cannot be read.
    """
    with scan.opened(path) as file:
        places = [p for p in scan.walk(file, path.stat().st_size) if isinstance(p, Place)]
        for place in reversed([p for p in places if p.opcode == Opcode.CHUNK]):
            with suppress(BagError):
                messages = scan.taken_apart(scan.uncompressed(scan.content(file, place))).messages
                if messages:
                    return chain.link_of(messages[-1].data).sha256
        for place in places:
            if place.opcode == Opcode.METADATA:
                record = scan.parsed(scan.content(file, place), Metadata)
                assert isinstance(record, Metadata)
                if record.name == "bag":
                    return str(record.metadata.get("previous", chain.START))
    return chain.START
