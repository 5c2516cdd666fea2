"""A disk for those who have none that is slow."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from .common import BINARIES, MIB, run


class SlowDisk:
    """An ext4 on a disk whose flush takes so many microseconds, as those of real disks do."""

    def __init__(self, directory, microseconds):
        self.place = tempfile.mkdtemp(prefix="keyfold-disk.", dir=directory)
        self.root = os.path.join(self.place, "ext4")
        self.below = os.path.join(self.place, "below")
        image = os.path.join(self.place, "image")
        os.mkdir(self.root)
        os.mkdir(self.below)
        with open(image, "wb") as file:
            file.truncate(4096 * MIB)
        run("mkfs.ext4", "-q", image)
        self.process = subprocess.Popen(
            [os.path.join(BINARIES, "RecordingDisk"), image, "-", self.below, str(microseconds)])
        disk = os.path.join(self.below, "disk")
        while not os.path.exists(disk):
            if self.process.poll() is not None:
                sys.exit("bench: RecordingDisk could not be mounted")
            time.sleep(0.01)
        self.device = subprocess.run(["losetup", "--find", "--show", disk], check=True,
                                     capture_output=True, text=True).stdout.strip()
        run("mount", self.device, self.root)

    def close(self):
        for words in (["umount", self.root], ["losetup", "--detach", self.device]):
            subprocess.run(words, check=False)
        while subprocess.run(["umount", self.below], capture_output=True).returncode:
            time.sleep(0.1)
        self.process.wait()
        shutil.rmtree(self.place)
