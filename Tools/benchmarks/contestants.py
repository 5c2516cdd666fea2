"""Who is compared."""

import os
import subprocess
import time

from .common import BINARIES, run


class Plain:
    """A directory of the file system below: what there is to lose."""

    name = "plain"

    def __init__(self, place):
        self.root = os.path.join(place, "files")
        os.mkdir(self.root)

    def mount(self):
        pass

    def unmount(self):
        pass


class Keyfold:
    name = "keyfold"

    def __init__(self, place):
        self.vault, self.root = os.path.join(place, "vault"), os.path.join(place, "mount")
        os.mkdir(self.root)
        secret = os.path.join(place, "passphrase")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("a passphrase for measurements only\n")
        self.environment = dict(
            os.environ,
            KEYFOLD_KEYSTORE=os.path.join(place, "keystore"),
            KEYFOLD_PASSPHRASE_FILE=secret,
        )
        self.run("init", "--quiet", self.vault)

    def run(self, *words):
        run(os.path.join(BINARIES, "keyfold"), *words, env=self.environment)

    def mount(self):
        self.run("mount", self.vault, self.root)

    def unmount(self):
        self.run("unmount", "--quiet", self.root)


class KeyfoldInPlace(Keyfold):
    """Without overlay and journal: what crash safety costs."""

    name = "inplace"

    def mount(self):
        self.run("mount", self.vault, self.root, "-o", "overwrite=inplace")


class Gocryptfs:
    name = "gocryptfs"

    def __init__(self, place):
        self.vault, self.root = os.path.join(place, "vault"), os.path.join(place, "mount")
        os.mkdir(self.vault)
        os.mkdir(self.root)
        self.secret = os.path.join(place, "passphrase")
        with open(self.secret, "w") as file:
            file.write("a passphrase for measurements only\n")
        run("gocryptfs", "-q", "-init", "-passfile", self.secret, self.vault)

    def mount(self):
        run("gocryptfs", "-q", "-passfile", self.secret, self.vault, self.root)

    def unmount(self):
        for _ in range(50):
            if subprocess.run(["fusermount3", "-u", self.root], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        run("fusermount3", "-u", "-z", self.root)
