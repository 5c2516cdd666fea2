import KMSModel
import KMSServer
import KMSWire
import Testing

private func moment(_ milliseconds: Int64) -> Moment {
    Moment(time: TestRequest.time, uptimeMilliseconds: milliseconds)
}

private func table(_ rules: String...) -> QuotaTable {
    var table = QuotaTable()
    for rule in rules {
        let isRule = table.apply(rule)
        #expect(isRule, "\(rule)")
    }
    return table
}

@Suite struct RequestQuotaTests {
    @Test func `a second's worth of requests is let pass at once, then the rate`() {
        let quota = RequestQuota(table("symmetric=3"))
        let admits = { (time: Int64) in quota.admits("a", "r", .symmetric, at: moment(time)) }
        #expect((0..<4).map { _ in admits(0) } == [true, true, true, false])
        #expect(!admits(333))
        #expect(admits(334))
        #expect(!admits(334))
        // Waiting longer saves up a second's worth, and no more.
        #expect((0..<4).map { _ in admits(100_000) } == [true, true, true, false])
    }

    @Test func `a rate below one lets one pass in its time`() {
        let quota = RequestQuota(table("GetParametersForImport=0.25"))
        let operation = OperationClass.single(.getParametersForImport)
        let times: [Int64] = [0, 1, 3999, 4000, 4001, 7999, 8000]
        let admitted = times.map { quota.admits("a", "r", operation, at: moment($0)) }
        #expect(admitted == [true, false, false, true, false, false, true])
    }

    @Test func `principals, Regions and classes count apart, and others have no limit`() {
        let quota = RequestQuota(table("CreateKey=1", "rsa=1"))
        let create = OperationClass.single(.createKey)
        #expect(quota.admits("a", "r", create, at: moment(0)))
        #expect(!quota.admits("a", "r", create, at: moment(0)))
        #expect(quota.admits("b", "r", create, at: moment(0)))
        #expect(quota.admits("a", "s", create, at: moment(0)))
        #expect(quota.admits("a", "r", .rsa, at: moment(0)))
        for _ in 0..<100 { #expect(quota.admits("a", "r", .symmetric, at: moment(0))) }
    }

    @Test func `a clock that goes back gives nothing away`() {
        let quota = RequestQuota(table("rsa=1"))
        #expect(quota.admits("a", "r", .rsa, at: moment(5000)))
        #expect(!quota.admits("a", "r", .rsa, at: moment(0)))
        #expect(!quota.admits("a", "r", .rsa, at: moment(5000)))
        #expect(quota.admits("a", "r", .rsa, at: moment(6000)))
    }

    @Test func `there are never more buckets than agreed`() {
        let quota = RequestQuota(table("rsa=1"))
        for number in 0..<(RequestQuota.capacity + 500) {
            _ = quota.admits("p\(number)", "r", .rsa, at: moment(0))
        }
        #expect(quota.bucketCount == RequestQuota.capacity)
    }

    @Test func `requests over the quota are refused in AWS's words, and not carried out`() {
        let host = FakeHost()
        let processor = RequestProcessor(host: host, quota: RequestQuota(table("ListKeys=1")))
        #expect(processor.process(TestRequest(), host).status == 200)
        let answer = processor.process(TestRequest(), host)
        #expect(answer.status == 400)
        #expect(answer.error?.name == "ThrottlingException")
        #expect(
            answer.error?.message
                == "You have exceeded the rate at which you may call KMS. "
                + "Reduce the frequency of your calls.")
        #expect(answer.record.outcome == "throttled")
        #expect(host.calls.count == 1)
        #expect(processor.process(TestRequest(), host, at: moment(1000)).status == 200)
    }

    @Test func `whoever is not believed uses up nobody's quota`() {
        let host = FakeHost()
        let processor = RequestProcessor(host: host, quota: RequestQuota(table("ListKeys=1")))
        for _ in 0..<5 {
            _ = processor.process(TestRequest(), host) { head in
                head.headers = head.headers.map {
                    $0.name == "Authorization" ? HTTPHeader($0.name, $0.value + "0") : $0
                }
            }
        }
        #expect(processor.process(TestRequest(), host).status == 200)
    }
}

@Suite struct OperationClassTests {
    static let examples: [(KMSOperation, Structure, String)] = [
        (.decrypt, Structure(), "symmetric"),
        (.encrypt, Structure([.encryptionAlgorithm: .text("RSAES_OAEP_SHA_256")]), "rsa"),
        (.encrypt, Structure([.encryptionAlgorithm: .text("SM2PKE")]), "ecc"),
        (
            .reEncrypt, Structure([.sourceEncryptionAlgorithm: .text("RSAES_OAEP_SHA_1")]), "rsa"
        ),
        (.sign, Structure([.signingAlgorithm: .text("RSASSA_PSS_SHA_256")]), "rsa"),
        (.verify, Structure([.signingAlgorithm: .text("ED25519_SHA_512")]), "ecc"),
        (.sign, Structure([.signingAlgorithm: .text("ML_DSA_SHAKE_256")]), "ml-dsa"),
        (.generateMAC, Structure(), "symmetric"), (.generateRandom, Structure(), "symmetric"),
        (.deriveSharedSecret, Structure(), "ecc"), (.encapsulate, Structure(), "ml-kem"),
        (
            .generateDataKeyPair, Structure([.keyPairSpec: .text("RSA_2048")]),
            "GenerateDataKeyPair:RSA_2048"
        ),
        (.createKey, Structure(), "CreateKey"),
    ]

    @Test(arguments: examples)
    func `a request belongs to AWS's class`(
        _ operation: KMSOperation, _ input: Structure, _ name: String
    ) {
        #expect(OperationClass(operation, input).name == name)
        #expect(OperationClass(name: name) == OperationClass(operation, input))
    }

    @Test func `AWS's table has a rate for every class`() {
        for operationClass in OperationClass.all {
            #expect(QuotaTable.aws.rates[operationClass] != nil, "\(operationClass.name)")
        }
        #expect(QuotaTable.aws.rates[.single(.createKey)] == 5)
    }

    @Test(arguments: [
        "", "CreateKey", "CreateKey=", "CreateKey=0", "CreateKey=-1", "CreateKey=x",
        "CreateKey=nan", "CreateKey=inf", "CreateKey=1000001", "Decrypt=5", "createkey=1", "=1",
    ])
    func `what is no rule is refused`(_ rule: String) {
        var table = QuotaTable()
        let isRule = table.apply(rule)
        #expect(!isRule)
        #expect(table.rates.isEmpty)
    }

    @Test func `a file has a rule a line, and the first that is none is named`() {
        var table = QuotaTable()
        let good = table.apply(fileText: "# mine\naws\n\nCreateKey = 7 # more\nsymmetric=100\n")
        #expect(good == nil)
        #expect(table.rates[.single(.createKey)] == 7)
        #expect(table.rates[.symmetric] == 100)
        #expect(table.rates[.rsa] == 1000)
        let bad = table.apply(fileText: "rsa=1\nrsa 2\n")
        #expect(bad == 2)
    }
}
