/// Who makes a request of a ``KeyService``, and what the usage log says about it.
package struct Caller: Sendable, Hashable {
    /// The principal that is authorized, as an ARN.
    package var principalARN: String
    /// The process that caused the request, where it is known.
    package var process: ProcessIdentity?
    /// The program that speaks: `keyfoldfs/0.1`, `keyfold/0.1`, or a client's own words.
    package var userAgent: String
    /// What was done to a file, when a mount asks.
    package var fileActivity: FileActivity?
    package var transport: Transport
    /// What the answer over a network names the request by (`x-amzn-RequestId`); nil elsewhere.
    package var requestID: String?

    package init(
        principalARN: String, process: ProcessIdentity?, userAgent: String,
        fileActivity: FileActivity? = nil, transport: Transport = .local, requestID: String? = nil
    ) {
        self.principalARN = principalARN
        self.process = process
        self.userAgent = userAgent
        self.fileActivity = fileActivity
        self.transport = transport
        self.requestID = requestID
    }

    /// What a request came over.
    package enum Transport: Sendable, Hashable {
        /// No network: the request is of this process, or came over a Unix socket.
        case local
        /// TCP, from an IP address.
        case network(address: String, usesTLS: Bool)
    }

    /// The IP address that the request came from; nil where it came over no network.
    package var sourceAddress: String? {
        switch transport {
        case .local: nil
        case .network(let address, _): address
        }
    }

    /// Whether nobody between the caller and the service could read the request.
    package var isSecureTransport: Bool {
        switch transport {
        case .local: true
        // Not over the loopback either: what came from there may have come to a proxy, a tunnel or
        // a container's forwarded port before, in the clear and from anywhere.
        case .network(_, let usesTLS): usesTLS
        }
    }
}

/// A process on this machine at the time of a request.
package struct ProcessIdentity: Sendable, Hashable {
    package var uid: UInt32
    package var gid: UInt32
    package var pid: Int32
    /// The name of the program (`comm`, at most 15 bytes); nil when the process has ended already.
    package var program: String?

    package init(uid: UInt32, gid: UInt32, pid: Int32, program: String?) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.program = program
    }
}

/// The file operation behind a request.
package struct FileActivity: Sendable, Hashable {
    package enum Operation: String, Sendable {
        case create, open, truncate, mount, rewrap, check, initialize = "init"
        case createDomain = "domain-create"
    }
    package var operation: Operation
    /// The plaintext path below the mount's root; only where the mount was told to log paths.
    package var path: String?

    package init(operation: Operation, path: String? = nil) {
        self.operation = operation
        self.path = path
    }
}
