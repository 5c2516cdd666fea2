package import KMSModel
package import Platform

/// Why there are no credentials, Region or endpoint to make a request with.
///
/// Messages: lower case, no full stop, and never a secret.
package enum CredentialError: Error, Hashable, Sendable {
    /// No place that is asked has any.
    case noCredentials
    /// One half of a pair is there. Both by the names that the person knows.
    case incomplete(source: String, missing: String)
    case noSuchProfile(String)
    case unreadable(path: String, Errno)
    case malformed(path: String, AWSConfigSyntaxError)
    /// A profile that gets its credentials in a way that is not ours.
    case unsupported(profile: String, setting: String)
    case malformedCommand(profile: String)
    case noSuchProgram(String)
    case processFailed(program: String, ProcessFault)
    case expired(Timestamp)
    case noRegion
    /// A setting has a value that it cannot have; the name is the person's, the value is not said.
    case malformedSetting(String)

    package enum ProcessFault: Hashable, Sendable {
        case system(Errno)
        case timedOut(seconds: Int)
        case tooLong(limitBytes: Int)
        case exit(status: Int32)
        case malformedAnswer(CredentialProcessAnswer.Fault)
    }

    package var message: String {
        switch self {
        case .noCredentials: "there are no AWS credentials"
        case .incomplete(let source, let missing): "\(source) is set, but \(missing) is not"
        case .noSuchProfile(let name): "there is no AWS profile '\(name)'"
        case .unreadable(let path, let errno): "\(path) cannot be read: \(errno)"
        case .malformed(let path, let error):
            "\(path), line \(error.line): \(error.fault.rawValue)"
        case .unsupported(let profile, let setting):
            "the AWS profile '\(profile)' gets its credentials by \(setting), which is not "
                + "supported"
        case .malformedCommand(let profile):
            "credential_process of the AWS profile '\(profile)' is no command"
        case .noSuchProgram(let name): "credential_process: there is no program '\(name)'"
        case .processFailed(let program, let fault):
            "credential_process '\(program)' \(fault.message)"
        case .expired(let time): "the AWS credentials expired at \(time.iso8601)"
        case .noRegion: "there is no AWS Region"
        case .malformedSetting(let name): "\(name) has a value that it cannot have"
        }
    }

    /// What the person can do; nil when the message says it.
    package var hint: String? {
        switch self {
        case .noCredentials:
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile to "
                + "~/.aws/credentials and name it in AWS_PROFILE; instance and container roles "
                + "(IMDS), SSO and assumed roles (STS) are not asked"
        case .unsupported:
            "SSO, assumed roles (STS) and instance or container roles (IMDS) are not supported; "
                + "'aws configure export-credentials --format process' works as a "
                + "credential_process of another profile"
        case .noSuchProfile:
            "AWS_PROFILE names the profile; 'aws configure list-profiles' lists them"
        case .incomplete, .malformedCommand, .processFailed, .noSuchProgram:
            "see the AWS SDKs and Tools reference guide, \"Settings reference\""
        case .expired: "get new ones, and try again"
        case .noRegion: "set AWS_REGION, or region in the profile"
        case .unreadable, .malformed, .malformedSetting: nil
        }
    }
}

extension CredentialError.ProcessFault {
    package var message: String {
        switch self {
        case .system(let errno): "cannot be run: \(errno)"
        case .timedOut(let seconds): "did not answer within \(seconds) s"
        case .tooLong(let limitBytes): "answered more than \(limitBytes) bytes"
        case .exit(let status): "ended with status \(status)"
        case .malformedAnswer(let fault): "gave no credentials: \(fault.rawValue)"
        }
    }
}

extension CredentialError: CustomStringConvertible {
    package var description: String { message }
}
