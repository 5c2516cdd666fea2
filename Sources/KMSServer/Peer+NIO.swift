internal import Glibc
internal import KMSModel
internal import NIOCore
internal import Platform

extension Peer {
    /// - Throws: when the connection has ended.
    init(of channel: any Channel, at listener: Listener) async throws {
        switch listener.place {
        case .network:
            self = .network(
                address: channel.remoteAddress?.ipAddress ?? "", usesTLS: listener.tls != nil)
        case .socket:
            let credentials = try await PeerCredentials.of(channel)
            self = .process(
                ProcessIdentity(
                    uid: credentials.uid, gid: credentials.gid, pid: credentials.pid,
                    program: ProcessTable.programName(of: credentials.pid)))
        }
    }
}

/// `struct ucred` (unix(7)): the process that made the connection, as it was then.
private struct PeerCredentials: Sendable {
    let pid: Int32
    let uid: UInt32
    let gid: UInt32

    static func of(_ channel: any Channel) async throws -> PeerCredentials {
        guard let socket = channel as? any SocketOptionProvider else {
            throw ChannelError.operationUnsupported
        }
        // SO_PEERCRED fills exactly the three numbers above, in this order.
        return try await socket.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        ).get()
    }
}
