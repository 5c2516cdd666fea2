import Foundation
import KMSModel
import KMSWire
import TestSupport
import Testing

/// botocore signs and we verify; we sign and botocore computes the same.
@Suite(.enabled(if: Botocore.isInstalled, "python3 has no botocore"))
struct BotocoreTests {
    private static let count = 400

    @Test func `what botocore signs is verified`() throws {
        let requests = try Botocore.signed(seed: 11, count: Self.count)
        #expect(requests.count == Self.count)
        let verifier = SigV4Verifier()
        for request in requests {
            let claim = try verifier.claim(of: request.head, now: request.time)
            #expect(claim.accessKeyID == request.accessKeyID)
            #expect(claim.scope.region == request.region)
            #expect(claim.sessionToken == request.token)
            try verifier.verify(claim, body: request.body, secret: secret(request.secret))
        }
    }

    @Test func `what we sign, botocore signs alike`() throws {
        var requests = try Botocore.signed(seed: 12, count: Self.count)
        for index in requests.indices {
            let own: Set = ["x-amz-date", "x-amz-security-token", "authorization"]
            requests[index].head.headers.removeAll { own.contains($0.name.lowercased()) }
            let request = requests[index]
            requests[index].head.headers += SigV4Signer(region: request.region).headers(
                for: request.head, body: request.body, credentials: request.credentials,
                at: request.time)
        }
        let answers = try Botocore.check(requests)
        #expect(answers.count == Self.count)
        for (request, answer) in zip(requests, answers) {
            let parts = answer.split(separator: " ")
            let authorization = request.head.headers.last?.value ?? ""
            #expect(
                authorization.hasSuffix("SignedHeaders=\(parts[0]), Signature=\(parts[1])"),
                "\(request.head)")
        }
    }
}

enum Botocore {
    struct Request {
        var head: HTTPRequestHead
        let body: [UInt8]
        let bodyText: String
        let accessKeyID: String
        let secret: String
        let token: String?
        let region: String
        let time: Timestamp

        var credentials: AWSCredentials {
            AWSCredentials(
                accessKeyID: accessKeyID, secretAccessKey: KMSWireTests.secret(secret),
                sessionToken: token)
        }
    }

    static let isInstalled =
        (try? Command("python3", "-c", "import botocore").result())?.succeeded ?? false
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Oracles/sigv4.py").path

    static func signed(seed: Int, count: Int) throws -> [Request] {
        let output = try Command("python3", script, "sign", "\(seed)", "\(count)").run().output
        return try TestSupport.JSON.lines(output).map { line in
            let bodyText = try #require(line["body"].string)
            return Request(
                head: HTTPRequestHead(
                    method: try #require(line["method"].string),
                    path: try #require(line["path"].string),
                    query: try #require(line["query"].string),
                    headers: try line["headers"].list.map {
                        HTTPHeader(try #require($0[0].string), try #require($0[1].string))
                    }),
                body: bytes(bodyText), bodyText: bodyText,
                accessKeyID: try #require(line["access"].string),
                secret: try #require(line["secret"].string), token: line["token"].string,
                region: try #require(line["region"].string),
                time: Timestamp(secondsSinceEpoch: Int64(try #require(line["time"].int))))
        }
    }

    /// The signed headers and the signature that botocore computes for each.
    static func check(_ requests: [Request]) throws -> [String] {
        let lines = try requests.map { request in
            try JSONSerialization.data(withJSONObject: [
                "method": request.head.method, "path": request.head.path,
                "query": request.head.query, "body": request.bodyText,
                "headers": request.head.headers.map { [$0.name, $0.value] },
                "access": request.accessKeyID, "secret": request.secret, "region": request.region,
            ])
        }
        let input = lines.flatMap { $0 + [UInt8(ascii: "\n")] }
        return try Command("python3", script, "check").fed(input).run().lines
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
