/// How much work one policy may make of one request.
///
/// A pattern may take a step for each pair of its codes and the text's bytes, a policy has room for
/// a thousand patterns, and variables make them as long as an encryption context. Where the steps
/// run out nobody knows whether a statement fits: one that allows does not then, one that denies does.
struct MatchBudget {
    /// Some milliseconds. What people write takes thousands.
    static let steps = 1 << 21

    private(set) var left = MatchBudget.steps

    var isExhausted: Bool { left == 0 }

    mutating func spend(_ steps: Int) {
        left = max(0, left - steps)
    }
}
