import Cryptography
import Foundation
import KMSModel
import Testing

@testable import KMSWire

/// One case of Tests/Vectors/sigv4.txt.
struct SigV4Vector: CustomTestStringConvertible, Sendable {
    var testDescription = ""
    var head = HTTPRequestHead(method: "", path: "", headers: [])
    var body: [UInt8] = []
    var canonicalRequest = ""
    var signature = ""

    static let time = Timestamp(iso8601: "2015-08-30T12:36:00Z")
    static let region = "us-east-1"
    static let service = "service"

    static func load() throws -> [SigV4Vector] {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Vectors/sigv4.txt")
        var vectors: [SigV4Vector] = []
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            guard !line.hasPrefix("#"), let cut = line.firstRange(of: ": ") else { continue }
            let value = String(line[cut.upperBound...])
            if line.hasPrefix("case: ") { vectors.append(SigV4Vector()) }
            try vectors[vectors.count - 1].set(String(line[..<cut.lowerBound]), value)
        }
        try #require(vectors.count == 29)
        return vectors
    }

    private mutating func set(_ name: String, _ value: String) throws {
        switch name {
        case "case": testDescription = value
        case "method": head.method = value
        case "path": head.path = value
        case "query": head.query = value
        case "header":
            let cut = try #require(value.firstIndex(of: ":"))
            head.headers.append(
                HTTPHeader(String(value[..<cut]), String(value[value.index(after: cut)...])))
        case "body": body = Array(value.utf8)
        case "canonical":
            canonicalRequest = value.replacing("\\", with: "\n")
        case "signature": signature = value
        default: Issue.record("an unknown line: \(name)")
        }
    }

    func header(_ name: String) -> String? { head.headers.first { $0.name == name }?.value }

    /// The request without what a signer adds itself.
    var unsigned: HTTPRequestHead {
        var head = head
        head.headers.removeAll { ["X-Amz-Date", "X-Amz-Security-Token"].contains($0.name) }
        return head
    }

    var credentials: AWSCredentials {
        AWSCredentials(
            accessKeyID: "AKIDEXAMPLE",
            secretAccessKey: secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            sessionToken: header("X-Amz-Security-Token"))
    }
}

func secret(_ text: String) -> SecretBytes {
    var bytes = Array(text.utf8)
    return SecretBytes(consuming: &bytes)
}
