import Foundation
import Recordings
import SignalPreparation
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
  let scale: Double
  let allowsMismatch: Bool
  let choosesChannels: Bool

  /// - Throws: `CommandFailure` and `SignalProcessingError` for settings that contradict each other.
  init(_ options: DataOptions, threads: Int) throws {
    directory = options.data
    channels = options.signal.channels ?? .firstEight
    sampleRate = options.signal.sampleRate ?? 512
    filters = options.signal.filters
    skipsBadRecordings = options.skipBad
    scale = options.signal.scale ?? 1
    allowsMismatch = options.signal.allowMismatch
    choosesChannels = options.signal.channels != nil
    self.threads = threads
    _ = try RecordingFilter(filters, sampleRate: sampleRate)
    _ = try WindowGeometry(sampleRate: sampleRate)
  }

  /// Finds the recordings below the data directory and puts each into its part.
  ///
  /// - Throws: where the path, or the split, leaves nothing to go on with. What is wrong with single
  ///   recordings and with what the parts hold is in the result: whoever reads the recordings finds
  ///   more of the kind, and tells of all at once.
  func select(by split: SplitSettings, console: Console? = nil) throws -> SelectedRecordings {
    guard !FileManager.default.fileExists(atPath: directory) || InputPath.isDirectory(directory)
    else {
      throw CommandFailure(
        .unreadable,
        "--data \(directory): found a file, expected a directory of recordings; to see what is in "
          + "it: semg-train inspect \(directory)")
    }
    let found = try RecordingSet(directory: directory)
    console?.warn(linksNotFollowed: found.linksNotFollowed)
    // Where nothing is left, no leaving out helps.
    guard !found.descriptors.isEmpty else {
      throw RecordingProblems(found.problems + [.noUsableRecording(directory: directory)])
    }
    let root = directory.hasSuffix("/") ? directory : directory + "/"
    // What is missing from a session that cannot be read is not what has to be mended.
    let closed =
      found.problems.compactMap { problem in
        guard case .unreadable(let file, _) = problem, file.hasSuffix("/") else { return nil }
        return RecordingLayout(path: String(file.dropFirst(root.count)) + "x.csv").session
      } as [Int]
    if !Set(closed).isSubset(of: found.descriptors.compactMap(\.session)) {
      throw RecordingProblems(found.problems)
    }
    let bad = found.problems.compactMap(\.file).map { String($0.dropFirst(root.count)) }
    let (parts, problems) = try split.split(found.descriptors, console: console) { path in
      bad.contains { $0 == path || $0.hasSuffix("/") && path.hasPrefix($0) }
    }
    return SelectedRecordings(
      descriptors: found.descriptors, problems: found.problems + problems, split: parts)
  }
}

extension Console {
  /// Says which links to directories were not followed.
  func warn(linksNotFollowed links: [String]) {
    guard let first = links.first else { return }
    let others = links.count > 1 ? " (and \(links.count - 1) more)" : ""
    warning("\(first)\(others): a link to a directory that is read by another path; not read again")
  }

  /// Says what is to be known of recordings that are used.
  func say(_ data: PreparedRecordings) {
    say(skipped: data.skipped, warnings: data.warnings, notes: data.notes)
  }

  func say(skipped: [RecordingError], warnings: [String], notes: [String]) {
    for problem in skipped { warning("skipped: \(problem)") }
    for sentence in warnings { warning(sentence) }
    for sentence in notes { note(sentence) }
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
  /// What is wrong with recordings as their paths tell it, and with what the parts hold.
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
    /// All recordings are tested on, whatever their paths say.
    case undivided
  }
  private let source: Source
  /// The sessions that the user asked for.
  private let namedSessions: Set<Int>
  let seed: UInt64
  /// `default`, or the options that say the parts.
  let origin: String

  /// Every recording is tested on.
  static let undivided = SplitSettings(
    source: .undivided, namedSessions: [], seed: TrainingRecipe.standard.seed)

  private init(source: Source, namedSessions: Set<Int>, seed: UInt64) {
    (self.source, self.namedSessions, self.seed) = (source, namedSessions, seed)
    origin = "default"
  }

  /// - Parameter saved: the split of the training whose models are evaluated, taken where the
  ///   options say nothing else.
  /// - Throws: `CommandFailure` where a split file and a rule are both given.
  init(_ options: SplitOptions, saved: String? = nil) throws {
    seed = options.seed ?? TrainingRecipe.standard.seed
    origin = options.asTyped
    namedSessions = (options.trainSessions ?? []).union(options.testSessions ?? [])
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

  /// The split, and what is wrong with recordings or parts by it.
  ///
  /// - Parameter isUnusable: whether a recording was found and is a bad one, by its path relative to
  ///   the data directory.
  /// - Throws: `SplitError`, `SplitFileProblems`, and `CommandFailure` where the settings contradict
  ///   each other or the data.
  func split(
    _ recordings: [RecordingDescriptor], console: Console? = nil,
    isUnusable: (String) -> Bool = { _ in false }
  ) throws -> (Split, [RecordingError]) {
    switch source {
    case .saved(let file):
      return (try savedSplit(file, recordings, console), [])
    case .rule(let rule, let leavesOutOtherSessions):
      let (split, problems) = try Split.proposal(
        for: recordings, by: rule, seed: seed, leavesOutOtherSessions: leavesOutOtherSessions)
      for case .sessionMissing(let session, let part, let found) in problems
      where namedSessions.contains(session) {
        let fault = RecordingError.sessionMissing(session: session, part: part, found: found)
        throw CommandFailure(.contradiction, fault.description)
      }
      return (split, problems)
    case .file(let file):
      let split = try SplitFile(file).split(of: recordings, isUnusable: isUnusable)
      return (split, split.problems(with: recordings))
    case .undivided:
      return (Split(parts: recordings.map { _ in .test }), [])
    }
  }
}

extension SplitSettings {
  /// The split of a training. Paths are all it has to know a recording by.
  private func savedSplit(
    _ file: String, _ recordings: [RecordingDescriptor], _ console: Console?
  ) throws -> Split {
    let saved = try SplitFile(file)
    let split = try saved.split(of: recordings, toleratesOthers: true)
    let known = split.parts.count { $0 != nil }
    guard known > 0 else {
      throw CommandFailure(
        .contradiction,
        "\(file) names none of the recordings below --data by their paths, so that their parts are not "
          + "known; give --data as in the training, or say the parts: --split FILE, --seed 42, or "
          + "--part all. Recordings of the training are known again by what is in them")
    }
    if known < recordings.count {
      console?.warning(
        "left out: \(Figure.count(recordings.count - known, "recording")) that the training did "
          + "not know (\(file))")
    }
    let gone = saved.recordingCount - known
    if gone > 0 {
      console?.warning(
        "\(Figure.count(gone, "recording")) of the training's split (\(file)) "
          + "\(gone == 1 ? "is" : "are") not below --data")
    }
    return split
  }
}

extension SplitOptions {
  /// The options that say which recording is in which part; `default` for none.
  fileprivate var asTyped: String {
    func numbers(_ name: String, _ values: Set<Int>?) -> String? {
      values.map { "\(name) " + $0.sorted().map(String.init).joined(separator: ",") }
    }
    let options = [
      split.map { "--split \($0)" }, numbers("--train-sessions", trainSessions),
      numbers("--test-sessions", testSessions), numbers("--held-out-subjects", heldOutSubjects),
      seed.map { "--seed \($0)" },
    ].compactMap { $0 }
    return options.isEmpty ? "default" : options.joined(separator: " ")
  }

  /// Whether no option says which recording is in which part.
  var saysNothing: Bool {
    split == nil && trainSessions == nil && testSessions == nil && heldOutSubjects == nil
      && seed == nil
  }
}
