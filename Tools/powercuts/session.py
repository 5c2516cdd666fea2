"""One workload on one system and store: recorded once, then cut in many places."""

import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import traceback

from .actor import Actor
from .ledger import Ledger
from .linux import boot_anew, syncfs, unshare_mounts
from .recording import Recording, RecordingDisk, State, StateImages, copy_sparse
from .stores import CommandFailed, unmount
from .verdict import UNREADABLE, Inspection

STATE_SECONDS = 120


class Unsupported(Exception):
    """A peer cannot do what the workload asks for."""


class Nudger:
    """Lets the kernel write dirty pages back at odd times, as it does on a busy machine.

    It writes nothing itself and flushes nothing: POSIX_FADV_DONTNEED begins the writeback of one
    file. Without it, nearly all writes would come out of some fsync.
    """

    def __init__(self, folders, seed):
        self.folders, self.source = folders, random.Random(seed)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        while not self.stopping.wait(self.source.uniform(0.002, 0.03)):
            files = [os.path.join(place, name) for folder in self.folders
                     for place, _, names in os.walk(folder) for name in names]
            if files:
                self.nudge(self.source.choice(files))

    @staticmethod
    def nudge(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        except OSError:
            pass  # Renamed or removed meanwhile.


def sockets(folder, names):
    """Which of the names are sockets, as copytree's `ignore` wants to know."""
    return [name for name in names
            if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode)]


class Session:
    def __init__(self, settings, system, store, workload, place):
        self.settings, self.system, self.store = settings, system, store
        self.workload, self.place = workload, place
        self.ledger = Ledger()
        self.recording = self.start = None

    @property
    def title(self):
        return f"{self.system.name} {self.store.name} {self.workload.name}"

    # --- The run that is recorded

    def record(self, base):
        os.mkdir(self.place)
        store, root = self.mount_points(self.place)
        disk = RecordingDisk(self.settings.recorder, base, self.place)
        try:
            self.store.mount_image(disk.disk, store)
            try:
                end = self.run_workload(disk, store, root)
            finally:
                unmount(store)
        finally:
            disk.close()
        self.recording = disk.recording(end, self.settings.honest)
        self.look_uncut(disk.working)

    def look_uncut(self, image):
        """Without a power cut nothing may be missing; else the comparison would not be fair."""
        cut = len(self.recording.entries) + 1  # Behind whatever was begun.
        findings = self.look(image, State(cut, 4096, "all"), self.place)
        os.unlink(image)
        if not findings:
            return
        message = "; ".join(message for _, message in findings[:3])
        if self.system.must_hold:
            raise RuntimeError(f"{self.title}: wrong without a power cut: {message}")
        raise Unsupported(f"wrong without a power cut: {message[:300]}")

    def run_workload(self, disk, store, root):
        """- Returns: where the record ends."""
        actor = Actor(root, self.ledger, disk.position)
        self.system.mount(store, root)
        try:
            self.attempt(lambda: self.workload.setup(actor))
            # What the setup made is on the disk for sure.
            self.system.unmount(root)
            syncfs(store)
            self.system.mount(store, root)
            self.start = disk.position()
            with Nudger([store, root], self.settings.seed):
                self.attempt(lambda: self.workload.run(actor, self.system, store))
            end = disk.position()
            if self.system.has_keys:
                self.ledger.claim("log events").change(0, self.system.events(store))
        finally:
            actor.close_all()
            self.system.unmount(root)
        return end

    def attempt(self, body):
        try:
            body()
        except (OSError, CommandFailed, sqlite3.Error) as error:
            if self.system.must_hold:
                raise
            raise Unsupported(f"{type(error).__name__}: {error}"[:200]) from error

    # --- Cuts

    def check(self, states, to_first=False):
        """Yields (state, findings) for each, from as many processes as are wanted.

        With to_first no further state is begun when there are findings.
        """
        context = multiprocessing.get_context("fork")
        results, enough = context.Queue(), context.Event()
        states = sorted(states, key=lambda state: state.cut)
        jobs = max(1, min(self.settings.jobs, len(states)))
        size = -(-len(states) // jobs)
        workers = [
            context.Process(target=self.work, args=(number, states[at:at + size], results, enough))
            for number, at in enumerate(range(0, len(states), size))]
        for worker in workers:
            worker.start()
        running = len(workers)
        try:
            while running:
                kind, value = results.get()
                if kind == "failed":
                    raise RuntimeError(f"a worker failed:\n{value}")
                if kind == "ended":
                    running -= 1
                else:
                    if to_first and value[1]:
                        enough.set()
                    yield value
        finally:
            if running:
                for worker in workers:
                    worker.kill()
            for worker in workers:
                worker.join()

    def work(self, number, states, results, enough):
        try:
            signal.signal(signal.SIGALRM, overdue)
            unshare_mounts()  # Its machine boots by itself.
            place = os.path.join(self.place, f"worker{number}")
            os.mkdir(place)
            images = StateImages(self.recording, place)
            for state in states:
                if enough.is_set():
                    break
                image = images.make(state)
                if state.again:
                    image = self.cut_again(image, state, place)
                results.put(("state", (state, self.look(image, state, place))))
            shutil.rmtree(place)
            results.put(("ended", None))
        except BaseException:  # noqa: the parent must hear of it, whatever it is.
            results.put(("failed", traceback.format_exc()))

    @staticmethod
    def mount_points(place):
        store, root = os.path.join(place, "store"), os.path.join(place, "root")
        os.makedirs(store, exist_ok=True)
        os.makedirs(root, exist_ok=True)
        return store, root

    def cut_again(self, image, state, place):
        """The image when power fails once more, while the store and the system are mounted."""
        store, root = self.mount_points(place)
        boot_anew(place)
        own = os.path.join(place, "again")
        shutil.rmtree(own, ignore_errors=True)
        os.mkdir(own)
        disk = RecordingDisk(self.settings.recorder, image, own)
        try:
            self.store.mount_image(disk.disk, store)
            try:
                self.system.mount(store, root)
                self.system.unmount(root)
            finally:
                unmount(store)
        except CommandFailed:
            pass  # It is looked at, and then it fails again.
        finally:
            disk.close()
        os.unlink(disk.working)
        recording = disk.recording()
        cut = round(state.again[0] * len(recording.entries))
        return StateImages(recording, own).make(State(cut, state.grain, state.again[1]))

    def look(self, image, state, place, hold=False):
        """Mounts the image and judges what is there."""
        store, root = self.mount_points(place)
        boot_anew(place)
        try:
            self.store.mount_image(image, store)
        except CommandFailed as failure:
            return [("store", f"the store itself cannot be mounted: {failure}")]
        try:
            signal.alarm(STATE_SECONDS)
            findings = self.look_mounted(store, root, state, hold)
            findings += self.system.problems_unmounted(store)
        except TimeoutError:
            findings = [(UNREADABLE, f"no end after {STATE_SECONDS} s")]
        finally:
            signal.alarm(0)
            unmount(store)
        return findings

    def look_mounted(self, store, root, state, hold):
        try:
            self.system.mount(store, root)
        except CommandFailed as failure:
            return [(UNREADABLE, f"cannot be mounted: {failure}")]
        try:
            grain = self.system.state_grain(state.grain)
            findings = Inspection(
                root, self.ledger, state.cut, grain, self.store.moves_leave_both).run()
            findings += self.workload.problems(root, self.ledger, state.cut, self.system, store)
            findings += self.system.problems(store, self.ledger, self.recording.time(state.cut))
            if hold:
                show(findings)
                print(f"store: {store}\nmount: {root}\nThe shell's end goes on.")
                subprocess.run([os.environ.get("SHELL", "sh")], cwd=store)
        finally:
            self.system.unmount(root)
        return findings

    # --- Failures that can be looked at again

    def keep(self, folder):
        """Saves what a replay needs; returns where."""
        place = os.path.join(folder, f"{self.title.replace(' ', '-')}-seed{self.settings.seed}")
        os.makedirs(place, exist_ok=True)
        copy_sparse(self.recording.base, os.path.join(place, "base"))
        for kind in ("index", "data"):
            shutil.copy(f"{self.recording.record}.{kind}", os.path.join(place, f"record.{kind}"))
        shutil.copytree(self.system.secrets, os.path.join(place, "secrets"), dirs_exist_ok=True,
                        ignore=sockets)
        with open(os.path.join(place, "ledger"), "wb") as file:
            pickle.dump((self.ledger, self.workload), file)
        with open(os.path.join(place, "run.json"), "w") as file:
            json.dump({"system": self.system.name, "store": self.store.name,
                       "seed": self.settings.seed, "end": len(self.recording.entries),
                       "honest": self.settings.honest}, file)
        return place

    @classmethod
    def kept(cls, settings, folder, place, systems, stores):
        """A session that was kept. Only for folders of one's own: pickle trusts them."""
        with open(os.path.join(folder, "run.json")) as file:
            about = json.load(file)
        system = systems[about["system"]](settings, os.path.join(folder, "secrets"))
        with open(os.path.join(folder, "ledger"), "rb") as file:
            ledger, workload = pickle.load(file)
        session = cls(settings, system, stores[about["store"]], workload, place)
        session.ledger = ledger
        session.recording = Recording(
            os.path.join(folder, "base"), os.path.join(folder, "record"), about["end"],
            about["honest"])
        return session


def overdue(*_):
    raise TimeoutError


def show(findings, most=6):
    for kind, message in findings[:most]:
        print(f"    {kind}: {' / '.join(message.splitlines())}")
    if len(findings) > most:
        print(f"    and {len(findings) - most} more")
