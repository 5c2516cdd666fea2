import KMSModel
import KMSWire

/// Every operation's request and answer; an input's first byte chooses among them.
private let shapes = KMSOperation.allCases.flatMap { [$0.input, $0.output] }

private func sample(_ shape: StructureShape, _ json: String) -> [UInt8] {
    let index = shapes.firstIndex { $0 === shape } ?? 0
    return [UInt8(index)] + Array(json.utf8)
}

private func requests() -> [[UInt8]] {
    [
        sample(
            .decryptRequest,
            #"{"CiphertextBlob":"AQIDBA==","EncryptionContext":{"a":"1","\u00e9":"\ud83d\ude00"},"GrantTokens":["t"],"DryRun":null}"#
        ),
        sample(.encryptRequest, #"{"KeyId":"alias/a","Plaintext":"c2Vj\/2V0"}"#),
        sample(
            .createKeyRequest,
            #"{"Policy":"{\"Version\":\"2012-10-17\"}","Tags":[{"TagKey":"a","TagValue":""}],"MultiRegion":true}"#
        ),
        sample(
            .createGrantRequest,
            #"{"KeyId":"k","Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"a":"b"}}}"#
        ),
        sample(
            .importKeyMaterialRequest,
            #" { "ValidTo" : 1732447558.5 , "Unknown" : [ { "x" : -1.5e+3 } , false ] } "#),
        sample(
            .describeKeyResponse,
            #"{"KeyMetadata":{"KeyId":"k","CreationDate":1732447558,"Enabled":false,"SigningAlgorithms":[]}}"#
        ),
        sample(
            .createCustomKeyStoreRequest, #"{"KeyStorePassword":"p\u0061\u00df","Limit":"x"}"#),
        sample(.listKeysRequest, "{\"Limit\":1e3}"),
    ]
}

let wireTargets = [
    FuzzTarget(name: "json-request", samples: requests) { bytes in
        guard let first = bytes.first else { return }
        let shape = shapes[Int(first) % shapes.count]
        guard
            let structure = try? JSONCodec.decode(body: Array(bytes.dropFirst()), as: shape)
        else { return }
        guard let body = try? JSONCodec.encode(structure, as: shape),
            let again = try? JSONCodec.decode(body: body, as: shape),
            let second = try? JSONCodec.encode(again, as: shape)
        else { preconditionFailure("FOUND: what was read can't be written and read again") }
        sameBytes(second, body, "a request")
    }
]
