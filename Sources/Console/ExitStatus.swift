/// How a program ends. The numbers are an interface: scripts rely on them (docs/cli.md).
///
/// From 64 on they are those of sysexits(3).
package enum ExitStatus: Int32, CaseIterable, Sendable {
    case success = 0
    case failure = 1
    case partial = 2
    case left = 4
    case usage = 64
    case damagedData = 65
    case notFound = 66
    case unavailable = 69
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74
    case busy = 75
    case noPermission = 77
    case wrongState = 78

    /// What it says, for `keyfold help exit-codes`.
    package var meaning: String {
        switch self {
        case .success: "everything was done"
        case .failure:
            "it was not done, for a reason that no other number names; of 'check': all that was "
                + "found is repaired"
        case .partial: "some of it was done; the messages name the rest"
        case .left: "'check' found what is not repaired"
        case .usage: "the command line or a value in it is wrong"
        case .damagedData: "data were damaged, changed or are of another kind"
        case .notFound: "no such vault, keystore, key, alias, slot or file"
        case .unavailable: "a service, or a part of the system, is not there"
        case .internalError: "an error inside Keyfold"
        case .cannotCreate: "something could not be made, or is there already"
        case .inputOutput: "reading or writing failed; the disk may be full"
        case .busy: "somebody else holds it; later it may work"
        case .noPermission: "wrong passphrase, locked keystore, or no permission"
        case .wrongState: "the key, vault or mount is not in a state that allows it"
        }
    }

    /// One line for each status.
    package static var table: String {
        allCases.map { status in
            let number = String(status.rawValue)
            return String(repeating: " ", count: 3 - number.count) + number + "  " + status.meaning
        }.joined(separator: "\n")
    }
}
