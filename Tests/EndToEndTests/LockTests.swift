import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMount(.standard))
    struct LockTests {
        @Test(needs("flock"))
        func `flock excludes other processes, and goes with its holder`() throws {
            let path = try SharedMounts.directory(.standard) + "/file"
            try Disk.write(path, "x")
            let holder = try Disk.open(path)
            try holder.tryLock(.exclusive)
            let attempt = Command("flock", "--nonblock", "--conflict-exit-code", "9", path, "true")
            try attempt.run(expecting: 9)
            holder.unlock()
            try attempt.run()
            try holder.tryLock(.shared)
            try attempt.run(expecting: 9)
            try Command("flock", "--nonblock", "--shared", path, "true").run()
        }

        @Test(needs("perl"))
        func `POSIX locks exclude other processes by range`() throws {
            let place = try SharedMounts.directory(.standard)
            try Disk.write(place + "/file", pattern(1000))
            // struct flock on x86_64 and aarch64: type, whence, padding, start, length, pid.
            let script = """
                use Fcntl;
                sub lock { my ($f, $type, $start, $length) = @_;
                  my $l = pack('s s x4 q q l x4', $type, 0, $start, $length, 0);
                  return fcntl($f, F_SETLK, $l) ? 'got' : 'refused'; }
                open(my $f, '+<', 'file') or die; print lock($f, F_WRLCK, 0, 100), "\\n";
                my $pid = fork();
                if (!$pid) { open(my $g, '+<', 'file') or die; $| = 1;
                  print lock($g, F_WRLCK, 50, 100), "\\n", lock($g, F_RDLCK, 99, 1), "\\n",
                    lock($g, F_WRLCK, 100, 100), "\\n"; exit 0; }
                waitpid($pid, 0);
                print lock($f, F_UNLCK, 0, 50), "\\n";
                $pid = fork();
                if (!$pid) { open(my $g, '+<', 'file') or die; $| = 1;
                  print lock($g, F_WRLCK, 0, 50), "\\n", lock($g, F_WRLCK, 0, 51), "\\n"; exit 0; }
                waitpid($pid, 0);
                """
            let result = try Command("perl", "-e", "$| = 1;" + script).in(place).run()
            let expected = ["got", "refused", "refused", "got", "got", "got", "refused"]
            #expect(result.lines == expected)
        }

        @Test func `a lock that is waited for comes when it is let go`() throws {
            let path = try SharedMounts.directory(.standard) + "/file"
            try Disk.write(path, "x")
            let holder = try Disk.open(path)
            try holder.tryLock(.exclusive)
            let waiter = try Command("flock", path, "echo", "got it").start()
            #expect(isRunning(waiter.pid))
            holder.unlock()
            #expect(try waiter.waitForEnd(seconds: 20) == 0)
            #expect(try waiter.outputText() == "got it\n")
        }
    }
}
