"""What is measured: each trial is one contestant's turn."""

import os
import random
import sqlite3
import threading
import time

from .common import MIB, drop_caches, run


def read_all(path):
    buffer = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


class Trial:
    """One contestant's turn: every measurement once, in a fresh directory of its root."""

    def __init__(self, root, sizes, sources):
        self.root = os.path.join(root, "trial")
        self.sizes = sizes
        self.sources = sources
        self.big = os.path.join(self.root, "big")
        self.results = {}

    def timed(self, name, amount, body):
        begin = time.perf_counter()
        body()
        self.results[name] = amount / (time.perf_counter() - begin)

    def run(self):
        os.mkdir(self.root)
        size = self.sizes["megabytes"]
        self.timed("sequential write + fsync, MiB/s", size, self.write_big)
        if self.sizes["cold"]:
            drop_caches()
            self.timed("sequential read, cold, MiB/s", size, lambda: read_all(self.big))
        read_all(self.big)
        self.timed("sequential read, hot, MiB/s", size, lambda: read_all(self.big))
        writes = self.sizes["writes"]
        self.timed("4 KiB random write + fsync, 1/s", writes, lambda: self.random_writes(writes))
        files = self.sizes["files"]
        self.timed("4 KiB create + write + close, 1/s", files, lambda: self.create(files))
        tree = os.path.join(self.root, "tree")
        run("cp", "-a", self.sources["tree"], tree)
        entries = sum(len(names) + len(files) for _, names, files in os.walk(tree))
        if self.sizes["cold"]:
            drop_caches()
            self.timed("find with sizes, cold, entries/s", entries, lambda: self.find(tree))
        self.timed("find with sizes, hot, entries/s", entries, lambda: self.find(tree))
        clone = os.path.join(self.root, "clone")
        self.timed(
            "git clone, 1/s", 1,
            lambda: run("git", "clone", "-q", "--no-hardlinks", self.sources["git"], clone))
        self.timed("rm -rf of that tree, entries/s", entries, lambda: run("rm", "-rf", tree))
        run("rm", "-rf", self.root)
        return self.results

    def write_big(self):
        piece = random.randbytes(MIB)
        with open(self.big, "wb", buffering=0) as file:
            for _ in range(self.sizes["megabytes"]):
                file.write(piece)
            os.fsync(file.fileno())

    def random_writes(self, count):
        piece = random.randbytes(4096)
        places = random.Random(1)
        descriptor = os.open(self.big, os.O_WRONLY)
        try:
            for _ in range(count):
                block = places.randrange(self.sizes["megabytes"] * MIB // 4096)
                os.pwrite(descriptor, piece, block * 4096)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def create(self, count):
        piece = random.randbytes(4096)
        folder = os.path.join(self.root, "small")
        os.mkdir(folder)
        for number in range(count):
            descriptor = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(descriptor, piece)
            os.close(descriptor)

    @staticmethod
    def find(tree):
        run("find", tree, "-printf", "%s %p\n")


class FsyncTrial:
    """One contestant's turn at what programs do that want their data to be safe."""

    WRITERS = 4

    def __init__(self, root, sizes, _sources):
        self.root = os.path.join(root, "trial")
        self.sizes = sizes
        self.results = {}

    timed = Trial.timed

    def run(self):
        os.mkdir(self.root)
        count, size = self.sizes["writes"], self.sizes["megabytes"]
        self.make("file.0", 64)
        self.timed("4 KiB overwrite + fsync, 1/s", count, lambda: self.overwrite(0, count))
        self.timed("line appended + fsync, 1/s", count, lambda: self.append(0, count))
        for mode in ("delete", "wal"):
            self.timed(f"SQLite transactions ({mode}), 1/s", count,
                       lambda mode=mode: self.transact(mode, count))
        self.timed("create + write + fsync, 1/s", count, lambda: self.create(count))
        for number in range(1, self.WRITERS):
            self.make(f"file.{number}", 64)
        for what, body in (("4 KiB overwrite", self.overwrite), ("line appended", self.append)):
            self.timed(f"{what} + fsync, {self.WRITERS} writers, 1/s", count * self.WRITERS,
                       lambda body=body: self.together(body, count))
        self.make("big", size)
        self.timed("sequential overwrite + fsync, MiB/s", size, lambda: self.make("big", size))
        run("rm", "-rf", self.root)
        return self.results

    def make(self, name, megabytes):
        piece = random.randbytes(MIB)
        path = os.path.join(self.root, name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            for number in range(megabytes):
                os.pwrite(descriptor, piece, number * MIB)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def overwrite(self, writer, count):
        piece, places = random.randbytes(4096), random.Random(writer)
        descriptor = os.open(os.path.join(self.root, f"file.{writer}"), os.O_WRONLY)
        try:
            for _ in range(count):
                os.pwrite(descriptor, piece, places.randrange(64 * MIB // 4096) * 4096)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, writer, count):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(os.path.join(self.root, f"log.{writer}"), flags, 0o644)
        try:
            for number in range(count):
                os.write(descriptor, b"%099d\n" % number)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def create(self, count):
        folder = os.path.join(self.root, "mail")
        os.mkdir(folder)
        for number in range(count):
            descriptor = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(descriptor, b"x" * 3000)
            os.fsync(descriptor)
            os.close(descriptor)

    def transact(self, mode, count):
        database = sqlite3.connect(os.path.join(self.root, mode + ".db"), isolation_level=None)
        try:
            database.execute(f"PRAGMA journal_mode = {mode}")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE line (number INTEGER PRIMARY KEY, text TEXT)")
            for number in range(count):
                database.execute("INSERT INTO line VALUES (?, ?)", (number, "text " * 20))
        finally:
            database.close()

    def together(self, body, count):
        writers = [threading.Thread(target=body, args=(number, count))
                   for number in range(self.WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
