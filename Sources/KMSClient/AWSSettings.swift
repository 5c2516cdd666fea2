/// Where requests go, by what AWS's tools are told: environment first, then the profile.
///
/// Source: AWS SDKs and Tools reference guide, "AWS Region", "Service-specific endpoints",
/// "FIPS endpoints", "General configuration".
package struct AWSSettings: Sendable, Hashable {
    package let profileName: String
    package let region: String
    /// A URL, as it was given, or AWS's own for the Region.
    package let endpointURL: String
    /// A file with the certificates to trust, instead of the system's.
    package let caFile: String?

    /// - Parameters:
    ///   - profile: goes before AWS_PROFILE.
    ///   - known: a Region that goes before all that is set.
    /// - Throws: ``CredentialError/noRegion``, a file that cannot be read, or a profile that is
    ///   not there.
    package static func load(
        _ environment: AWSEnvironment = .process, profile name: String? = nil,
        region known: String? = nil
    ) throws(CredentialError) -> AWSSettings {
        let profile = try AWSProfile.load(environment, name: name)
        let region =
            known ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"]
            ?? profile.text("region")
        guard let region else { throw .noRegion }
        guard isHostLabel(region) else { throw .malformedSetting("the AWS Region") }
        let isIgnored = try flag(
            environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", profile,
            "ignore_configured_endpoint_urls")
        let usesFIPS = try flag(
            environment, "AWS_USE_FIPS_ENDPOINT", profile, "use_fips_endpoint")
        let given =
            isIgnored
            ? nil
            : environment["AWS_ENDPOINT_URL_KMS"] ?? environment["AWS_ENDPOINT_URL"]
                ?? profile.serviceText("kms", "endpoint_url") ?? profile.text("endpoint_url")
        return AWSSettings(
            profileName: profile.name, region: region,
            endpointURL: given ?? ownEndpointURL(region: region, usesFIPS: usesFIPS),
            caFile: environment["AWS_CA_BUNDLE"] ?? profile.text("ca_bundle"))
    }

    /// AWS KMS's endpoint in a Region, by its partition's domain.
    static func ownEndpointURL(region: String, usesFIPS: Bool) -> String {
        let domains = [
            ("cn-", "amazonaws.com.cn"), ("us-isob-", "sc2s.sgov.gov"), ("us-iso-", "c2s.ic.gov"),
            ("eusc-", "amazonaws.eu"),
        ]
        let domain = domains.first { region.hasPrefix($0.0) }?.1 ?? "amazonaws.com"
        return "https://kms\(usesFIPS ? "-fips" : "").\(region).\(domain)"
    }

    private static func flag(
        _ environment: AWSEnvironment, _ variable: String, _ profile: AWSProfile, _ name: String
    ) throws(CredentialError) -> Bool {
        let (source, text) =
            environment[variable].map { (variable, $0) } ?? (name, profile.text(name) ?? "false")
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default: throw .malformedSetting(source)
        }
    }

    /// A Region becomes part of a host's name.
    private static func isHostLabel(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-")
            }
    }
}
