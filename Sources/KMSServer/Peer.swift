package import KMSModel

/// Who is at the other end of a connection.
package enum Peer: Sendable, Hashable {
    /// Somebody at an IP address, who says who they are by a signature.
    case network(address: String, usesTLS: Bool = false)
    /// A process of this machine at the other end of a Unix socket. The kernel vouches for its user.
    case process(ProcessIdentity)

    /// Whether it is of this machine.
    package var isLocal: Bool {
        switch self {
        case .process: true
        case .network(let address, _):
            address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
        }
    }

    /// For a log: the address, or the process by user and number.
    package var text: String {
        switch self {
        case .network(let address, _): address
        case .process(let process): "uid \(process.uid) pid \(process.pid)"
        }
    }
}
