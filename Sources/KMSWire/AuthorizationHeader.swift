internal import Cryptography

/// The Authorization header in its parts:
/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=…`
///
/// Commas and spaces both divide, as AWS takes it; values hold neither.
struct AuthorizationHeader {
    let algorithm: ArraySlice<UInt8>
    /// Empty when it is absent, which is all the same.
    private(set) var credential: ArraySlice<UInt8> = []
    private(set) var signedHeaders: ArraySlice<UInt8> = []
    private(set) var signature: ArraySlice<UInt8> = []
    private let bytes: [UInt8]

    /// - Throws: ``SigV4Failure/missingAuthenticationToken`` for a scheme of somebody else, and
    ///   failures of form. Which parameters are there is asked afterwards.
    init(_ text: String) throws(SigV4Failure) {
        bytes = Array(text.utf8)
        var rest = bytes[...]
        algorithm = Self.nextWord(&rest)
        guard algorithm.starts(with: "AWS4-".utf8) else { throw .missingAuthenticationToken }
        while true {
            let word = Self.nextWord(&rest)
            if word.isEmpty { return }
            try add(word)
        }
    }

    private mutating func add(_ word: ArraySlice<UInt8>) throws(SigV4Failure) {
        guard let cut = word.firstIndex(of: UInt8(ascii: "=")) else {
            throw .malformedParameter(authorizationDigest: digest)
        }
        let value = word[(cut + 1)...]
        let name = String(decoding: word[..<cut], as: UTF8.self)
        switch SigV4Failure.Parameter(rawValue: name) {
        case .credential where credential.isEmpty: credential = value
        case .signedHeaders where signedHeaders.isEmpty: signedHeaders = value
        case .signature where signature.isEmpty: signature = value
        default: throw .unexpectedParameter(authorizationDigest: digest)
        }
    }

    /// Empty at the end.
    private static func nextWord(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isDivider = { (byte: UInt8) in
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
        }
        let word = rest.drop(while: isDivider).prefix { !isDivider($0) }
        rest = rest[word.endIndex...]
        return word
    }

    /// The header's SHA-256 in base 64: what of it may stand in an answer.
    var digest: String { base64(SHA256.hash(bytes)) }

    var missingParameters: [SigV4Failure.Parameter] {
        SigV4Failure.Parameter.allCases.filter { parameter in
            switch parameter {
            case .credential: credential.isEmpty
            case .signature: signature.isEmpty
            case .signedHeaders: signedHeaders.isEmpty
            }
        }
    }
}
