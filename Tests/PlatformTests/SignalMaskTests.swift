import Glibc
import Platform
import Testing

@Suite struct SignalMaskTests {
    @Test func `a broken pipe is an error and no signal`() {
        var ends: [Int32] = [0, 0]
        #expect(unsafe pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let (written, code) = SignalMask.withoutBrokenPipes {
            var byte: UInt8 = 1
            let written = unsafe write(ends[1], &byte, 1)
            return (written, Errno.current)
        }
        // Had the signal been kept for later, this process would have ended by now.
        #expect(written == -1)
        #expect(code == Errno(rawValue: EPIPE))
        var mask = sigset_t()
        unsafe pthread_sigmask(SIG_SETMASK, nil, &mask)
        #expect(unsafe sigismember(&mask, SIGPIPE) == 0)
    }
}
