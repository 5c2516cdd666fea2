import KMSPKCS11
import TestSupport
import Testing

/// How the use of a token ends, also where its library does not answer.
@Suite struct ClosingTests {
    @Test func `closing waits for the requests that run, and ends what they leave`() throws {
        try HostileModule.with("generator waits") { hostile throws in
            let token = try hostile.open()
            let outcomes = Collected<PKCS11Error?>()
            let steered = hostile
            inThreads(3) { number in
                switch number {
                case 0:
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                case 1:
                    _ = try? Deadline.wait(seconds: 60) { try steered.count("waiting") == 1 }
                    token.close()
                default:
                    // Requests are refused from the moment on that it is being closed.
                    _ = Deadline.wait(seconds: 60) {
                        failure { () throws(PKCS11Error) in try token.reconnect() } == .closed
                    }
                    try? steered.release()
                }
            }
            #expect(outcomes.all == [nil])
            #expect(try hostile.count("sessions") == 0)
            #expect(try hostile.count("C_Logout") == 1)
        }
    }

    @Test(arguments: ["generator waits", "logout waits"])
    func `a library that hangs keeps nobody who closes its token`(_ behaviour: String) throws {
        try HostileModule.with(behaviour) { hostile throws in
            var options = PKCS11Token.Options.impatient
            options.waitMilliseconds = 1
            let token = try hostile.open(options: options)
            let outcomes = Collected<PKCS11Error?>()
            let closed = Collected<Bool>()
            let steered = hostile
            inThreads(3) { number in
                switch number {
                case 0:
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                case 1:
                    if behaviour == "generator waits" {
                        _ = try? Deadline.wait(seconds: 60) { try steered.count("waiting") == 1 }
                    } else {
                        _ = Deadline.wait(seconds: 60) { outcomes.all.count == 1 }
                    }
                    token.close()
                    closed.add((try? steered.count("waiting")) == 1)
                default:
                    // Where closing waits without end the test fails, and ends.
                    _ = Deadline.wait(seconds: 60) { closed.all.count == 1 }
                    try? steered.release()
                }
            }
            #expect(closed.all == [true])
            // Whoever is inside comes back to a token that is closed.
            #expect(outcomes.all == [behaviour == "generator waits" ? .closed : nil])
            // What was left to do is done once the library answers.
            token.close()
            #expect(try hostile.count("C_Logout") == 1)
            try hostile.open().close()
        }
    }
}
