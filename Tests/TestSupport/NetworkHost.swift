/// A machine of its own, as far as a vault is concerned: a home directory, AWS credentials, and a
/// place where the vault is mounted.
package final class NetworkHost: @unchecked Sendable {
    // SAFETY: one test at a time works with it.
    package let home: String
    package let mountPoint: String
    private let vault: String
    private let variables: [String: String]
    private var watchdog: Watchdog?

    /// - Parameters:
    ///   - key: an access key's id and secret.
    ///   - variables: what else its programs find in their environment.
    package init(
        _ name: String, in directory: String, vault: String, key: (id: String, secret: String),
        variables more: [String: String] = [:]
    ) throws {
        home = directory + "/" + name
        mountPoint = home + "/mount"
        self.vault = vault
        try Disk.makeDirectory(home)
        try Disk.makeDirectory(mountPoint)
        variables = [
            "HOME": home, "XDG_CONFIG_HOME": "", "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret, "AWS_REGION": "us-east-1", "no_proxy": "*",
            "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "",
        ].merging(more) { $1 }
    }

    package func keyfold(_ words: String...) -> Command {
        Command([Program.keyfold] + words).with(variables).limited(toSeconds: 60)
    }

    package func mountCommand(_ options: String...) -> Command {
        let words = options.isEmpty ? [] : ["-o", options.joined(separator: ",")]
        return Command([Program.keyfold, "mount", vault, mountPoint] + words).with(variables)
            .limited(toSeconds: 60)
    }

    /// With `log_file`, whose path is answered.
    @discardableResult
    package func mount(_ options: String...) throws -> String {
        let log = home + "/log"
        let all = (options + ["log_file=\(log)"]).joined(separator: ",")
        try mountCommand(all).run()
        let daemons = Processes.withArgument(containing: mountPoint)
        guard let pid = daemons.first else { throw DeadlinePassed("the daemon of \(mountPoint)") }
        watchdog = Watchdog(pid: pid)
        return log
    }

    package func unmount() throws {
        try keyfold("unmount", mountPoint).run()
        watchdog = nil
    }

    package var isMounted: Bool {
        MountTable.mountPoints(below: mountPoint).contains(mountPoint)
    }

    package func path(_ name: String) -> String { mountPoint + "/" + name }
}
