internal import Platform

/// The variables that AWS's tools listen to.
package struct AWSEnvironment: Sendable {
    private let lookUp: @Sendable (String) -> String?

    /// - Parameter lookUp: a variable's value; unset and empty are the same to AWS's tools.
    package init(lookUp: @escaping @Sendable (String) -> String?) {
        self.lookUp = lookUp
    }

    package init(_ variables: [String: String]) {
        self.init { variables[$0] }
    }

    /// This process's own.
    package static let process = AWSEnvironment { EnvironmentVariable.value($0) }

    package subscript(name: String) -> String? {
        guard let value = lookUp(name), !value.isEmpty else { return nil }
        return value
    }

    /// A path that a variable gives, or one below the home directory; nil without either.
    func path(_ name: String, orBelowHome rest: String) -> String? {
        guard let given = self[name] else { return self["HOME"].map { "\($0)/\(rest)" } }
        guard given.hasPrefix("~/") else { return given }
        return self["HOME"].map { $0 + given.dropFirst(1) }
    }
}
