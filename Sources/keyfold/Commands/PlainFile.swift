import Console
import Glibc
import Platform

/// Small files that hold no secret.
enum PlainFile {
    static func contents(of path: String, limitBytes: Int) throws(Failure) -> [UInt8] {
        do throws(Errno) {
            let file = try Descriptor.open(path: path, O_RDONLY)
            var bytes = [UInt8](repeating: 0, count: limitBytes)
            let count = try file.readNext(into: &bytes)
            bytes.removeLast(bytes.count - count)
            return bytes
        } catch {
            throw Failure(
                error == .noSuchFileOrDirectory ? .notFound : .noPermission, path,
                "the file can't be read: \(error)")
        }
    }

    /// So that a file can be made here later.
    static func requireAbsence(of path: String) throws(Failure) {
        guard (try? Descriptor.open(path: path, OpenFlag.path | O_NOFOLLOW)) == nil else {
            throw Failure(
                .cannotCreate, path, "the file can't be made: \(Errno.fileExists)",
                wayOut: "nothing is written over: choose another place, or move this one away")
        }
    }

    /// A file that was not there.
    static func create(_ path: String, _ bytes: [UInt8]) throws(Failure) {
        do throws(Errno) {
            let cut = path.lastIndex(of: "/")
            let directory = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            let name = FileName(cut.map { String(path[path.index(after: $0)...]) } ?? path)
            let place = try Descriptor.open(path: directory, O_RDONLY | O_DIRECTORY)
            let file = try place.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            do throws(Errno) {
                try file.write(bytes, at: 0)
                try file.synchronize(dataOnly: false)
            } catch {
                // Half a file would be in the way of the next attempt.
                try? place.unlink(name)
                throw error
            }
        } catch {
            let status = ExitStatus(error)
            throw Failure(
                status == .inputOutput ? status : .cannotCreate, path,
                "the file can't be made: \(error)")
        }
    }
}
