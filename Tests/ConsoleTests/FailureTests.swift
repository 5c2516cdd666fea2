import KMSCore
import KMSModel
import Testing

@testable import Console
@testable import Vault

struct FailureTests {
    @Test func `a message names program, object, what happened and the way out`() {
        let failure = Failure(.busy, "/v", "it is in use", wayOut: "wait")
        #expect(failure.text(program: "keyfold") == "keyfold: /v: it is in use\n  wait")
        #expect("\(failure)" == "/v: it is in use")
    }

    @Test func `what has no object and no way out is one line`() {
        let failure = Failure(.failure, nil, "nothing was done")
        #expect(failure.text(program: "keyfoldfs") == "keyfoldfs: nothing was done")
        #expect("\(failure)" == "nothing was done")
    }

    @Test func `the key service's sentence loses its full stop`() {
        let failure = Failure(KMSError.notFound("Key 'k' does not exist."), object: "k")
        #expect(failure.message == "Key 'k' does not exist")
        #expect(failure.wayOut == "'keyfold key list' and 'keyfold alias list' show what there is")
    }

    @Test func `an error without a text is told in plain words`() {
        let failure = Failure(KMSError.invalidCiphertext, object: "/v/f")
        #expect(failure.object == "/v/f")
        #expect(!failure.message.isEmpty)
        #expect(failure.message != KMSError.invalidCiphertext.exceptionName)
    }

    @Test func `a disabled key's way out names the key as the person did`() {
        let failure = Failure(KMSError.disabled("it is disabled."), object: "alias/a")
        #expect(failure.wayOut?.hasSuffix("keyfold key enable alias/a") == true)
    }

    @Test func `a vault's disabled key is named by its ARN, and not by the vault`() {
        let arn = "arn:aws:kms:us-east-1:123456789012:key/00112233-4455-6677-8899-aabbccddeeff"
        let failure = Failure(VaultError.keys(.disabled("\(arn) is disabled.")), object: "/v")
        #expect(failure.object == "/v")
        #expect(failure.wayOut?.hasSuffix("keyfold key enable \(arn)") == true)
        let unnamed = Failure(VaultError.keys(.disabled("it is disabled.")), object: "/v")
        #expect(unnamed.wayOut?.hasSuffix("keyfold key enable KEY") == true)
    }

    @Test func `only who is denied a key is sent to the keystore's owner`() {
        let denied = KMSError.accessDenied("User: a is not authorized to perform: kms:Decrypt")
        #expect(Failure(denied, object: "k").wayOut?.contains("owner") == true)
        let without = KMSError.accessDenied("there are no AWS credentials: set some")
        #expect(Failure(without, object: "k").wayOut == nil)
    }

    @Test func `a locked vault names who holds it`() {
        let holder = VaultLock.Holder(pid: 42, mountPoint: "/m")
        let failure = Failure(VaultError.locked(path: "/v", holder: holder), object: "/x")
        #expect(failure.object == "/v")
        #expect(failure.message == "the vault is mounted already at /m (process 42)")
        #expect(failure.wayOut?.hasPrefix("unmount it first: keyfold unmount /m;") == true)
    }

    @Test func `a vault that is held without a known mount names the process alone`() {
        let holder = VaultLock.Holder(pid: 42, mountPoint: nil)
        let failure = Failure(VaultError.locked(path: "/v", holder: holder), object: "/x")
        #expect(failure.message == "process 42 holds the vault")
        #expect(failure.wayOut?.contains("keyfold status") == true)
    }

    @Test func `a keystore's failure is carried, and its answer passes`() throws {
        let answer = try Failure.carrying { () throws(KeystoreError) in 7 }
        #expect(answer == 7)
        #expect(throws: Failure(KeystoreError.locked(path: "/k"))) {
            try Failure.carrying { () throws(KeystoreError) in
                throw KeystoreError.locked(path: "/k")
            }
        }
    }
}
