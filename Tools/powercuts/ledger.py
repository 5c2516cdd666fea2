"""What a workload did and what it was told is safe, each with its place in the disk's record.

A change begins at a position: no earlier record can show it. A promise is given at a position: a
cut there or later must keep it. Between them the cut may show the change or not.
"""


class History:
    """The values that one thing had, in order: a name's object, an attribute's value."""

    def __init__(self, first=None):
        self.steps = [(0, first)]  # (position at which the change began, value)
        self.promises = [(0, 1)]  # (position, how many steps are safe since)

    def change(self, position, value):
        self.steps.append((position, value))

    def promise(self, position, steps):
        self.promises.append((position, steps))

    def window(self, cut):
        """The values that a cut may show, oldest first; the first is the one promised."""
        safe = max(steps for position, steps in self.promises if position <= cut)
        late = [value for begun, value in self.steps[safe:] if begun < cut]
        return [self.steps[safe - 1][1]] + late


class Directory:
    def __repr__(self):
        return "a directory"


class Symlink:
    def __init__(self, target):
        self.target = target

    def __repr__(self):
        return f"a link to {self.target[:40]}"


class FileObject:
    """One file, whatever its names: every change of its bytes, and its attributes."""

    def __init__(self, label):
        self.label = label
        self.changes = []  # (begun, kind, offset, bytes or length)
        self.promises = [(0, 0)]  # (position, how many changes are safe since)
        self.attributes = {}

    def __repr__(self):
        return f"file {self.label}"

    def attribute(self, name, first=None):
        return self.attributes.setdefault(name, History(first))

    def extent(self, cut):
        """How many changes are safe at the cut, and how many may show."""
        safe = max(count for position, count in self.promises if position <= cut)
        late = safe
        while late < len(self.changes) and self.changes[late][0] < cut:
            late += 1
        return safe, late

    def possible(self, cut, grain):
        """What a cut may leave of the bytes."""
        safe, late = self.extent(cut)
        content = bytearray()
        for change in self.changes[:safe]:
            apply(content, change)
        return Possible(bytes(content), self.changes[safe:late], grain)

    def may_be_empty(self, cut):
        safe, late = self.extent(cut)
        content, empty = bytearray(), safe == 0
        for number, change in enumerate(self.changes[:late], 1):
            apply(content, change)
            empty = empty or (number >= safe and not content)
        return empty


def apply(content, change):
    """Does one change to a bytearray."""
    _, kind, offset, what = change
    if kind == "truncate":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if kind == "punch":
        what = bytes(max(0, min(what, len(content) - offset)))
    elif len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(what)] = what


class Possible:
    """All contents that a file may have: its safe bytes, and later changes that may show.

    Later changes show in whole blocks of `grain` bytes: a block is as it was after some of them,
    in their order. Of a file that grew, new blocks may also read as zeros, and its size may be
    anything in between; a size that only shrinks is the old or the new one.
    """

    def __init__(self, safe, late, grain):
        self.safe, self.grain = safe, grain
        self.sizes, self.blocks, grows = {len(safe)}, {}, False
        content = bytearray(safe)
        for change in late:
            before = len(content)
            apply(content, change)
            grows = grows or len(content) > before
            self.sizes.add(len(content))
            for block in self.touched(change, before, len(content)):
                self.blocks.setdefault(block, []).append(self.block(content, block))
        self.any_size = grows

    def touched(self, change, before, after):
        _, kind, offset, what = change
        if kind == "truncate":
            first, end = min(before, after), max(before, after)
        else:
            first = min(before, offset)  # A write behind the end makes zeros up to it.
            end = offset + (what if kind == "punch" else len(what))
            if offset < before:
                first = offset
        return range(first // self.grain, -(-end // self.grain))

    def block(self, content, number):
        start = number * self.grain
        return bytes(content[start:start + self.grain]).ljust(self.grain, b"\0")

    def objection(self, content):
        """What is wrong with `content`, or None."""
        size = len(content)
        if size not in self.sizes:
            if not self.any_size or not min(self.sizes) <= size <= max(self.sizes):
                return f"{size} bytes where {' or '.join(map(str, sorted(self.sizes)))} may be"
        if not self.blocks and content == self.safe:
            return None
        for number in range(-(-size // self.grain)):
            start = number * self.grain
            block = content[start:start + self.grain]
            if block == self.block(self.safe, number)[:len(block)]:
                continue
            if not any(block == late[:len(block)] for late in self.blocks.get(number, ())):
                kind = "zeros" if not any(block) else "other bytes"
                return f"{kind} at {start}…{start + len(block)} of {size}"
        return None


class Ledger:
    """Everything one workload was promised. Paths are relative to the root of the mount."""

    def __init__(self):
        self.names = {}  # path: History of Directory, Symlink, FileObject or None
        self.moves = []  # (begun, object, from, to)
        self.removals = []  # (begun, object)
        self.own = []  # Paths whose contents the workload judges itself.
        self.claims = {}  # name: History; what a workload judges itself
        # (begun, ended, how paths begin that may be there meanwhile)
        self.passing = []
        self.serial = 0

    def name(self, path):
        return self.names.setdefault(path, History())

    def claim(self, name, first=None):
        return self.claims.setdefault(name, History(first))

    def current(self, path):
        return self.names[path].steps[-1][1] if path in self.names else None

    def new_file(self, path):
        self.serial += 1
        return FileObject(f"{self.serial} ({path[-60:]})")

    def is_passing(self, path, cut):
        return any(begun < cut < ended and path.startswith(start)
                   for begun, ended, start in self.passing)

    def is_own(self, path):
        return any(path == own or path.startswith(own + "/") for own in self.own)
