internal import Cryptography
package import KMSModel
package import KMSWire
internal import Platform

/// Finds credentials where AWS's tools do, and finds new ones before these expire.
///
/// In this order: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN); the keys in
/// the profile; the profile's `credential_process`. A profile that gets its credentials in another
/// way (SSO, assumed roles, instance metadata) is refused, never passed over.
///
/// Thread-safe. One thread loads, the others wait only when there is nothing to use meanwhile.
package final class AWSCredentialSource: Sendable {
    /// A helper may ask the person for a code.
    package static let processSeconds = 60
    static let processAnswerBytes = 65_536

    /// Settings that say how a profile gets its credentials, and that are not ours.
    static let unsupportedSettings = [
        "role_arn", "source_profile", "credential_source", "web_identity_token_file",
        "sso_session", "sso_start_url", "sso_account_id", "login_session",
    ]

    fileprivate struct State {
        var refresh = CredentialRefresh()
        var credentials: AWSCredentials?
        var failure: CredentialError?
    }

    private let environment: AWSEnvironment
    private let profileName: String?
    private let clock: any WallClock
    private let state = Monitor(State())

    /// - Parameter profile: goes before AWS_PROFILE, and then before the keys in the environment.
    package init(
        environment: AWSEnvironment = .process, profile: String? = nil, clock: any WallClock
    ) {
        self.environment = environment
        profileName = profile
        self.clock = clock
    }

    /// Credentials that have not expired.
    ///
    /// - Throws: why there are none. While a load has failed lately, the same failure again.
    package func credentials() throws(CredentialError) -> AWSCredentials {
        let decision: Result<AWSCredentials?, CredentialError> = state.wait { state in
            let action = state.refresh.action(now: self.clock.now())
            switch action {
            case .use: return state.credentials.map { .success($0) }
            case .wait: return nil
            case .fail: return .failure(state.failure ?? .noCredentials)
            case .load:
                state.refresh.isLoading = true
                return .success(nil)
            }
        }
        if let ready = try decision.get() { return ready }
        let result = loaded()
        return try state.withLock { state throws(CredentialError) in
            try state.take(result, now: clock.now())
        }
    }

    /// Forgets credentials that a service did not recognize, so that the next request loads them
    /// anew: a file may have new ones. Others, loaded meanwhile, stay.
    package func discard(_ credentials: AWSCredentials) {
        state.withLock { state in
            guard let held = state.credentials, held.accessKeyID == credentials.accessKeyID,
                held.secretAccessKey.isEqual(to: credentials.secretAccessKey),
                held.sessionToken == credentials.sessionToken
            else { return }
            state.credentials = nil
            state.refresh.held = .nothing
        }
    }

    private func loaded() -> Result<AWSCredentials, CredentialError> {
        do throws(CredentialError) {
            return .success(try load())
        } catch {
            return .failure(error)
        }
    }
}

extension AWSCredentialSource.State {
    /// Takes a load's result in; what still serves stays when the load failed.
    fileprivate mutating func take(
        _ result: Result<AWSCredentials, CredentialError>, now: Timestamp
    ) throws(CredentialError) -> AWSCredentials {
        refresh.isLoading = false
        do throws(CredentialError) {
            let new = try result.get()
            if let end = new.expiration, end <= now { throw .expired(end) }
            credentials = new
            refresh.held = new.expiration.map { .until($0) } ?? .lasting
            (refresh.loadedAt, refresh.failedAt, failure) = (now, nil, nil)
            return new
        } catch {
            (refresh.failedAt, failure) = (now, error)
            if let credentials, refresh.isUsable(now: now) { return credentials }
            throw error
        }
    }
}

// MARK: - The places that are asked

extension AWSCredentialSource {
    /// What is found, if it can stand in a header.
    private func load() throws(CredentialError) -> AWSCredentials {
        let found = try find()
        guard Self.isHeaderWord(found.accessKeyID, most: 128, besides: "_") else {
            throw .malformedSetting("the AWS access key id")
        }
        if let token = found.sessionToken, !Self.isHeaderWord(token, most: 8192, besides: "_-+/=.:")
        {
            throw .malformedSetting("the AWS session token")
        }
        return found
    }

    private static func isHeaderWord(_ text: String, most: Int, besides others: String) -> Bool {
        (1...most).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || others.utf8.contains(byte)
            }
    }

    private func find() throws(CredentialError) -> AWSCredentials {
        if profileName == nil, let found = try fromEnvironment() { return found }
        let profile = try AWSProfile.load(environment, name: profileName)
        for setting in Self.unsupportedSettings where profile.text(setting) != nil {
            throw .unsupported(profile: profile.name, setting: setting)
        }
        if let found = try fromKeys(of: profile) { return found }
        if let command = profile.text("credential_process") {
            return try fromProcess(command, of: profile)
        }
        throw .noCredentials
    }

    private func fromEnvironment() throws(CredentialError) -> AWSCredentials? {
        let (idName, secretName) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        let secret = environment[secretName]
        guard let id = environment[idName] else {
            if secret != nil { throw .incomplete(source: secretName, missing: idName) }
            return nil
        }
        guard let secret else { throw .incomplete(source: idName, missing: secretName) }
        var bytes = Array(secret.utf8)
        return AWSCredentials(
            accessKeyID: id, secretAccessKey: SecretBytes(consuming: &bytes),
            sessionToken: environment["AWS_SESSION_TOKEN"],
            expiration: try expiration(of: environment))
    }

    private func expiration(
        of environment: AWSEnvironment
    ) throws(CredentialError) -> Timestamp? {
        let name = "AWS_CREDENTIAL_EXPIRATION"
        guard let text = environment[name] else { return nil }
        guard let time = Timestamp(offsetISO8601: text) else { throw .malformedSetting(name) }
        return time
    }

    private func fromKeys(of profile: AWSProfile) throws(CredentialError) -> AWSCredentials? {
        let (idName, secretName) = ("aws_access_key_id", "aws_secret_access_key")
        let secret = profile.secret(secretName)
        guard let id = profile.text(idName) else {
            if secret != nil { throw .incomplete(source: secretName, missing: idName) }
            return nil
        }
        guard let secret else { throw .incomplete(source: idName, missing: secretName) }
        return AWSCredentials(
            accessKeyID: id, secretAccessKey: secret,
            sessionToken: profile.text("aws_session_token"))
    }

    private func fromProcess(
        _ command: String, of profile: AWSProfile
    ) throws(CredentialError) -> AWSCredentials {
        guard let words = CommandWords.split(command) else {
            throw .malformedCommand(profile: profile.name)
        }
        let path = words[0].contains("/") ? words[0] : ChildProcess.find(words[0])
        guard let path else { throw .noSuchProgram(words[0]) }
        var output = try Self.output(of: path, Array(words.dropFirst()))
        defer { wipe(&output.bytes) }
        guard output.status == 0 else {
            throw .processFailed(program: path, .exit(status: output.status))
        }
        do throws(CredentialProcessAnswer.Fault) {
            return try CredentialProcessAnswer.parse(output.bytes)
        } catch {
            throw .processFailed(program: path, .malformedAnswer(error))
        }
    }

    private static func output(
        of path: String, _ arguments: [String]
    ) throws(CredentialError) -> ChildProcess.Output {
        do throws(ChildProcess.OutputFailure) {
            return try ChildProcess.output(
                of: path, arguments, limitBytes: processAnswerBytes,
                deadline: ContinuousClock.now.advanced(by: .seconds(processSeconds)))
        } catch {
            switch error {
            case .system(let errno): throw .processFailed(program: path, .system(errno))
            case .timedOut:
                throw .processFailed(program: path, .timedOut(seconds: processSeconds))
            case .tooLong(let limit):
                throw .processFailed(program: path, .tooLong(limitBytes: limit))
            }
        }
    }
}
