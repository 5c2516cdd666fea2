internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Platform

/// The file of a Unix socket.
struct UnixSocket {
    /// `sun_path` with its end mark (unix(7)).
    static let maximumPathBytes = 107

    let path: String

    /// Makes sure that the place is free: a socket that nobody answers at is left over from a
    /// server that was killed, and its file goes away when the place is taken.
    ///
    /// - Throws: ``ServerError/socketInUse(path:)``, ``ServerError/cannotListen(place:reason:)``.
    func checkFree() async throws(ServerError) {
        guard path.utf8.count <= Self.maximumPathBytes else {
            throw .cannotListen(
                place: path, reason: "a socket's path has at most \(Self.maximumPathBytes) bytes")
        }
        guard let file = try? Descriptor.open(path: path, OpenFlag.path | O_NOFOLLOW),
            let status = try? file.status()
        else { return }
        // S_IFSOCK (inode(7)).
        guard status.mode & 0o170000 == 0o140000, await !isAnswered() else {
            throw .socketInUse(path: path)
        }
    }

    /// Whether somebody listens, or may: a backlog that is full and a socket that is not ours to
    /// ask are no proof that nobody does.
    private func isAnswered() async -> Bool {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        do {
            try await bootstrap.connect(unixDomainSocketPath: path).get().close()
            return true
        } catch let error as IOError {
            return error.errnoCode != ECONNREFUSED && error.errnoCode != ENOENT
        } catch {
            return true
        }
    }

    /// Lets others connect as `mode` says. Before, only this process's user may.
    func setMode(_ mode: UInt32) throws(Errno) {
        try Descriptor.open(path: path, OpenFlag.path | O_NOFOLLOW).changeMode(to: mode)
    }
}
