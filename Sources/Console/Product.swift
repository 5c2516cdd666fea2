/// What this is, in `--version` and in the usage log.
package enum Product {
    package static let version = "0.1.0"
}
