/// One field of an HTTP header. Names are compared without regard to case.
package struct HTTPHeader: Sendable, Hashable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What a signature covers of a request beside its body, as it stands on the wire.
package struct HTTPRequestHead: Sendable {
    package var method: String
    /// The path before the question mark, percent-encoded as sent.
    package var path: String
    /// What follows the question mark, percent-encoded as sent; empty when there is none.
    package var query: String
    /// In the order of the wire; a name may occur several times.
    package var headers: [HTTPHeader]

    package init(
        method: String = "POST", path: String = "/", query: String = "", headers: [HTTPHeader]
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
    }
}
