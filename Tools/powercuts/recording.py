"""What a disk was asked to do, and the images that a power cut may have left.

The model of the disk: a flush makes durable what was written before it. Of what was written after
the last flush, each piece (512 bytes or 4 KiB, aligned) may be there or not, alone. Two writes of
one piece keep their order: of the older one nothing is left when the newer one is there.
"""

import bisect
import errno
import mmap
import os
import random
import struct
import subprocess
import time

from .linux import KEEP_SIZE, PUNCH_HOLE, fallocate
from .stores import unmount

WRITE, ZERO, FLUSH = 1, 2, 3
# The disk's first bytes are there wholly or not: ext4's superblock is two sectors under one
# checksum, and a torn one is an ext4 that does not mount, whatever lies on it.
UNTORN = 4096
SECOND_CUTS = 0.15  # How many of the drawn states are cut again while they are mounted.
ENTRY = struct.Struct("<5Q")  # As Tests/RecordingDisk writes it.


class Entry:
    __slots__ = ("kind", "offset", "length", "data", "seconds")

    def __init__(self, packed):
        self.kind, self.offset, self.length, self.data, nanoseconds = ENTRY.unpack(packed)
        self.seconds = nanoseconds / 1e9


class Recording:
    """The record of one run, which stays as it is: a base image and what was done to it.

    A disk that is not honest answers flushes and does nothing for them.
    """

    def __init__(self, base, record, end, honest=True):
        self.base, self.record = base, record
        with open(record + ".index", "rb") as file:
            packed = file.read()
        whole = len(packed) // ENTRY.size
        self.entries = [Entry(packed[n * ENTRY.size:(n + 1) * ENTRY.size])
                        for n in range(whole if end is None else min(end, whole))]
        self.flushes = [n for n, entry in enumerate(self.entries)
                        if honest and entry.kind == FLUSH]
        with open(record + ".data", "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) if size else b""

    def flushed(self, cut):
        """How many records are surely on the disk when power fails behind record `cut`."""
        before = bisect.bisect_left(self.flushes, cut)
        return self.flushes[before - 1] + 1 if before else 0

    def epoch_end(self, cut):
        """The last place behind record `cut` before the next flush is answered."""
        after = bisect.bisect_left(self.flushes, cut)
        return self.flushes[after] if after < len(self.flushes) else len(self.entries)

    def time(self, cut):
        """When power failed: as the first record was made that is not there any more."""
        if not self.entries:
            return 0.0
        return self.entries[min(cut, len(self.entries) - 1)].seconds

    def pieces(self, cut, grain):
        """What of the records before `cut` may be there or not: (record, offset, length)."""
        found = []
        for number in range(self.flushed(cut), cut):
            entry = self.entries[number]
            if entry.kind == FLUSH:
                continue
            at, end = entry.offset, entry.offset + entry.length
            # A discard may be of the whole disk: it falls into few, large pieces.
            step = max(grain, 1 << 20) if entry.kind == ZERO else grain
            while at < end:
                whole = max(step, UNTORN) if at < UNTORN else step
                upto = min(end, (at // whole + 1) * whole)
                found.append((number, at, upto - at))
                at = upto
        return found

    def apply(self, image, number, offset=None, length=None):
        entry = self.entries[number]
        if entry.kind == FLUSH:
            return
        if offset is None:
            offset, length = entry.offset, entry.length
        if entry.kind == ZERO:
            fallocate(image, KEEP_SIZE | PUNCH_HOLE, offset, length)
        else:
            start = entry.data + offset - entry.offset
            os.pwrite(image, self.data[start:start + length], offset)


def copy_range(reader, writer, at, end):
    """How many bytes one call copied."""
    try:
        return os.copy_file_range(reader, writer, end - at, at, at)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    os.lseek(writer, at, os.SEEK_SET)
    return os.sendfile(writer, reader, at, end - at)


def copy_sparse(source, target):
    """A copy that is as sparse as its source, and shares its blocks where the file system can."""
    reader = os.open(source, os.O_RDONLY)
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        size, at = os.fstat(reader).st_size, 0
        os.ftruncate(writer, size)
        while at < size:
            try:
                at = os.lseek(reader, at, os.SEEK_DATA)
            except OSError:
                break  # ENXIO: a hole up to the end.
            end = os.lseek(reader, at, os.SEEK_HOLE)
            while at < end:
                at += copy_range(reader, writer, at, end)
    finally:
        os.close(reader)
        os.close(writer)


# --- Which pieces are there -----------------------------------------------------------------


def chosen(subset, pieces):
    """The pieces that `subset` names, in the order they were written.

    all, none, first:K, without:K, only:K, mask:HEX (bit K is piece K), random:SEED:PERCENT (each
    piece with that probability), requests:SEED:PERCENT (the same for whole requests).
    """
    kind, *words = subset.split(":")
    if kind == "all":
        return list(pieces)
    if kind == "none":
        return []
    if kind == "first":
        return pieces[:int(words[0])]
    if kind == "without":
        return [piece for at, piece in enumerate(pieces) if at != int(words[0])]
    if kind == "only":
        return [piece for at, piece in enumerate(pieces) if at == int(words[0])]
    if kind == "mask":
        mask = int(words[0], 16)
        return [piece for at, piece in enumerate(pieces) if mask >> at & 1]
    source, percent = random.Random(int(words[0])), int(words[1])
    if kind == "random":
        return [piece for piece in pieces if source.randrange(100) < percent]
    if kind == "requests":
        there = {}
        for number, _, _ in pieces:
            if number not in there:
                there[number] = source.randrange(100) < percent
        return [piece for piece in pieces if there[piece[0]]]
    raise ValueError(f"no such kind of subset: {subset}")


class State:
    """One power cut: behind which record, in pieces of what size, and which of them are there.

    `again` is a second cut, while what the first one left is mounted: (how far, from 0 to 1, and
    the subset).
    """

    __slots__ = ("cut", "grain", "subset", "again")

    def __init__(self, cut, grain, subset, again=None):
        self.cut, self.grain, self.subset, self.again = cut, grain, subset, again

    def __str__(self):
        text = f"--cut {self.cut} --subset {self.grain}/{self.subset}"
        if self.again:
            text += f" --again {self.again[0]:.3f}/{self.again[1]}"
        return text


def drawn_states(recording, start, end, grains, count, source):
    """`count` cuts between two positions at random, each with a random subset.

    Half of them are right before a flush is answered, where most is on its way.
    """
    states = []
    for _ in range(count):
        cut = source.randint(start, end)
        if source.random() < 0.5 and recording.flushes:
            cut = recording.epoch_end(cut)
        kind = source.choice(("random", "random", "requests", "first", "all"))
        grain = source.choice(grains)
        if kind == "first":
            subset = f"first:{source.randint(0, len(recording.pieces(cut, grain)))}"
        elif kind == "all":
            subset = "all"
        else:
            percent = source.choice((5, 25, 50, 50, 75, 95))
            subset = f"{kind}:{source.randrange(1 << 31)}:{percent}"
        states.append(State(cut, grain, subset, drawn_again(source)))
    return states


def drawn_again(source):
    if source.random() >= SECOND_CUTS:
        return None
    subset = source.choice(("all", "none", f"random:{source.randrange(1 << 31)}:50"))
    return source.random(), subset


def all_states(recording, start, end, grains, bound, source):
    """Every record boundary; between two flushes all subsets, or `bound` of them where more are.

    A cut stands as late as its subset allows: what was acknowledged meanwhile must hold, too.
    """
    states, cut = [], start
    while cut <= end:
        last = min(recording.epoch_end(cut), end)
        for grain in grains:
            pieces = recording.pieces(last, grain)
            if len(pieces) <= bound.bit_length() - 1:
                subsets = [f"mask:{mask:x}" for mask in range(1 << len(pieces))]
            else:
                ends = [k for k in range(1, len(pieces)) if pieces[k][0] != pieces[k - 1][0]]
                subsets = ["none", "all"] + [f"first:{k}" for k in ends]
                singles = source.sample(range(len(pieces)), min(len(pieces), bound // 8))
                subsets += [f"without:{k}" for k in singles] + [f"only:{k}" for k in singles]
                while len(subsets) < bound:
                    percent = source.choice((10, 50, 90))
                    subsets.append(f"random:{source.randrange(1 << 31)}:{percent}")
            states += [State(last, grain, subset) for subset in subsets]
        cut = last + 1
    return states


class StateImages:
    """Makes the images of states; quickest when their cuts only go forward."""

    def __init__(self, recording, place):
        self.recording = recording
        self.rolling, self.image = os.path.join(place, "rolling"), os.path.join(place, "image")
        self.applied = None

    def make(self, state):
        """The path of the image, good until the next call."""
        upto = self.recording.flushed(state.cut)
        if self.applied is None or upto < self.applied:
            copy_sparse(self.recording.base, self.rolling)
            self.applied = 0
        descriptor = os.open(self.rolling, os.O_RDWR)
        for number in range(self.applied, upto):
            self.recording.apply(descriptor, number)
        os.close(descriptor)
        self.applied = upto
        copy_sparse(self.rolling, self.image)
        descriptor = os.open(self.image, os.O_RDWR)
        for piece in chosen(state.subset, self.recording.pieces(state.cut, state.grain)):
            self.recording.apply(descriptor, *piece)
        os.close(descriptor)
        return self.image


# --- The disk while it records --------------------------------------------------------------


class RecordingDisk:
    """Tests/RecordingDisk over one image, and a file system mounted from it."""

    def __init__(self, program, base, place):
        self.base, self.record = base, os.path.join(place, "record")
        self.served, self.working = os.path.join(place, "served"), os.path.join(place, "working")
        os.mkdir(self.served)
        copy_sparse(base, self.working)
        self.process = subprocess.Popen([program, self.working, self.record, self.served])
        self.disk = os.path.join(self.served, "disk")
        deadline = time.monotonic() + 30
        while not os.path.exists(self.disk):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("RecordingDisk did not start")
            time.sleep(0.01)

    def position(self):
        """How many records there are."""
        return os.stat(self.record + ".index").st_size // ENTRY.size

    def close(self):
        """After the file system on the disk was unmounted."""
        unmount(self.served)
        self.process.wait(30)

    def recording(self, end=None, honest=True):
        return Recording(self.base, self.record, end, honest)
