"""Workloads of the key service: what the command line acknowledges."""

import os
import subprocess

from .stores import CommandFailed
from .verdict import LOST, UNREADABLE
from .workloads import BLOCK, Workload, new_file

DEFAULT_KEY = "alias/keyfold/default"


class KeyWorkload(Workload):
    needs_keys = True
    short, usual = 6, 15

    def problems(self, root, ledger, cut, system, store):
        found = []
        try:
            for name, claim in ledger.claims.items():
                kind, _, key = name.partition(" ")
                allowed = claim.window(cut)
                if kind == "key" and None not in allowed:
                    system.run(store, "key", "show", key, "--json")
                if kind == "versions" and self.is_safe(ledger, cut, key):
                    found += self.version_problems(system, store, key, allowed)
        except CommandFailed as failure:
            missing = failure.status == 66  # No such key.
            found.append((LOST if missing else UNREADABLE, str(failure)))
        return found

    @staticmethod
    def is_safe(ledger, cut, key):
        made = ledger.claims.get("key " + key)
        return made is None or None not in made.window(cut)

    @staticmethod
    def version_problems(system, store, key, allowed):
        lines = system.run(store, "key", "rotation", "list", key, "--json").splitlines()
        if len(lines) in allowed:
            return []
        return [(LOST, f"{key} has {len(lines)} versions, not {' or '.join(map(str, allowed))}")]

    @staticmethod
    def rotate(actor, system, store, key):
        versions = actor.ledger.claim("versions " + key, 1)
        actor.claim("versions " + key, versions.steps[-1][1] + 1,
                    lambda: system.run(store, "key", "rotate", key))


class Keys(KeyWorkload):
    name, description = "keys", "keys made and rotated, files written under each new version"

    def run(self, actor, system, store):
        keys = [DEFAULT_KEY]
        actor.ledger.claim("versions " + DEFAULT_KEY, 1)
        for step in range(self.size):
            if step % 3 == 2:
                self.create(actor, system, store, f"alias/key{step}")
                keys.append(f"alias/key{step}")
            else:
                self.rotate(actor, system, store, self.source.choice(keys))
            with actor.create(f"file.{step}") as file:
                file.write(0, self.bytes(self.source.randrange(1, 9000)))
                file.sync()

    @staticmethod
    def create(actor, system, store, alias):
        actor.claim("key " + alias, True, lambda: system.run(
            store, "key", "create", "--alias", alias, "--json"))
        # Its only version comes with it: before, there is nothing to count.
        actor.ledger.claim("versions " + alias, 1)


class Rewrap(KeyWorkload):
    name, description = "rewrap", "rotation and rewrap while the files are open and written"
    short, usual = 3, 8

    def setup(self, actor):
        for number in range(8):
            new_file(actor, f"file.{number}", self.bytes(3 * BLOCK + number * 100))

    def run(self, actor, system, store):
        files = [actor.open(f"file.{number}") for number in range(8)]
        for _ in range(self.size):
            self.rotate(actor, system, store, DEFAULT_KEY)
            with self.rewrap(system, store) as process:
                while process.poll() is None:
                    file = self.source.choice(files)
                    file.write(self.source.randrange(3 * BLOCK), self.bytes(700))
                    file.sync()
                if process.returncode:
                    raise CommandFailed(process.args, process.returncode, process.stderr.read())

    @staticmethod
    def rewrap(system, store):
        return subprocess.Popen(
            [os.path.join(system.settings.binaries, "keyfold"), "rewrap", "--quiet",
             os.path.join(store, "vault"), "--key-file", os.path.join(system.secrets, "key")],
            env=system.environment(store),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


class Vaults(KeyWorkload):
    name, description = "vaults", "vaults made beside the one that is mounted"
    short, usual = 3, 8

    def run(self, actor, system, store):
        for number in range(self.size):
            actor.claim(f"vault {number}", True, lambda number=number: system.run(
                store, "init", "--quiet", os.path.join(store, f"vault.{number}")))

    def problems(self, root, ledger, cut, system, store):
        found = super().problems(root, ledger, cut, system, store)
        for name, claim in ledger.claims.items():
            kind, _, number = name.partition(" ")
            if kind != "vault" or None in claim.window(cut):
                continue
            try:
                system.run(store, "check", "--quiet", os.path.join(store, f"vault.{number}"))
            except CommandFailed as failure:
                found.append((LOST, str(failure)))
        return found


class Domains(KeyWorkload):
    name, description = "domains", "domains made in the mounted vault, files written in them"
    short, usual = 4, 12

    def run(self, actor, system, store):
        Keys.create(actor, system, store, "alias/domains")
        places = [""]
        for number in range(self.size):
            place = self.source.choice(places)
            if self.source.random() < 0.4:
                place = os.path.join(place, f"folder.{number}")
                actor.mkdir(place)  # Not synced: the domain's making takes care of it.
            path = os.path.join(place, f"domain.{number}" + self.source.choice(("", "x" * 200)))
            key = self.source.choice((DEFAULT_KEY, "alias/domains"))
            actor.make_domain(path, lambda path=path, key=key: system.run(
                store, "domain", "create", "--quiet", os.path.join(store, "vault"), path,
                "--key", key))
            places.append(path)
            self.write_in(actor, path)
            self.write_in(actor, self.source.choice(places[1:]))

    def write_in(self, actor, path):
        name = os.path.join(path, f"file.{self.source.randrange(1 << 32):x}")
        with actor.create(name) as file:
            file.write(0, self.bytes(self.source.randrange(1, 9000)))
            file.sync()
            file.write(self.source.randrange(file.size), self.bytes(500))
            if self.source.random() < 0.7:
                file.sync(data_only=True)


KEY_WORKLOADS = (Keys, Rewrap, Vaults, Domains)
