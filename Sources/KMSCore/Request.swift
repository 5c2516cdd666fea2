internal import Cryptography
internal import KMSModel
internal import KMSStore

/// One request while it is worked on: what came in, and what its event will say.
struct Request {
    let operation: KMSOperation
    let input: Structure
    let caller: Caller
    /// When it came in.
    let reading: ClockReading
    var event: UsageEvent
    /// Of what the service does for the request in other Regions, in this order behind its own.
    var serviceEvents: [UsageEvent] = []
    private var loggedBytes = 0

    /// What the rules of the key policies and grants look at beside the request's own members.
    var facts = RequestFacts()

    /// The state that all of an operation works on, where more than one key must be of one time;
    /// nil where each look is for the newest one.
    var snapshot: KeystoreSnapshot?

    init(
        _ operation: KMSOperation, _ input: Structure, caller: Caller, scope: AccountScope,
        at reading: ClockReading
    ) {
        self.operation = operation
        self.input = input
        self.caller = caller
        self.reading = reading
        event = UsageEvent(
            eventID: RandomUUID.text(), eventTime: reading.wall, eventName: operation.rawValue,
            scope: scope, caller: caller)
        event.requestID = caller.requestID
        event.sourceIPAddress = caller.sourceAddress
        event.isReadOnly = operation.isReadOnly
        noteInput()
    }

    var now: Timestamp { reading.wall }

    // MARK: The event

    var events: [UsageEvent] { [event] + serviceEvents }

    /// CloudTrail's bound for a request's parameters, in bytes: what is beyond is left out. A
    /// request's form is checked later, so here it may still have any size.
    private static let parameterBytes = 102_400

    /// What CloudTrail shows of a request: its members, but no plaintext, ciphertext or token.
    private mutating func noteInput() {
        for (member, value) in input.members where !Request.isUnlogged(member) {
            // ReEncrypt has two contexts, each under its own name.
            if member == .encryptionContext, case .context(let context) = value,
                context.sizeBytes <= KMSLimit.encryptionContextBytes
            {
                event.encryptionContext = context
            } else if let logged = Request.logged(value) {
                note(member, logged)
            }
        }
    }

    private static func logged(_ value: Value) -> UsageEvent.Parameter.Value? {
        switch value {
        case .text(let text): .text(text)
        case .number(let number): .number(number)
        case .flag(let flag): .flag(flag)
        case .time(let time): .text(time.iso8601)
        // A context that is too long is refused, and a list of so many elements is none that is valid.
        case .context(let context) where context.sizeBytes > KMSLimit.encryptionContextBytes: nil
        case .context(let context): .map(context.pairs.map { .init($0.name, .text($0.value)) })
        case .list(let values): .list(values.prefix(1000).compactMap(logged))
        case .structure(let structure):
            .map(
                structure.members.compactMap { member, value in
                    logged(value).map { .init(member.lowerName, $0) }
                })
        case .bytes, .secret: nil
        }
    }

    /// What a request leaves out and the service takes for granted, as CloudTrail shows it.
    mutating func note(implied algorithm: EncryptionAlgorithm, _ member: Member) {
        if input[member] == nil { note(member, .text(algorithm.rawValue)) }
    }

    private static func isUnlogged(_ member: Member) -> Bool {
        member == .grantTokens || member == .grantToken || member == .keyStorePassword
    }

    private mutating func note(_ member: Member, _ value: UsageEvent.Parameter.Value) {
        loggedBytes += value.textBytes
        guard loggedBytes <= Request.parameterBytes else { return }
        event.requestParameters.append(.init(member.lowerName, value))
    }

    mutating func answer(_ name: String, _ text: String) { answer(name, .text(text)) }

    mutating func answer(_ name: String, _ value: UsageEvent.Parameter.Value) {
        event.responseElements.removeAll { $0.name == name }
        event.responseElements.append(.init(name, value))
    }

    /// A part of the answer, as CloudTrail shows it.
    mutating func answer(_ member: Member, _ structure: Structure) {
        guard let value = Request.logged(.structure(structure)) else { return }
        answer(member.lowerName, value)
    }

    /// What a change without an answer answers in its event: its key (AWS KMS developer guide,
    /// "CreateAlias": entries "include the key ARN of the affected KMS key in the
    /// responseElements.keyId value, even though this operation does not return the key ARN").
    mutating func answerAffectedKey() {
        guard !operation.isReadOnly, event.responseElements.isEmpty,
            let key = event.resources.first(where: { KeyARN($0) != nil })
        else { return }
        answer("keyId", key)
    }

    /// The key version that was used.
    mutating func note(_ material: MaterialRecord) {
        event.keyMaterialID = material.materialID
        event.keyVersion = material.version
    }

    /// The grant that allowed the request, where one did.
    mutating func note(_ authority: Decision.Authority) {
        if case .grant(let id) = authority { event.grantID = id.description }
    }

    // MARK: Members

    /// A text that the service model requires: the form was checked before.
    func text(_ member: Member) throws(KMSError) -> String {
        guard let text = input.text(member) else { throw Request.missing(member) }
        return text
    }

    func bytes(_ member: Member) throws(KMSError) -> [UInt8] {
        guard let bytes = input.bytes(member) else { throw Request.missing(member) }
        return bytes
    }

    func secret(_ member: Member) throws(KMSError) -> SecretBytes {
        guard let secret = input.secret(member) else { throw Request.missing(member) }
        return secret
    }

    func choice<Choice: RawRepresentable<String>>(
        _ member: Member, _: Choice.Type = Choice.self
    ) throws(KMSError) -> Choice {
        guard let choice = input.choice(member, Choice.self) else { throw Request.missing(member) }
        return choice
    }

    private static func missing(_ member: Member) -> KMSError {
        .validation("\(member.rawValue) is required.")
    }

    /// After everything was checked and before anything is done.
    ///
    /// - Throws: `DryRunOperationException` where the request only wants to know.
    func endDryRun() throws(KMSError) {
        guard input.flag(.dryRun) else { return }
        throw KMSError(
            .dryRun, "The request would have succeeded, but the DryRun option is set.")
    }
}

/// What a request is about, where its members do not say it.
struct RequestFacts {
    /// The permission, where it is not the operation's own name.
    var action: KMSAction?
    /// The context that authorization looks at.
    var context: EncryptionContext?
    /// The alias by which the key was named, as `alias/NAME`.
    var alias: AliasName?
    /// Of CreateGrant: the new grant.
    var grantTerms: GrantTerms?
    /// Of ReEncrypt: whether both keys are one.
    var isSameKey: Bool?
}

extension UsageEvent.Parameter.Value {
    /// The texts in it, names included.
    fileprivate var textBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .number, .flag: 0
        case .list(let values): values.reduce(0) { $0 + $1.textBytes }
        case .map(let members):
            members.reduce(0) { $0 + $1.name.utf8.count + $1.value.textBytes }
        }
    }
}
