import Foundation
import Recordings
import TestSupport
import Testing
import Training

@testable import SEMGTrain

/// What is printed fits into the terminal that it is printed on.
struct TerminalTests {
  /// Figures of so many gestures, of which each third is taken for the next.
  private static func report(gestures count: Int) throws -> PartReport {
    let gestures = Array(0..<count)
    var labels: [Int] = []
    var probabilities: [Float] = []
    for (place, gesture) in (gestures + gestures).enumerated() {
      let told = place % 3 == 0 ? (gesture + 1) % count : gesture
      labels.append(gesture)
      probabilities += gestures.map { $0 == told ? 1 : 0 }
    }
    let metrics = Metrics(
      probabilities: probabilities, labels: labels, recordings: Array(labels.indices),
      subjects: labels.indices.map { $0 % 2 }, gestures: gestures)
    let json: [String: Any] = try [
      "part": "test", "recordings": labels.count, "windows": labels.count, "skipped": [String](),
      "models": [String: String](),
      "ensemble": JSONSerialization.jsonObject(with: JSONEncoder().encode(metrics)),
    ]
    return try JSONDecoder().decode(
      PartReport.self, from: JSONSerialization.data(withJSONObject: json))
  }

  @Test(arguments: [40, 60, 80, 200], [2, 5, 12, 300])
  func noTableOfAReportIsWiderThanTheTerminal(width: Int, gestures: Int) throws {
    let text = ReportText(try Self.report(gestures: gestures), width: width).text
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.dropFirst().allSatisfy { $0.count <= width }, "\(text)")
    #expect(lines.count < 250, "\(lines.count) lines")
    if gestures == 300 { #expect(text.contains("… and 260 more; --json lists all")) }
    // Each cell is there, wherever nothing is cut.
    for cell in ["precision", "recall", "F1", "macro-F1"] { #expect(text.contains(cell)) }
  }

  @Test func withoutATerminalAllIsThere() throws {
    let text = ReportText(try Self.report(gestures: 300), width: nil).text
    #expect(text.contains("→ 299") && !text.contains("more;"))
    #expect(text.split(separator: "\n").count > 600)
  }

  @Test func aWideTableFallsApartIntoBlocks() {
    var table = TextTable(header: ["name", "first", "second", "third"])
    table.append(["a", "1", "2", "3"])
    table.append(["b", "4", "5", "6"])
    #expect(table.text(within: 27) == table.text && table.text(within: nil) == table.text)
    #expect(
      table.text(within: 20)
        == """
        name  first  second
        a         1       2
        b         4       5

        name  third
        a         3
        b         6
        """)
    // Not even two columns fit: a line a cell.
    #expect(table.text(within: 11).hasPrefix("a\n  first 1\n  second 2\n  third 3\nb\n"))
  }

  @Test func aTableOfManyColumnsIsTurned() {
    var table = TextTable(header: ["recordings"] + (0..<300).map { "gesture \($0)" })
    for part in ["train", "validation", "test"] {
      table.append([part] + (0..<300).map { "\($0 % 7)" })
    }
    let lines = table.text(within: 40).split(separator: "\n")
    #expect(lines.first == "recordings   train  validation  test")
    #expect(lines.dropFirst().first == "gesture 0        0           0     0")
    #expect(lines.last == "… and 260 more; --json lists all")
    #expect(lines.count == 42)
  }

  @Test func longListsAreCutWithACount() {
    #expect(shortList(["a", "b"]) == "a, b")
    let many = (0..<300).map(String.init)
    #expect(shortList(many).hasSuffix("10, 11, … and 288 more"))
  }

  /// The command with a terminal of so many columns, which python makes.
  private static func terminal(
    _ semgTrain: SemgTrain, columns: Int, _ arguments: [String]
  ) throws -> String {
    let script = """
      import fcntl, os, pty, struct, sys, termios
      child, terminal = pty.fork()
      if child == 0:
          fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
          os.execv(sys.argv[2], sys.argv[2:])
      output = b""
      while True:
          try:
              some = os.read(terminal, 65536)
          except OSError:
              break
          if not some:
              break
          output += some
      sys.stdout.buffer.write(output.replace(b"\\r\\n", b"\\n"))
      sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
      """
    try script.write(
      toFile: semgTrain.directory.file("terminal.py"), atomically: false, encoding: .utf8)
    let outcome = try semgTrain.run(arguments, shell: "python3 terminal.py \(columns)")
    #expect(outcome.status == 0, "\(outcome.error)")
    return outcome.output
  }

  @Test func theWidthIsThatOfTheTerminal() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let command = ["inspect", "recordings"]
    let file = try semgTrain.run(command).output
    #expect(try Self.terminal(semgTrain, columns: 200, command) == file)
    let narrow = try Self.terminal(semgTrain, columns: 40, command)
    // The table of the channels is 91 columns wide where it has room.
    let table = narrow.split(separator: "\n").filter { $0.hasPrefix("channel") }
    #expect(table.count > 1 && table.allSatisfy { $0.count <= 40 }, "\(narrow)")
    let rows = narrow.split(separator: "\n").filter { $0.contains("(column 3)") }
    #expect(rows.count == table.count && rows.allSatisfy { $0.count <= 40 })
    // A terminal that does not say how wide it is.
    #expect(try Self.terminal(semgTrain, columns: 0, command).contains("(column 3)"))
  }
}
