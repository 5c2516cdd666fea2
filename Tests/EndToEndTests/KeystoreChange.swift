import Testing

/// A command that changes a keystore in one step.
struct KeystoreChange: Sendable, CustomTestStringConvertible {
    let words: [String]
    /// The commands that show what it changes, `key list` where no other is named.
    let shows: [[String]]
    /// Its exit code once it has been done.
    let statusWhenDone: Int32

    var testDescription: String { words.joined(separator: " ") }

    init(_ words: String, shownBy shows: String..., whenDone status: Int32 = 0) {
        self.words = words.split(separator: " ").map(String.init)
        self.shows = (shows.isEmpty ? ["key list"] : shows).map {
            $0.split(separator: " ").map(String.init)
        }
        statusWhenDone = status
    }

    static let keys = [
        KeystoreChange("key create --description made --tag a=b"),
        KeystoreChange("key create --spec ECC_NIST_P256 --usage SIGN_VERIFY"),
        KeystoreChange("key create --spec RSA_2048 --usage ENCRYPT_DECRYPT"),
        KeystoreChange("key create --spec HMAC_256"),
        KeystoreChange("key create --external --multi-region"),
        KeystoreChange("key describe alias/main text"),
        KeystoreChange("key enable alias/off"),
        KeystoreChange("key disable alias/main"),
        KeystoreChange("key rotate alias/main", shownBy: "key rotation list alias/main"),
        KeystoreChange("key delete alias/main --days 7", whenDone: 78),
        KeystoreChange("key restore alias/doomed", whenDone: 78),
        KeystoreChange(
            "key rotation enable alias/main --days 90", shownBy: "key show alias/main"),
        KeystoreChange("key rotation disable alias/rotating", shownBy: "key show alias/rotating"),
        KeystoreChange("key tag alias/main c=d", shownBy: "key show alias/main"),
        KeystoreChange("key untag alias/main a", shownBy: "key show alias/main"),
        KeystoreChange(
            "key import material alias/waiting IN/wrapped IN/token",
            shownBy: "key show alias/waiting"),
        KeystoreChange("key import delete alias/imported", shownBy: "key show alias/imported"),
        KeystoreChange(
            "alias create alias/new alias/main", shownBy: "alias list", whenDone: 73),
        KeystoreChange("alias update alias/moving alias/off", shownBy: "alias list"),
        KeystoreChange("alias delete alias/moving", shownBy: "alias list", whenDone: 66),
    ]

    static let others = [
        KeystoreChange("policy put alias/main IN/policy", shownBy: "policy get alias/main"),
        KeystoreChange(
            "grant create alias/main --to other --operation Encrypt",
            shownBy: "grant list alias/main"),
        KeystoreChange(
            "grant revoke alias/main {grant}", shownBy: "grant list alias/main", whenDone: 66),
        KeystoreChange(
            "grant retire alias/main {grant}", shownBy: "grant list alias/main", whenDone: 66),
        KeystoreChange("principal create new", shownBy: "principal list", whenDone: 73),
        KeystoreChange("principal delete other", shownBy: "principal list", whenDone: 66),
        KeystoreChange("slot add recovery-key --label new", shownBy: "slot list"),
        KeystoreChange("slot add key-file OUT/key --label new", shownBy: "slot list"),
        KeystoreChange("slot remove {slot}", shownBy: "slot list", whenDone: 66),
        KeystoreChange("token add /elsewhere.so --label new", shownBy: "token list"),
        KeystoreChange("token remove {token}", shownBy: "token list", whenDone: 66),
        KeystoreChange("keystore set log=sync", shownBy: "keystore set"),
    ]

    static let all = keys + others
}
