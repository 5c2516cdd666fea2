"""What lies on a store: nothing, Keyfold, or another encrypting file system."""

import json
import os
import select
import shutil
import socket
import subprocess
import time

from .stores import CommandFailed, run, unmount

PASSPHRASE = "a passphrase for power cuts only\n"
NOBODY = 65534  # Whom workloads run as whose programs refuse to run as root.


def write_secret(path):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(PASSPHRASE)


class System:
    """`store` is where the store is mounted, `secrets` a directory that no cut touches."""

    grain = 4096  # The block in which an unsynced change shows whole or not at all.
    has_keys = False
    must_hold = False  # What goes wrong with it is a fault, not a comparison.

    def __init__(self, settings, secrets):
        self.settings, self.secrets = settings, secrets
        self.passphrase = os.path.join(secrets, "passphrase")

    @classmethod
    def missing(cls, settings):
        return None if shutil.which(cls.name) else f"{cls.name} is not installed"

    def state_grain(self, grain):
        return self.grain

    def problems(self, store, ledger, state_time):
        """What else is wrong while the system is mounted: (kind, message)."""
        return []

    def problems_unmounted(self, store):
        return []


class Plain(System):
    """A directory of the store itself."""

    name = "plain"
    must_hold = True

    @classmethod
    def missing(cls, settings):
        return None

    def state_grain(self, grain):
        return grain  # An overwritten block of an ordinary file may be torn.

    def prepare(self, store):
        os.mkdir(os.path.join(store, "files"))

    def mount(self, store, root):
        run("mount", "--bind", os.path.join(store, "files"), root)

    def unmount(self, root):
        unmount(root)


class Gocryptfs(System):
    name = "gocryptfs"

    def prepare(self, store):
        write_secret(self.passphrase)
        os.mkdir(os.path.join(store, "vault"))
        run("gocryptfs", "-q", "-init", "-scryptn", "10", "-passfile", self.passphrase,
            os.path.join(store, "vault"))

    def mount(self, store, root):
        run("gocryptfs", "-q", "-allow_other", "-passfile", self.passphrase,
            os.path.join(store, "vault"), root)

    def unmount(self, root):
        unmount(root)


class Securefs(System):
    name = "securefs"

    def prepare(self, store):
        write_secret(self.passphrase)
        os.mkdir(os.path.join(store, "vault"))
        run("securefs", "create", "--keyfile", self.passphrase, "--rounds", "1", "--pbkdf",
            "pkcs5-pbkdf2-hmac-sha256", os.path.join(store, "vault"))

    def mount(self, store, root):
        before = os.stat(root).st_dev
        # It goes to the background before it has mounted, and tells nobody when it failed.
        process = subprocess.Popen(
            ["securefs", "mount", "--keyfile", self.passphrase, "-o", "allow_other",
             os.path.join(store, "vault"), root],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while os.stat(root).st_dev == before:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                _, message = process.communicate()
                raise CommandFailed(["securefs", "mount"], process.returncode, message)
            time.sleep(0.01)
        self.process = process

    def unmount(self, root):
        unmount(root)
        self.process.stderr.close()
        self.process.wait(60)


DAEMON_SECONDS = 60


def processes_of(root):
    """Descriptors (pidfd_open(2)) of the programs with the mount point among their arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if root.encode() in file.read().split(b"\0"):
                    found.append(os.pidfd_open(int(name)))
        except (FileNotFoundError, ProcessLookupError):
            pass  # It ended meanwhile.
    return found


# Exit codes of keyfold check.
CHECK_REPAIRED, CHECK_LEFT = 1, 4


class Keyfold(System):
    name = "keyfold"
    has_keys = must_hold = True
    # An event is stamped before it is acknowledged, and promised a second after that.
    log_seconds = 1.5

    @classmethod
    def missing(cls, settings):
        program = os.path.join(settings.binaries, "keyfold")
        return None if os.access(program, os.X_OK) else f"{program} is missing: swift build"

    def __init__(self, settings, secrets):
        super().__init__(settings, secrets)
        self.key = os.path.join(secrets, "key")

    def keystore(self, store):
        return os.path.join(store, "keystore")

    def run(self, store, *words, unlock=True):
        if unlock:
            words += ("--key-file", self.key)
        return run(os.path.join(self.settings.binaries, "keyfold"), *words,
                   env=self.environment(store))

    def environment(self, store):
        return {**os.environ, "KEYFOLD_KEYSTORE": self.keystore(store),
                "KEYFOLD_PASSPHRASE_FILE": self.passphrase, **self.settings.environment}

    def prepare(self, store):
        write_secret(self.passphrase)
        self.run(store, "init", "--json", os.path.join(store, "vault"), unlock=False)
        self.prepare_keystore(store)

    def prepare_keystore(self, store):
        # A passphrase costs a second of scrypt at each mount; a key file costs nothing.
        self.run(store, "slot", "add", "key-file", self.key, unlock=False)
        # Others than the mount's owner need a permission on the key.
        self.run(store, "grant", "create", "alias/keyfold/default", "--to", f"uid-{NOBODY}",
                 "--operation", "Decrypt", "--operation", "GenerateDataKey")

    def mount(self, store, root):
        options = ["allow_other", "log_file=" + os.path.join(self.secrets, "daemon.log"),
                   *self.unlocking(), *self.settings.mount_options]
        # As mount(8) starts it: 'keyfold mount' and 'keyfold unmount' would do the same at leisure.
        run(os.path.join(self.settings.binaries, "keyfoldfs"), os.path.join(store, "vault"), root,
            "-o", ",".join(options), env=self.environment(store))

    def unlocking(self):
        return [f"key_file={self.key}"]

    def unmount(self, root):
        daemons = processes_of(root)
        unmount(root)
        for daemon in daemons:
            if not select.select([daemon], [], [], DAEMON_SECONDS)[0]:
                raise CommandFailed(["umount", root], 0, "the daemon goes on")
            os.close(daemon)

    def events(self, store):
        """The usage log: {event id: when it was made, in seconds}."""
        found = {}
        for line in self.run(store, "log", "--json").splitlines():
            event = json.loads(line)
            found[event["eventID"]] = (
                event["additionalEventData"]["eventTimeMilliseconds"] / 1000, event["eventName"])
        return found

    def problems(self, store, ledger, state_time):
        found = []
        try:
            self.run(store, "keystore", "verify", "--quiet")  # The usage log, too.
            events = self.events(store)
        except CommandFailed as failure:
            return [("unreadable", f"the keystore or its log: {failure}")]
        expected = ledger.claims.get("log events")
        for event, (seconds, name) in (expected.steps[-1][1] if expected else {}).items():
            if seconds + self.log_seconds <= state_time and event not in events:
                age = state_time - seconds
                found.append(("lost", f"log: {name} {event}, {age:.1f} s before the cut"))
        return found

    def problems_unmounted(self, store):
        if not self.settings.has_check:
            return []
        words = "check", os.path.join(store, "vault"), "--read-data", "--quiet"
        try:
            self.run(store, *words)
        except CommandFailed as failure:
            # What a crash leaves without harm, such as a temporary name, a repair takes away.
            if failure.status != CHECK_LEFT:
                return [("unreadable", str(failure))]
            try:
                self.run(store, *words, "--repair")
            except CommandFailed as repaired:
                if repaired.status != CHECK_REPAIRED:
                    return [("unreadable", str(repaired))]
            try:
                self.run(store, *words)
            except CommandFailed as again:
                return [("unreadable", f"after a repair: {again}")]
        return []


class KeyfoldService(Keyfold):
    """Keyfold with its keys at a service, which no cut touches."""

    name = "keyfold-kms"
    has_keys = False

    def __init__(self, settings, secrets):
        super().__init__(settings, secrets)
        self.socket = os.path.join(secrets, "kms")

    def keystore(self, store):
        return os.path.join(self.secrets, "keystore")

    def environment(self, store):
        return {**super().environment(store), "AWS_REGION": "us-east-1"}

    def prepare(self, store):
        write_secret(self.passphrase)
        self.run(store, "keystore", "create", unlock=False)
        self.run(store, "key", "create", "--alias", "alias/keyfold/default", unlock=False)
        self.prepare_keystore(store)
        self.serve()
        self.run(store, "init", "--json", "--kms", f"unix://{self.socket}",
                 os.path.join(store, "vault"), unlock=False)

    def serve(self):
        """It ends with the namespace that the suite runs in."""
        words = ["serve", "--unix", self.socket, "--key-file", self.key]
        with open(os.path.join(self.secrets, "service.log"), "ab") as log:
            process = subprocess.Popen(
                [os.path.join(self.settings.binaries, "keyfold"), *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(None))
        deadline = time.monotonic() + 60
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                with open(log.name, encoding="utf-8") as messages:
                    raise CommandFailed(["keyfold", *words], process.wait(), messages.read())
            time.sleep(0.01)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.socket) == 0

    def mount(self, store, root):
        if not self.answers():
            self.serve()
        super().mount(store, root)

    def unlocking(self):
        return []

    def problems(self, store, ledger, state_time):
        return []


SYSTEMS = {system.name: system
           for system in (Keyfold, KeyfoldService, Gocryptfs, Securefs, Plain)}
