/// Columns for people: as wide as their widest cell, two blanks between them.
package struct Table {
    let headings: [String]
    private(set) var rows: [[String]] = []

    package init(_ headings: String...) {
        self.headings = headings
    }

    package mutating func add(_ cells: String...) {
        precondition(cells.count == headings.count, "BUG: a row has a cell for each heading")
        rows.append(cells.map(Self.printable))
    }

    /// Every line with its newline.
    package var text: String {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in Self.line(row, widths) + "\n" }.joined()
    }

    private static func line(_ row: [String], _ widths: [Int]) -> String {
        var line = ""
        for (cell, width) in zip(row, widths) {
            line += cell + String(repeating: " ", count: width - cell.count + 2)
        }
        while line.last == " " { line.removeLast() }
        return line
    }

    /// Control characters could rewrite what the terminal shows.
    package static func printable(_ cell: String) -> String {
        let isPlain = { (scalar: Unicode.Scalar) in scalar.value >= 0x20 && scalar.value != 0x7F }
        guard !cell.unicodeScalars.allSatisfy(isPlain) else { return cell.isEmpty ? "-" : cell }
        return String(
            String.UnicodeScalarView(cell.unicodeScalars.map { isPlain($0) ? $0 : "\u{FFFD}" }))
    }
}

/// Named values of one thing, a line each.
package struct Sheet {
    private var lines: [(name: String, value: String)] = []

    package init() {}

    package mutating func add(_ name: String, _ value: String?) {
        if let value { lines.append((name, Table.printable(value))) }
    }

    /// Every line with its newline.
    package var text: String {
        let width = lines.map(\.name.count).max() ?? 0
        return lines.map { name, value in
            name + ":" + String(repeating: " ", count: width - name.count + 2) + value + "\n"
        }.joined()
    }
}
