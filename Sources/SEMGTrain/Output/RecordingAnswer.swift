import Foundation
import Recordings
import SignalPreparation
import Training

/// What the ensemble says about one recording, as its windows come: a line of JSON, or text.
struct RecordingAnswer {
  private let recording: String
  private let warnings: [String]
  private let isUnanswerable: Bool
  /// The gestures that the probabilities stand for, in their order.
  private let gestures: [Int]
  private let sampleRate: Double
  private let stride: Int
  /// Whether windows are wanted; there are none where there is no confident answer.
  private let namesWindows: Bool
  private var keepsWindows: Bool { namesWindows && !isUnanswerable }
  private var tally: PredictionTally
  /// `[windows, gestures]`; empty where windows are not kept.
  private var probabilities: [Float] = []

  init(
    _ entry: RecordingsToPredict.Entry, gestures: [Int], sampleRate: Double, stride: Int,
    namesWindows: Bool
  ) {
    recording = entry.file
    warnings = entry.concerns.filter { $0.weight != .note }.map(\.text)
    isUnanswerable = entry.isUnanswerable
    (self.gestures, self.sampleRate, self.stride) = (gestures, sampleRate, stride)
    self.namesWindows = namesWindows
    tally = PredictionTally(classes: gestures.count)
  }

  /// Takes in the probabilities `[windows, gestures]` of the windows that come next.
  mutating func add(_ probabilities: ArraySlice<Float>) {
    let classes = gestures.count
    for start in Swift.stride(
      from: probabilities.startIndex, to: probabilities.endIndex, by: classes)
    {
      tally.add(probabilities[start..<start + classes])
    }
    if keepsWindows { self.probabilities += probabilities }
  }

  // MARK: JSON

  /// All but the windows.
  private struct Head: Encodable {
    let recording: String
    /// Nil, as the confidence, where there is no confident answer.
    let gesture: Int?
    let confidence: Float?
    /// How many windows show that gesture, of how many.
    let agreeingWindows: Int?
    let windowCount: Int
    let gestures: [Int]
    let sampleRate: Double
    let warnings: [String]
    /// Why it was left out; nil where it was not.
    var skipped: String?

    enum CodingKeys: String, CodingKey {
      case recording, gesture, confidence, gestures, warnings, skipped
      case agreeingWindows = "agreeing_windows"
      case windowCount = "window_count"
      case sampleRate = "sample_rate"
    }

    /// Null where there is no answer, so that each line has the same keys.
    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(recording, forKey: .recording)
      try container.encode(gesture, forKey: .gesture)
      try container.encode(confidence, forKey: .confidence)
      try container.encode(agreeingWindows, forKey: .agreeingWindows)
      try container.encode(windowCount, forKey: .windowCount)
      try container.encode(gestures, forKey: .gestures)
      try container.encode(sampleRate, forKey: .sampleRate)
      try container.encode(warnings, forKey: .warnings)
      try container.encode(skipped, forKey: .skipped)
    }
  }

  private struct Window: Encodable {
    /// The window's first sample, from 0, and when that was.
    let start: Int
    let startSeconds: Double
    let gesture: Int
    /// In the order of the gestures.
    let probabilities: [Float]

    enum CodingKeys: String, CodingKey {
      case start, gesture, probabilities
      case startSeconds = "start_seconds"
    }
  }

  private func window(_ index: Int) -> Window {
    let row = probabilities[index * gestures.count..<(index + 1) * gestures.count]
    return Window(
      start: index * stride, startSeconds: Double(index * stride) / sampleRate,
      gesture: gestures[Prediction.mostProbable(row)], probabilities: Array(row))
  }

  private var keptWindows: Int { probabilities.count / gestures.count }

  /// How many windows are put into words at once.
  private static let atOnce = 1024

  /// One line; without windows under `--summary`. Written piece by piece: in the encoder's memory
  /// the windows of some hours would take hundreds of megabytes.
  func writeJSON(to console: Console) throws {
    let prediction = isUnanswerable ? nil : tally.prediction
    let head = Head(
      recording: recording, gesture: prediction.map { gestures[$0.classIndex] },
      confidence: prediction?.confidence, agreeingWindows: prediction?.agreeing,
      windowCount: tally.windows, gestures: gestures, sampleRate: sampleRate, warnings: warnings)
    let text = try Console.json(head)
    guard namesWindows else { return try console.result(verbatim: text + "\n") }
    try console.result(verbatim: text.dropLast() + ",\"windows\":[")
    for first in Swift.stride(from: 0, to: keptWindows, by: Self.atOnce) {
      let some = (first..<min(first + Self.atOnce, keptWindows)).map(window)
      let list = try Console.json(some).dropFirst().dropLast()
      try console.result(verbatim: (first == 0 ? "" : ",") + list)
    }
    try console.result(verbatim: "]}\n")
  }

  // MARK: Left out

  /// A line for a recording that `--skip-bad` left out, with the keys of all others.
  static func writeJSON(
    skipped problem: RecordingError, gestures: [Int], sampleRate: Double, namesWindows: Bool,
    to console: Console
  ) throws {
    let head = Head(
      recording: problem.file ?? "", gesture: nil, confidence: nil, agreeingWindows: nil,
      windowCount: 0, gestures: gestures, sampleRate: sampleRate, warnings: [],
      skipped: "\(problem)")
    let text = try Console.json(head).dropLast()
    try console.result(verbatim: text + (namesWindows ? ",\"windows\":[]}\n" : "}\n"))
  }

  static func writeText(skipped problem: RecordingError, to console: Console) throws {
    try console.result("\(shownPath(problem.file ?? "")): skipped")
  }

  // MARK: Text

  /// The recording, then its windows, those only where they were kept.
  func writeText(to console: Console) throws {
    guard !isUnanswerable else {
      return try console.result(
        "\(shownPath(recording)): no confident answer: \(warnings.joined(separator: "; ")); "
          + "--allow-mismatch answers nevertheless")
    }
    let prediction = tally.prediction
    try console.result(
      "\(shownPath(recording)): gesture \(gestures[prediction.classIndex]), confidence "
        + "\(Figure.percent(Double(prediction.confidence))), "
        + "\(prediction.agreeing) of \(Figure.count(tally.windows, "window"))")
    guard keepsWindows else { return }
    let last = keptWindows > 0 ? row(of: keptWindows - 1)[0] : ""
    for first in Swift.stride(from: 0, to: keptWindows, by: Self.atOnce) {
      // As wide in every piece as the last line needs.
      let header = ["  from second", "gesture", "confidence"]
      var table = TextTable(header: header, widths: [last.count, 0, 0])
      for index in first..<min(first + Self.atOnce, keptWindows) { table.append(row(of: index)) }
      try console.result(first == 0 ? table.text : table.textWithoutHeader)
    }
  }

  private func row(of index: Int) -> [String] {
    let window = window(index)
    return [
      "  " + Figure.fixed(window.startSeconds, 2), "\(window.gesture)",
      Figure.percent(Double(window.probabilities.max() ?? 0)),
    ]
  }
}

/// What is said while recordings are predicted, where somebody watches.
final class PredictionProgress {
  private let console: Console
  private let data: RecordingsToPredict
  private let windows: Int
  private let start = ContinuousClock.now
  private var done = 0

  /// So many windows take a while, and are worth a line even where no line can be redrawn.
  private static let many = 20_000

  init(_ data: RecordingsToPredict, console: Console) {
    (self.data, self.console, windows) = (data, console, data.windowCount)
    if windows >= Self.many {
      console.note(
        "predicting \(Figure.count(data.entries.count, "recording")), "
          + Figure.count(windows, "window"))
    }
  }

  /// Counts windows of a recording, by its position.
  func add(windows count: Int, of index: Int) {
    done += count
    let seconds = Double(start.duration(to: .now) / .seconds(1))
    let left = seconds / Double(max(1, done)) * Double(windows - done)
    console.progress(
      "recording \(index + 1) of \(data.entries.count)  "
        + "\(Figure.fixed(100 * Double(done) / Double(max(1, windows)), 0)) %  "
        + "\(Figure.fixed(Double(done) / max(seconds, 1e-3), 0)) windows/s  "
        + "\(Figure.time(left)) left")
  }
}
