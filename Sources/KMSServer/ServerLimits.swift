/// How much the server takes on at once, and for how long. Every one of them is a bound.
package struct ServerLimits: Sendable, Hashable {
    /// Open connections of each listener. More wait in the kernel's queue.
    package var connections = 512
    /// Threads that carry requests out.
    package var workers = 8
    /// Requests under way or waiting for a thread; more are answered at once that the service is
    /// busy.
    package var requestsInFlight = 256
    /// Bytes of bodies, over all connections, but for the first ones of each.
    package var bodyBytesInFlight = 64 << 20
    /// A connection without a request is closed after this time.
    package var idleSeconds = 60
    /// From a request's head to the end of its body, and from its answer's first byte to the last.
    package var transferSeconds = 30
    /// From the body to the answer. What is still under way then goes on, and its answer is lost.
    package var answerSeconds = 60
    /// Requests that are under way when the server is told to stop have this time.
    package var graceSeconds = 20

    package init() {}

    /// Threads that may be with the token of one custom key store, or make keys of RSA: the others
    /// stay for requests that need neither.
    package var workersAtOneSlowWork: Int { max(1, workers / 4) }
    /// At all of this together, as several tokens may hang.
    package var workersAtSlowWork: Int { max(1, workers * 3 / 4) }
    /// How long one more waits there, with its thread.
    package static let slowWorkWaitMilliseconds = 500

    /// Of each body, so at most as much for each connection and each request in flight.
    static let uncountedBodyBytes = 16 << 10

    /// All of a request's header together; AWS's front end takes about as much.
    static let headerBytes = 32 << 10
    static let headerFieldBytes = 16 << 10
    static let headerFields = 100
}
