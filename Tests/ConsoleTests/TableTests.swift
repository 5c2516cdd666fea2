import Testing

@testable import Console

struct TableTests {
    @Test func `columns are as wide as their widest cell`() {
        var table = Table("ID", "STATE", "WHAT")
        table.add("1", "Enabled", "x")
        table.add("12345", "Off", "")
        #expect(
            table.text == """
                ID     STATE    WHAT
                1      Enabled  x
                12345  Off      -

                """)
    }

    @Test func `a table without rows is its headings`() {
        #expect(Table("A", "B").text == "A  B\n")
    }

    @Test func `no line ends with blanks`() {
        var table = Table("A", "LONGER")
        table.add("a much longer cell", "b")
        for line in table.text.split(separator: "\n") { #expect(line.last != " ") }
    }

    @Test func `names of more than one byte a letter keep their columns`() {
        var table = Table("NAME", "N")
        table.add("Größe", "1")
        table.add("e\u{301}té", "2")
        #expect(table.text == "NAME   N\nGröße  1\ne\u{301}té    2\n")
    }

    @Test(arguments: [
        ("\u{1B}[2Jgone", "\u{FFFD}[2Jgone"), ("a\nb", "a\u{FFFD}b"), ("\u{7F}", "\u{FFFD}"),
        ("a\r\nb", "a\u{FFFD}\u{FFFD}b"), ("", "-"), ("plain", "plain"),
    ])
    func `control characters never reach the terminal`(_ cell: String, _ shown: String) {
        #expect(Table.printable(cell) == shown)
    }

    @Test func `a sheet has a line for each value that is there`() {
        var sheet = Sheet()
        sheet.add("Vault", "/v")
        sheet.add("Daemon", nil)
        sheet.add("Files opened", "3")
        sheet.add("Keystore", "")
        #expect(
            sheet.text == """
                Vault:         /v
                Files opened:  3
                Keystore:      -

                """)
    }

    @Test func `an empty sheet is no text`() {
        #expect(Sheet().text.isEmpty)
    }
}
