import KMSModel
import Testing

@Suite struct PrincipalTests {
    @Test(arguments: [
        ("arn:aws:iam::111122223333:root", Principal.Kind.root),
        ("arn:aws:iam::111122223333:user/Bob", .user),
        ("arn:aws:iam::111122223333:user/a/b/Bob.x+y=z,@-_1", .user),
        ("arn:aws:iam::111122223333:user/local/uid-1000", .user),
        ("arn:aws:iam::111122223333:role/service-role/R", .role),
        ("arn:aws:sts::111122223333:assumed-role/R/session", .assumedRole),
        ("arn:aws:sts::111122223333:federated-user/Bob", .federatedUser),
        ("ec2.amazonaws.com", .service), ("delivery.logs.amazonaws.com", .service),
    ])
    func `a principal is read`(_ text: String, _ kind: Principal.Kind) throws {
        let principal = try #require(Principal(text))
        #expect(principal.kind == kind)
        #expect(principal.arn == text)
        #expect(principal.account?.description == (kind == .service ? nil : "111122223333"))
    }

    @Test(arguments: [
        "", "*", "Bob", "111122223333", "arn:aws:iam::111122223333:*",
        "arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:user/B?b",
        "arn:aws:iam::111122223333:user/", "arn:aws:iam::111122223333:user",
        "arn:aws:iam::111122223333:user//Bob", "arn:aws:iam::111122223333:user/a b",
        "arn:aws:iam::111122223333:user/Bøb", "arn:aws:iam::111122223333:group/Admins",
        "arn:aws:iam::11112222333:root", "arn:aws:iam::1111222233334:root",
        "arn:aws:iam::11112222333x:root", "arn:aws:iam:us-east-1:111122223333:root",
        "arn:aws:sts::111122223333:root", "arn:aws:iam::111122223333:root/x",
        "arn:aws-cn:iam::111122223333:root", "ARN:aws:iam::111122223333:root",
        "arn:aws:sts::111122223333:assumed-role/R", "arn:aws:sts::111122223333:assumed-role/R/s",
        "arn:aws:sts::111122223333:assumed-role/a/R/session",
        "arn:aws:sts::111122223333:federated-user/a/Bob", "arn:aws:sts::111122223333:user/Bob",
        "arn:aws:iam::111122223333:user/" + String(repeating: "b", count: 65),
        "arn:aws:iam::111122223333:user/" + String(repeating: "a/", count: 1100) + "Bob",
        "amazonaws.com", "ec2..amazonaws.com", ".ec2.amazonaws.com", "ec2.amazonaws.com.",
        "ec2_.amazonaws.com", "AIDACKCEVSQ6C2EXAMPLE",
        String(repeating: "a", count: 115) + ".amazonaws.com",
    ])
    func `what is no principal is refused`(_ text: String) {
        #expect(Principal(text) == nil)
    }

    @Test func `a session belongs to its role, which may have a path`() throws {
        #expect(Sample.session.roleARN == "arn:aws:iam::111122223333:role/Admin")
        #expect(Sample.session.identityARN == Sample.role.arn)
        let role = Sample.principal("arn:aws:iam::111122223333:role/a/path/Admin")
        let session = try #require(Principal(session: Sample.session.arn, of: role))
        #expect(session.identityARN == role.arn)
        #expect(session == Sample.session)
        for other in [
            "arn:aws:iam::111122223333:role/Other", "arn:aws:iam::444455556666:role/Admin",
            "arn:aws:iam::111122223333:user/Admin",
        ] {
            #expect(Principal(session: Sample.session.arn, of: Sample.principal(other)) == nil)
        }
        #expect(Principal(session: Sample.alice.arn, of: role) == nil)
    }

    @Test func `local users are principals`() throws {
        let scope = try #require(AccountScope(account: "111122223333", region: "us-east-1"))
        let user = try #require(Principal(scope.userARN(uid: 1000)))
        #expect(user == Sample.localUser)
        #expect(user.name == "uid-1000")
        #expect(Principal(scope.rootPrincipalARN) == Sample.root)
        #expect(scope.accountID == Sample.account)
    }

    @Test(arguments: ["000000000000", "000000000001", "111122223333", "999999999999"])
    func `an account keeps its zeros`(_ text: String) throws {
        let account = try #require(AccountID(text))
        #expect(account.description == text)
        #expect(account.rootARN == "arn:aws:iam::\(text):root")
    }
}

@Suite struct ActionTests {
    @Test func `actions have the names of the service model`() {
        for action in KMSAction.allCases {
            let word = String(describing: action)
            let name = word.prefix(1).uppercased() + word.dropFirst()
            #expect(action.operation == name)
            #expect(action.name == "kms:\(name)")
            #expect(KMSAction(operation: name) == action)
        }
        #expect(KMSAction(operation: "ReEncrypt") == nil)
        #expect(KMSAction(operation: "decrypt") == nil)
    }

    @Test func `every action fits into a set`() {
        #expect(KMSAction.allCases.count == 57)
        #expect(KMSActionSet.all.rawValue.nonzeroBitCount == 57)
        for action in KMSAction.allCases {
            #expect(KMSActionSet(action).contains(action))
            #expect(!KMSActionSet.all.subtracting(KMSActionSet(action)).contains(action))
        }
    }
}
