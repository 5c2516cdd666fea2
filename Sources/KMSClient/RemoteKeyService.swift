internal import Cryptography
package import KMSModel
internal import KMSWire
internal import Synchronization

/// AWS KMS's operations by another process or another machine: `keyfold serve`, or AWS KMS itself.
///
/// Thread-safe, and every call is over within ``Options/timeLimit``. While nobody answers, calls
/// fail at once but for one that tries (``ServiceOutage``), so that a mount is never slower than
/// one time limit; each endpoint by itself, for a Region that is gone says nothing about others. Who
/// asks is what the credentials say; of the ``Caller`` goes over the network
/// only what the User-Agent header holds.
package final class RemoteKeyService: KeyService {
    package struct Options: Sendable {
        /// For one call, all its attempts and waits included.
        package var timeLimit: Duration = .seconds(10)
        /// Keys of other accounts are refused before anything is sent (12 digits); nil allows all.
        ///
        /// Whoever can write the vault can name a key of an account of their own, which a service
        /// for everybody would gladly use.
        package var account: String?
        /// For keys that are not named by an ARN.
        package var region: String

        package init(region: String, account: String? = nil) {
            self.region = region
            self.account = account
        }
    }

    private let options: Options
    private let connect: @Sendable (_ region: String) throws(KMSError) -> KMSConnection
    private let targets = Mutex<[String: Target]>([:])

    /// Where requests for one Region go. Regions with one endpoint share what is known about it.
    private struct Target: Sendable {
        let connection: KMSConnection
        let outage: ServiceOutage
    }

    /// Key ARNs come from files, so the Regions that they name are counted.
    private static let maximumRegions = 32

    /// - Parameter connect: a connection whose requests are signed for that Region.
    package init(
        _ options: Options,
        connect: @escaping @Sendable (_ region: String) throws(KMSError) -> KMSConnection
    ) {
        self.options = options
        self.connect = connect
    }

    package func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        let target = try target(region: try region(of: input))
        var body = try JSONCodec.encode(input, as: operation.input)
        defer { wipe(&body) }
        let ticket = try target.outage.begin()
        let response: HTTPResponse
        do throws(ConnectionError) {
            response = try target.connection.call(
                operation.rawValue, body: body, isIdempotent: operation.mayBeRepeated,
                timeLimit: options.timeLimit, userAgent: caller.networkUserAgent
            ) { response in Self.wireError(response)?.name }
        } catch {
            let failure = KMSError(error, from: target.connection.endpoint)
            target.outage.end(ticket, error.isOutage ? failure : nil)
            throw failure
        }
        target.outage.end(ticket, nil)
        return try Self.structure(in: response, of: operation)
    }

    // MARK: Where to

    private func target(region: String) throws(KMSError) -> Target {
        if let target = targets.withLock({ $0[region] }) { return target }
        let new = try connect(region)
        return try targets.withLock { targets throws(KMSError) in
            if let target = targets[region] { return target }
            guard targets.count < Self.maximumRegions else {
                throw .limitExceeded(
                    "keys of more than \(Self.maximumRegions) Regions are named in this vault")
            }
            let neighbour = targets.values.first { $0.connection.endpoint == new.endpoint }
            let target = Target(connection: new, outage: neighbour?.outage ?? ServiceOutage())
            targets[region] = target
            return target
        }
    }

    /// The Region in which the request is to be carried out: the key's.
    private func region(of input: Structure) throws(KMSError) -> String {
        var region: String?
        for member in [Member.destinationKeyID, .keyID, .sourceKeyID, .targetKeyID] {
            guard let name = input.text(member) else { continue }
            let scope: AccountScope
            switch KeyReference(name) {
            case .keyARN(let arn): scope = arn.scope
            case .aliasARN(let aliasScope, _): scope = aliasScope
            case .keyID, .alias: continue
            case nil:
                // What can't be read can't be said to be of the account.
                if options.account != nil, name.hasPrefix("arn:") {
                    throw .accessDenied("\(name) can't be read, so its account is not known")
                }
                continue
            }
            if let account = options.account, account != scope.account {
                throw .accessDenied(
                    "\(name) is of another account than \(account), the one that is trusted")
            }
            region = region ?? scope.region
        }
        return region ?? options.region
    }

    // MARK: Answers

    private static func structure(
        in response: HTTPResponse, of operation: KMSOperation
    ) throws(KMSError) -> Structure {
        guard (200...299).contains(response.status) else {
            throw KMSError(wireError(response), status: response.status)
        }
        var body = response.body.copiedBytes()
        defer { wipe(&body) }
        do throws(KMSError) {
            return try JSONCodec.decode(body: body, as: operation.output)
        } catch {
            throw .internalFailure(
                "the key service's answer to \(operation.rawValue) can't be read: \(error.message)")
        }
    }

    private static func wireError(_ response: HTTPResponse) -> WireError? {
        var body = response.body.copiedBytes()
        defer { wipe(&body) }
        return JSONCodec.decodeError(
            body: body, typeHeader: response.header("x-amzn-ErrorType"))
    }
}

extension KMSOperation {
    /// Whether carrying it out twice does what once does. The others are not sent again once they
    /// may have arrived: a second key, a second rotation, or an error for what has succeeded.
    var mayBeRepeated: Bool {
        switch self {
        case .decapsulate, .decrypt, .deriveSharedSecret, .describeCustomKeyStores, .describeKey,
            .disableKey, .disableKeyRotation, .enableKey, .enableKeyRotation, .encapsulate,
            .encrypt, .generateDataKey, .generateDataKeyPair,
            .generateDataKeyPairWithoutPlaintext, .generateDataKeyWithoutPlaintext, .generateMAC,
            .generateRandom, .getKeyLastUsage, .getKeyPolicy, .getKeyRotationStatus,
            .getParametersForImport, .getPublicKey, .listAliases, .listGrants, .listKeyPolicies,
            .listKeyRotations, .listKeys, .listResourceTags, .listRetirableGrants, .putKeyPolicy,
            .reEncrypt, .sign, .tagResource, .untagResource, .updateAlias, .updateKeyDescription,
            .verify, .verifyMAC:
            true
        case .cancelKeyDeletion, .connectCustomKeyStore, .createAlias, .createCustomKeyStore,
            .createGrant, .createKey, .deleteAlias, .deleteCustomKeyStore,
            .deleteImportedKeyMaterial, .disconnectCustomKeyStore, .importKeyMaterial,
            .replicateKey, .retireGrant, .revokeGrant, .rotateKeyOnDemand, .scheduleKeyDeletion,
            .updateCustomKeyStore, .updatePrimaryRegion:
            false
        }
    }
}

extension Caller {
    /// What the service's log shows of the process behind a mount's request, in the form of AWS's
    /// user agents: `keyfoldfs/0.1.0 op/open uid/1000`. No path and no program's name, which may be
    /// anything.
    var networkUserAgent: String {
        var words = [userAgent]
        if let fileActivity { words.append("op/\(fileActivity.operation.rawValue)") }
        if let process { words.append("uid/\(process.uid)") }
        return words.joined(separator: " ")
    }
}
