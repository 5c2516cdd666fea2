import ArgumentParser
import Console
import KMSModel

struct KeyImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring a key's material from outside.",
        discussion: """
            A key made with 'keyfold key create --external' waits for its material: \
            'import parameters' writes a public key and a token; wrap the material with the \
            public key, for example
              openssl pkeyutl -encrypt -pubin -inkey PUBLIC -keyform DER -in MATERIAL -out WRAPPED \
            -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256
            and give wrapped material and token to 'import material'.
            """,
        subcommands: [ImportParameters.self, ImportMaterial.self, ImportDelete.self])
}

struct ImportParameters: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parameters", abstract: "Write a wrapping key and an import token.",
        discussion: "Both are good for 24 hours.")

    @OptionGroup var key: KeyArgument

    @Argument(help: "Where the public key goes, in DER.", completion: .file())
    var publicKey: String

    @Argument(help: "Where the import token goes.", completion: .file())
    var token: String

    @Option(help: ArgumentHelp("How the material will be wrapped.", valueName: "algorithm"))
    var algorithm = WrappingAlgorithm.rsaesOaepSha256

    @Option(help: ArgumentHelp("The wrapping key's kind.", valueName: "spec"))
    var wrappingKeySpec = WrappingKeySpec.rsa4096

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if publicKey == token {
            throw ValidationError("PUBLIC and TOKEN are two files.")
        }
    }

    func run() throws {
        // Nothing is asked for that would have no place.
        for path in [publicKey, token] { try PlainFile.requireAbsence(of: path) }
        try common.withSession { session throws(Failure) in
            let input = Structure([
                .keyID: .text(try session.keyID(of: key.name)),
                .wrappingAlgorithm: .choice(algorithm),
                .wrappingKeySpec: .choice(wrappingKeySpec),
            ])
            let answer = try session.ask(about: key.name) { service, caller throws(KMSError) in
                try service.answer(.getParametersForImport, input, as: caller)
            }
            // The service model has this public key among what is sensitive.
            guard let key = answer.secret(.publicKey), let importToken = answer.bytes(.importToken)
            else { preconditionFailure("BUG: an answer without its key and token") }
            try PlainFile.create(publicKey, key.copiedBytes())
            try PlainFile.create(token, importToken)
            common.output.notice("\(publicKey) and \(token) are written")
        }
    }
}

struct ImportMaterial: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "material", abstract: "Give a key its material.")

    @OptionGroup var key: KeyArgument

    @Argument(help: "The wrapped material.", completion: .file())
    var wrapped: String

    @Argument(help: "The import token that goes with the wrapping key.", completion: .file())
    var token: String

    @Option(
        help: ArgumentHelp("When the material is to expire (default: never).", valueName: "time"))
    var validTo: String?

    @Flag(help: "Material for a rotation on demand, beside the one that is there.")
    var new = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        var expiry: Timestamp?
        if let validTo {
            guard let time = Timestamp(iso8601: validTo) else {
                throw Failure(.usage, validTo, "this is no time; write it as 2027-01-31T00:00:00Z")
            }
            expiry = time
        }
        let material = try PlainFile.contents(of: wrapped, limitBytes: 6145)
        let importToken = try PlainFile.contents(of: token, limitBytes: 6145)
        try common.withSession { session throws(Failure) in
            let input = Structure([
                .keyID: .text(try session.keyID(of: key.name)),
                .importToken: .bytes(importToken), .encryptedKeyMaterial: .bytes(material),
                .expirationModel: .choice(
                    expiry == nil
                        ? ExpirationModel.keyMaterialDoesNotExpire : .keyMaterialExpires),
                .validTo: expiry.map(Value.time),
                .importType: new ? .choice(ImportType.newKeyMaterial) : nil,
            ])
            try session.ask(about: key.name) { service, caller throws(KMSError) in
                _ = try service.answer(.importKeyMaterial, input, as: caller)
            }
            common.output.notice("\(key.name) has its material")
        }
    }
}

struct ImportDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a key's imported material; the key stays.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "has no material; import the same again to use it") {
            service, id, caller throws(KMSError) in
            _ = try service.answer(
                .deleteImportedKeyMaterial, Structure([.keyID: .text(id)]), as: caller)
        }
    }
}

extension WrappingAlgorithm: ExpressibleByArgument {}
extension WrappingKeySpec: ExpressibleByArgument {}
