"""Whether the judge finds what it must find, and accuses nobody else."""

import os

from .ledger import FileObject, History
from .recording import ENTRY, FLUSH, WRITE, Recording, chosen

OLD, NEW = b"o" * 8192, b"n" * 8192


def judge_cases():
    """Yields (what is shown, whether the judge lets it pass, whether it must)."""
    file = FileObject("judged")
    file.changes = [(0, "write", 0, OLD), (10, "write", 0, NEW), (20, "truncate", 100, None)]
    file.promises += [(5, 1), (15, 2)]

    def passes(cut, content, grain=4096):
        return file.possible(cut, grain).objection(content) is None

    mixed, torn = NEW[:4096] + OLD[4096:], NEW[:1000] + OLD[1000:]
    yield "what was promised", passes(8, OLD), True
    yield "a later write that had not begun", passes(8, NEW), False
    yield "a write under way", passes(12, NEW), True
    yield "whole blocks of a write under way", passes(12, mixed), True
    yield "a torn block", passes(12, torn), False
    yield "a torn block of an ordinary file", passes(12, NEW[:1024] + OLD[1024:], 512), True
    yield "an older state than promised", passes(16, OLD), False
    yield "a part of an older state", passes(16, mixed), False
    yield "zeros in promised bytes", passes(16, bytes(8192)), False
    yield "a truncation under way", passes(22, NEW[:100]), True
    yield "a size of neither state", passes(22, NEW[:4096]), False

    grown = FileObject("grown")
    grown.changes = [(0, "write", 0, OLD), (10, "write", 8192, NEW)]
    grown.promises += [(5, 1)]
    yield "zeros that were never promised", (
        grown.possible(12, 4096).objection(OLD + bytes(50)) is None), True
    yield "other bytes behind the old end", (
        grown.possible(12, 4096).objection(OLD + b"x" * 50) is None), False

    name = History()
    name.change(3, "file")
    name.promise(6, 2)
    yield "a name that may be there", name.window(5) == [None, "file"], True
    yield "a name before it was given", name.window(3) == [None], True
    yield "a name that was promised", name.window(6) == ["file"], True


def disk_cases(folder):
    """The same of the disk's model: two writes, a flush, and two more over one piece."""
    record = os.path.join(folder, "model")
    entries = [(WRITE, 0, 4096), (WRITE, 4096, 4096), (FLUSH, 0, 0), (WRITE, 0, 4096),
               (WRITE, 2048, 4096)]
    with open(record + ".index", "wb") as file:
        for number, (kind, offset, length) in enumerate(entries):
            file.write(ENTRY.pack(kind, offset, length, number * 4096, number))
    with open(record + ".data", "wb") as file:
        file.write(bytes(5 * 4096))
    recording = Recording(None, record, None)
    pieces = recording.pieces(5, 512)
    yield "a flush on its way", recording.flushed(2) == 0, True
    yield "a flush that was answered", recording.flushed(3) == 3, True
    yield "the flush is behind this cut", recording.epoch_end(1) == 2, True
    # One of the first write, 1 + 4 of the other: the disk's first 4 KiB are never torn.
    yield "pieces of what was not flushed", len(pieces) == 6, True
    yield "a write over the edge of two blocks", len(recording.pieces(5, 4096)) == 3, True
    yield "a subset", chosen("mask:5", pieces) == [pieces[0], pieces[2]], True


def failures(folder):
    cases = list(judge_cases()) + list(disk_cases(folder))
    return [what for what, passed, expected in cases if passed != expected]
