"""Workloads of real programs, whose own recovery is the judge."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

from .stores import CommandFailed, run
from .systems import NOBODY
from .verdict import LOST, UNREADABLE
from .workloads import Workload


def row(seed, number):
    """What transaction `number` writes."""
    text = hashlib.sha256(f"{seed} {number}".encode()).hexdigest()
    return text * (1 + number % 7)


def transactions_problem(seen, expected, claim, cut):
    """`seen` must be what some transaction left that a cut may show last."""
    counts = claim.window(cut)
    if any(seen == expected(count) for count in range(counts[0], counts[-1] + 1)):
        return []
    return [(LOST, f"{len(seen)} rows, which is not the state after "
             f"{counts[0]} to {counts[-1]} transactions")]


class SQLite(Workload):
    """A transaction adds a row and changes an older one, so its place in the order shows."""

    pragmas = ()

    def __init__(self, source, size):
        super().__init__(source, size)
        self.seed = source.randrange(1 << 30)

    def expected(self, count):
        rows = {}
        for number in range(count):
            rows[number] = row(self.seed, number)
            rows[number * 7 // 9] = row(self.seed + 1, number)
        return rows

    def open(self, root):
        # Autocommit: BEGIN and COMMIT stand below.
        database = sqlite3.connect(os.path.join(root, "base", "data.db"), isolation_level=None)
        try:
            for pragma in self.pragmas:
                database.execute("PRAGMA " + pragma)
        except BaseException:
            database.close()
            raise
        return database

    def setup(self, actor):
        actor.ledger.own.append("base")
        os.mkdir(actor.path("base"))
        database = self.open(actor.root)
        try:
            database.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, text TEXT)")
        finally:
            database.close()
        actor.ledger.claim("transactions", 0)

    def run(self, actor, system, store):
        database = self.open(actor.root)
        try:
            for number in range(self.size):
                actor.claim("transactions", number + 1, lambda: self.transaction(database, number))
        finally:
            database.close()

    def transaction(self, database, number):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO items VALUES (?, ?)", (number, row(self.seed, number)))
        database.execute("UPDATE items SET text = ? WHERE number = ?",
                         (row(self.seed + 1, number), number * 7 // 9))
        database.execute("COMMIT")

    def problems(self, root, ledger, cut, system, store):
        try:
            database = self.open(root)
            try:
                verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
                seen = dict(database.execute("SELECT number, text FROM items"))
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            return [(UNREADABLE, f"SQLite: {error}")]
        if verdict != "ok":
            return [(UNREADABLE, f"SQLite's integrity check: {verdict[:200]}")]
        return transactions_problem(seen, self.expected, ledger.claims["transactions"], cut)


class SQLiteRollback(SQLite):
    name, description = "sqlite", "SQLite transactions with a rollback journal"
    # With FULL the last transaction may come back out of a journal whose removal was not synced.
    pragmas = ("journal_mode = DELETE", "synchronous = EXTRA")


class SQLiteWAL(SQLite):
    name, description = "sqlite-wal", "SQLite transactions with a write-ahead log"
    pragmas = ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 20")


class Git(Workload):
    """Git syncs its files, not their directories; those are synced before a commit counts."""

    name, description = "git", "git commits with core.fsync=all"
    short, usual = 6, 20

    @classmethod
    def missing(cls):
        return None if shutil.which("git") else "git is not installed"

    def git(self, root, *words):
        environment = dict(os.environ, HOME="/nonexistent", GIT_CONFIG_NOSYSTEM="1")
        return run(
            "git", "-c", "core.fsync=all", "-c", "user.name=x", "-c", "user.email=x@localhost",
            "-c", "gc.auto=0", "-c", "safe.directory=*", "-C", os.path.join(root, "work"), *words,
            env=environment).strip()

    def setup(self, actor):
        actor.ledger.own.append("work")
        os.mkdir(actor.path("work"))
        self.git(actor.root, "init", "-q")
        actor.ledger.claim("commits", self.commit(actor.root, 0))

    def commit(self, root, number):
        for _ in range(3):
            path = os.path.join(root, "work", f"file{self.source.randrange(9)}")
            with open(path, "ab") as file:
                file.write(self.bytes(self.source.randrange(10, 3000)))
        self.git(root, "add", "-A")
        self.git(root, "commit", "-q", "-m", f"commit {number}")
        return self.git(root, "rev-parse", "HEAD")

    def sync_directories(self, root):
        # Objects before the names that lead to them.
        folder = os.path.join(root, "work", ".git")
        places = [place for place, _, _ in os.walk(folder)]
        for place in sorted(places, key=lambda it: ("objects" not in it, -len(it))):
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def run(self, actor, system, store):
        claim = actor.ledger.claims["commits"]
        for number in range(1, self.size):
            begun = actor.position()
            commit = self.commit(actor.root, number)
            self.sync_directories(actor.root)
            claim.change(begun, commit)
            claim.promise(actor.position(), len(claim.steps))

    def problems(self, root, ledger, cut, system, store):
        try:
            head = self.git(root, "rev-parse", "HEAD")
            self.git(root, "fsck", "--full", "--strict", "--no-dangling")
            self.git(root, "status", "--porcelain")
        except CommandFailed as failure:
            return [(UNREADABLE, str(failure))]
        commits = ledger.claims["commits"].window(cut)
        if head in commits:
            return []
        return [(LOST, f"HEAD is {head}, not {' or '.join(commits)}")]


class PostgreSQL(Workload):
    name, description = "postgresql", "PostgreSQL transactions, with checkpoints in between"
    short, usual = 20, 60
    user = NOBODY  # It refuses to run as root.

    def __init__(self, source, size):
        super().__init__(source, size)
        self.seed = source.randrange(1 << 30)
        self.server = None

    @staticmethod
    def programs():
        found = shutil.which("initdb")
        if found:
            return os.path.dirname(os.path.realpath(found))
        versions = "/usr/lib/postgresql"
        for version in sorted(os.listdir(versions) if os.path.isdir(versions) else ()):
            if os.path.exists(f"{versions}/{version}/bin/initdb"):
                return f"{versions}/{version}/bin"
        return None

    @classmethod
    def missing(cls):
        return None if cls.programs() else "PostgreSQL is not installed"

    def expected(self, count):
        return {number: row(self.seed, number) for number in range(count)}

    def start(self, root):
        """The server in this mount, and a directory for its socket."""
        self.sockets = tempfile.mkdtemp(prefix="keyfold-powercut.")
        os.chown(self.sockets, self.user, self.user)
        self.server = subprocess.Popen(
            [os.path.join(self.programs(), "postgres"), "-D", os.path.join(root, "base"),
             "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.sockets}",
             "-c", "shared_buffers=4MB", "-c", "max_connections=5", "-c", "autovacuum=off",
             "-c", "min_wal_size=2MB", "-c", "max_wal_size=4MB"],
            user=self.user, group=self.user, extra_groups=[], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.psql("SELECT 1")
                return
            except CommandFailed as failure:
                if self.server.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise failure
                time.sleep(0.05)

    def stop(self):
        self.server.send_signal(3)  # SIGQUIT: at once, without a checkpoint.
        self.server.wait(60)
        shutil.rmtree(self.sockets)

    def psql(self, *commands):
        words = [word for command in commands for word in ("-c", command)]
        return run(os.path.join(self.programs(), "psql"), "-h", self.sockets, "-U", "postgres",
                   "-XAtq", "-v", "ON_ERROR_STOP=1", *words)

    def setup(self, actor):
        actor.ledger.own.append("base")
        os.chmod(actor.root, 0o755)
        os.mkdir(actor.path("base"), 0o700)
        os.chown(actor.path("base"), self.user, self.user)
        run(os.path.join(self.programs(), "initdb"), "-D", actor.path("base"), "-U", "postgres",
            "-A", "trust", "--wal-segsize=1", "--no-instructions", "-E", "UTF8", "--locale=C",
            user=self.user, group=self.user, extra_groups=[], cwd="/")
        self.start(actor.root)
        self.psql("CREATE TABLE items (number INTEGER PRIMARY KEY, text TEXT)", "CHECKPOINT")
        self.stop()
        actor.ledger.claim("transactions", 0)

    def run(self, actor, system, store):
        self.start(actor.root)
        try:
            for number in range(self.size):
                text = row(self.seed, number)
                actor.claim("transactions", number + 1, lambda: self.psql(
                    f"INSERT INTO items VALUES ({number}, '{text}')"))
                if self.source.random() < 0.1:
                    self.psql("CHECKPOINT")
        finally:
            self.stop()

    def problems(self, root, ledger, cut, system, store):
        try:
            self.start(root)
            try:
                lines = self.psql("SELECT number, text FROM items").splitlines()
            finally:
                self.stop()
        except CommandFailed as failure:
            return [(UNREADABLE, f"PostgreSQL: {failure}")]
        seen = {int(number): text for number, text in (line.split("|") for line in lines)}
        return transactions_problem(seen, self.expected, ledger.claims["transactions"], cut)


PROGRAM_WORKLOADS = (SQLiteRollback, SQLiteWAL, Git, PostgreSQL)
