"""The calls of a workload, made on a real mount and written into a ledger."""

import os

from .ledger import Directory, Symlink
from .linux import KEEP_SIZE, PUNCH_HOLE, fallocate


class OpenFile:
    """An open file of an actor."""

    def __init__(self, actor, thing, descriptor, path):
        self.actor, self.thing, self.descriptor, self.path = actor, thing, descriptor, path
        self.size = os.fstat(descriptor).st_size
        actor.opened.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.actor.opened.remove(self)
        os.close(self.descriptor)

    def change(self, kind, offset, what):
        self.thing.changes.append((self.actor.position(), kind, offset, what))

    def write(self, offset, data):
        self.change("write", offset, data)
        done = os.pwrite(self.descriptor, data, offset)
        if done != len(data):
            raise OSError(f"{done} of {len(data)} bytes written")
        self.size = max(self.size, offset + len(data))

    def append(self, data):
        self.write(self.size, data)

    def truncate(self, size):
        self.change("truncate", size, None)
        os.ftruncate(self.descriptor, size)
        self.size = size

    def punch(self, offset, length):
        self.change("punch", offset, length)
        fallocate(self.descriptor, PUNCH_HOLE | KEEP_SIZE, offset, length)

    def preallocate(self, offset, length):
        """Space behind the end, which no reader sees."""
        fallocate(self.descriptor, KEEP_SIZE, offset, length)

    def set_attribute(self, name, value):
        """An extended attribute; None removes it."""
        self.thing.attribute("xattr " + name).change(self.actor.position(), value)
        if value is None:
            os.removexattr(self.descriptor, name)
        else:
            os.setxattr(self.descriptor, name, value)

    def set_mode(self, mode):
        self.thing.attribute("mode", os.fstat(self.descriptor).st_mode & 0o7777).change(
            self.actor.position(), mode)
        os.fchmod(self.descriptor, mode)

    def set_time(self, nanoseconds):
        """The modification time, which stays only where nothing is written later."""
        attribute = self.thing.attribute("mtime")
        attribute.change(self.actor.position(), (nanoseconds, len(self.thing.changes)))
        os.utime(self.descriptor, ns=(nanoseconds, nanoseconds))

    def sync(self, data_only=False, is_moved=False):
        """fsync: bytes, attributes, and the name under which the file was opened, if it has it."""
        changes = len(self.thing.changes)
        attributes = {name: len(it.steps) for name, it in self.thing.attributes.items()}
        names = {} if is_moved else self.actor.steps_above(self.path)
        (os.fdatasync if data_only else os.fsync)(self.descriptor)
        position = self.actor.position()
        self.thing.promises.append((position, changes))
        if not data_only:
            for name, steps in attributes.items():
                self.thing.attributes[name].promise(position, steps)
        self.actor.promise_names(names, position)


class Actor:
    """`root` is the mount's root; `position` tells how far the disk's record is."""

    def __init__(self, root, ledger, position):
        self.root, self.ledger, self.position = root, ledger, position
        self.opened = []

    def close_all(self):
        while self.opened:
            os.close(self.opened.pop().descriptor)

    def path(self, path):
        return os.path.join(self.root, path)

    def open(self, path, flags=os.O_RDWR):
        thing = self.ledger.current(path)
        return OpenFile(self, thing, os.open(self.path(path), flags), path)

    def create(self, path):
        thing = self.ledger.new_file(path)
        self.ledger.name(path).change(self.position(), thing)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        return OpenFile(self, thing, os.open(self.path(path), flags, 0o644), path)

    def mkdir(self, path):
        self.ledger.name(path).change(self.position(), Directory())
        os.mkdir(self.path(path))

    def make_domain(self, path, body):
        """A domain's root, which is safe with the names above it when `body` has returned."""
        begun = self.position()
        self.ledger.name(path).change(begun, Directory())
        names = self.steps_above(path)
        body()
        position = self.position()
        self.ledger.passing.append((begun, position, os.path.join(
            os.path.dirname(path), ".new-domain-")))
        self.promise_names(names, position)

    def symlink(self, target, path):
        self.ledger.name(path).change(self.position(), Symlink(target))
        os.symlink(target, self.path(path))

    def link(self, old, new):
        self.ledger.name(new).change(self.position(), self.ledger.current(old))
        os.link(self.path(old), self.path(new))

    def unlink(self, path):
        begun = self.position()
        self.ledger.removals.append((begun, self.ledger.current(path)))
        self.ledger.name(path).change(begun, None)
        os.unlink(self.path(path))

    def rename(self, old, new):
        begun, thing = self.position(), self.ledger.current(old)
        replaced = self.ledger.current(new)
        if replaced is not None:
            self.ledger.removals.append((begun, replaced))
        self.ledger.moves.append((begun, thing, old, new))
        self.ledger.name(new).change(begun, thing)
        self.ledger.name(old).change(begun, None)
        os.rename(self.path(old), self.path(new))

    def rename_directory(self, old, new):
        """Every name below it moves along."""
        begun = self.position()
        for path in list(self.ledger.names):
            thing = self.ledger.current(path)
            if thing is None or not (path == old or path.startswith(old + "/")):
                continue
            moved = new + path[len(old):]
            self.ledger.moves.append((begun, thing, path, moved))
            self.ledger.name(moved).change(begun, thing)
            self.ledger.name(path).change(begun, None)
        os.rename(self.path(old), self.path(new))

    def steps_above(self, path):
        """A name and the names of the directories above it, as they are now."""
        names = {}
        while path:
            if path in self.ledger.names:
                names[path] = len(self.ledger.names[path].steps)
            path = os.path.dirname(path)
        return names

    def promise_names(self, names, position):
        for path, steps in names.items():
            self.ledger.names[path].promise(position, steps)

    def sync_directory(self, path=""):
        """fsync of a directory: the names in it, and those above."""
        names = self.steps_above(path)
        for other, history in self.ledger.names.items():
            if os.path.dirname(other) == path:
                names[other] = len(history.steps)
        descriptor = os.open(self.path(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.promise_names(names, self.position())

    def claim(self, name, value, body):
        """A change that the workload judges itself, which is safe when `body` has returned."""
        claim = self.ledger.claim(name)
        claim.change(self.position(), value)
        steps = len(claim.steps)
        result = body()
        claim.promise(self.position(), steps)
        return result
