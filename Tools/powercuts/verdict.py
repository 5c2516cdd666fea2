"""Compares a mount after a cut with what the ledger says may be there."""

import errno
import os
import stat

from .ledger import Directory, FileObject, Symlink

LOST, UNREADABLE, THIRD = "lost", "unreadable", "third state"


def extended_attributes(descriptor):
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # This system has none.
    return {"xattr " + name: os.getxattr(descriptor, name) for name in names}


class Inspection:
    """One look at a mount. `findings` are (kind, message)."""

    def __init__(self, root, ledger, cut, grain, moves_leave_both=False):
        self.root, self.ledger, self.cut, self.grain = root, ledger, cut, grain
        self.moves_leave_both = moves_leave_both
        self.findings, self.found = [], {}
        self.possible = {}

    def run(self):
        self.read_directory("")
        for path in self.ledger.names:
            self.judge_name(path)
        for path in self.found:
            if (path not in self.ledger.names and not self.ledger.is_own(path)
                    and not self.ledger.is_passing(path, self.cut)):
                self.add(THIRD, path, "nobody made it")
        self.judge_moves()
        return self.findings

    def add(self, kind, path, message):
        self.findings.append((kind, f"{path[:120]}: {message}"))

    # --- What is there

    def read_directory(self, path):
        try:
            names = os.listdir(os.path.join(self.root, path))
        except OSError as error:
            self.add(UNREADABLE, path or "the root", error.strerror)
            return
        for name in sorted(names):
            below = os.path.join(path, name)
            try:
                self.found[below] = self.read_entry(below)
            except OSError as error:
                self.found[below] = None
                self.add(UNREADABLE, below, error.strerror)
            if isinstance(self.found[below], Directory):
                self.read_directory(below)

    def read_entry(self, path):
        """A Directory, a Symlink, or what was read of a file: everything that can be read."""
        full = os.path.join(self.root, path)
        status = os.lstat(full)
        if stat.S_ISDIR(status.st_mode):
            return Directory()
        if stat.S_ISLNK(status.st_mode):
            return Symlink(os.readlink(full))
        with open(full, "rb", buffering=0) as file:
            content = file.readall()
            # What nothing had come to the disk of is emptied as it is opened.
            size = os.fstat(file.fileno()).st_size
            attributes = extended_attributes(file.fileno())
        attributes["mode"] = stat.S_IMODE(status.st_mode)
        attributes["mtime"] = status.st_mtime_ns
        if len(content) != size:
            self.add(THIRD, path, f"{len(content)} bytes to read, {size} by its status")
        return content, attributes

    # --- What may be there

    def judge_name(self, path):
        allowed = self.ledger.names[path].window(self.cut)
        if path not in self.found:
            if all(thing is not None for thing in allowed) and self.parent_is_safe(path):
                self.add(LOST, path, f"is not there; it was {allowed[0]}")
            return
        there = self.found[path]
        if there is None:
            return  # Found unreadable already.
        objections = []
        for thing in allowed:
            objection = self.objection(thing, there)
            if objection is None:
                return
            objections.append(objection)
        self.add(LOST if allowed[0] is not None else THIRD, path, "; or ".join(objections))

    def parent_is_safe(self, path):
        """A name in a directory that may have gone, or moved, may have gone with it."""
        parent = os.path.dirname(path)
        return parent not in self.ledger.names or all(
            thing is not None for thing in self.ledger.names[parent].window(self.cut))

    def objection(self, thing, there):
        """Why what is there cannot be `thing`; None when it can."""
        if thing is None:
            return "it should be gone, or not be there yet"
        if isinstance(thing, Directory):
            return None if isinstance(there, Directory) else "it is no directory"
        if isinstance(thing, Symlink):
            same = isinstance(there, Symlink) and there.target == thing.target
            return None if same else f"it is not {thing}"
        if not isinstance(there, tuple):
            return f"it is not {thing}"
        content, attributes = there
        if thing not in self.possible:
            self.possible[thing] = thing.possible(self.cut, self.grain)
        objection = self.possible[thing].objection(content)
        if objection is None:
            objection = self.attribute_objection(thing, attributes)
        return objection and f"{thing}: {objection}"

    def attribute_objection(self, thing, attributes):
        for name, history in thing.attributes.items():
            allowed = history.window(self.cut)
            if name == "mtime":
                _, late = thing.extent(self.cut)
                # Only where nothing was written since, and a promise was given.
                if None in allowed or any(changes != late for _, changes in allowed):
                    continue
                allowed = [nanoseconds for nanoseconds, _ in allowed]
            if attributes.get(name) not in allowed:
                return f"{name} is {attributes.get(name)!r}, not {allowed!r}"[:300]
        return None

    # --- Renames: under the old name or the new one, never under both (but see Store) or none

    def judge_moves(self):
        gone = {id(thing) for begun, thing in self.ledger.removals if begun < self.cut}
        for begun, thing, old, new in self.ledger.moves:
            if begun >= self.cut or id(thing) in gone or not isinstance(thing, FileObject):
                continue
            before = self.ledger.names[old].window(self.cut)
            after = self.ledger.names[new].window(self.cut)
            if before[0] is not thing or after[-1] is not thing:
                continue  # Not under way any more, or moved on.
            at_old, at_new = self.is_there(thing, old), self.is_there(thing, new)
            if not at_old and not at_new:
                self.add(LOST, old, f"{thing} is neither there nor at {new[:120]}")
            may_leave_both = (
                self.moves_leave_both and os.path.dirname(old) != os.path.dirname(new)
                or thing.may_be_empty(self.cut))
            if at_old and at_new and not may_leave_both:
                self.add(THIRD, old, f"{thing} is there and at {new[:120]} as well")

    def is_there(self, thing, path):
        there = self.found.get(path)
        return there is not None and self.objection(thing, there) is None
