import KMSCore
import KMSModel
import Platform
import Testing
import UsageLog
import Vault

@testable import Console

/// The exit codes are an interface: these tables say them again, apart from the code.
struct ExitStatusTests {
    @Test func `the numbers stay what they are`() {
        #expect(
            ExitStatus.allCases.map(\.rawValue)
                == [0, 1, 2, 4, 64, 65, 66, 69, 70, 73, 74, 75, 77, 78])
    }

    @Test func `every status has one aligned line in the table`() {
        let lines = ExitStatus.table.split(separator: "\n")
        #expect(lines.count == ExitStatus.allCases.count)
        #expect(lines[0] == "  0  everything was done")
        #expect(lines[4] == " 64  the command line or a value in it is wrong")
        #expect(Set(ExitStatus.allCases.map(\.meaning)).count == lines.count)
    }

    @Test(arguments: [
        (KMSError.accessDenied("x"), Int32(77)), (.notAuthorized, 77), (.alreadyExists("x"), 73),
        (.conflict("x"), 78), (.disabled("x"), 78), (.invalidState("x"), 78),
        (.dependencyTimeout("x"), 69), (.keyUnavailable("x"), 69),
        (.init(.invalidState, "x", isOutage: true), 69),
        (.unsupportedOperation("x"), 69), (.incorrectKey, 1), (.limitExceeded("x"), 1),
        (.internalFailure("x"), 70), (.invalidAliasName("x"), 64), (.invalidARN("x"), 64),
        (.invalidKeyUsage("x"), 64), (.invalidMarker, 64),
        (.malformedPolicyDocument("x"), 64), (.tag("x"), 64),
        (.validation("x"), 64), (.invalidCiphertext, 65), (.notFound("x"), 66),
    ])
    func `a key service's error ends the program with its code`(
        _ error: KMSError, _ status: Int32
    ) {
        #expect(ExitStatus(error).rawValue == status)
        #expect(Failure(error, object: "alias/a").status.rawValue == status)
    }

    @Test(arguments: [
        (KeystoreError.missing(path: "/k"), Int32(66)), (.noSuchSlot("s"), 66),
        (.noSlotOfKind(path: "/k", kind: "key file"), 66), (.exists(path: "/k"), 73),
        (.notAKeystore(path: "/k", reason: "r"), 65),
        (.unsupportedVersion(path: "/k", version: 9), 65), (.tampered(path: "/k", what: "row"), 65),
        (.damagedBackup(path: "/b", reason: "r"), 65), (.wrongPassphrase(path: "/k"), 77),
        (.wrongRecoveryKey(path: "/k"), 77), (.wrongKeyFile(path: "/k"), 77),
        (.locked(path: "/k"), 77), (.mistypedRecoveryKey, 64),
        (.unusableKeyFile(sizeBytes: 3), 64), (.emptyPassphrase, 64), (.lastSlot("s"), 78),
        (.tooManySlots(limit: 8), 78), (.full(path: "/k"), 74),
        (.database(code: 11, message: "m", path: "/k"), 74), (.log("text"), 74),
        (.system(.noSuchFileOrDirectory, path: "/k"), 66), (.readOnly(path: "/k"), 73),
    ])
    func `a keystore's error ends the program with its code`(
        _ error: KeystoreError, _ status: Int32
    ) {
        #expect(Failure(error).status.rawValue == status)
    }

    @Test(arguments: [
        (VaultError.system(.noSpace), Int32(74)), (.system(.noSuchFileOrDirectory), 66),
        (.keys(.disabled("x")), 78), (.notAVault(path: "/v"), 66), (.notEmpty(path: "/v"), 73),
        (.missingKeyVersion(keyARN: "arn", version: 2, current: 1), 66),
        (.alreadyAVault(path: "/v"), 73), (.locked(path: "/v", holder: nil), 75),
    ])
    func `a vault's error ends the program with its code`(_ error: VaultError, _ status: Int32) {
        #expect(Failure(error, object: "/v").status.rawValue == status)
    }

    @Test func `a usage log's error ends the program with its code`() {
        struct Stop: Error {}
        let inner = Failure(.busy, "/k", "it is in use")
        #expect(Failure(UsageLogError.full(path: "/l")).status == .inputOutput)
        #expect(Failure(UsageLogError.tampered(path: "/l", reason: "r")).status == .damagedData)
        #expect(Failure(UsageLogError.closed).status == .internalError)
        #expect(Failure(UsageLogError.interrupted(Stop())).status == .failure)
        #expect(Failure(UsageLogError.interrupted(inner)) == inner)
        let edited = KeystoreError.tampered(path: "/k", what: "a row was edited")
        #expect(ExitStatus(UsageLogError.anchorStore(edited)) == .damagedData)
        #expect(Failure(UsageLogError.anchorStore(edited)) == Failure(edited))
        #expect(ExitStatus(UsageLogError.anchorStore(Stop())) == .inputOutput)
    }

    @Test(arguments: [
        (Errno.noSuchFileOrDirectory, Int32(66)), (.notDirectory, 66), (.accessDenied, 77),
        (.notPermitted, 77), (.noKey, 77), (.resourceBusy, 75), (.wouldBlock, 75),
        (.fileExists, 73), (.directoryNotEmpty, 73), (.readOnlyFileSystem, 73), (.timedOut, 69),
        (.noDevice, 69), (.ioError, 74), (.noSpace, 74), (.fileTooLarge, 74),
    ])
    func `a system call's error ends the program with its code`(_ errno: Errno, _ status: Int32) {
        #expect(ExitStatus(errno).rawValue == status)
    }
}
