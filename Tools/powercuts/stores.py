"""The file systems below: how they are made and mounted."""

import os
import shutil
import subprocess
import time

MIB = 1 << 20
SMALLEST_SCRATCH = 4096 * MIB


def run(*words, **options):
    """Runs a program; its messages are in the exception when it fails."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)
    if done.returncode:
        raise CommandFailed(words, done.returncode, (done.stderr + done.stdout).strip())
    return done.stdout


class CommandFailed(Exception):
    def __init__(self, words, status, message):
        super().__init__(f"{os.path.basename(words[0])} {' '.join(words[1:3])}… ended with "
                         f"{status}: {message[-600:]}")
        self.status, self.message = status, message


def unmount(path):
    """Unmounts; busy is what a mount may be for a moment after its last user ended."""
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(["umount", path], capture_output=True, text=True)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            subprocess.run(["umount", "--lazy", path], capture_output=True)
            raise CommandFailed(["umount", path], done.returncode, done.stderr)
        time.sleep(0.02)


class Store:
    """One kind of file system.

    `grains` are the pieces that it must bear being cut into. xfs and btrfs count on whole sectors
    where they write their superblocks and buffers, and get a disk with sectors of 4 KiB.

    `moves_leave_both`: what was moved into a directory that was synced then may have its old name,
    too, after a cut. btrfs does so where it committed between the file's own sync and the move.
    """

    def __init__(self, name, size, make, options, grains, moves_leave_both=False):
        self.name, self.size, self.make_words = name, size, make
        self.options, self.grains = options, grains
        self.moves_leave_both = moves_leave_both
        self.sector = min(grains)

    def missing(self):
        return None if shutil.which(self.make_words[0]) else f"there is no {self.make_words[0]}"

    def make(self, image):
        with open(image, "wb") as file:
            file.truncate(self.size)
        run(*self.make_words, image)

    def mount_device(self, device, place):
        run("mount", "-t", self.name, "-o", self.options, device, place)

    def mount_image(self, image, place):
        """With a loop device that goes when the mount goes."""
        device = run("losetup", "--find", "--show", "--sector-size", str(self.sector),
                     image).strip()
        try:
            self.mount_device(device, place)
        finally:
            # Of a device in use this makes one that is detached at its last close.
            run("losetup", "--detach", device)


STORES = {
    store.name: store
    for store in (
        Store("ext4", 192 * MIB, ["mkfs.ext4", "-q", "-b", "4096", "-J", "size=8", "-N", "8192"],
              "noatime", (512, 4096)),
        Store("xfs", 304 * MIB, ["mkfs.xfs", "-q", "-s", "size=4096"],
              "noatime,nouuid", (4096,)),  # Several copies of one image are mounted at once.
        Store("btrfs", 256 * MIB, ["mkfs.btrfs", "-q", "-m", "single", "-s", "4096"], "noatime",
              (4096,), moves_leave_both=True),
    )
}


def share_blocks(place):
    """Mounts an empty xfs over `place`, in memory if `place` is, where that can be had.

    Each state's image is a copy of one before, and copies share their blocks there: copying took a
    third of all time.
    """
    free = os.statvfs(place)
    scratch = Store("xfs", free.f_bavail * free.f_frsize // 2, ["mkfs.xfs", "-q"],
                    "noatime,discard", (512,))
    if scratch.missing() or scratch.size < SMALLEST_SCRATCH:
        return
    image = os.path.join(place, "scratch")
    try:
        scratch.make(image)
        scratch.mount_image(image, place)
    except CommandFailed:
        os.unlink(image)  # A kernel without xfs.
        return
    os.chmod(place, 0o755)
