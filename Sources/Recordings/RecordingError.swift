/// What sort of fault an error is, for whoever turns errors into exit codes.
public enum FaultKind: Sendable {
  /// The content or the layout of the data is wrong.
  case badContent
  /// A path is missing or unreadable, or no recording lies below it.
  case unreadable
  /// Settings contradict each other or the data.
  case contradiction
  /// Output cannot be created.
  case cannotCreate
  /// A read failed midway.
  case readFailed
  /// A write failed midway.
  case writeFailed
}

/// What can be wrong with one recording, or with a set of them. `line` counts from 1, `column` too.
///
/// `file` is the path as it was opened: the data directory as the user gave it, then the path below.
public enum RecordingError: Error, Equatable, Sendable {
  // The file itself.
  case missing(path: String)
  case unreadable(file: String, reason: String)
  case readFailed(file: String, bytes: Int, reason: String)
  case directoryNamedAsRecording(file: String)
  case notARegularFile(file: String)
  case nameNotUTF8(directory: String, name: String)
  case tooLarge(file: String, bytes: Int, limit: Int)

  // Its encoding.
  case emptyFile(file: String)
  case utf16(file: String)
  case nulByte(file: String, line: Int)
  case binary(file: String, line: Int, byte: UInt8)
  /// Git LFS left its pointer in the file's place.
  case lfsPointer(file: String)
  case lineWithoutEnd(file: String, line: Int, limit: Int)
  case loneCarriageReturn(file: String, line: Int)

  // Its rows.
  case noRows(file: String)
  case missingColumn(file: String, line: Int, found: Int, expected: Int)
  case wrongDelimiter(file: String, line: Int, found: String)
  /// A line of text where numbers belong.
  case textLine(file: String, line: Int, found: String)
  case quotedNumber(file: String, line: Int, column: Int, found: String)
  case raggedRow(file: String, line: Int, found: Int, expected: Int)
  case cutMidLine(file: String, line: Int, found: String, expected: Int)
  case blankLine(file: String, line: Int)
  case mixedFirstLine(file: String, line: Int, column: Int, found: String)
  case decimalCommas(file: String, line: Int)
  case notANumber(file: String, line: Int, column: Int, found: String)
  case notFinite(file: String, line: Int, column: Int, found: String)
  case valueTooLarge(file: String, line: Int, column: Int, found: Double, limit: Double)
  case emptyCell(file: String, line: Int, column: Int)
  case tooShort(file: String, samples: Int, minimum: Int)

  /// It is not what the others are, or what a model was trained on.
  case mismatch(file: String, RecordingMismatch)

  // Its place in the layout.
  case noGesture(file: String)
  case noSession(file: String)
  case noSubject(file: String)
  /// The path says two different things of one kind, or a number with a fraction.
  case contradictoryPath(file: String, found: [String])
  /// A gesture that the network was not trained on.
  case unknownGesture(file: String, gesture: Int, known: [Int])

  // The set.
  case noRecordings(directory: String)
  /// Something with a recording's name lies there, and none of it can be used.
  case noUsableRecording(directory: String)
  case fewerThanTwoGestures(found: [Int])
  case emptyPart(part: Part)
  case gestureMissing(gesture: Int, part: Part)
  case sessionMissing(session: Int, part: Part, found: [Int])
  /// One recording each of these gestures, where each is to be halved into two parts.
  case tooFewToHalve(gestures: [Int], sessions: [Int])
  /// A channel does not change in `recordings` of all; `channels` are the others.
  case deadChannel(column: Int, recordings: Int, all: Int, channels: ChannelSelection?)
  /// `file` is the first of the session.
  case sessionInNoPart(session: Int, file: String)
  case sameSamples(file: String, part: Part, other: String, otherPart: Part)
  /// The same as in another part, but rounded, cut or scaled.
  case nearlySameSignal(file: String, part: Part, other: String, otherPart: Part)
  /// The same under two gestures, but rounded, cut or scaled.
  case nearlySameSignalOtherGesture(
    file: String, gesture: Int, other: String, otherGesture: Int)
  /// A signal that stands for two gestures.
  case sameSamplesOtherGesture(file: String, gesture: Int, other: String, otherGesture: Int)
}

extension RecordingError {
  /// The class of the fault: nearly all are bad content; what cannot be opened is unreadable.
  public var kind: FaultKind {
    switch self {
    case .missing, .unreadable, .noRecordings, .noUsableRecording, .nameNotUTF8,
      .notARegularFile:
      .unreadable
    case .readFailed: .readFailed
    default: .badContent
    }
  }

  /// Whether somebody who knows better may go on with the recordings as they are.
  public var isMismatch: Bool {
    switch self {
    case .mismatch, .deadChannel, .nearlySameSignal, .nearlySameSignalOtherGesture: true
    default: false
    }
  }

  /// Whether the fault lies in the set as a whole, so that leaving out a recording is no help.
  public var isOfTheSet: Bool {
    switch self {
    case .noRecordings, .noUsableRecording, .fewerThanTwoGestures, .emptyPart, .gestureMissing,
      .sessionMissing, .tooFewToHalve, .sessionInNoPart, .deadChannel:
      true
    default: false
    }
  }

  /// The recording that the fault lies in, or nil where it lies in the set as a whole. Where a
  /// caller goes on without bad recordings, this is the one to leave out.
  public var file: String? {
    switch self {
    case .missing(let file), .unreadable(let file, _), .readFailed(let file, _, _),
      .directoryNamedAsRecording(let file),
      .notARegularFile(let file), .tooLarge(let file, _, _), .emptyFile(let file),
      .utf16(let file), .nulByte(let file, _), .binary(let file, _, _),
      .lfsPointer(let file), .lineWithoutEnd(let file, _, _), .loneCarriageReturn(let file, _),
      .noRows(let file),
      .missingColumn(let file, _, _, _), .wrongDelimiter(let file, _, _),
      .textLine(let file, _, _), .quotedNumber(let file, _, _, _),
      .raggedRow(let file, _, _, _), .cutMidLine(let file, _, _, _), .blankLine(let file, _),
      .mixedFirstLine(let file, _, _, _), .decimalCommas(let file, _),
      .notANumber(let file, _, _, _),
      .notFinite(let file, _, _, _), .valueTooLarge(let file, _, _, _, _),
      .emptyCell(let file, _, _), .tooShort(let file, _, _),
      .noGesture(let file), .noSession(let file), .noSubject(let file),
      .contradictoryPath(let file, _), .unknownGesture(let file, _, _),
      .sameSamples(let file, _, _, _), .sameSamplesOtherGesture(let file, _, _, _),
      .nearlySameSignal(let file, _, _, _), .nearlySameSignalOtherGesture(let file, _, _, _),
      .mismatch(let file, _):
      file
    case .nameNotUTF8, .noRecordings, .noUsableRecording, .fewerThanTwoGestures, .emptyPart,
      .gestureMissing, .sessionMissing, .tooFewToHalve, .sessionInNoPart, .deadChannel:
      nil
    }
  }
}

extension RecordingError: CustomStringConvertible {
  /// One sentence: where, what was found, what was expected, and what helps where that is known.
  ///
  /// Line feeds in paths are shown as `\n`: each problem is one line.
  public var description: String { shownPath(sentence) }

  private var sentence: String {
    if case .mismatch(let file, let mismatch) = self { return "\(file): \(mismatch)" }
    return fileDescription ?? encodingDescription ?? rowDescription ?? layoutDescription
      ?? setDescription
  }

  private var fileDescription: String? {
    switch self {
    case .missing(let path):
      "\(path): found nothing there, expected a recording or a directory of recordings"
    case .unreadable(let file, let reason):
      "\(file): cannot be read: \(reason)"
    case .readFailed(let file, let bytes, let reason):
      "\(file): reading failed after \(bytes) bytes: \(reason); "
        + "the disk or the connection to it may be at fault"
    case .directoryNamedAsRecording(let file):
      "\(file): found a directory with a recording's name, expected a CSV file; rename it"
    case .notARegularFile(let file):
      "\(file): found a device, pipe or socket, expected a CSV file"
    case .nameNotUTF8(let directory, let name):
      "\(directory): found a file name that is not UTF-8 (\(name)), expected one that is; rename it"
    case .tooLarge(let file, let bytes, let limit):
      "\(file): found \(bytes) bytes, expected at most \(limit) in one recording; cut it in pieces"
    default: nil
    }
  }

  private var encodingDescription: String? {
    switch self {
    case .emptyFile(let file):
      "\(file):1: found an empty file, expected one row of numbers a sample"
    case .utf16(let file):
      "\(file):1: found UTF-16 text, expected UTF-8 or ASCII; save it again as UTF-8"
    case .nulByte(let file, let line):
      "\(file):\(line): found a NUL byte, expected text; the file is damaged or is not a CSV"
    case .binary(let file, let line, let byte):
      "\(file):\(line): found binary content (byte 0x\(hex(byte))), expected numbers and commas"
    case .lfsPointer(let file):
      "\(file):1: found a Git LFS pointer, which only names the file that belongs here; fetch that "
        + "with: git lfs pull"
    case .lineWithoutEnd(let file, let line, let limit):
      "\(file):\(line): found a line of more than \(limit) bytes, expected one line per sample"
    case .loneCarriageReturn(let file, let line):
      "\(file):\(line): found a carriage return inside a line, "
        + "expected lines that end with LF or CRLF"
    default: nil
    }
  }

  private var rowDescription: String? {
    switch self {
    case .noRows(let file):
      "\(file):1: found no row of numbers, expected one row per sample"
    case .missingColumn(let file, let line, let found, let expected):
      "\(file):\(line): found \(columns(found)), expected at least \(expected) "
        + "for the channels (--channels, 1-8 by default)"
    case .wrongDelimiter(let file, let line, let found):
      "\(file):\(line): found columns separated by \(found), expected commas"
    case .textLine(let file, let line, let found):
      "\(file):\(line): found the text \(found), expected numbers or names with commas between them; "
        + "remove the line, or above the header begin it with #"
    case .quotedNumber(let file, let line, let column, let found):
      "\(file):\(line): found the number \(found) in quotation marks in column \(column), expected it "
        + "without, and with a decimal point; export it so"
    case .raggedRow(let file, let line, let found, let expected):
      "\(file):\(line): found \(columns(found)), expected \(expected) as in the first line"
    case .cutMidLine(let file, let line, let found, let expected):
      "\(file):\(line): the file is cut off: the last line ends with \(found), "
        + "expected \(columns(expected)) of whole numbers"
    case .blankLine(let file, let line):
      "\(file):\(line): found a blank line between rows, expected a row of numbers"
    case .mixedFirstLine(let file, let line, let column, let found):
      "\(file):\(line): found \(found) in column \(column) among cells of the other sort, "
        + "expected a number in each column, or a name in each"
    case .decimalCommas(let file, let line):
      "\(file):\(line): found commas between the columns and in the numbers as well, "
        + "expected numbers with a point, such as 0.25; export them so"
    case .notANumber(let file, let line, let column, let found):
      "\(file):\(line): found \(found) in column \(column), expected a number"
    case .notFinite(let file, let line, let column, let found):
      "\(file):\(line): found \(found) in column \(column), expected a finite number"
    case .valueTooLarge(let file, let line, let column, let found, let limit):
      "\(file):\(line): found \(found) in column \(column), "
        + "expected a number between \(-limit) and \(limit)"
    case .emptyCell(let file, let line, let column):
      "\(file):\(line): found an empty cell in column \(column), expected a number"
    case .tooShort(let file, let samples, let minimum):
      "\(file): found \(samples) \(samples == 1 ? "sample" : "samples"), "
        + "expected at least \(minimum) for the filters and one window"
    default: nil
    }
  }

  private var layoutDescription: String? {
    switch self {
    case .noGesture(let file):
      "\(file): found no gesture in the path, expected a name such as gesture00_trial01.csv"
    case .noSession(let file):
      "\(file): found no session in the path, expected a directory such as Session1; "
        + "or give --split FILE.csv"
    case .noSubject(let file):
      "\(file): found no subject in the path, expected a name such as subject_3, "
        + "since --held-out-subjects is given"
    case .contradictoryPath(let file, let found):
      found.count == 1
        ? "\(file): found \(found[0]) in the path, expected a whole number; rename it"
        : "\(file): found \(found.joined(separator: " and ")) in the path, expected one; rename it"
    case .unknownGesture(let file, let gesture, let known):
      "\(file): found gesture \(gesture), expected one that the network was trained on: "
        + numberList(known)
    default: nil
    }
  }

  private var setDescription: String {
    switch self {
    case .noRecordings(let directory):
      "\(directory): found no CSV file below it, expected recordings such as "
        + "Session1/subject_1/gesture00_trial01.csv"
    case .noUsableRecording(let directory):
      "\(directory): found no recording that can be used below it"
    case .fewerThanTwoGestures(let found):
      "found \(found.isEmpty ? "no gesture" : "only gesture \(found[0])") in the training part, "
        + "expected two or more"
    case .emptyPart(let part):
      "found no recording in the \(part.rawValue) part, expected some of each gesture"
    case .gestureMissing(let gesture, let part):
      "found no recording of gesture \(gesture) in the \(part.rawValue) part, "
        + "expected some of each gesture in each part"
    case .sessionMissing(let session, let part, let found):
      "found no recording of session \(session) (sessions found: \(numberList(found))), expected "
        + "some for the \(part == .train ? "train part" : "test and validation parts"); "
        + "choose others with --train-sessions and --test-sessions, or give --split FILE.csv"
    case .tooFewToHalve(let gestures, let sessions):
      "found only 1 recording of gesture \(numberList(gestures)) in session "
        + "\(numberList(sessions)), expected 2 or more: the recordings of each gesture there are "
        + "halved, one half for the test part, the other for the validation part; record more, name "
        + "more sessions with --test-sessions, or say the parts with --split FILE.csv"
    case .sessionInNoPart(let session, let file):
      "\(file): found session \(session), which is in no part; "
        + "say which sessions to use with --train-sessions and --test-sessions"
    case .sameSamples(let file, let part, let other, let otherPart):
      "\(file): found the same samples as in \(other), expected different recordings "
        + "in the \(part.rawValue) and \(otherPart.rawValue) parts"
    case .sameSamplesOtherGesture(let file, let gesture, let other, let otherGesture):
      "\(file): found the same samples, of gesture \(gesture), as of gesture \(otherGesture) in "
        + "\(other), expected one gesture; remove the wrong one"
    case .nearlySameSignal(let file, let part, let other, let otherPart):
      "\(file): found nearly the same signal as in \(other), as a copy has that was rounded, cut or "
        + "scaled; expected different recordings in the \(part.rawValue) and \(otherPart.rawValue) parts"
    case .nearlySameSignalOtherGesture(let file, let gesture, let other, let otherGesture):
      "\(file): found nearly the same signal, of gesture \(gesture), as of gesture \(otherGesture) in "
        + "\(other), as a copy has that was rounded, cut or scaled; remove the wrong one"
    case .deadChannel(let column, let recordings, let all, let channels):
      "column \(column) never changes in \(recordings) of \(all) recordings, expected a signal"
        + (channels.map { "; to leave the channel out: --channels \($0)" } ?? "")
    default: "a fault without a description"
    }
  }

  private func columns(_ count: Int) -> String { count == 1 ? "1 column" : "\(count) columns" }

  private func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "0" + digits : digits
  }
}

/// All that was found wrong with a set of recordings: with each recording, in the order of their
/// paths, then with the set.
public struct RecordingProblems: Error, Equatable, Sendable, CustomStringConvertible {
  public let problems: [RecordingError]

  public init(_ problems: [RecordingError]) {
    self.problems =
      problems.filter { $0.file != nil }.sorted {
        ($0.file ?? "").utf8.lexicographicallyPrecedes(($1.file ?? "").utf8)
      } + problems.filter { $0.file == nil }
  }

  /// - Throws: `problems`, if there are any and leaving out the recordings at fault is not wanted
  ///   or is no help.
  public static func check(
    _ problems: [RecordingError], skipping: Bool
  ) throws(RecordingProblems) {
    let stops = skipping ? problems.contains(where: \.isOfTheSet) : !problems.isEmpty
    if stops { throw RecordingProblems(problems) }
  }

  /// The worst of what was found: bad content, else a read that failed midway, else unreadable.
  public var kind: FaultKind {
    let kinds = problems.map(\.kind)
    if kinds.contains(.badContent) { return .badContent }
    return kinds.contains(.readFailed) ? .readFailed : .unreadable
  }

  /// A sentence a line.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// A path, or a sentence with one, in one line: line feeds as `\n`.
public func shownPath(_ path: String) -> String { path.replacing("\n", with: "\\n") }

/// "1, 2", or "none"; of many the first twelve, and how many more there are.
public func numberList(_ numbers: [Int]) -> String {
  numbers.isEmpty ? "none" : shortList(numbers.map(String.init))
}

/// The first twelve of many, and how many more there are.
public func shortList(_ items: [String]) -> String {
  let most = 12
  let shown = items.prefix(most).joined(separator: ", ")
  return items.count > most ? "\(shown), … and \(items.count - most) more" : shown
}
