import Foundation
import Synchronization

/// The two streams: results on standard output, all else on standard error.
///
/// A reader of standard output that goes away ends the program as any other in a pipe. Standard
/// error may go away: nobody reading the progress is no reason to stop a night's training.
final class Console: Sendable {
  private let isQuiet: Bool
  /// Columns of the progress line that stands on the terminal now; 0 where none does.
  private let progressWidth = Mutex(0)
  private let lastProgress = Mutex<ContinuousClock.Instant?>(nil)

  /// Whether standard error is a terminal that can redraw a line.
  let isTerminal: Bool
  private let isColored: Bool

  init(isQuiet: Bool = false) {
    self.isQuiet = isQuiet
    let environment = ProcessInfo.processInfo.environment
    let term = environment["TERM"] ?? ""
    isTerminal = isatty(STDERR_FILENO) == 1 && term != "dumb" && !term.isEmpty
    isColored = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty
  }

  /// A result for people, as lines on standard output.
  ///
  /// - Throws: `CommandFailure` where they cannot be written.
  func result(_ text: String) throws { try result(verbatim: Self.harmless(text) + "\n") }

  /// A result for programs, byte for byte.
  ///
  /// - Throws: `CommandFailure` where it cannot be written.
  func result(verbatim text: String) throws {
    clearProgress()
    try Self.write(Array(text.utf8), to: STDOUT_FILENO)
  }

  /// The same value as JSON, one line.
  func result(json value: some Encodable) throws {
    try result(verbatim: Self.json(value) + "\n")
  }

  /// JSON without a line feed, its keys sorted.
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// What people may like to know; silent under `--quiet`.
  func note(_ text: String) {
    if !isQuiet { say(Self.harmless(text)) }
  }

  /// What people should know.
  func warning(_ text: String) { say(colored("warning: ", "33") + Self.harmless(text)) }

  /// Why the program stops.
  func error(_ text: String) { say(colored("error: ", "31") + Self.harmless(text)) }

  /// The text with control characters as people can see them, `\u{1B}` for an escape: a file's name
  /// may hold what would move the cursor, change what stands on the terminal, or turn the direction of
  /// the letters. Line feeds stay; those in a name are escaped where the sentence is made.
  static func harmless(_ text: String) -> String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
      (scalar.value < 0x20 && scalar != "\n" && scalar != "\t")
        || (0x7F...0x9F).contains(scalar.value)
        || [0x061C, 0x200E, 0x200F, 0x2028, 0x2029].contains(scalar.value)
        || (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if isControl(scalar) {
        result.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// Redraws the progress line on a terminal, ten times per second at most; elsewhere nothing.
  func progress(_ line: @autoclosure () -> String) {
    guard isTerminal, !isQuiet else { return }
    let now = ContinuousClock.now
    let isDue = lastProgress.withLock { last in
      if let last, last.duration(to: now) < .milliseconds(100) { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let text = String(line().prefix(Self.terminalColumns - 1))
    progressWidth.withLock { $0 = text.count }
    try? Self.write(Array("\r\u{1B}[K\(text)".utf8), to: STDERR_FILENO)
  }

  /// Takes the progress line away, so that something else can stand there.
  func clearProgress() {
    let width = progressWidth.withLock { width in
      defer { width = 0 }
      return width
    }
    if width > 0 { try? Self.write(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
  }

  private func say(_ text: String) {
    clearProgress()
    try? Self.write(Array((text + "\n").utf8), to: STDERR_FILENO)
  }

  private func colored(_ text: String, _ code: String) -> String {
    isColored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }

  private static var terminalColumns: Int { columns(of: STDERR_FILENO) ?? 80 }

  /// How wide standard output is; nil where it is not a terminal, and nothing has to fit.
  static var outputColumns: Int? { columns(of: STDOUT_FILENO) }

  /// How wide standard error is, likewise.
  static var errorColumns: Int? { columns(of: STDERR_FILENO) }

  private static func columns(of stream: Int32) -> Int? {
    guard isatty(stream) == 1 else { return nil }
    var size = winsize()
    if ioctl(stream, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 { return Int(size.ws_col) }
    let told = ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) }
    return told.flatMap { $0 > 1 ? $0 : nil } ?? 80
  }

  private static func write(_ bytes: [UInt8], to stream: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Foundation.write(stream, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno == EPIPE, stream == STDOUT_FILENO {
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
      } else if errno != EINTR {
        let reason = String(cString: strerror(errno))
        throw CommandFailure(.inputOutput, "standard output cannot be written: \(reason)")
      }
    }
  }
}
