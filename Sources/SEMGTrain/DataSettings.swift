import Foundation
import Recordings
import SignalProcessing
import Training

/// How recordings are found and prepared: the options, checked against each other.
struct DataSettings {
  let directory: String
  let channels: ChannelSelection
  let sampleRate: Double
  let filters: FilterSettings
  let skipsBadRecordings: Bool
  let threads: Int

  /// - Throws: `CommandFailure` and `SignalProcessingError` for settings that contradict each other.
  init(_ options: DataOptions, threads: Int) throws {
    directory = options.data
    channels = options.signal.channels ?? .firstEight
    sampleRate = options.signal.sampleRate ?? 512
    filters = options.signal.filters
    skipsBadRecordings = options.skipBad
    self.threads = threads
    _ = try RecordingFilter(filters, sampleRate: sampleRate)
    _ = try WindowGeometry(sampleRate: sampleRate)
  }

  /// Finds the recordings below the data directory and puts each into its part.
  ///
  /// - Throws: what the path, the layout or the split is at fault for; all of the layout's problems
  ///   at once, unless bad recordings are skipped.
  func select(by split: SplitSettings, console: Console? = nil) throws -> SelectedRecordings {
    guard !FileManager.default.fileExists(atPath: directory) || InputPath.isDirectory(directory)
    else {
      throw CommandFailure(
        .unreadable,
        "--data \(directory): found a file, expected a directory of recordings; to see what is in "
          + "it: semg-train inspect \(directory)")
    }
    let found = try RecordingSet(directory: directory)
    guard found.problems.isEmpty || skipsBadRecordings else {
      throw RecordingProblems(found.problems)
    }
    return SelectedRecordings(
      descriptors: found.descriptors, problems: found.problems,
      split: try split.split(found.descriptors, console: console))
  }
}

extension SignalOptions {
  var filters: FilterSettings {
    var settings = FilterSettings()
    switch notch {
    case .off: settings.notchHertz = nil
    case .hertz(let frequency): settings.notchHertz = frequency
    case nil: break
    }
    return settings
  }
}

/// The recordings of a data directory with the part of each.
struct SelectedRecordings {
  let descriptors: [RecordingDescriptor]
  /// What was left out, where bad recordings are skipped.
  let problems: [RecordingError]
  let split: Split
}

/// Which recording is in which part: the options, checked against each other.
struct SplitSettings {
  private enum Source {
    case file(String)
    case rule(Split.Rule, leavesOutOtherSessions: Bool)
    /// What a training wrote beside its models.
    case saved(String)
  }
  private let source: Source
  let seed: UInt64

  /// - Parameter saved: the split of the training whose models are evaluated, taken where the
  ///   options say nothing else.
  /// - Throws: `CommandFailure` where a split file and a rule are both given.
  init(_ options: SplitOptions, saved: String? = nil) throws {
    seed = options.seed ?? 42
    let choosesSessions = options.trainSessions != nil || options.testSessions != nil
    if let file = options.split {
      guard !choosesSessions, options.heldOutSubjects == nil else {
        throw CommandFailure(
          .contradiction,
          "--split says the part of every recording; drop it, or drop --train-sessions, "
            + "--test-sessions and --held-out-subjects")
      }
      source = .file(file)
      return
    }
    if let saved, options.saysNothing {
      source = .saved(saved)
      return
    }
    var rule = Split.Rule()
    if let sessions = options.trainSessions { rule.trainSessions = sessions }
    if let sessions = options.testSessions { rule.testSessions = sessions }
    if let subjects = options.heldOutSubjects { rule.heldOutSubjects = subjects }
    // Whoever names sessions means these and no others.
    source = .rule(rule, leavesOutOtherSessions: choosesSessions)
  }

  /// - Throws: `SplitError`, `SplitFileProblems`, and `RecordingProblems` where a part lacks a
  ///   gesture.
  func split(_ recordings: [RecordingDescriptor], console: Console? = nil) throws -> Split {
    switch source {
    case .saved(let file):
      return try savedSplit(file, recordings, console)
    case .rule(let rule, let leavesOutOtherSessions):
      return try Split(
        recordings, by: rule, seed: seed, leavesOutOtherSessions: leavesOutOtherSessions)
    case .file(let file):
      let split = try Split(contentsOf: file, for: recordings)
      let problems = split.problems(with: recordings)
      guard problems.isEmpty else { throw RecordingProblems(problems) }
      return split
    }
  }
}

extension SplitSettings {
  /// The split of a training. Paths are all it has to know a recording by.
  private func savedSplit(
    _ file: String, _ recordings: [RecordingDescriptor], _ console: Console?
  ) throws -> Split {
    let split = try Split(contentsOf: file, for: recordings, toleratesOthers: true)
    let known = split.parts.count { $0 != nil }
    guard known > 0 else {
      throw CommandFailure(
        .contradiction,
        "\(file) names none of the recordings below --data, so that nobody can say which of them "
          + "the models were trained on; give --data as in the training, or say the parts: "
          + "--split FILE, --seed 42, or --part all where all are new")
    }
    if known < recordings.count {
      console?.warning(
        "left out: \(Figure.count(recordings.count - known, "recording")) that the training did "
          + "not know (\(file))")
    }
    let gone = try Split.namedRecordings(in: file) - known
    if gone > 0 {
      console?.warning(
        "\(Figure.count(gone, "recording")) of the training's split (\(file)) "
          + "\(gone == 1 ? "is" : "are") not below --data")
    }
    return split
  }
}

extension SplitOptions {
  /// Whether no option says which recording is in which part.
  var saysNothing: Bool {
    split == nil && trainSessions == nil && testSessions == nil && heldOutSubjects == nil
      && seed == nil
  }
}
