internal import CPKCS11
internal import Glibc
internal import Platform

/// Opens a shared library and asks it for its functions.
///
/// The library stays in the process for ever: what it registered (destructors, threads, libcrypto's
/// handlers) would outlive its code. Loading it again costs a reference count.
enum FunctionList {
    /// - Returns: a copy of the list, and its address, which tells modules apart.
    /// - Throws: ``PKCS11Error/cannotLoad(path:reason:)``, ``PKCS11Error/notAModule(path:reason:)``,
    ///   ``PKCS11Error/failed(_:)`` when C_GetFunctionList itself fails.
    static func load(_ path: String) throws(PKCS11Error) -> (cryptoki: Cryptoki, address: UInt) {
        try checkFile(path)
        // SAFETY: the path is NUL-terminated for the call. Its code is trusted, see ``Cryptoki``.
        guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw .cannotLoad(path: path, reason: lastError())
        }
        guard let symbol = unsafe dlsym(library, PKCS11Function.getFunctionList.rawValue) else {
            throw .notAModule(path: path, reason: "it has no C_GetFunctionList")
        }
        // SAFETY: the standard fixes this function's type.
        let getFunctionList = unsafe unsafeBitCast(symbol, to: CK_C_GetFunctionList.self)
        var list: CK_FUNCTION_LIST_PTR?
        // SAFETY: the pointer outlives the call.
        let answer = unsafe getFunctionList(&list)
        guard answer == CKR_OK else {
            throw .failed(PKCS11Failure(.getFunctionList, ReturnValue(rawValue: answer)))
        }
        guard let list = unsafe list else { throw .malformedAnswer(.getFunctionList) }
        // The list of every 2.x version has the same layout, and what 3.x added has another name.
        // SAFETY: the list starts with its version.
        let version = unsafe list.pointee.version
        guard version.major == 2 || version.major == 3 else {
            throw .notAModule(
                path: path, reason: "it speaks version \(version.major).\(version.minor)")
        }
        // SAFETY: the library keeps the list unchanged as long as it is loaded.
        guard let cryptoki = unsafe Cryptoki(list.pointee) else {
            throw .notAModule(path: path, reason: "functions are missing")
        }
        return (cryptoki, UInt(bitPattern: list))
    }

    /// dlopen(3) would search for names without a slash, and wait for the writer of a FIFO.
    private static func checkFile(_ path: String) throws(PKCS11Error) {
        guard path.hasPrefix("/") else {
            throw .cannotLoad(path: path, reason: "the path is not absolute")
        }
        let kind: FileStatus.Kind
        do throws(Errno) {
            // O_PATH alone follows links, which the names of libraries usually are.
            kind = try Descriptor.open(path: path, OpenFlag.path).status().kind
        } catch {
            throw .cannotLoad(path: path, reason: error.description)
        }
        guard kind == .regular else {
            throw .cannotLoad(path: path, reason: "it is not a regular file")
        }
    }

    private static func lastError() -> String {
        // SAFETY: dlerror answers nil or the NUL-terminated text of this thread's last failure.
        guard let text = unsafe dlerror() else { return "unknown reason" }
        return printable(unsafe String(cString: text))
    }
}
