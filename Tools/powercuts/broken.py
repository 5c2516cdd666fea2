"""The orderings that docs/crash-safety.md promises, each left out in turn: the suite must find it."""

import os
import re
import subprocess

SMALL_JOURNAL = "test-journal=65536"

# The switch: the workloads that show it, and further mount options. The names of keyfoldfs's own
# switches, -o test-break=NAME, are asked from the program, so that none is forgotten here.
BROKEN = {
    "journal-flush": (("overwrites",), ()),
    "place-first": (("overwrites", "lines"), ()),
    "store-sync": (("lines", "mail", "replace"), ()),
    "checkpoint-sync": (("overwrites", "lines"), (SMALL_JOURNAL,)),
    "intent-flush": (("growth",), ()),
    "rename-sync": (("moves",), ()),
    "rename-intent": (("rotated",), ()),
    "truncate-record": (("truncate",), ()),
    "clean-record": (("empty",), ()),
    "punch-record": (("sparse",), ()),
    "hole-flag": (("holes",), ()),
    "header-write": (("sparse",), ()),
    "step-intent": (("steps",), (SMALL_JOURNAL,)),
    "checkpoint-intents": (("growth",), (SMALL_JOURNAL,)),
    "times-record": (("attributes",), ()),
    "name-sync": (("deep", "longnames"), ()),
    "recovery": (("overwrites",), ()),
}
# What the key service and the commands sync, left out for files whose paths have this text (Tests/WithoutSync).
WITHOUT_SYNC = {
    "keystore-sync": (("keys",), "/keystore.db"),
    "log-sync": (("keys",), "/log/"),
    "domain-record": (("domains",), "/.keyfold.tmp."),
}


def all_orderings():
    return list(BROKEN) + list(WITHOUT_SYNC)


def workloads(name):
    return (BROKEN.get(name) or WITHOUT_SYNC[name])[0]


def mount_options(name):
    """What keyfoldfs is mounted with to leave the ordering out."""
    return ["test-break=" + name, *BROKEN[name][1]] if name in BROKEN else []


def environment(name, binaries):
    """What both programs run with to leave the ordering out."""
    if name not in WITHOUT_SYNC:
        return {}
    library = os.path.join(binaries, "libWithoutSync.so")
    return {"LD_PRELOAD": library, "KEYFOLD_WITHOUT_SYNC": WITHOUT_SYNC[name][1]}


def unknown(binaries):
    """Switches of the program that no workload is named for, and the other way round."""
    done = subprocess.run([os.path.join(binaries, "keyfoldfs"), "/", "/nowhere", "-o",
                           "test-break=?"], capture_output=True, text=True)
    names = re.search(r"expected test-break=([a-z|-]+)", done.stderr)
    return set(names.group(1).split("|") if names else ()) ^ set(BROKEN)
