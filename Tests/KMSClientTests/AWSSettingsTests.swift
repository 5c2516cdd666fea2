import Foundation
import KMSClient
import TestSupport
import Testing

@Suite struct AWSSettingsTests {
    /// Files, environment, and what follows: Region and endpoint.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var config = ""
        var credentials = ""
        var variables: [String: String] = [:]
        let region: String
        let endpoint: String
    }

    private static let work = """
        [default]
        region = eu-west-1
        [profile work]
        region = eu-central-1
        endpoint_url = http://localhost:1
        services = local
        [profile plain]
        endpoint_url = http://localhost:3
        services = other
        [services local]
        s3 =
          endpoint_url = http://localhost:9
        kms =
          endpoint_url = http://localhost:2
        [services other]
        s3 =
          endpoint_url = http://localhost:9
        """

    private static let indented = """
        [default]
          region = eu-west-1
        [profile work]
          region = eu-central-1
          services = local
        [services local]
            kms =
              endpoint_url = http://localhost:2
        """

    static let cases = [
        Case(
            testDescription: "the profile's Region, and AWS's own endpoint", config: work,
            region: "eu-west-1", endpoint: "https://kms.eu-west-1.amazonaws.com"),
        Case(
            testDescription: "the environment's Region", config: work,
            variables: ["AWS_DEFAULT_REGION": "sa-east-1"], region: "sa-east-1",
            endpoint: "https://kms.sa-east-1.amazonaws.com"),
        Case(
            testDescription: "the endpoint of the service", config: work,
            variables: ["AWS_PROFILE": "work"], region: "eu-central-1",
            endpoint: "http://localhost:2"),
        Case(
            testDescription: "settings that are indented", config: indented,
            variables: ["AWS_PROFILE": "work"], region: "eu-central-1",
            endpoint: "http://localhost:2"),
        Case(
            testDescription: "the endpoint of the profile", config: work,
            variables: ["AWS_PROFILE": "plain", "AWS_DEFAULT_REGION": "r-1"], region: "r-1",
            endpoint: "http://localhost:3"),
        Case(
            testDescription: "the environment's endpoint", config: work,
            variables: ["AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://localhost:4"],
            region: "eu-central-1", endpoint: "http://localhost:4"),
        Case(
            testDescription: "the environment's endpoint of the service", config: work,
            variables: [
                "AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://localhost:4",
                "AWS_ENDPOINT_URL_KMS": "http://localhost:5",
            ], region: "eu-central-1", endpoint: "http://localhost:5"),
        Case(
            testDescription: "endpoints that are to be ignored", config: work,
            variables: [
                "AWS_PROFILE": "work", "AWS_ENDPOINT_URL_KMS": "http://localhost:5",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            ], region: "eu-central-1", endpoint: "https://kms.eu-central-1.amazonaws.com"),
        Case(
            testDescription: "an endpoint with FIPS cryptography", config: work,
            variables: ["AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-east-1"],
            region: "us-east-1", endpoint: "https://kms-fips.us-east-1.amazonaws.com"),
        Case(
            testDescription: "China", config: "[default]\nregion=cn-north-1", region: "cn-north-1",
            endpoint: "https://kms.cn-north-1.amazonaws.com.cn"),
        Case(
            testDescription: "an isolated Region",
            variables: ["AWS_DEFAULT_REGION": "us-iso-east-1"], region: "us-iso-east-1",
            endpoint: "https://kms.us-iso-east-1.c2s.ic.gov"),
        Case(
            testDescription: "another isolated Region",
            variables: ["AWS_DEFAULT_REGION": "us-isob-east-1"], region: "us-isob-east-1",
            endpoint: "https://kms.us-isob-east-1.sc2s.sgov.gov"),
        Case(
            testDescription: "a Region in the credentials file", config: work,
            credentials: "[default]\nregion = ca-west-1\n", region: "ca-west-1",
            endpoint: "https://kms.ca-west-1.amazonaws.com"),
    ]

    private static func withHome<Result>(
        _ one: Case, _ body: ([String: String]) throws -> Result
    ) throws -> Result {
        try withTemporaryDirectory { path in
            try Disk.makeDirectory(path + "/.aws")
            try Disk.write(path + "/.aws/config", one.config)
            try Disk.write(path + "/.aws/credentials", one.credentials)
            return try body(one.variables.merging(["HOME": path]) { $1 })
        }
    }

    @Test(arguments: cases)
    func `Region and endpoint are found`(_ one: Case) throws {
        let settings = try Self.withHome(one) { try AWSSettings.load(AWSEnvironment($0)) }
        #expect(settings.region == one.region)
        #expect(settings.endpointURL == one.endpoint)
        #expect(throws: Never.self) { try Endpoint(settings.endpointURL) }
    }

    /// The same files and variables, given to botocore.
    @Test(.enabled(if: isBotocoreInstalled, "python3 has no botocore"), arguments: cases)
    func `botocore finds the same`(_ one: Case) throws {
        let script = """
            import botocore.session
            client = botocore.session.Session().create_client(
                "kms", aws_access_key_id="a", aws_secret_access_key="b")
            print(client.meta.region_name, client.meta.endpoint_url)
            """
        let unset = [
            "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_KMS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
        ]
        // The program itself, since what finds it may look below the home directory.
        let python = try Command("python3", "-c", "import sys; print(sys.executable)").run()
        let output = try Self.withHome(one) { variables in
            let words =
                ["env"] + unset.flatMap { ["-u", $0] }
                + variables.map { "\($0.key)=\($0.value)" } + python.lines + ["-c", script]
            return try Command(words).run().lines
        }
        #expect(output == ["\(one.region) \(one.endpoint)"])
    }

    private static let isBotocoreInstalled =
        (try? Command("python3", "-c", "import botocore").result())?.succeeded ?? false

    @Test func `AWS_REGION goes before AWS_DEFAULT_REGION`() throws {
        let settings = try AWSSettings.load(
            AWSEnvironment(["AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"]))
        #expect(settings.region == "a")
    }

    @Test func `without a Region there are no settings`() {
        #expect(throws: CredentialError.noRegion) { try AWSSettings.load(AWSEnvironment([:])) }
    }

    @Test(arguments: ["a b", "A", "a.b", "a/b", "é", String(repeating: "a", count: 64)])
    func `a Region that could be no part of a host's name is refused`(_ name: String) {
        #expect(throws: CredentialError.malformedSetting("the AWS Region")) {
            try AWSSettings.load(AWSEnvironment(["AWS_REGION": name]))
        }
    }

    @Test func `a switch is on or off`() {
        #expect(throws: CredentialError.malformedSetting("AWS_USE_FIPS_ENDPOINT")) {
            try AWSSettings.load(
                AWSEnvironment(["AWS_REGION": "a", "AWS_USE_FIPS_ENDPOINT": "maybe"]))
        }
    }

    @Test func `a file of trusted certificates can be named`() throws {
        let one = Case(
            testDescription: "", config: "[default]\nregion=a\nca_bundle = /ca.pem", region: "",
            endpoint: "")
        try Self.withHome(one) { home in
            let settings = try AWSSettings.load(AWSEnvironment(home))
            #expect(settings.caFile == "/ca.pem")
            let other = home.merging(["AWS_CA_BUNDLE": "/other.pem"]) { $1 }
            #expect(try AWSSettings.load(AWSEnvironment(other)).caFile == "/other.pem")
        }
    }
}
