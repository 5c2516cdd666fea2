import ArgumentParser
import Console

/// `keyfold help exit-codes`, and the same as a command.
struct ExitCodesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exit-codes", abstract: "List the exit codes and what they say.",
        discussion: ExitStatus.table)

    @OptionGroup var common: CommonOptions

    func run() throws {
        common.output.list(
            ExitStatus.allCases,
            json: { .object(["code": .number($0.rawValue), "meaning": .text($0.meaning)]) },
            table: { statuses in
                var table = Table("CODE", "MEANING")
                for status in statuses { table.add(String(status.rawValue), status.meaning) }
                return table
            })
    }
}
