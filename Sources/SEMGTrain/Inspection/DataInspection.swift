import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
import Training

/// What a data directory holds, as a training with these columns would find it.
struct DataInspection: Inspection {
  struct PartContents: Encodable {
    let recordings: Int
    let seconds: Double
    let subjects: [Int]
    /// Recordings of each gesture.
    let gestures: [String: Int]
  }

  struct Channel: Encodable {
    let column: Int
    let name: String?
    /// After the filters: the median, lowest and highest of the recordings.
    let deviation, lowest, highest: Double
    /// Recordings in which it never changes, is clipped, has an outlier, is in another unit.
    let flat, clipped, outliers, otherUnits: Int

    enum CodingKeys: String, CodingKey {
      case column, name, deviation, lowest, highest, flat, clipped, outliers
      case otherUnits = "other_units"
    }
  }

  let kind = "data"
  let path: String
  let recordings: Int
  let seconds: Double
  let sampleRate: Double
  let gestures: [Int]
  let subjects: [Int]
  let sessions: [Int]
  /// By the parts that a training makes of them without options; empty where it makes none.
  let parts: [String: PartContents]
  let channels: [Channel]
  /// What a training refuses.
  let problems: [String]
  /// What it warns of.
  let warnings: [String]

  enum CodingKeys: String, CodingKey {
    case kind, path, recordings, seconds, gestures, subjects, sessions, parts, channels, problems
    case warnings
    case sampleRate = "sample_rate"
  }

  /// - Throws: where nothing below the path is a recording, or the rate is none to filter at.
  init(_ path: String, options: ColumnOptions) throws {
    let found = try RecordingSet(directory: path)
    let rate = options.sampleRate ?? 512
    let preparation = try Preparation(
      sampleRate: rate, channels: options.channels ?? .firstEight,
      threads: ProcessInfo.processInfo.activeProcessorCount,
      choosesChannels: options.channels != nil)
    let files = found.descriptors
    var problems = found.problems
    var refusals: [String] = []
    var split = Split(parts: files.map { _ in nil })
    do {
      let proposal = try Split.proposal(
        for: files, by: Split.Rule(), seed: 42, leavesOutOtherSessions: false)
      split = proposal.0
      problems += proposal.1
    } catch {
      refusals.append("\(error)")
    }
    let survey = try preparation.survey(files, split: split)
    self.path = path
    sampleRate = rate
    recordings = files.count
    let lengths = survey.samples.map { Double($0 ?? 0) / rate }
    seconds = lengths.reduce(0, +)
    gestures = Set(files.map(\.gesture)).sorted()
    subjects = Set(files.compactMap(\.subject)).sorted()
    sessions = Set(files.compactMap(\.session)).sorted()
    parts = Dictionary(
      uniqueKeysWithValues: Part.allCases.compactMap { part in
        let chosen = files.indices.filter { split.parts[$0] == part }
        guard !chosen.isEmpty else { return nil }
        return (part.rawValue, Self.contents(chosen.map { (files[$0], lengths[$0]) }))
      })
    // Of recordings none of which could be read there are no figures.
    let isAnyRead = survey.samples.contains { $0 != nil }
    channels = (isAnyRead ? survey.channels : []).map {
      Channel(
        column: $0.column, name: $0.name, deviation: $0.deviation, lowest: $0.lowest,
        highest: $0.highest, flat: $0.flat, clipped: $0.clipped, outliers: $0.outliers,
        otherUnits: $0.otherUnits)
    }
    self.problems =
      RecordingProblems(problems + survey.problems).problems.map(\.description) + refusals
    warnings =
      survey.warnings
      + found.linksNotFollowed.map {
        "\($0): a link to a directory that is read by another path; not read again"
      }
  }

  private static func contents(_ files: [(RecordingDescriptor, seconds: Double)]) -> PartContents {
    PartContents(
      recordings: files.count, seconds: files.reduce(0) { $0 + $1.seconds },
      subjects: Set(files.compactMap(\.0.subject)).sorted(),
      gestures: Dictionary(grouping: files) { String($0.0.gesture) }.mapValues(\.count))
  }

  var text: String {
    var blocks = [
      "\(path): a data directory: \(Figure.count(recordings, "recording")), "
        + "\(Figure.time(seconds)) at \(Figure.plain(sampleRate)) Hz; "
        + "\(Figure.count(gestures.count, "gesture")), "
        + "\(Figure.count(subjects.count, "subject")), "
        + "\(Figure.count(sessions.count, "session"))"
    ]
    if !parts.isEmpty { blocks.append(partTable) }
    if !channels.isEmpty { blocks.append(channelTable) }
    blocks.append(list("A training refuses", problems))
    blocks.append(list("A training warns of", warnings))
    return blocks.joined(separator: "\n\n")
  }

  private func list(_ title: String, _ sentences: [String]) -> String {
    guard !sentences.isEmpty else { return "\(title) nothing." }
    let shown = sentences.prefix(20).map { "  \($0)" }
    let more = sentences.count > 20 ? ["  and \(sentences.count - 20) more; --json lists all"] : []
    return (["\(title):"] + shown + more).joined(separator: "\n")
  }

  private var partTable: String {
    var table = TextTable(
      header: ["recordings"] + gestures.map { "gesture \($0)" } + ["all", "subjects", "time"])
    for part in Part.allCases {
      guard let contents = parts[part.rawValue] else { continue }
      table.append(
        [part.rawValue] + gestures.map { "\(contents.gestures[String($0)] ?? 0)" }
          + [
            "\(contents.recordings)", "\(contents.subjects.count)", Figure.time(contents.seconds),
          ])
    }
    return table.text(within: Console.outputColumns)
  }

  private var channelTable: String {
    var table = TextTable(
      header: [
        "channel", "name", "deviation", "lowest", "highest", "flat", "clipped", "outliers", "units",
      ])
    for (index, channel) in channels.enumerated() {
      table.append(
        ["\(index + 1) (column \(channel.column))", channel.name ?? "-"]
          + [channel.deviation, channel.lowest, channel.highest].map(RecordingMismatch.figure)
          + [channel.flat, channel.clipped, channel.outliers, channel.otherUnits].map { "\($0)" })
    }
    return table.text(within: Console.outputColumns)
      + "\n(deviations after the filters; then recordings in which a channel never "
      + "changes, is clipped, has an outlier, or is in another unit)"
  }
}
