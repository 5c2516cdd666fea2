import Platform
import TestSupport
import Testing

@Suite struct ChildProcessOutputTests {
    private typealias Child = Platform.ChildProcess

    private static func output(
        _ script: String, limitBytes: Int = 100_000, seconds: Double = 60
    ) throws(Child.OutputFailure) -> Child.Output {
        try Child.output(
            of: "/bin/sh", ["-c", script], limitBytes: limitBytes,
            deadline: .now.advanced(by: .seconds(seconds)))
    }

    @Test func `what a program writes comes with its status`() throws {
        let output = try Self.output("printf abc; echo seen >&2; exit 3")
        #expect(output.status == 3)
        #expect(output.bytes == Array("abc".utf8))
        #expect(try Self.output("kill -TERM $$").status == 128 + 15)
        #expect(try Self.output("true").bytes == [])
    }

    @Test func `it has nothing to read, and signals are as they were at its start`() throws {
        #expect(try Self.output("cat").bytes == [])
        let output = try Self.output("grep -E '^Sig(Blk|Ign)' /proc/self/status")
        let lines = String(decoding: output.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2)
        for line in lines {
            let mask = try #require(UInt64(line.split(separator: "\t")[1], radix: 16))
            // glibc keeps signals 32 and 33 for itself.
            #expect(mask & 0x7FFF_FFFF == 0, "\(line)")
        }
    }

    @Test func `as much as the limit is taken, and a byte more is not`() throws {
        #expect(
            try Self.output("head -c 70000 /dev/zero", limitBytes: 70_000).bytes.count == 70_000)
        #expect(throws: Child.OutputFailure.tooLong(limitBytes: 70_000)) {
            try Self.output("head -c 70001 /dev/zero", limitBytes: 70_000)
        }
        #expect(throws: Child.OutputFailure.tooLong(limitBytes: 1000)) {
            try Self.output("exec cat /dev/zero", limitBytes: 1000)
        }
    }

    @Test func `a program that does not end is killed with all it started`() throws {
        try withTemporaryDirectory { path in
            #expect(throws: Child.OutputFailure.timedOut) {
                try Self.output("sleep 600 & echo $! >\(path)/pid; wait", seconds: 0.5)
            }
            let pid = try #require(Int32(try Disk.readText(path + "/pid").dropLast()))
            #expect(Deadline.wait(seconds: 10) { !isRunning(pid) })
        }
    }

    @Test func `a program that closes its output and goes on is waited for`() throws {
        let output = try Self.output("echo done; exec >&-; sleep 0.2; exit 7")
        #expect(output.status == 7)
        #expect(output.bytes == Array("done\n".utf8))
    }

    @Test func `what is left in the background is not waited for`() throws {
        let output = try Self.output("sleep 600 2>/dev/null & echo $!")
        let text = String(decoding: output.bytes, as: UTF8.self).dropLast()
        let pid = try #require(Int32(text))
        defer { Signal.send(Signal.kill, to: pid) }
        #expect(output.status == 0)
        #expect(isRunning(pid))
    }

    /// As of a child whose end nobody was told of.
    @Test func `a process that is no child has no status`() {
        #expect(Child.wait(for: 1) == 255)
    }

    @Test func `a program that is not there is an error of the system`() {
        #expect(throws: Child.OutputFailure.system(.noSuchFileOrDirectory)) {
            try Child.output(
                of: "/no/such/program", [], limitBytes: 10,
                deadline: .now.advanced(by: .seconds(10)))
        }
    }
}
