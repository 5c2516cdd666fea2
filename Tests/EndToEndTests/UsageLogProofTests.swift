import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// What of the log is kept elsewhere, and proves itself there.
    @Suite
    struct UsageLogProofTests {
        @Test func `an export is checked with the public key alone`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let base = fixture.base.path
                try fixture.keyfold("key", "create", "--alias", "alias/other")
                let pem = try fixture.keyfold("log", "public-key").output
                #expect(pem.hasPrefix("-----BEGIN PUBLIC KEY-----\n"))
                try Disk.write(base + "/key.pem", pem)
                let key = try fixture.json("log", "public-key")[0]
                try Disk.write(base + "/key.hex", (key["publicKey"].string ?? "") + "\n")

                let made = try fixture.json("log", "export", "--out", base + "/all.jsonl")[0]
                #expect((made["events"].int ?? 0) > 2)
                #expect(made["fingerprint"].string == key["fingerprint"].string)
                try fixture.keyfold("log", "export", "--out", base + "/all.jsonl", expecting: 73)
                try fixture.keyfold(
                    "log", "export", "--out", base + "/some.jsonl", "--key", "alias/other")
                // No keystore, no passphrase: nothing but the file and the key.
                func verify(_ file: String, _ key: String = "key.pem") -> Command {
                    Command(
                        Program.keyfold, "log", "verify", "--export", base + "/" + file,
                        "--public-key", base + "/" + key, "--json")
                }
                let all = try JSON.lines(try verify("all.jsonl").run().output)[0]
                #expect(all["passes"].bool == true)
                #expect(all["complete"].bool == true)
                #expect(all["events"].int == made["events"].int)
                let some = try JSON.lines(try verify("some.jsonl", "key.hex").run().output)[0]
                #expect(some["passes"].bool == true)
                #expect(some["complete"].bool == false)
                #expect((some["events"].int ?? 0) > 0)

                let text = try Disk.readText(base + "/all.jsonl")
                try Disk.write(
                    base + "/changed.jsonl", text.replacing("CreateKey", with: "DeleteKey"))
                let changed = try verify("changed.jsonl").run(expecting: 65)
                #expect(changed.output.contains("\"passes\":false"))
                try Disk.write(
                    base + "/other.pem",
                    pem.replacing("MCowBQYDK2VwAyEA", with: "MCowBQYDK2VwAyEB"))
                try verify("all.jsonl", "other.pem").run(expecting: 65)
                try Command(Program.keyfold, "log", "verify", "--export", base + "/all.jsonl")
                    .run(expecting: 64)
            }
        }

        @Test func `a keystore put back as a whole is found with an anchor, and only with it`()
            throws
        {
            try VaultFixture.withVault(.locked) { fixture in
                let base = fixture.base.path
                try Command("cp", "-a", fixture.keystore, base + "/older").run()
                try fixture.keyfold("key", "create", "--alias", "alias/unwanted")
                let anchored = try fixture.json("log", "anchor", "--out", base + "/anchor")[0]
                #expect((anchored["checkpoint"].int ?? 0) > 0)
                try fixture.keyfold("log", "verify", "--anchor", base + "/anchor")
                try fixture.keyfold("log", "anchor", "--out", base + "/anchor")
                try Command("rm", "-r", fixture.keystore).run()
                try Command("mv", base + "/older", fixture.keystore).run()
                try fixture.keyfold("log", "verify")
                let found = try fixture.keyfold(
                    "log", "verify", "--anchor", base + "/anchor", expecting: 65)
                #expect(found.output.contains("rolled back"))
                // The anchor is not given up for the older log.
                try fixture.keyfold("log", "anchor", "--out", base + "/anchor", expecting: 65)
            }
        }

        @Test(arguments: ["segments", "checkpoints"])
        func `edited anchors of the log are damage, and no failure of the disk`(
            _ table: String
        ) throws {
            try VaultFixture.withVault { fixture in
                try fixture.keyfold("log", "anchor", "--out", fixture.base.path + "/anchor")
                try Command(
                    "sqlite3", fixture.keystore + "/keystore.db",
                    "update \(table) set box = zeroblob(length(box))"
                ).run()
                try fixture.keyfold("log", "verify", expecting: 65)
            }
        }

        @Test func `a mount keeps the log's head in its vault`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "content")
                #expect(
                    try !Disk.names(in: fixture.mountPoint).map(\.string).contains(
                        ".keyfold.loghead"))
                try Command("cp", "-a", fixture.keystore, fixture.base.path + "/older").run()
                try fixture.unmount()
                let head = try Disk.readText(fixture.vault + "/.keyfold.loghead")
                #expect(head.hasPrefix("keyfold-log-head 1\nlog "))
                let report = try fixture.json("log", "verify", "--vault", fixture.vault)[0]
                #expect(report["passes"].bool == true)
                #expect(report["anchors"].list.count == 1)
                let check = try fixture.keyfold("check", fixture.vault)
                #expect(check.output.contains("nothing wrong"))
                try Command("rm", "-r", fixture.keystore).run()
                try Command("mv", fixture.base.path + "/older", fixture.keystore).run()
                let found = try fixture.keyfold(
                    "log", "verify", "--vault", fixture.vault, expecting: 65)
                #expect(found.output.contains("rolled back"))
            }
        }

        @Test func `usage counts requests by month and key, and says what AWS would bill`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try fixture.keyfold("key", "create", "--alias", "alias/other")
                try fixture.keyfold("key", "rotate", "alias/other")
                func count(_ usage: JSON) -> Int {
                    usage["requests"].list.reduce(0) { $0 + ($1["count"].int ?? 0) }
                }
                let usage = try #require(try fixture.json("usage").last)
                // Changes of the keystore itself are in the log, and in no bill, as what the service
                // does by itself: the rotation that was asked for has a RotateKey beside it.
                try fixture.keyfold("principal", "create", "someone", "--administrator")
                let events = try fixture.json("log").filter {
                    $0["eventSource"].string == "kms.amazonaws.com"
                        && $0["eventType"].string != "AwsServiceEvent"
                }
                #expect(count(usage) == events.count)
                #expect(try fixture.json("usage").last.map(count) == events.count)
                let bill = usage["bill"]
                #expect(bill["currency"].string == "USD")
                #expect(bill["pricesAsOf"].string == "2026-11")
                // Two customer keys, one of them rotated once: an hour each.
                #expect(bill["keys"].list.map { $0["hours"].list.count }.sorted() == [1, 2])
                let month = try #require(usage["month"].string)
                #expect(try fixture.json("usage", "--month", month).count == 1)
                #expect(try fixture.json("usage", "--month", "1999-12").isEmpty)
                try fixture.keyfold("usage", "--month", "1999", expecting: 64)
                let text = try fixture.keyfold("usage").output
                #expect(text.contains("AWS would bill:"))
                #expect(text.contains("symmetric"))
            }
        }

        @Test func `usage takes a newer list of prices, and says what is wrong with a bad one`()
            throws
        {
            try VaultFixture.withVault(.locked) { fixture in
                let list = fixture.base.path + "/prices.json"
                let text = """
                    {"format": 1, "asOf": "2031-02", "currency": "USD", "sources": [],
                    "keyMonth": 7440, "chargedRotations": 0, "freeRequestsPerMonth": 0,
                    "tenThousandRequests": {"symmetric": 9000, "rsa-2048": 0, "asymmetric": 0,
                    "ecc-key-pair": 0, "rsa-key-pair": 0}}
                    """
                try text.write(toFile: list, atomically: true, encoding: .utf8)
                let bill = try #require(try fixture.json("usage", "--prices", list).last)["bill"]
                #expect(bill["pricesAsOf"].string == "2031-02")
                let count = try #require(bill["requests"].list.first?["count"].int)
                // 90 cents each, and none of them free.
                #expect(
                    bill["requests"].list.first?["amount"].string
                        == "\(count * 9 / 10).\(count * 9 % 10)0")
                try text.replacing("7440", with: "-1")
                    .write(toFile: list, atomically: true, encoding: .utf8)
                let bad = try fixture.keyfold("usage", "--prices", list, expecting: 65)
                #expect(bad.error.contains("'keyMonth' must be"))
                try fixture.keyfold("usage", "--prices", list + ".none", expecting: 66)
            }
        }

        @Test func `the keystore can ask for a sync before each use of a key`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                #expect(try fixture.json("keystore", "set")[0]["log"].string == "second")
                #expect(try fixture.json("keystore", "set", "log=sync")[0]["log"].string == "sync")
                try fixture.keyfold("key", "create")
                #expect(try fixture.keyfold("keystore", "set").output == "log=sync\n")
                try fixture.keyfold("log", "verify")
                try fixture.keyfold("keystore", "set", "log=second")
                try fixture.keyfold("keystore", "set", "log=never", expecting: 64)
                #expect(try fixture.keyfold("keystore", "set").output == "log=second\n")
            }
        }
    }
}
