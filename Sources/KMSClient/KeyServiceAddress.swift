package import KMSModel
internal import KMSWire

/// How to reach a key service: where it is, and with whose credentials.
package struct KeyServiceAddress: Sendable {
    package let endpoint: Endpoint
    /// For keys that are not named by an ARN.
    package let region: String
    /// A file with the certificates to trust, instead of the system's.
    package let caFile: String?
    private let environment: AWSEnvironment

    /// Region and certificates as AWS's tools find them.
    ///
    /// - Parameter region: goes before the environment's; nil where no key says it. A host of AWS's
    ///   own says it, too.
    /// - Throws: ``CredentialError/noRegion`` and such.
    package init(
        _ endpoint: Endpoint, region: String? = nil, environment: AWSEnvironment = .process
    ) throws(CredentialError) {
        let settings = try AWSSettings.load(environment, region: region ?? endpoint.awsRegion)
        self.endpoint = endpoint
        self.region = settings.region
        caFile = settings.caFile
        self.environment = environment
    }

    /// The service. Nothing is asked yet.
    ///
    /// - Parameter account: keys of others are refused; nil allows all.
    package func service(
        account: String?, userAgent: String, clock: any WallClock
    ) -> RemoteKeyService {
        let credentials = credentials(clock)
        let address = self
        let shared = transport(endpoint)
        return RemoteKeyService(.init(region: region, account: account)) { region in
            let endpoint = address.endpoint.inRegion(region)
            return KMSConnection(
                endpoint: endpoint, region: region, credentials: credentials,
                transport: endpoint == address.endpoint ? shared : address.transport(endpoint),
                userAgent: userAgent, surroundings: .init(clock: clock))
        }
    }

    private func transport(_ endpoint: Endpoint) -> HTTPTransport {
        var options = HTTPTransport.Options()
        options.caFile = caFile
        return HTTPTransport(endpoint: endpoint, options: options)
    }

    /// Over a Unix socket the kernel tells who asks, and the signature only names the Region.
    private func credentials(_ clock: any WallClock) -> AWSCredentialSource {
        guard case .unixSocket = endpoint.carrier else {
            return AWSCredentialSource(environment: environment, clock: clock)
        }
        let nobody = ["AWS_ACCESS_KEY_ID": "LOCALPEER", "AWS_SECRET_ACCESS_KEY": "none"]
        return AWSCredentialSource(environment: AWSEnvironment(nobody), clock: clock)
    }
}

extension Endpoint {
    /// The Region in the name of an endpoint of AWS's own: `kms.REGION.amazonaws.com`.
    var awsRegion: String? {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count >= 4, labels[0] == "kms" || labels[0] == "kms-fips",
            labels[2...].joined(separator: ".").hasPrefix("amazonaws.com")
        else { return nil }
        return String(labels[1])
    }

    /// The endpoint for keys of another Region: AWS has one for each, Keyfold one for all.
    func inRegion(_ region: String) -> Endpoint {
        guard let own = awsRegion, own != region else { return self }
        return withHost(host.replacing(".\(own).", with: ".\(region)."))
    }
}
