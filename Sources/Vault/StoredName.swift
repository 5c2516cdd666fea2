import Platform
import SealedFormat

/// A name as it stands in the store, with the sidecar that a long one needs.
struct StoredName {
    struct Sidecar {
        let name: FileName
        let content: [UInt8]
    }

    let fileName: FileName
    let sidecar: Sidecar?

    /// A name of a vault that seals names.
    init(_ sealed: SealedName) {
        fileName = FileName(sealed.stored)
        switch sealed {
        case .direct: sidecar = nil
        case .long(_, let name, let content):
            sidecar = Sidecar(name: FileName(name), content: content)
        }
    }

    /// A name of a vault with plaintext names: any bytes.
    init(plain name: FileName) {
        fileName = name
        sidecar = nil
    }
}
