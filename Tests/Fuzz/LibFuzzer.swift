#if KEYFOLD_FUZZ
    import Foundation

    /// The target that KEYFOLD_FUZZ_TARGET names.
    private let target: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["KEYFOLD_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget.named(name) else {
            print("KEYFOLD_FUZZ_TARGET is one of: \(FuzzTarget.all.map(\.name))")
            _exit(64)
        }
        if let directory = ProcessInfo.processInfo.environment["KEYFOLD_FUZZ_SAMPLES"] {
            for (number, sample) in target.samples().enumerated() {
                let path = "\(directory)/sample\(number)"
                guard FileManager.default.createFile(atPath: path, contents: Data(sample)) else {
                    _exit(73)
                }
            }
            // Not exit(3), which libFuzzer takes for a finding.
            _exit(0)
        }
        return target
    }()

    /// What libFuzzer's main calls for each input.
    // SAFETY: libFuzzer gives a pointer to `count` bytes, for this call.
    @_cdecl("LLVMFuzzerTestOneInput")
    public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        // SAFETY: as above.
        target.run(unsafe Array(UnsafeBufferPointer(start: start, count: count)))
        return 0
    }
#endif
