"""Workloads whose promises the ledger judges by itself."""

import os
import threading

from .linux import syncfs

BLOCK = 4096


class Workload:
    """`size` is how many steps are made; `setup` comes before the first cut.

    Files that are left open are closed when the run has ended.
    """

    name = description = ""
    needs_keys = False
    short = 12
    usual = 60

    def __init__(self, source, size):
        self.source, self.size = source, size

    @classmethod
    def missing(cls):
        return None

    def setup(self, actor):
        pass

    def run(self, actor, system, store):
        raise NotImplementedError

    def problems(self, root, ledger, cut, system, store):
        """What the workload finds itself after a cut: (kind, message)."""
        return []

    def bytes(self, length):
        return self.source.randbytes(length)


def new_file(actor, path, content):
    """A file that is safe, for a workload's setup."""
    with actor.create(path) as file:
        file.write(0, content)
        file.sync()


class Overwrites(Workload):
    name, description = "overwrites", "random 4 KiB pieces of a file + fsync, as databases write"
    blocks = 32

    def setup(self, actor):
        new_file(actor, "database", self.bytes(self.blocks * BLOCK))

    def run(self, actor, system, store):
        with actor.open("database") as file:
            for _ in range(self.size):
                for _ in range(self.source.choice((1, 1, 1, 2, 5))):
                    at = self.source.randrange(self.blocks) * BLOCK
                    length = self.source.choice((BLOCK, BLOCK, BLOCK, 2 * BLOCK, 700))
                    file.write(at + (self.source.randrange(999) if length == 700 else 0),
                               self.bytes(length))
                file.sync(data_only=self.source.random() < 0.3)


class Lines(Workload):
    name, description = "lines", "lines appended to logs + fsync"

    def setup(self, actor):
        for number in range(3):
            new_file(actor, f"log.{number}", self.bytes(self.source.randrange(1, 6000)))

    def run(self, actor, system, store):
        files = [actor.open(f"log.{number}") for number in range(3)]
        for _ in range(self.size):
            file = self.source.choice(files)
            for _ in range(self.source.choice((1, 1, 3))):
                file.append(self.bytes(self.source.randrange(20, 400)))
            if self.source.random() < 0.1:
                file.append(self.bytes(self.source.randrange(5000, 20000)))
            file.sync(data_only=self.source.random() < 0.3)


class Mail(Workload):
    name, description = "mail", "create + fsync + rename + fsync of the directory"

    def setup(self, actor):
        for path in ("tmp", "new", "cur"):
            actor.mkdir(path)
            actor.sync_directory(path)
        actor.sync_directory()

    def run(self, actor, system, store):
        for number in range(self.size):
            name = f"{number}.{self.source.randrange(1 << 32):x}.host"
            with actor.create("tmp/" + name) as file:
                file.write(0, self.bytes(self.source.randrange(50, 9000)))
                file.sync()
            if self.source.random() < 0.1:
                syncfs(store)  # As the machine does by itself from time to time.
            actor.rename("tmp/" + name, "new/" + name)
            actor.sync_directory("new")
            if self.source.random() < 0.3:
                actor.rename("new/" + name, f"cur/{name}:2,S")
                actor.sync_directory("cur")


class Replace(Workload):
    name, description = "replace", "write beside, fsync, rename over, fsync of the directory"

    def setup(self, actor):
        for number in range(2):
            new_file(actor, f"settings.{number}", self.bytes(3000))
        actor.sync_directory()

    def run(self, actor, system, store):
        for _ in range(self.size):
            name = f"settings.{self.source.randrange(2)}"
            with actor.create(name + ".new") as file:
                file.write(0, self.bytes(self.source.randrange(1, 12000)))
                file.sync()
            actor.rename(name + ".new", name)
            if self.source.random() < 0.7:
                actor.sync_directory()


class Truncate(Workload):
    name, description = "truncate", "truncation up and down between writes, fsync"

    def setup(self, actor):
        for number in range(2):
            new_file(actor, f"file.{number}", self.bytes(30000))

    def run(self, actor, system, store):
        files = [actor.open(f"file.{number}") for number in range(2)]
        for _ in range(self.size):
            file = self.source.choice(files)
            kind = self.source.choice(("down", "down", "up", "write", "cut to a block"))
            if kind == "down":
                file.truncate(self.source.randrange(file.size + 1))
            elif kind == "up":
                file.truncate(min(file.size + self.source.randrange(20000), 100000))
            elif kind == "write":
                file.write(self.source.randrange(40000), self.bytes(self.source.randrange(1, 9000)))
            else:
                file.truncate(file.size // BLOCK * BLOCK)
            if self.source.random() < 0.7:
                file.sync()
        for file in files:
            file.sync()


class Empty(Workload):
    name, description = "empty", "files emptied right after an fsync, and written anew"

    def setup(self, actor):
        for number in range(2):
            new_file(actor, f"file.{number}", self.bytes(6 * BLOCK))

    def run(self, actor, system, store):
        for step in range(self.size):
            with actor.open(f"file.{step % 2}") as file:
                for _ in range(2):
                    file.write(self.source.randrange(5) * BLOCK, self.bytes(BLOCK))
                    file.sync()
                file.truncate(0)
                file.write(0, self.bytes(self.source.randrange(1, 6 * BLOCK)))
                file.sync()


class Sparse(Workload):
    name, description = "sparse", "sparse writes, punched holes, preallocation, fsync"

    def setup(self, actor):
        new_file(actor, "full", self.bytes(40 * BLOCK))
        with actor.create("sparse") as file:
            file.truncate(64 * BLOCK)
            file.write(60 * BLOCK + 17, self.bytes(5000))
            file.sync()

    def run(self, actor, system, store):
        files = [actor.open("full"), actor.open("sparse")]
        for _ in range(self.size):
            file = self.source.choice(files)
            at = self.source.randrange(60 * BLOCK)
            kind = self.source.choice(("punch", "punch", "write", "far write", "preallocate"))
            if kind == "punch":
                if self.source.random() < 0.5:
                    at = at // BLOCK * BLOCK
                file.punch(at, self.source.choice((BLOCK, 3 * BLOCK, 1000, 9999)))
            elif kind == "write":
                file.write(at, self.bytes(self.source.choice((BLOCK, 100, 9000))))
            elif kind == "far write":
                file.write(file.size + self.source.randrange(5 * BLOCK), self.bytes(500))
            else:
                file.preallocate(file.size, 4 * BLOCK)
            if self.source.random() < 0.7:
                file.sync()


class Holes(Workload):
    name = "holes"
    description = "the first hole of each of many synced files, also over their ends as they grow"

    def setup(self, actor):
        for number in range(self.size):
            size = self.source.randrange(11, 13) * BLOCK + number
            new_file(actor, f"file.{number}", self.bytes(size))
        new_file(actor, "log", self.bytes(100))

    def run(self, actor, system, store):
        log = actor.open("log")
        for number in range(self.size):
            file = actor.open(f"file.{number}")
            if number % 2:
                file.append(self.bytes(self.source.randrange(1, 9 * BLOCK)))
                file.punch(10 * BLOCK, self.source.randrange(1, 8 * BLOCK))
            else:
                file.punch(2 * BLOCK, self.source.randrange(1, 6) * BLOCK)
            for _ in range(3):
                log.append(self.bytes(50))
                log.sync()
            file.sync()


class HardLinks(Workload):
    name, description = "links", "hard and symbolic links, writes through any name, unlinks"

    def setup(self, actor):
        actor.mkdir("a")
        actor.mkdir("b")
        for number in range(3):
            new_file(actor, f"a/{number}", self.bytes(6000))
        for path in ("a", "b", ""):
            actor.sync_directory(path)

    def run(self, actor, system, store):
        names = {number: [f"a/{number}"] for number in range(3)}
        for step in range(self.size):
            known = names[self.source.randrange(3)]
            kind = self.source.choice(("link", "write", "unlink", "symlink"))
            if kind == "link":
                name = f"{self.source.choice('ab')}/link.{step}"
                actor.link(self.source.choice(known), name)
                known.append(name)
                actor.sync_directory(os.path.dirname(name))
            elif kind == "unlink" and len(known) > 1:
                name = known.pop(self.source.randrange(len(known)))
                actor.unlink(name)
                actor.sync_directory(os.path.dirname(name))
            elif kind == "symlink":
                actor.symlink("../" + self.source.choice(known), f"b/symlink.{step}")
                actor.sync_directory("b")
            else:
                with actor.open(self.source.choice(known)) as file:
                    file.write(self.source.randrange(8000), self.bytes(900))
                    file.sync()


class Attributes(Workload):
    name, description = "attributes", "extended attributes, modes, times, fsync"

    def setup(self, actor):
        for number in range(2):
            new_file(actor, f"file.{number}", self.bytes(5000))

    def run(self, actor, system, store):
        given = {0: set(), 1: set()}
        for step in range(self.size):
            number = self.source.randrange(2)
            with actor.open(f"file.{number}") as file:
                kind = self.source.choice(("set", "set", "remove", "mode", "write", "time"))
                name = f"user.name{self.source.randrange(4)}"
                if kind == "set":
                    file.set_attribute(name, self.bytes(self.source.choice((3, 40, 600))))
                    given[number].add(name)
                elif kind == "remove" and name in given[number]:
                    file.set_attribute(name, None)
                    given[number].remove(name)
                elif kind == "mode":
                    file.set_mode(self.source.choice((0o600, 0o640, 0o644, 0o755)))
                elif kind == "write":
                    file.write(self.source.randrange(5000), self.bytes(300))
                else:
                    # What is written must be out, or its writing would set the time again.
                    file.sync()
                    file.set_time(1_000_000_000_123_456_789 + step * 1_000_000_007)
                file.sync()


class DeepDirectories(Workload):
    name, description = "deep", "files in new directories of new directories, only the file synced"

    def run(self, actor, system, store):
        for number in range(self.size):
            path = f"top{number}"
            actor.mkdir(path)
            for level in range(self.source.randrange(1, 6)):
                path += f"/level{level}"
                actor.mkdir(path)
            with actor.create(path + "/leaf") as file:
                file.write(0, self.bytes(self.source.randrange(1, 6000)))
                file.sync()


class LongNames(Workload):
    name, description = "longnames", "names of up to 255 bytes: create, rename, unlink"

    def long_name(self):
        length = self.source.choice((150, 180, 200, 254, 255))
        return "".join(self.source.choice("abcdefghijkl") for _ in range(length))

    def run(self, actor, system, store):
        names = []
        for _ in range(self.size):
            kind = self.source.choice(("create", "create", "rename", "unlink"))
            if kind == "create" or not names:
                names.append(self.long_name())
                with actor.create(names[-1]) as file:
                    file.write(0, self.bytes(self.source.randrange(1, 5000)))
                    file.sync()
            elif kind == "rename":
                new = self.long_name()
                actor.rename(names.pop(), new)
                names.append(new)
                actor.sync_directory()
            else:
                actor.unlink(names.pop(0))
                actor.sync_directory()


class Writers(Workload):
    name, description = "writers", "four threads, each with its own files, all with fsync"

    def setup(self, actor):
        for number in range(4):
            new_file(actor, f"data.{number}", self.bytes(8 * BLOCK))
            new_file(actor, f"log.{number}", self.bytes(100))

    def run(self, actor, system, store):
        # All randomness is drawn before the threads start, so that it does not depend on them.
        plans = [[(self.source.randrange(8) * BLOCK, self.bytes(BLOCK), self.bytes(90))
                  for _ in range(max(1, self.size // 4))] for _ in range(4)]
        failures = []

        def write(number):
            try:
                with actor.open(f"data.{number}") as data, actor.open(f"log.{number}") as log:
                    for at, block, line in plans[number]:
                        data.write(at, block)
                        data.sync()
                        log.append(line)
                        log.sync()
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


class Anything(Workload):
    name, description = "anything", "random operations of every kind on a few files"

    def setup(self, actor):
        for number in range(4):
            new_file(actor, f"file.{number}", self.bytes(self.source.randrange(1, 20000)))
        actor.mkdir("folder")
        actor.sync_directory()

    def run(self, actor, system, store):
        names = [f"file.{number}" for number in range(4)]
        for step in range(self.size):
            self.step(actor, names, step)

    def step(self, actor, names, step):
        at, kind = self.source.randrange(len(names)), self.source.randrange(8)
        if kind == 0:
            name = self.source.choice(("", "folder/")) + f"moved.{step}"
            actor.rename(names[at], name)
            names[at] = name
        elif kind == 1:
            name = f"folder/new.{step}"
            with actor.create(name) as file:
                file.write(0, self.bytes(2000))
            if len(names) > 6:
                actor.unlink(names.pop(at))
            names.append(name)
        elif kind == 2:
            actor.sync_directory(self.source.choice(("", "folder")))
        else:
            with actor.open(names[at]) as file:
                if kind == 3:
                    file.truncate(self.source.randrange(25000))
                elif kind == 4:
                    file.punch(self.source.randrange(20000), self.source.randrange(1, 9000))
                else:
                    file.write(self.source.randrange(file.size + 1),
                               self.bytes(self.source.choice((100, BLOCK, 12345))))
                if self.source.random() < 0.6:
                    file.sync()


class Moves(Workload):
    name, description = "moves", "files renamed right after an overwrite and its fsync"

    def setup(self, actor):
        for number in range(3):
            new_file(actor, f"file.{number}", self.bytes(6 * BLOCK))
        actor.mkdir("folder")
        new_file(actor, "folder/inner", self.bytes(3 * BLOCK))
        new_file(actor, "other", self.bytes(100))
        actor.sync_directory()

    def run(self, actor, system, store):
        names = [f"file.{number}" for number in range(3)]
        folder = "folder"
        for step in range(self.size):
            at = self.source.randrange(4)
            if at == 3:
                with actor.open(folder + "/inner") as file:
                    file.write(self.source.randrange(3) * BLOCK, self.bytes(BLOCK))
                    file.sync()
                # The name below moves with the directory; the ledger knows it by both.
                actor.rename(folder + "/inner", f"inner.{step}")
                actor.rename(f"inner.{step}", folder + "/inner")
            else:
                with actor.open(names[at]) as file:
                    file.write(self.source.randrange(6) * BLOCK, self.bytes(BLOCK))
                    file.sync()
                new = f"moved.{step}"
                actor.rename(names[at], new)
                names[at] = new
            # Makes the store commit its names, but not the data of other files.
            with actor.create(f"new.{step}") as file:
                file.write(0, self.bytes(50))
                file.sync()


class Aliases(Workload):
    name = "aliases"
    description = "files with names in two directories, which are renamed behind an fsync"

    def setup(self, actor):
        for folder in ("a", "b"):
            actor.mkdir(folder)
        for number in range(3):
            new_file(actor, f"a/{number}", self.bytes(6 * BLOCK))
        for path in ("a", "b", ""):
            actor.sync_directory(path)

    def run(self, actor, system, store):
        folders = {"a": "a", "b": "b"}
        names = [[("a", str(number))] for number in range(3)]
        for step in range(self.size):
            known = names[self.source.randrange(3)]
            paths = [f"{folders[side]}/{name}" for side, name in known]
            with actor.open(self.source.choice(paths)) as file:
                file.write(self.source.randrange(6) * BLOCK, self.bytes(BLOCK))
                file.sync()
            # The newest name is not the one that the file was synced under.
            side = self.source.choice("ab")
            actor.link(paths[-1], f"{folders[side]}/link.{step}")
            known.append((side, f"link.{step}"))
            # btrfs may keep a directory's new name and not what changed in it before.
            actor.sync_directory(folders[side])
            moved = self.source.choice("ab")
            actor.rename_directory(folders[moved], f"{moved}.{step}")
            folders[moved] = f"{moved}.{step}"
            actor.sync_directory()
            if len(known) > 4:
                side, name = known.pop(0)
                actor.unlink(f"{folders[side]}/{name}")
                actor.sync_directory(folders[side])
            # Makes the store commit its names, but not the data of other files.
            with actor.create(f"new.{step}") as file:
                file.write(0, self.bytes(50))
                file.sync()


class Renames(Workload):
    name = "renames"
    description = "files and directories renamed without a sync, then overwrites + fdatasync"

    def setup(self, actor):
        actor.mkdir("folder")
        for number in range(3):
            new_file(actor, f"file.{number}", self.bytes(6 * BLOCK))
            new_file(actor, f"folder/{number}", self.bytes(6 * BLOCK))
        for path in ("folder", ""):
            actor.sync_directory(path)

    def run(self, actor, system, store):
        folder = "folder"
        files = [f"file.{number}" for number in range(3)]
        inner = [str(number) for number in range(3)]
        opened = {name: actor.open(name) for name in files}
        opened.update({name: actor.open(f"folder/{name}") for name in inner})
        places = {name: name for name in files}
        for step in range(self.size):
            name = self.source.choice(files + inner)
            if name in inner:
                new = f"folder.{step}"
                actor.rename_directory(folder, new)
                folder = new
            else:
                new = f"moved.{step}"
                if self.source.randrange(3) == 0:
                    actor.mkdir(f"new.{step}")
                    new = f"new.{step}/{name}"
                actor.rename(places[name], new)
                places[name] = new
            # What is synced is the content, through a descriptor that knows no name.
            for _ in range(self.source.choice((1, 1, 3))):
                opened[name].write(self.source.randrange(6) * BLOCK, self.bytes(BLOCK))
            opened[name].sync(data_only=True, is_moved=True)
            if self.source.randrange(5) == 0:
                syncfs(store)


class Growth(Workload):
    name, description = "growth", "much appended behind synced lines, while the machine syncs"
    short = 6
    usual = 12

    def setup(self, actor):
        for number in range(2):
            new_file(actor, f"log.{number}", self.bytes(self.source.randrange(1, 6000)))

    def run(self, actor, system, store):
        for step in range(self.size):
            name = f"log.{step % 2}"
            with actor.open(name) as file:
                file.append(self.bytes(self.source.randrange(20, 400)))
                file.sync()
                if step % 3 != 2:
                    file.append(self.bytes(self.source.randrange(1_200_000, 2_500_000)))
            # What the close has brought to the store goes to the disk, asked for by nobody.
            syncfs(store)


class Rotated(Workload):
    name, description = "rotated", "a log that gets a new name while it grows, and goes on growing"
    short = 6
    usual = 12

    def setup(self, actor):
        new_file(actor, "log.0", self.bytes(self.source.randrange(1, 6000)))

    def run(self, actor, system, store):
        for step in range(self.size):
            name, new = f"log.{step}", f"log.{step + 1}"
            with actor.open(name):  # It is open all the time, by somebody else.
                with actor.open(name) as file:
                    file.append(self.bytes(self.source.randrange(20, 400)))
                    file.sync()
                    file.append(self.bytes(self.source.randrange(1_200_000, 2_000_000)))
                actor.rename(name, new)
                with actor.open(new) as file:
                    file.append(self.bytes(self.source.randrange(10_000, 200_000)))
                # The store has the new name on its disk, and then some of the rest.
                for entry in os.scandir(store):
                    if entry.is_dir():
                        sync_only(entry.path)
                syncfs(store)


def sync_only(directory):
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Steps(Workload):
    """A small journal takes each of these fsyncs in many frames; a cut falls between two of them."""

    name, description = "steps", "appends of some hundred kilobytes, each behind synced lines + fsync"
    short = 4
    usual = 12

    def setup(self, actor):
        new_file(actor, "growing", self.bytes(self.source.randrange(1, 6000)))

    def run(self, actor, system, store):
        with actor.open("growing") as file:
            for _ in range(self.size):
                file.append(self.bytes(self.source.randrange(200_000, 900_000)))
                file.sync()


FILE_WORKLOADS = (
    Overwrites, Lines, Mail, Replace, Truncate, Empty, Sparse, Holes, HardLinks,
    Attributes, DeepDirectories, LongNames, Writers, Anything, Moves, Aliases, Renames, Growth,
    Rotated, Steps)
