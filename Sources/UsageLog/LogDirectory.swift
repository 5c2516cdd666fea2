internal import Glibc
internal import KMSModel
internal import Platform

/// The directory that holds the segment files.
struct LogDirectory: Sendable {
    let path: String
    let descriptor: Descriptor

    /// - Throws: `ENOENT` when there is none.
    static func open(_ path: String) throws(UsageLogError) -> LogDirectory {
        do throws(Errno) {
            return LogDirectory(
                path: path,
                descriptor: try Descriptor.open(path: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        } catch {
            throw .system(error, path: path)
        }
    }

    /// Makes the directory (mode 0700) in its parent when it is not there.
    static func openOrMake(_ path: String) throws(UsageLogError) -> LogDirectory {
        let trimmed = path.utf8.last == UInt8(ascii: "/") ? String(path.dropLast()) : path
        let cut = trimmed.lastIndex(of: "/")
        let parent = cut.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
        let name = FileName(cut.map { String(trimmed[trimmed.index(after: $0)...]) } ?? trimmed)
        do throws(Errno) {
            let parentDirectory = try Descriptor.open(path: parent, O_RDONLY | O_DIRECTORY)
            let isThere = (try? parentDirectory.status(of: name)) != nil
            let directory = try parentDirectory.openOrMakeDirectory(name)
            if !isThere { try parentDirectory.synchronize(dataOnly: false) }
            return LogDirectory(path: path, descriptor: directory)
        } catch {
            throw UsageLogError(error, path: path)
        }
    }

    func filePath(_ segment: SegmentID) -> String { path + "/" + segment.fileName }

    /// All names but "." and "..".
    func names() throws(UsageLogError) -> [String] {
        do throws(Errno) {
            let reader = try descriptor.open(FileName("."), O_RDONLY | O_DIRECTORY)
            var stream = DirectoryStream(reader)
            var names: [String] = []
            while let entry = try stream.next() {
                if !entry.name.isDots { names.append(entry.name.string) }
            }
            return names
        } catch {
            throw .system(error, path: path)
        }
    }

    /// Whether a file may be that of a segment which is not registered: it has a header at most.
    /// nil when the file is gone by now.
    func isHeaderOnly(_ name: String) -> Bool? {
        do throws(Errno) {
            let status = try descriptor.status(of: FileName(name))
            return status.kind == .regular && name.hasSuffix(SegmentFormat.fileSuffix)
                && status.sizeBytes <= UInt64(SegmentFormat.headerBytes)
        } catch {
            return error == .noSuchFileOrDirectory ? nil : false
        }
    }

    /// Changes when a file is made or removed in the directory, at the latest with the next one.
    func modificationTime() throws(UsageLogError) -> Timespec {
        do throws(Errno) {
            return try descriptor.status().modificationTime
        } catch {
            throw .system(error, path: path)
        }
    }
}

extension UsageLogError {
    /// A failed call that needed space has a case of its own when there was none.
    init(_ errno: Errno, path: String) {
        switch errno {
        case .noSpace, .quotaExceeded: self = .full(path: path)
        default: self = .system(errno, path: path)
        }
    }
}
