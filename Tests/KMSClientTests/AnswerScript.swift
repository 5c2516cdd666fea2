import Cryptography
import KMSClient
import KMSWire
import Synchronization

/// Answers in the order of a script, and remembers what it was asked.
final class AnswerScript: HTTPPosting {
    typealias Answer = Result<HTTPResponse, TransportError>

    private struct State {
        var answers: [Answer]
        var heads: [[HTTPHeader]] = []
        var bodies: [String] = []
        var flags: [Bool] = []
    }

    private let state: Mutex<State>

    init(_ answers: [Answer]) {
        state = Mutex(State(answers: answers))
    }

    var heads: [[HTTPHeader]] { state.withLock { $0.heads } }
    var bodies: [String] { state.withLock { $0.bodies } }
    /// Of each request, whether it was called idempotent.
    var flags: [Bool] { state.withLock { $0.flags } }

    /// The value of a header in the last request.
    func lastHeader(_ name: String) -> String? {
        heads.last?.first { $0.name == name }?.value
    }

    func post(
        headers: [HTTPHeader], body: [UInt8], deadline: ContinuousClock.Instant, isIdempotent: Bool
    ) throws(TransportError) -> HTTPResponse {
        let answer = state.withLock { state in
            state.heads.append(headers)
            state.bodies.append(String(decoding: body, as: UTF8.self))
            state.flags.append(isIdempotent)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let answer else { throw .library(code: -1, detail: "the script has ended") }
        return try answer.get()
    }

    static func answer(_ status: Int, _ text: String = "") -> Answer {
        var bytes = Array(text.utf8)
        return .success(
            HTTPResponse(status: status, headers: [], body: SecretBytes(consuming: &bytes)))
    }
}
