/// A place where the server listens.
package struct Listener: Sendable, Hashable {
    package enum Place: Sendable, Hashable {
        /// A name or an IP address; port 0 takes any that is free.
        case network(host: String, port: Int)
        /// The path of a Unix socket, and who may connect to it, as the mode of a file.
        case socket(path: String, mode: UInt32)
    }

    package enum Role: Sendable, Hashable {
        /// Requests to KMS, health, and for peers on this machine the numbers.
        case keys
        /// Health and numbers, for everyone, and nothing else.
        case numbers
    }

    package let place: Place
    package let role: Role
    /// nil for a connection in the clear.
    package let tls: TLSFiles?

    package init(_ place: Place, role: Role = .keys, tls: TLSFiles? = nil) {
        self.place = place
        self.role = role
        self.tls = tls
    }
}

/// A server's certificate, with those that vouch for it behind it, and its key: paths of PEM files.
package struct TLSFiles: Sendable, Hashable {
    package let certificates: String
    package let key: String

    package init(certificates: String, key: String) {
        self.certificates = certificates
        self.key = key
    }
}

/// Why the server can't start.
package enum ServerError: Error, Sendable {
    /// A PEM file can't be read, or holds something else.
    case unusableTLS(path: String, reason: String)
    /// The certificate is somebody else's, or the key does not fit.
    case unusableTLSPair(reason: String)
    case cannotListen(place: String, reason: String)
    /// Another server answers at this Unix socket, or the path is something else.
    case socketInUse(path: String)
}
