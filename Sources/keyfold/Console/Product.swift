/// What this is, in `--version` and in the usage log.
enum Product {
    static let version = "0.1.0"
}
