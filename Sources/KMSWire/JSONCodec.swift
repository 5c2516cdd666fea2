internal import Cryptography
package import KMSModel

/// AWS JSON 1.1: requests and answers as JSON objects, by the shapes of the service model.
///
/// Does no I/O and keeps nothing. Source: Smithy, "AWS JSON 1.1 protocol".
package enum JSONCodec {
    /// More than the largest request that AWS KMS's limits admit, written as wastefully as botocore
    /// writes it (`\uHHHH` for all that is not ASCII): half a megabyte for CreateKey with the
    /// longest policy, description and tags, or for GenerateDataKey with an attestation document
    /// and ten grant tokens.
    package static let maximumBodyBytes = 1 << 20
    /// The service model nests to 5; the rest is for members that we don't know and skip.
    package static let maximumDepth = 32

    /// Reads a request or an answer.
    ///
    /// Members that `shape` does not know are skipped, null is the same as absent, and no body at
    /// all is an empty structure. A member that stands there twice is refused. Secrets go into
    /// memory that is wiped; the body itself is the caller's to wipe.
    ///
    /// - Throws: ``KMSError`` with the code `.serialization`, in AWS's words where they are known.
    package static func decode(
        body: [UInt8], as shape: StructureShape
    ) throws(KMSError) -> Structure {
        guard body.count <= maximumBodyBytes else {
            throw .serialization("The body has more than \(maximumBodyBytes) bytes")
        }
        guard !body.isEmpty else { return Structure() }
        var reader = JSONReader(body, maximumDepth: maximumDepth)
        guard try reader.kind() == .object else {
            throw .serialization("Unexpected token received from parser")
        }
        let structure = try reader.structure(shape)
        try reader.expectEnd()
        return structure
    }

    /// Writes a request or an answer: its members in their order.
    ///
    /// What it answers may hold secrets, and is the caller's to wipe. No other copy of them is
    /// left.
    ///
    /// - Throws: ``KMSError`` with the code `.internalFailure` for a member that `shape` does not
    ///   have, or of another kind.
    package static func encode(
        _ structure: Structure, as shape: StructureShape
    ) throws(KMSError) -> [UInt8] {
        var writer = JSONWriter(capacity: JSONWriter.bound(structure))
        do throws(KMSError) {
            try writer.append(structure, shape)
        } catch {
            wipe(&writer.bytes)
            throw error
        }
        return writer.bytes
    }

    /// The body of an answer that is an error: `{"__type":"X","message":"…"}`, the message only
    /// where there is one.
    package static func encode(_ error: KMSError) -> [UInt8] {
        encodeError(error.exceptionName, error.message)
    }

    /// The same for an exception that the service model does not have.
    package static func encodeError(_ name: String, _ message: String) -> [UInt8] {
        var writer = JSONWriter(capacity: 64 + name.utf8.count + message.utf8.count)
        writer.append("{\"__type\":")
        writer.appendQuoted(name)
        if !message.isEmpty {
            writer.append(",\"message\":")
            writer.appendQuoted(message)
        }
        writer.append("}")
        return writer.bytes
    }

    /// What went wrong, out of the body of an answer that is no success.
    ///
    /// - Parameter typeHeader: X-Amzn-ErrorType, which goes before the body's `__type`.
    /// - Returns: nil when neither says anything that can be read.
    package static func decodeError(body: [UInt8], typeHeader: String? = nil) -> WireError? {
        let members: (type: String?, message: String?) =
            (try? errorMembers(body)) ?? (nil, nil)
        guard let type = typeHeader ?? members.type else { return nil }
        return WireError(type: type, message: members.message ?? "")
    }

    private static func errorMembers(
        _ body: [UInt8]
    ) throws(KMSError) -> (type: String?, message: String?) {
        guard body.count <= maximumBodyBytes else { return (nil, nil) }
        var reader = JSONReader(body, maximumDepth: maximumDepth)
        guard try reader.kind() == .object else { return (nil, nil) }
        var type: String?
        var message: String?
        try reader.open()
        var isFirst = true
        while try reader.hasNext(until: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            let name = try reader.string(try reader.memberName())
            guard try reader.kind() == .text else {
                try reader.skip()
                continue
            }
            let text = try reader.string(try reader.rawText())
            switch name {
            case "__type": type = text
            case "message", "Message": message = text
            default: break
            }
        }
        return (type, message)
    }
}

/// An error as a service sent it.
package struct WireError: Hashable, Sendable {
    /// The exception's name, without a namespace.
    package let name: String
    /// Empty when none was sent.
    package let message: String

    /// - Parameter type: as it was sent: `com.amazonaws.kms#NotFoundException:http://…`, of which
    ///   only the name counts (Smithy, "AWS JSON 1.1 protocol", operation error serialization).
    init(type: String, message: String) {
        let name = type.prefix { $0 != ":" }
        self.name = String(name.split(separator: "#").last ?? "")
        self.message = message
    }

    /// nil for exceptions that the model does not have.
    package var kmsError: KMSError? {
        KMSError.Code(rawValue: name).map { KMSError($0, message) }
    }
}
