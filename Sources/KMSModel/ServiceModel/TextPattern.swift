/// What a text of the service model may be made of. The matchers are by hand: the patterns are
/// few and simple, and a request's texts are hostile.
package enum TextPattern: String, Sendable, CaseIterable {
    case accountID = "[0-9]{12}"
    case resourceName = "^[a-zA-Z0-9:/_-]+$"
    case lowercaseHex = "^[a-f0-9]+$"
    case clusterID = "cluster-[2-7a-zA-Z]{11,16}"
    case sourceARN = "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$"
    case materialDescription = #"^[a-zA-Z0-9:/_\s.-]+$"#
    case latinText = #"[\u0020-\u00FF]*"#
    case word = #"[\w]+"#
    case policyText = #"[\u0009\u000A\u000D\u0020-\u00FF]+"#
    case principal = #"^[\w+=,.@:/-]+$"#
    case region = #"^([a-z]+-){2,3}\d+$"#
    case servicePrincipal = #"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$"#
    case externalKeyID = "^[a-zA-Z0-9-_.]+$"
    case base32 = "^[A-Z2-7]+$"
    case base64 = #"^[a-zA-Z0-9\/+=]+$"#
    case endpoint = "^https://[a-zA-Z0-9.-]+$"
    case proxyPath =
        #"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$"#
    case endpointService =
        #"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$"#

    /// Whether the whole text matches.
    package func matches(_ text: String) -> Bool {
        switch self {
        case .accountID: text.utf8.count == 12 && text.utf8.allSatisfy(isDigit)
        case .resourceName: text.all { isAlphanumeric($0) || isOne(of: ":/_-", $0) }
        case .lowercaseHex:
            text.all { isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) }
        case .clusterID: isClusterID(text)
        case .sourceARN: isSourceARN(text)
        case .materialDescription:
            text.all { isAlphanumeric($0) || isSpace($0) || isOne(of: ":/_.-", $0) }
        case .latinText: text.unicodeScalars.allSatisfy { (0x20...0xff).contains($0.value) }
        case .word: text.all { isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
        case .policyText:
            !text.isEmpty
                && text.unicodeScalars.allSatisfy {
                    (0x20...0xff).contains($0.value) || [9, 10, 13].contains($0.value)
                }
        case .principal: text.all { isAlphanumeric($0) || isOne(of: "_+=,.@:/-", $0) }
        case .region: isRegion(text[...])
        case .servicePrincipal: isServicePrincipal(text)
        case .externalKeyID: text.all { isAlphanumeric($0) || isOne(of: "-_.", $0) }
        case .base32: text.all { isUppercase($0) || (0x32...0x37).contains($0) }
        case .base64: text.all { isAlphanumeric($0) || isOne(of: "/+=", $0) }
        case .endpoint:
            text.hasPrefix("https://")
                && text.dropFirst(8).all { isAlphanumeric($0) || isOne(of: ".-", $0) }
        case .proxyPath: isProxyPath(text)
        case .endpointService: isEndpointService(text)
        }
    }
}

// MARK: Patterns with parts

private func isClusterID(_ text: String) -> Bool {
    let prefix = "cluster-"
    guard text.hasPrefix(prefix) else { return false }
    let name = text.dropFirst(prefix.count)
    return (11...16).contains(name.utf8.count)
        && name.all { isLetter($0) || (0x32...0x37).contains($0) }
}

private func isSourceARN(_ text: String) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
    let isPart = { (byte: UInt8) in
        isLowercase(byte) || isDigit(byte) || byte == UInt8(ascii: "-")
    }
    return parts.count == 6 && parts[0] == "arn" && parts[1].hasPrefix("aws")
        && parts[1].all(isPart) && parts[2].all(isPart) && parts[3].utf8.allSatisfy(isPart)
        && parts[4].utf8.count == 12 && parts[4].all(isDigit)
        && !parts[5].isEmpty && !parts[5].unicodeScalars.contains("\n")
}

/// Two or three words of lower-case letters, each with a dash behind it, and a number.
private func isRegion(_ text: Substring) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard (3...4).contains(parts.count), let number = parts.last else { return false }
    return parts.dropLast().allSatisfy { $0.all(isLowercase) } && number.all(isDigit)
}

private func isServicePrincipal(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count >= 3
        && parts.allSatisfy { $0.all { isAlphanumeric($0) || $0 == UInt8(ascii: "-") } }
}

private func isProxyPath(_ text: String) -> Bool {
    guard let version = text.range(of: "/kms/xks/v", isLast: true) else { return false }
    let number = text[version.upperBound...]
    let prefix = text[..<version.lowerBound]
    return (1...2).contains(number.utf8.count) && number.all(isDigit)
        && (prefix.isEmpty
            || (prefix.hasPrefix("/") && prefix.utf8.count > 1
                && prefix.all { isAlphanumeric($0) || isOne(of: "/_-", $0) }))
}

private func isEndpointService(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let prefix = "vpce-svc-"
    return parts.count == 5 && (parts[0] == "com" || parts[0] == "eu")
        && parts[1] == "amazonaws" && parts[2] == "vpce" && isRegion(parts[3])
        && parts[4].hasPrefix(prefix)
        && parts[4].dropFirst(prefix.count).all { isLowercase($0) || isDigit($0) }
}

// MARK: Bytes

private func isLowercase(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
}

private func isUppercase(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
}

private func isLetter(_ byte: UInt8) -> Bool { isLowercase(byte) || isUppercase(byte) }

private func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private func isAlphanumeric(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

private func isOne(of set: StaticString, _ byte: UInt8) -> Bool {
    "\(set)".utf8.contains(byte)
}

extension StringProtocol {
    /// Whether there is something and every byte of it passes.
    fileprivate func all(_ passes: (UInt8) -> Bool) -> Bool {
        !isEmpty && utf8.allSatisfy(passes)
    }

    fileprivate func range(of part: String, isLast: Bool) -> Range<Index>? {
        var found: Range<Index>?
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(part) {
                found = start..<index(start, offsetBy: part.count)
                if !isLast { break }
            }
            start = index(after: start)
        }
        return found
    }
}
