internal import Glibc
internal import KMSModel
internal import NIOCore
internal import Platform

/// Where a connection comes from, as it was when it was made.
enum Origin: Sendable {
    case network(address: String, usesTLS: Bool)
    case socket(PeerCredentials)

    static func of(_ channel: any Channel, at listener: Listener) -> EventLoopFuture<Origin> {
        switch listener.place {
        case .network:
            channel.eventLoop.makeSucceededFuture(
                .network(
                    address: channel.remoteAddress?.ipAddress ?? "", usesTLS: listener.tls != nil))
        case .socket: PeerCredentials.of(channel).map(Origin.socket)
        }
    }

    /// Who is there now: a process may have become another program.
    var peer: Peer {
        switch self {
        case .network(let address, let usesTLS): .network(address: address, usesTLS: usesTLS)
        case .socket(let credentials):
            .process(
                ProcessIdentity(
                    uid: credentials.uid, gid: credentials.gid, pid: credentials.pid,
                    program: ProcessTable.programName(of: credentials.pid)))
        }
    }
}

/// `struct ucred` (unix(7)): the process that made the connection, as it was then.
struct PeerCredentials: Sendable {
    let pid: Int32
    let uid: UInt32
    let gid: UInt32

    static func of(_ channel: any Channel) -> EventLoopFuture<PeerCredentials> {
        guard let socket = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        // SO_PEERCRED fills exactly the three numbers above, in this order.
        return socket.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
    }
}
