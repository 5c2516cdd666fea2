import Console
import Cryptography

/// A passphrase that is to be: from a file, or typed twice.
enum NewPassphrase {
    static func read(file: String?, for object: String) throws(Failure) -> SecretBytes {
        if let file {
            var line = try SecretFile.firstLine(of: file, purpose: "passphrase")
            return SecretBytes(consuming: &line)
        }
        guard let terminal = Terminal() else { throw Unlocking.noWay(object) }
        var line = try terminal.readSecret("New passphrase for \(object): ")
        let first = SecretBytes(consuming: &line)
        line = try terminal.readSecret("The same again: ")
        let second = SecretBytes(consuming: &line)
        guard first.count > 0, first.isEqual(to: second) else {
            let words =
                first.count == 0
                ? "a passphrase can't be empty" : "the two passphrases are not equal"
            throw Failure(.usage, object, words, wayOut: "nothing was changed; start again")
        }
        return first
    }
}
