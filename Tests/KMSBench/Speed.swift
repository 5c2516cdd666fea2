import Cryptography
import Foundation
import KMSCore
import KMSModel

/// Operations a second of one thread, authorization and event included.
struct Speed {
    let seconds: Double
    /// What alone is to be measured.
    let name: String?

    private struct Trial {
        let name: String
        let operation: KMSOperation
        let input: Structure
        let caller: Caller
    }

    func run() throws {
        try withTrials { service, trials in
            for trial in trials where name.map(trial.name.hasPrefix) ?? true {
                line(
                    trial.name,
                    try callsPerSecond(
                        seconds, service, trial.operation, trial.input, as: trial.caller), "/s")
            }
        }
    }

    /// One line of JSON with rates and latencies, for Tools/bench.
    func report() throws {
        try withTrials { service, trials in
            let rows = try trials.map { trial in
                let latencies = try Latencies(
                    seconds, service, trial.operation, trial.input, as: trial.caller)
                return "{\"name\":\"\(trial.name)\",\(latencies.json)}"
            }
            print("[\(rows.joined(separator: ","))]")
        }
    }

    private func withTrials(_ body: (any KeyService, [Trial]) throws -> Void) throws {
        let bench = try BenchKeystore()
        let keystore = try bench.open()
        defer { keystore.close() }
        try body(keystore.service, try trials(keystore))
    }

    private func trials(_ keystore: Keystore) throws -> [Trial] {
        let service = keystore.service
        let owner = BenchKeystore.owner
        let key = try service.createKey(CreateKeyRequest(), as: owner).arn.description
        let user = Caller(
            principalARN: try keystore.createPrincipal(
                NewAccessKey(name: "bob"), as: owner
            ).principal.arn,
            process: nil, userAgent: "KMSBench")
        _ = try service.answer(
            .createGrant,
            Structure([
                .keyID: .text(key), .granteePrincipal: .text(user.principalARN),
                .operations: .texts(["Decrypt"]),
            ]), as: owner)
        let context = EncryptionContext([
            "keyfold:vault": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "keyfold:domain": "d1",
            "keyfold:file": "8f14e45fceea167a5a36dedd4bea2543",
        ])
        let blob = try service.generateDataKey(
            under: key, byteCount: 32, context: context, as: owner
        ).wrapped.blob
        let decrypt = Structure([
            .ciphertextBlob: .bytes(blob), .encryptionContext: .context(context),
        ])
        let dataKey = Structure([
            .keyID: .text(key), .keySpec: .text("AES_256"), .encryptionContext: .context(context),
        ])
        let encrypt = Structure([
            .keyID: .text(key), .plaintext: .secret(SecretBytes.random(count: 32)),
        ])
        return [
            Trial(
                name: "Decrypt by the owner", operation: .decrypt, input: decrypt, caller: owner),
            Trial(name: "Decrypt by a grant", operation: .decrypt, input: decrypt, caller: user),
            Trial(
                name: "GenerateDataKey", operation: .generateDataKey, input: dataKey, caller: owner
            ),
            Trial(
                name: "Encrypt, without a context", operation: .encrypt, input: encrypt,
                caller: owner),
            Trial(
                name: "DescribeKey", operation: .describeKey,
                input: Structure([.keyID: .text(key)]), caller: owner),
            try macTrial(service),
        ]
    }

    private func macTrial(_ service: any KeyService) throws -> Trial {
        let owner = BenchKeystore.owner
        let code = try service.answer(
            .createKey,
            Structure([.keySpec: .text("HMAC_256"), .keyUsage: .text("GENERATE_VERIFY_MAC")]),
            as: owner
        ).structure(.keyMetadata)
        return Trial(
            name: "GenerateMac", operation: .generateMAC,
            input: Structure([
                .keyID: code?[.keyID], .message: .secret(SecretBytes.random(count: 32)),
                .macAlgorithm: .text("HMAC_SHA_256"),
            ]), caller: owner)
    }
}

/// How long single calls took by the clock at the wall, and how many fit into a second of the
/// processor.
struct Latencies {
    private let perSecond: Double
    /// In nanoseconds, ascending.
    private let samples: [Int64]

    init(
        _ seconds: Double, _ service: any KeyService, _ operation: KMSOperation, _ input: Structure,
        as caller: Caller
    ) throws {
        var samples: [Int64] = []
        samples.reserveCapacity(Int(seconds * 400_000))
        let start = processorSeconds()
        var taken = 0.0
        while taken < seconds {
            for _ in 0..<256 {
                let begin = ContinuousClock.now
                _ = try service.answer(operation, input, as: caller)
                let (whole, rest) = (ContinuousClock.now - begin).components
                samples.append(whole * 1_000_000_000 + rest / 1_000_000_000)
            }
            taken = processorSeconds() - start
        }
        perSecond = Double(samples.count) / taken
        self.samples = samples.sorted()
    }

    private func microseconds(_ share: Double) -> Double {
        Double(samples[Int(Double(samples.count - 1) * share)]) / 1000
    }

    var json: String {
        String(
            format: "\"perSecond\":%.0f,\"p50Microseconds\":%.2f,\"p99Microseconds\":%.2f",
            perSecond, microseconds(0.5), microseconds(0.99))
    }
}
