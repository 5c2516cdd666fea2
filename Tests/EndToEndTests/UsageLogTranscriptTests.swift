import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// `keyfold log`: who opened what, and that nobody can change what it says unseen.
    @Suite
    struct UsageLogTranscriptTests {
        @Test(needsRoot)
        func `an open tells who, with which program, under which key, and which file`() throws {
            try VaultFixture.withMount(VaultShape(mountOptions: ["allow_other"])) { fixture in
                try Disk.changeMode(fixture.mountPoint, to: 0o755)
                try Disk.write(fixture.path("file"), "content")
                try fixture.grant(OtherUser.alice, "Decrypt")
                let reader = try Command("cat", fixture.path("file")).as(user: 61_001).run()
                #expect(reader.output == "content")
                let file = try fixture.json("inspect", try fixture.sealedPath(of: "file"))[0]
                let status = try fixture.json("status", fixture.vault)[0]
                let events = try fixture.json("log", "--event", "Decrypt")
                let event = try #require(
                    events.last {
                        $0["additionalEventData"]["keyfold"]["program"].string == "cat"
                    })
                let process = event["additionalEventData"]["keyfold"]
                #expect(process["uid"].int == 61_001)
                #expect(process["gid"].int == 61_001)
                #expect((process["pid"].int ?? 0) > 1)
                #expect(event["additionalEventData"]["keyVersion"].int == 1)
                #expect(event["resources"][0]["ARN"].string == status["keyArn"].string)
                #expect(event["eventSource"].string == "kms.amazonaws.com")
                let principal = event["userIdentity"]["arn"].string
                #expect(principal?.hasPrefix("arn:aws:iam::") == true)
                #expect(principal?.hasSuffix(":user/local/uid-61001") == true)
                #expect(event["eventTime"].string?.hasSuffix("Z") == true)
                let context = event["requestParameters"]["encryptionContext"]
                #expect(context["keyfold:file"].string == file["fileId"].string)
                #expect(context["keyfold:vault"].string == status["vaultId"].string)
                #expect(context["keyfold:domain"].string?.count == 36)
                let making = try fixture.json("log", "--event", "GenerateDataKey")
                #expect(
                    making.contains {
                        $0["requestParameters"]["encryptionContext"]["keyfold:file"].string
                            == file["fileId"].string
                    })
            }
        }

        @Test func `refused opens are in the log, too`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "content")
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("file")) }
                let events = try fixture.json("log", "--event", "Decrypt")
                #expect(events.last?["errorCode"].string == "DisabledException")
                #expect(try fixture.json("log", "--event", "DisableKey").count == 1)
            }
        }

        @Test func `filters choose by key, principal, event and time`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "content")
                try fixture.keyfold("key", "create", "--alias", "alias/other")
                let all = try fixture.json("log")
                #expect(all.count > 3)
                let created = try fixture.json("log", "--event", "CreateKey")
                #expect(created.allSatisfy { $0["eventName"].string == "CreateKey" })
                #expect(created.count >= 2)
                let own = try fixture.json("log", "--key", VaultFixture.defaultAlias)
                #expect(!own.isEmpty && own.count < all.count)
                #expect(try fixture.json("log", "--since", "1h").count >= all.count)
                #expect(try fixture.json("log", "--until", "2001-01-01").isEmpty)
                #expect(try fixture.json("log", "--since", "2001-01-01").count >= all.count)
                #expect(try fixture.json("log", "--principal", "root").count >= all.count)
                #expect(try fixture.json("log", "--principal", "nobody").isEmpty)
                let table = try fixture.keyfold("log").output
                #expect(table.contains("GenerateDataKey"))
            }
        }

        @Test func `who may ask the service is in the log, without a secret`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let made = try fixture.json("principal", "create", "boss", "--administrator")[0]
                try fixture.keyfold("principal", "delete", "boss")
                let events = try fixture.json("log").filter {
                    $0["requestParameters"]["userName"].string == "boss"
                }
                #expect(
                    events.map { $0["eventName"].string } == ["CreateAccessKey", "DeleteAccessKey"])
                for event in events {
                    #expect(event["requestParameters"]["administrator"].bool == true)
                    #expect(
                        event["requestParameters"]["accessKeyId"].string
                            == made["accessKeyId"].string)
                    #expect(event["additionalEventData"]["keyfold"]["uid"].int != nil)
                }
                let table = try fixture.keyfold("log", "--event", "CreateAccessKey").output
                #expect(table.contains("userName=boss"))
                let secret = try #require(made["secretAccessKey"].string)
                #expect(!(try fixture.keyfold("log", "--json").output.contains(secret)))
            }
        }

        @Test func `follow shows events of another process as they come`() throws {
            try VaultFixture.withMount { fixture in
                let follower = try fixture.command(["log", "--follow", "--json"]).start()
                #expect(
                    Deadline.wait(seconds: 20) {
                        ((try? follower.outputText()) ?? "").contains("\n")
                    })
                let before = try fixture.json("log").count
                for number in 0..<5 { try Disk.write(fixture.path("file\(number)"), "x") }
                #expect(
                    Deadline.wait(seconds: 20) {
                        let text = (try? follower.outputText()) ?? ""
                        return text.split(separator: "\n").count >= before + 5
                    })
                follower.signal(Signal.interrupt)
                _ = try follower.waitForEnd(seconds: 10)
                let lines = try JSON.lines(try follower.outputText())
                let ids = lines.compactMap { $0["eventID"].string }
                #expect(Set(ids).count == ids.count)
            }
        }

        @Test func `the log at rest tells nothing, and any change is found`() throws {
            try VaultFixture.withMount { fixture in
                for number in 0..<30 { try Disk.write(fixture.path("file\(number)"), "x") }
                try fixture.unmount()
                let clean = try fixture.json("log", "verify")[0]
                #expect(clean["passes"].bool == true)
                #expect((clean["events"].int ?? 0) > 30)
                let log = fixture.keystore + "/log"
                let strings = try Command("grep", "-rlE", "GenerateDataKey|keyfold:file", log)
                    .result()
                #expect(strings.status == 1, "\(strings)")

                let segments = try Command("find", log, "-type", "f", "-size", "+1k").run().lines
                let largest = try #require(
                    try segments.max { try Disk.size($0) < Disk.size($1) })
                let original = try Disk.read(largest)
                let middle = original.count / 2
                var flipped = original
                flipped[middle] ^= 1
                var removed = original
                removed.removeSubrange(middle..<middle + 100)
                let cut = Array(original.prefix(middle))
                for bytes in [flipped, removed, cut, []] {
                    try Disk.write(largest, bytes)
                    let result = try fixture.command(["log", "verify", "--json"]).result()
                    #expect(result.status == 65, "\(bytes.count) bytes: \(result)")
                }
                try Disk.unlink(largest)
                try fixture.keyfold("log", "verify", expecting: 65)
                try Disk.write(largest, original)
                try Disk.changeMode(largest, to: 0o600)
                try fixture.keyfold("log", "verify")
            }
        }

        @Test func `several processes write one keystore's log at once`() throws {
            try VaultFixture.withMount { fixture in
                let script = """
                    for i in 1 2 3 4; do
                      ( "$1" key create --alias alias/p$i && "$1" key rotate alias/p$i ) > out$i 2>&1 &
                    done
                    j=0; while [ $j -lt 200 ]; do echo x > "$2/f$j"; j=$((j+1)); done
                    wait; cat out1 out2 out3 out4
                    """
                try Command.shell(script, Program.keyfold, fixture.mountPoint)
                    .with(fixture.environment).in(fixture.base.path).run()
                let verify = try fixture.json("log", "verify")[0]
                #expect(verify["passes"].bool == true)
                #expect(try fixture.json("log", "--event", "RotateKeyOnDemand").count == 4)
                #expect(try fixture.json("log", "--event", "GenerateDataKey").count >= 200)
                let events = try fixture.json("log").compactMap {
                    $0["additionalEventData"]["eventTimeMilliseconds"].int
                }
                #expect(events == events.sorted())
            }
        }
    }
}
