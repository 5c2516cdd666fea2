"""What all parts of a benchmark share."""

import os
import subprocess

MIB = 1 << 20
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARIES = os.environ.get("KEYFOLD_BIN") or os.path.join(REPOSITORY, ".build", "release")


def run(*words, **options):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **options)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3\n")


def can_drop_caches():
    try:
        drop_caches()
        return True
    except OSError:
        return False
