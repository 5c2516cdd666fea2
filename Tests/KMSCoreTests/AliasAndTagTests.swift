import KMSCore
import KMSModel
import Testing

@Suite struct AliasTests {
    let kms: TestKeystore
    let key: KeyARN

    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey().arn
    }

    private func create(_ name: String, _ target: String? = nil) throws {
        try kms.service.createAlias(name, target: target ?? key.description, as: kms.owner)
    }

    @Test func `an alias is made, moved, listed and deleted`() throws {
        let other = try kms.newKey().arn
        try create("alias/a")
        kms.clock.advance(days: 1)
        try kms.service.updateAlias("alias/a", target: other.description, as: kms.owner)
        let listed = try kms.service.listAliases(
            of: other.description, PageRequest(), as: kms.owner
        ).elements
        #expect(listed.map(\.name.description) == ["alias/a"])
        #expect(listed.first?.lastUpdatedDate == kms.clock.now())
        #expect(listed.first?.creationDate == kms.clock.now().advanced(byDays: -1))
        #expect(
            try kms.service.listAliases(of: key.description, PageRequest(), as: kms.owner)
                .elements.isEmpty)
        try kms.service.deleteAlias("alias/a", as: kms.owner)
        #expect(
            throws: KMSError.notFound(
                "Alias arn:aws:kms:us-east-1:111122223333:alias/a is not found.")
        ) { try kms.service.deleteAlias("alias/a", as: kms.owner) }
    }

    /// As without a key: of IAM's policies AWS asks alone, and those are the account's.
    @Test func `a key's policy lets nobody list its aliases`() throws {
        try create("alias/a")
        let bob = try kms.newUser("bob")
        let named = Structure([.keyID: .text(key.description)])
        try kms.ask(
            .putKeyPolicy, named.with(.policy, .text(PolicyTexts.everything(to: ["bob", "root"]))))
        #expect(try kms.refusal(.describeKey, named, as: bob) == nil)
        #expect(try kms.refusal(.listAliases, named, as: bob)?.code == .accessDenied)
        let admin = try kms.newUser("admin", isAdministrator: true)
        #expect(try kms.refusal(.listAliases, named, as: admin) == nil)
    }

    @Test(arguments: [
        (
            "a",
            KMSError.validation(
                "Alias must start with the prefix \"alias/\". Please see "
                    + "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
        ),
        ("alias/a:b", .validation("alias/a:b contains invalid characters for an alias")),
        (
            "alias/a b",
            .validation(
                "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy "
                    + "constraint: Member must satisfy regular expression pattern: "
                    + "^[a-zA-Z0-9:/_-]+$")
        ),
        ("alias/", .invalidAliasName("alias/ is not a valid alias name")),
        ("alias/aws/mine", .notAuthorized),
        ("alias/aws/keyfold", .notAuthorized),
    ])
    func `names that no alias may have are refused`(_ name: String, _ error: KMSError) {
        #expect(throws: error) { try create(name) }
    }

    @Test func `the service's alias cannot be moved or deleted`() {
        #expect(throws: KMSError.notAuthorized) {
            try kms.service.updateAlias(
                "alias/aws/keyfold", target: key.description, as: kms.owner)
        }
        #expect(throws: KMSError.notAuthorized) {
            try kms.service.deleteAlias("alias/aws/keyfold", as: kms.owner)
        }
    }

    @Test func `an alias exists once and points at keys only`() throws {
        try create("alias/a")
        #expect(
            throws: KMSError.alreadyExists(
                "An alias with the name arn:aws:kms:us-east-1:111122223333:alias/a already exists")
        ) { try create("alias/a") }
        #expect(throws: KMSError.validation("Aliases must refer to keys. Not aliases")) {
            try create("alias/b", "alias/a")
        }
    }

    @Test func `a key has at most 50 aliases`() throws {
        for number in 1...50 { try create("alias/\(number)") }
        #expect(
            throws: KMSError.limitExceeded("The key \(key) has reached its quota of 50 aliases.")
        ) { try create("alias/51") }
        // Moving one of its own is no new alias.
        try kms.service.updateAlias("alias/1", target: key.description, as: kms.owner)
    }

    @Test func `an alias may leave a key that waits for its deletion, and not come to it`() throws {
        try create("alias/a")
        let other = try kms.newKey().arn
        _ = try kms.service.scheduleKeyDeletion(key.description, windowDays: 7, as: kms.owner)
        try kms.service.updateAlias("alias/a", target: other.description, as: kms.owner)
        #expect(throws: KMSError.invalidState("\(key) is pending deletion.")) {
            try kms.service.updateAlias("alias/a", target: key.description, as: kms.owner)
        }
    }
}

@Suite struct TagTests {
    let kms: TestKeystore
    let key: String

    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey().arn.description
    }

    private func tag(_ tags: [KMSModel.Tag]) throws {
        try kms.service.tagResource(key, tags: tags, as: kms.owner)
    }

    private func tags() throws -> [KMSModel.Tag] {
        try kms.service.listResourceTags(key, PageRequest(), as: kms.owner).elements
    }

    @Test func `tags are set, replaced and removed`() throws {
        try tag([Tag(key: "b", value: "1"), Tag(key: "a", value: "")])
        try tag([Tag(key: "b", value: "2")])
        #expect(try tags() == [Tag(key: "a", value: ""), Tag(key: "b", value: "2")])
        try kms.service.untagResource(key, tagKeys: ["a", "none"], as: kms.owner)
        #expect(try tags() == [Tag(key: "b", value: "2")])
    }

    @Test func `duplicate, reserved and too many tags are refused`() throws {
        #expect(throws: KMSError.tag("Duplicate tag keys")) {
            try tag([Tag(key: "a", value: "1"), Tag(key: "a", value: "2")])
        }
        #expect(throws: KMSError.tag("Tags beginning with aws: are reserved")) {
            try tag([Tag(key: "AWS:x", value: "")])
        }
        #expect(throws: KMSError.tag("Tags beginning with aws: are reserved")) {
            try kms.service.untagResource(key, tagKeys: ["aws:x"], as: kms.owner)
        }
        try tag((1...50).map { Tag(key: "k\($0)", value: "") })
        #expect(throws: KMSError.tag("Too many tags")) { try tag([Tag(key: "one", value: "")]) }
        #expect(throws: KMSError.tag("Too many tags")) {
            try kms.service.createKey(
                CreateKeyRequest(tags: (1...51).map { Tag(key: "k\($0)", value: "") }),
                as: kms.owner)
        }
    }

    @Test(arguments: ["a&b", "a,b", "a<b>", "tab\tnl\n", "\u{2603}"])
    func `tags hold letters, numbers, spaces and some signs only`(_ text: String) throws {
        #expect(throws: KMSError.tag("Invalid tag")) { try tag([Tag(key: text, value: "")]) }
        #expect(throws: KMSError.tag("Invalid tag")) { try tag([Tag(key: "a", value: text)]) }
        #expect(throws: KMSError.tag("Invalid tag")) {
            try kms.service.createKey(
                CreateKeyRequest(tags: [Tag(key: "a", value: text)]), as: kms.owner)
        }
        try tag([Tag(key: "\u{e9} _.:/=+-@9", value: "\u{c4}nderung \u{663}")])
    }

    @Test func `the lengths of tags are checked, all at once`() {
        let long = String(repeating: "v", count: 257)
        #expect(
            throws: KMSError.validation(
                "2 validation errors detected: Value '' at 'tags.1.member.tagKey' failed to "
                    + "satisfy constraint: Member must have length greater than or equal to 1; "
                    + "Value '\(long)' at 'tags.1.member.tagValue' failed to satisfy constraint: "
                    + "Member must have length less than or equal to 256")
        ) { try tag([Tag(key: "", value: long)]) }
    }

    @Test func `a description has at most 8192 characters`() throws {
        let longest = String(repeating: "ä", count: 8192)
        try kms.service.updateKeyDescription(key, to: longest, as: kms.owner)
        #expect(try kms.service.describeKey(key, as: kms.owner).description == longest)
        #expect(
            throws: KMSError.validation(
                "1 validation error detected: Value '\(longest)x' at 'description' failed to "
                    + "satisfy constraint: Member must have length less than or equal to 8192")
        ) { try kms.service.updateKeyDescription(key, to: longest + "x", as: kms.owner) }
    }
}

@Suite struct PagingTests {
    @Test func `keys come page by page, each once, sorted by id`() throws {
        let kms = try TestKeystore()
        var expected = [
            try kms.service.describeKey("alias/aws/keyfold", as: kms.owner).arn.keyID.description
        ]
        for _ in 0..<11 { expected.append(try kms.newKey().arn.keyID.description) }
        expected.sort()
        for limit in [1, 5, 12, 1000] {
            var found: [String] = []
            var marker: String?
            repeat {
                let page = try kms.service.listKeys(
                    PageRequest(limit: limit, marker: marker), as: kms.owner)
                #expect(page.elements.count <= limit)
                found += page.elements.map(\.keyID.description)
                marker = page.nextMarker
            } while marker != nil
            #expect(found == expected)
        }
    }

    @Test(arguments: [(0, "greater than or equal to 1"), (1001, "less than or equal to 1000")])
    func `page sizes have bounds`(_ limit: Int, _ bound: String) throws {
        let kms = try TestKeystore()
        #expect(
            throws: KMSError.validation(
                "1 validation error detected: Value '\(limit)' at 'limit' failed to satisfy "
                    + "constraint: Member must have value \(bound)")
        ) { try kms.service.listKeys(PageRequest(limit: limit), as: kms.owner) }
    }

    @Test(arguments: ["x", "abc", "ff", "zz"])
    func `a marker that no page gave is refused`(_ marker: String) throws {
        let kms = try TestKeystore()
        #expect(throws: KMSError(.invalidMarker, "")) {
            try kms.service.listKeys(PageRequest(marker: marker), as: kms.owner)
        }
    }

    @Test func `aliases and tags are paged too`() throws {
        let kms = try TestKeystore()
        let key = try kms.service.createKey(
            CreateKeyRequest(tags: (1...7).map { Tag(key: "k\($0)", value: "") }), as: kms.owner
        ).arn.description
        for number in 1...7 {
            try kms.service.createAlias("alias/\(number)", target: key, as: kms.owner)
        }
        let first = try kms.service.listAliases(of: key, PageRequest(limit: 4), as: kms.owner)
        let second = try kms.service.listAliases(
            of: key, PageRequest(limit: 4, marker: first.nextMarker), as: kms.owner)
        #expect(
            (first.elements + second.elements).map(\.name.description)
                == (1...7).map { "alias/\($0)" })
        #expect(second.nextMarker == nil)
        let tags = try kms.service.listResourceTags(key, PageRequest(limit: 6), as: kms.owner)
        let rest = try kms.service.listResourceTags(
            key, PageRequest(limit: 6, marker: tags.nextMarker), as: kms.owner)
        #expect((tags.elements + rest.elements).map(\.key) == (1...7).map { "k\($0)" })
    }
}
