"""How long a mount takes that has a journal to work through."""

import json
import os
import random
import signal
import subprocess
import time

from .common import BINARIES, MIB, drop_caches, run


class Recovery:
    """A journal that is as good as full, a killed daemon, and the mount that puts it right."""

    WRITES, BATCH = 7200, 16  # Of 4 KiB; with their frames 29 of the journal's 32 MiB.

    def __init__(self, entrant, cold):
        self.entrant, self.cold = entrant, cold
        self.key = os.path.join(os.path.dirname(entrant.root), "key")
        # A passphrase costs its scrypt at every mount.
        entrant.run("slot", "add", "key-file", self.key)
        entrant.mount()
        self.big = os.path.join(entrant.root, "big")
        with open(self.big, "wb", buffering=0) as file:
            file.write(bytes(64 * MIB))
            os.fsync(file.fileno())
        entrant.unmount()

    def mount(self):
        if self.cold:
            drop_caches()
        begin = time.perf_counter()
        self.entrant.run("mount", self.entrant.vault, self.entrant.root, "-o",
                         "key_file=" + self.key)
        return time.perf_counter() - begin

    def fill_journal(self):
        places = random.Random(2)
        piece = random.randbytes(4096)
        descriptor = os.open(self.big, os.O_WRONLY)
        for number in range(self.WRITES):
            os.pwrite(descriptor, piece, places.randrange(64 * MIB // 4096) * 4096)
            if number % self.BATCH == self.BATCH - 1:
                os.fsync(descriptor)
        os.close(descriptor)

    def kill(self):
        status = json.loads(subprocess.run(
            [os.path.join(BINARIES, "keyfold"), "status", self.entrant.root, "--json"],
            env=self.entrant.environment, check=True, capture_output=True, text=True).stdout)
        os.kill(status["pid"], signal.SIGKILL)
        run("fusermount3", "-u", "-z", self.entrant.root)

    def rounds(self, count):
        samples = {"mount after an unmount, ms": [], "mount after a kill, full journal, ms": []}
        clean, killed = samples.values()
        for _ in range(count):
            clean.append(1000 * self.mount())
            self.fill_journal()
            self.kill()
            killed.append(1000 * self.mount())
            self.entrant.unmount()
        return samples
