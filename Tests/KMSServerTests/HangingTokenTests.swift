import TestSupport
import Testing

@testable import KMSServer

/// A token whose library does not answer, behind a server.
@Suite struct HangingTokenTests {
    private static let workers = 8

    @Test func `of the workers a key store gets a quarter, and one at least`() {
        var limits = ServerLimits()
        for (workers, share) in [(1, 1), (2, 1), (7, 1), (8, 2), (64, 16)] {
            limits.workers = workers
            #expect(limits.workersAtOneSlowWork == share)
        }
    }

    @Test func `a token that hangs holds up neither other requests nor the server's end`() throws {
        let served = try Served(by: "generator waits", "--workers", "\(Self.workers)")
        let drawing = try (0..<3 * Self.workers).map { _ in
            try served.request("GenerateRandom", served.drawing).start()
        }
        // Two are with the token, and wait there for their time.
        let isBounded = try Deadline.wait(seconds: 20) {
            try drawing.count { try $0.outputText().contains("ThrottlingException") }
                == drawing.count - Self.workers / 4
        }
        #expect(isBounded)
        let listed = try served.ask("ListKeys", "{}")
        #expect(listed["Keys"].list.count == 1, "\(listed)")
        #expect(try served.keystore.stop() == 0)
    }

    @Test func `a token that hangs when it is logged out does not hold up the server's end`()
        throws
    {
        let served = try Served(by: "logout waits")
        let drawn = try served.ask("GenerateRandom", served.drawing)
        #expect(drawn["Plaintext"].string != nil, "\(drawn)")
        #expect(try served.keystore.stop() == 0)
    }
}

/// A server with a custom key store that is connected, as its owner sees it.
private struct Served {
    let keystore: ServedKeystore
    let drawing: String
    private let socket: String

    /// - Parameter behaviour: what the token does wrong.
    init(by behaviour: String, _ options: String...) throws {
        keystore = try ServedKeystore()
        let cluster = try keystore.addHostileToken(behaviour)
        socket = keystore.directory.path + "/kms.sock"
        try keystore.serve(
            at: "127.0.0.1:0",
            ["--unix", socket, "--request-timeout", "5", "--grace", "1"] + options)
        let made = try Served.request(
            socket, "CreateCustomKeyStore",
            """
            {"CustomKeyStoreName": "store", "CloudHsmClusterId": "\(cluster)",
            "KeyStorePassword": "12345678", "TrustAnchorCertificate": "anchor"}
            """
        ).run().output
        let id = try #require(try TestSupport.JSON(made)["CustomKeyStoreId"].string, "\(made)")
        drawing = #"{"NumberOfBytes": 8, "CustomKeyStoreId": "\#(id)"}"#
        try Served.request(
            socket, "ConnectCustomKeyStore", #"{"CustomKeyStoreId": "\#(id)"}"#
        ).run()
    }

    func request(_ operation: String, _ input: String) -> Command {
        Served.request(socket, operation, input)
    }

    func ask(_ operation: String, _ input: String) throws -> TestSupport.JSON {
        try TestSupport.JSON(try request(operation, input).run().output)
    }

    private static func request(
        _ socket: String, _ operation: String, _ input: String
    ) -> Command {
        Command(
            "curl", "--silent", "--show-error", "--max-time", "30", "--unix-socket", socket,
            "http://localhost/", "--header", "X-Amz-Target: TrentService.\(operation)", "--header",
            "Content-Type: application/x-amz-json-1.1", "--data", input)
    }
}
