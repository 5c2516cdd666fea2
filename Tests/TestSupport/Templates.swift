internal import Glibc
internal import Synchronization

/// What takes long to make, made once in a process; tests work on copies.
package enum Templates {
    private struct State {
        /// Of all templates, until the process ends.
        var base: TemporaryDirectory?
        var directories: [String: String] = [:]
    }

    private static let state = Mutex(State())

    /// The directory of what `make` put into it when it was first asked for. Nobody else writes there.
    package static func directory(
        for name: String, make: (_ directory: String) throws -> Void
    ) throws -> String {
        try state.withLock { state in
            if let directory = state.directories[name] { return directory }
            let directory = try base(&state).path + "/\(state.directories.count)"
            try Disk.makeDirectory(directory)
            do {
                try make(directory)
            } catch {
                try FileTree.remove(directory)
                throw error
            }
            state.directories[name] = directory
            return directory
        }
    }

    private static func base(_ state: inout State) throws -> TemporaryDirectory {
        if let base = state.base { return base }
        let base = try TemporaryDirectory(label: "templates-")
        state.base = base
        atexit { Templates.state.withLock { $0.base?.cleanUp() } }
        return base
    }
}
