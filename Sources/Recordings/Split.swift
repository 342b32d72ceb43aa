/// A part of the data.
public enum Part: String, CaseIterable, Hashable, Sendable {
  case train, validation, test
}

/// Which recording is in which part. A recording is in one part at most, so no window is in two.
public struct Split: Equatable, Sendable {
  /// The part of each recording, in the recordings' order; nil for those that the settings leave
  /// out (a session that is neither trained nor tested on).
  public let parts: [Part?]

  public init(parts: [Part?]) { self.parts = parts }

  /// The positions of the recordings of `part`, ascending.
  public func indices(of part: Part) -> [Int] { parts.indices.filter { parts[$0] == part } }

  /// The same split without the recordings at `indices`.
  public func leavingOut(_ indices: some Sequence<Int>) -> Split {
    var parts = parts
    for index in indices { parts[index] = nil }
    return Split(parts: parts)
  }

  /// Which sessions and people are trained and tested on.
  public struct Rule: Hashable, Sendable {
    /// Sessions whose recordings train.
    public var trainSessions: Set<Int>
    /// Sessions whose recordings are halved into test and validation.
    public var testSessions: Set<Int>
    /// People who are only tested on.
    public var heldOutSubjects: Set<Int>

    /// By default what the published training run does: sessions 1 and 2 train, 3 is halved.
    public init(
      trainSessions: Set<Int> = [1, 2], testSessions: Set<Int> = [3],
      heldOutSubjects: Set<Int> = []
    ) {
      self.trainSessions = trainSessions
      self.testSessions = testSessions
      self.heldOutSubjects = heldOutSubjects
    }
  }

  /// Splits recordings (sorted by path) by `rule`.
  ///
  /// Without held-out people: the training sessions train. The recordings of the test sessions are
  /// grouped by gesture in order of first appearance; one generator, CPython's for `seed`, shuffles
  /// each group in turn; the first `max(1, n/2)` of a group are test, the rest validation. This is
  /// the split of the published training run, file by file.
  ///
  /// With held-out people: all their recordings, of every session, are the test part, and nobody
  /// else's. Of the others, the training sessions train and the test sessions are validation whole.
  /// So the best epoch is chosen on people who were trained on, from a session that was not, and
  /// nothing of the tested people is seen before the test. No generator is used.
  ///
  /// Recordings of sessions that are neither trained nor tested on are left out only where the
  /// caller says so by `leavesOutOtherSessions`.
  ///
  /// - Throws: `SplitError` for settings that contradict each other or the data, and for the first
  ///   of what ``proposal(for:by:seed:leavesOutOtherSessions:)`` finds wrong.
  public init(
    _ recordings: [RecordingDescriptor], by rule: Rule = Rule(), seed: UInt64,
    leavesOutOtherSessions: Bool = false
  ) throws(SplitError) {
    let (split, problems) = try Self.proposal(
      for: recordings, by: rule, seed: seed, leavesOutOtherSessions: leavesOutOtherSessions)
    if let problem = problems.first { throw .recordings(problem) }
    self = split
  }

  /// The split by `rule` of those recordings that can be put into a part, as
  /// ``init(_:by:seed:leavesOutOtherSessions:)`` makes it, and all that is wrong with it: each
  /// recording without a session or subject, and what the parts lack.
  ///
  /// - Throws: `SplitError` for settings that contradict each other or the data.
  public static func proposal(
    for recordings: [RecordingDescriptor], by rule: Rule = Rule(), seed: UInt64,
    leavesOutOtherSessions: Bool = false
  ) throws(SplitError) -> (split: Split, problems: [RecordingError]) {
    try rule.check(against: recordings)
    var parts = [Part?](repeating: nil, count: recordings.count)
    var groups = GestureGroups()
    var problems: [RecordingError] = []
    var unused: [(session: Int, file: String)] = []
    for (index, recording) in recordings.enumerated() {
      if !rule.heldOutSubjects.isEmpty, recording.subject == nil {
        problems.append(.noSubject(file: recording.file))
        continue
      }
      if let subject = recording.subject, rule.heldOutSubjects.contains(subject) {
        parts[index] = .test
        continue
      }
      guard let session = recording.session else {
        problems.append(.noSession(file: recording.file))
        continue
      }
      if rule.trainSessions.contains(session) {
        parts[index] = .train
      } else if rule.testSessions.contains(session) {
        groups.append(index, gesture: recording.gesture)
      } else if !unused.contains(where: { $0.session == session }) {
        unused.append((session, recording.file))
      }
    }
    rule.halve(groups.members, seed: seed, into: &parts)
    let split = Split(parts: parts)
    if !leavesOutOtherSessions {
      problems += unused.map { .sessionInNoPart(session: $0.session, file: $0.file) }
    }
    let missing = rule.missingSessions(in: recordings)
    let lacking = Set<Part>(
      missing.flatMap { $0.part == .train ? [.train] : [.test, .validation] })
    problems += missing.map { .sessionMissing(session: $0.session, part: $0.part, found: $0.found) }
    let lone = rule.heldOutSubjects.isEmpty ? groups.lone(in: recordings) : []
    if !lone.isEmpty {
      problems.append(.tooFewToHalve(gestures: lone, sessions: rule.testSessions.sorted()))
    }
    problems += split.problems(with: recordings).filter { problem in
      // Said already by the session that would have filled it, or by what could not be halved.
      switch problem {
      case .emptyPart(let part):
        !lacking.contains(part) && !(part == .validation && lone.count == groups.members.count)
      case .gestureMissing(let gesture, .validation): !lone.contains(gesture)
      default: true
      }
    }
    return (split, problems)
  }

  /// Recordings by gesture, gestures in order of first appearance.
  private struct GestureGroups {
    var members: [[Int]] = []
    private var positions: [Int: Int] = [:]

    mutating func append(_ index: Int, gesture: Int) {
      if let position = positions[gesture] {
        members[position].append(index)
      } else {
        positions[gesture] = members.count
        members.append([index])
      }
    }

    /// The gestures that have one recording, ascending.
    func lone(in recordings: [RecordingDescriptor]) -> [Int] {
      members.filter { $0.count == 1 }.map { recordings[$0[0]].gesture }.sorted()
    }
  }

  /// A subject whose recordings lie in both halves of the test sessions, but not those of each
  /// gesture.
  public struct Gap: Equatable, Sendable {
    public let subject: Int
    public let part: Part
    /// What the subject has in the other half alone.
    public let gestures: [Int]
  }

  /// Which subject lacks which gesture in one of the test and validation parts, where these are
  /// halves of recordings of the same people.
  public func gaps(among recordings: [RecordingDescriptor]) -> [Gap] {
    var gestures: [Part: [Int: Set<Int>]] = [:]
    for part in [Part.validation, .test] {
      for index in indices(of: part) {
        guard let subject = recordings[index].subject else { continue }
        gestures[part, default: [:]][subject, default: []].insert(recordings[index].gesture)
      }
    }
    let (validation, test) = (gestures[.validation] ?? [:], gestures[.test] ?? [:])
    guard !Set(validation.keys).isDisjoint(with: test.keys) else { return [] }
    return Set(validation.keys).union(test.keys).sorted().flatMap { subject in
      let (first, second) = (validation[subject] ?? [], test[subject] ?? [])
      return [
        Gap(subject: subject, part: .validation, gestures: second.subtracting(first).sorted()),
        Gap(subject: subject, part: .test, gestures: first.subtracting(second).sorted()),
      ].filter { !$0.gestures.isEmpty }
    }
  }

  /// The gestures of the training part, ascending: the classes.
  public func gestures(of recordings: [RecordingDescriptor]) -> [Int] {
    Set(indices(of: .train).map { recordings[$0].gesture }).sorted()
  }

  /// What is wrong with the split as a whole: too few gestures, an empty part, a gesture that is in
  /// one part and not in another. Ask again after recordings were left out.
  public func problems(with recordings: [RecordingDescriptor]) -> [RecordingError] {
    var gestures: [Part: Set<Int>] = [:]
    for (part, recording) in zip(parts, recordings) {
      guard let part else { continue }
      gestures[part, default: []].insert(recording.gesture)
    }
    let all = gestures.values.reduce(into: Set()) { $0.formUnion($1) }
    var problems: [RecordingError] = []
    for part in Part.allCases {
      guard let present = gestures[part] else {
        problems.append(.emptyPart(part: part))
        continue
      }
      for gesture in all.subtracting(present).sorted() {
        problems.append(.gestureMissing(gesture: gesture, part: part))
      }
    }
    if let trained = gestures[.train], trained.count < 2, all.count < 2 {
      problems.append(.fewerThanTwoGestures(found: trained.sorted()))
    }
    return problems
  }
}

extension Split.Rule {
  /// Puts the recordings of the test sessions, by gesture, into the test and validation parts.
  fileprivate func halve(_ groups: [[Int]], seed: UInt64, into parts: inout [Part?]) {
    var generator = MersenneTwister(seed: seed)
    for var group in groups {
      if heldOutSubjects.isEmpty { generator.shuffle(&group) }
      let testCount = heldOutSubjects.isEmpty ? max(1, group.count / 2) : 0
      for (position, index) in group.enumerated() {
        parts[index] = position < testCount ? .test : .validation
      }
    }
  }

  /// Finds settings that contradict each other or name what is not there.
  fileprivate func check(against recordings: [RecordingDescriptor]) throws(SplitError) {
    if let session = trainSessions.intersection(testSessions).min() {
      throw .sessionInTwoParts(session: session)
    }
    let subjects = Set(recordings.compactMap(\.subject))
    if let subject = heldOutSubjects.subtracting(subjects).min() {
      throw .noSuchSubject(subject: subject, found: subjects.sorted())
    }
    if others(of: recordings).isEmpty, !recordings.isEmpty { throw .everySubjectHeldOut }
  }

  /// The sessions that recordings are wanted of and there are none. Where no recording has a
  /// session, that is the fault, and none is named.
  fileprivate func missingSessions(
    in recordings: [RecordingDescriptor]
  ) -> [(session: Int, part: Part, found: [Int])] {
    let found = Set(others(of: recordings).compactMap(\.session))
    if found.isEmpty { return [] }
    return trainSessions.union(testSessions).subtracting(found).sorted().map {
      ($0, trainSessions.contains($0) ? .train : .test, found.sorted())
    }
  }

  /// With people held out, the others' sessions are what training and validation are made of.
  private func others(of recordings: [RecordingDescriptor]) -> [RecordingDescriptor] {
    recordings.filter { $0.subject.map { !heldOutSubjects.contains($0) } ?? true }
  }
}

/// Why a split cannot be made.
public enum SplitError: Error, Equatable, Sendable {
  case sessionInTwoParts(session: Int)
  case noSuchSubject(subject: Int, found: [Int])
  case everySubjectHeldOut
  /// A recording, or what the parts lack.
  case recordings(RecordingError)
}

extension SplitError: CustomStringConvertible {
  public var kind: FaultKind {
    switch self {
    case .sessionInTwoParts, .noSuchSubject, .everySubjectHeldOut: .contradiction
    case .recordings(let error): error.kind
    }
  }

  public var description: String {
    switch self {
    case .sessionInTwoParts(let session):
      "session \(session) is asked for both to train and to test on, expected it in one of "
        + "--train-sessions and --test-sessions"
    case .noSuchSubject(let subject, let found):
      "found no recording of subject \(subject) (subjects found: \(numberList(found))), "
        + "expected some for --held-out-subjects"
    case .everySubjectHeldOut:
      "every subject is held out, expected some to train on; name fewer in --held-out-subjects"
    case .recordings(let error): error.description
    }
  }
}
