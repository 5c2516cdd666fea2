import Foundation
import KMSModel
import KMSWire
import TestSupport
import Testing

/// botocore writes requests and we read them; we write answers and botocore reads them.
@Suite(.enabled(if: Botocore.isInstalled, "python3 has no botocore"))
struct BotocoreJSONTests {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Oracles/awsjson.py").path

    private static func oracle(
        _ words: [String], fed lines: [[String: Any]] = []
    ) throws -> [String] {
        let input = try lines.flatMap {
            try JSONSerialization.data(withJSONObject: $0) + [UInt8(ascii: "\n")]
        }
        return try Command(["python3", script] + words).fed(input).run().lines
    }

    @Test func `what botocore writes is read as it was meant`() throws {
        let lines = try Self.oracle(["requests", "5", "12"])
        #expect(lines.count >= 54 * 12)
        for line in lines {
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let target = try #require(object["target"] as? String)
            #expect(object["type"] as? String == "application/x-amz-json-1.1")
            let operation = try #require(
                KMSOperation(rawValue: String(target.dropFirst("TrentService.".count))))
            let body = try #require(object["body"] as? String)
            let structure = try JSONCodec.decode(body: bytes(body), as: operation.input)
            let expected = try Plain.text(of: try #require(object["plain"]))
            #expect(try Plain.text(structure) == expected, "\(target)")
        }
    }

    @Test func `what we write, botocore reads as it was meant`() throws {
        let names = Set(try Self.oracle(["names"]))
        let known = KMSOperation.allCases.filter { names.contains($0.rawValue) }
        #expect(known.count >= 54)
        var sampler = ShapeSampler(seed: 6)
        let lines = try known.flatMap { operation in
            try (0..<12).map { _ in
                let answer = sampler.structure(operation.output)
                return [
                    "operation": operation.rawValue, "plain": Plain.object(answer),
                    "body": hexadecimal(try JSONCodec.encode(answer, as: operation.output)),
                ] as [String: Any]
            }
        }
        #expect(try Self.oracle(["answers"], fed: lines) == [])
    }

    @Test func `botocore reads every error by its name and message`() throws {
        let errors = KMSError.Code.allCases.flatMap {
            [KMSError($0, "a \"message\" é"), KMSError($0)]
        }
        let answers = try Self.oracle(
            ["errors"],
            fed: errors.map { ["status": 400, "body": hexadecimal(JSONCodec.encode($0))] })
        #expect(answers.count == errors.count)
        for (error, answer) in zip(errors, answers) {
            let read = try TestSupport.JSON(answer)
            #expect(read["Code"].string == error.exceptionName)
            #expect(read["Message"].string == error.message)
        }
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String { hexText(bytes) }

private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.map { UInt8($0 > 57 ? $0 - 87 : $0 - 48) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
