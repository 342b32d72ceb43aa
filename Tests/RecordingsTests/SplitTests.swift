import Foundation
import Recordings
import TestSupport
import Testing

@Suite struct SplitTests {
  @Test func mersenneTwisterDrawsAsCPythonDoes() {
    // python3: r = random.Random(s); [r.getrandbits(32) for _ in range(3)], then the 1,000th
    let expected: [UInt64: [UInt32]] = [
      0: [3626764237, 1654615998, 3255389356, 2971151651],
      42: [2746317213, 478163327, 107420369, 4212168831],
      4294967295: [2728839433, 2661025012, 872737089, 3614058829],
      4294967296: [485306839, 1508871100, 1794561286, 6718883],
      18446744073709551615: [93740670, 1068495656, 1452108352, 3545973770],
    ]
    for (seed, words) in expected {
      var generator = MersenneTwister(seed: seed)
      let drawn = (0..<1000).map { _ in generator.next() }
      #expect(Array(drawn.prefix(3)) + [drawn[999]] == words, "seed \(seed)")
    }
  }

  @Test func shuffleOrdersAsCPythonDoes() {
    // python3: x = list(range(20)); random.Random(42).shuffle(x)
    var elements = Array(0..<20)
    var generator = MersenneTwister(seed: 42)
    generator.shuffle(&elements)
    #expect(elements == [19, 5, 14, 4, 9, 13, 15, 18, 6, 12, 17, 10, 1, 11, 2, 16, 7, 8, 0, 3])
    var single = [7]
    generator.shuffle(&single)
    #expect(single == [7])
  }

  @Test(
    .enabled(if: sharedDataIsExpected, "no shared data"),
    arguments: ["split-5-subjects-seed42.csv", "split-25-subjects-seed42.csv"])
  func defaultSplitIsThePublishedOne(fixture: String) throws {
    let lines = try String(
      contentsOf: SharedData.fixtures.appending(path: fixture), encoding: .utf8
    )
    .split(whereSeparator: \.isNewline).dropFirst()
    let expected = Dictionary(
      uniqueKeysWithValues: lines.map { line in
        let fields = line.split(separator: ",")
        return (String(fields[0]), String(fields[1]))
      })
    let recordings = descriptors(of: Array(expected.keys))
    let split = try Split(recordings, seed: 42)
    let found = Dictionary(
      uniqueKeysWithValues: zip(recordings, split.parts).map { ($0.path, $1?.rawValue ?? "none") })
    #expect(found == expected)
    if fixture.contains("25") {
      #expect(split.indices(of: .test).count == 435)
      #expect(split.indices(of: .validation).count == 440)
    }
  }

  @Test(.enabled(if: sharedDataIsExpected, "no shared data"))
  func defaultSplitOfTheRecordingsThemselvesIsThePublishedOne() throws {
    let set = try RecordingSet(directory: SharedData.synapse.path)
    #expect(set.problems.isEmpty)
    #expect(set.descriptors.count == 525)
    let split = try Split(set.descriptors, seed: 42)
    let fixture = SharedData.fixtures.appending(path: "split-5-subjects-seed42.csv")
    let read = try Split(contentsOf: fixture.path, for: set.descriptors)
    #expect(split == read)
    #expect(try Split(set.descriptors, seed: 43) != read)
  }

  @Test func everyRecordingIsInOnePartWhateverTheLayout() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<200 {
      let (recordings, rule) = randomLayout(&random)
      let split = try Split(recordings, by: rule, seed: random.next())
      #expect(split.parts.count == recordings.count)
      #expect(split.parts.allSatisfy { $0 != nil })
      let all = Part.allCases.flatMap { split.indices(of: $0) }
      #expect(all.sorted() == Array(recordings.indices))
      #expect(split.problems(with: recordings).isEmpty)
      for (recording, part) in zip(recordings, split.parts) {
        let isHeldOut = recording.subject.map(rule.heldOutSubjects.contains) ?? false
        let isOfTestSession = recording.session.map(rule.testSessions.contains) ?? false
        if isHeldOut {
          #expect(part == .test)
        } else if !isOfTestSession {
          #expect(part == .train)
        } else if !rule.heldOutSubjects.isEmpty {
          #expect(part == .validation)
        } else {
          #expect(part == .validation || part == .test)
        }
      }
    }
  }

  @Test func halvesEachGestureOfTheTestSessions() throws {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<50 {
      let (recordings, rule) = randomLayout(&random, holdsOutSubjects: false)
      let split = try Split(recordings, by: rule, seed: 9)
      for gesture in split.gestures(of: recordings) {
        let count = { (part: Part) in
          split.indices(of: part).count { recordings[$0].gesture == gesture }
        }
        #expect(count(.validation) - count(.test) == (count(.validation) + count(.test)) % 2)
      }
    }
  }

  @Test func missingSessionIsNamed() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2]))
    #expect(throws: SplitError.recordings(.sessionMissing(session: 3, part: .test, found: [1, 2])))
    {
      try Split(recordings, seed: 42)
    }
    let (split, problems) = try Split.proposal(for: recordings, seed: 42)
    #expect(problems == [.sessionMissing(session: 3, part: .test, found: [1, 2])])
    #expect(problems[0].description.contains("session 3") && problems[0].isOfTheSet)
    #expect(split.parts.allSatisfy { $0 == .train })
  }

  @Test func gestureMissingFromAPartIsNamed() throws {
    let paths = layout(sessions: [1, 2, 3])
    let untrained = paths.filter { $0.hasPrefix("Session3") || !$0.contains("gesture01") }
    #expect(throws: SplitError.recordings(.gestureMissing(gesture: 1, part: .train))) {
      try Split(descriptors(of: untrained), seed: 42)
    }
    // One recording of a gesture goes to the test part, none is left for validation.
    let single = paths.filter {
      !$0.hasPrefix("Session3") || !$0.contains("gesture02")
        || $0.hasSuffix("1_subject_1/gesture02_trial01.csv")
        || $0.hasSuffix("3_subject_1/gesture02_trial01.csv")
    }
    let lone = RecordingError.tooFewToHalve(gestures: [2], sessions: [3])
    #expect(throws: SplitError.recordings(lone)) { try Split(descriptors(of: single), seed: 42) }
    #expect(lone.description.contains("only 1 recording of gesture 2 in session 3"))
    #expect(lone.description.contains("halved") && lone.description.contains("--test-sessions"))
  }

  @Test func oneRecordingOfEachGestureIsTooFewToHalveAndThatIsAllThatIsSaid() throws {
    let paths = layout(sessions: [1, 2, 3]).filter {
      !$0.hasPrefix("Session3") || $0.contains("3_subject_1/") && $0.hasSuffix("trial01.csv")
    }
    let recordings = descriptors(of: paths)
    let gestures = Set(recordings.map(\.gesture)).sorted()
    let (_, problems) = try Split.proposal(for: recordings, seed: 42)
    #expect(problems == [.tooFewToHalve(gestures: gestures, sessions: [3])])
    #expect(problems[0].isOfTheSet && problems[0].kind == .badContent)
  }

  @Test func subjectsThatOnlyOneHalfShowsAGestureOfAreNamed() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2, 3]))
    let (split, _) = try Split.proposal(for: recordings, seed: 42)
    for subject in Set(recordings.compactMap(\.subject)) {
      for part in [Part.validation, .test] {
        let shown = { (part: Part) in
          Set(
            split.indices(of: part).filter { recordings[$0].subject == subject }
              .map { recordings[$0].gesture })
        }
        let lacking = shown(part == .test ? .validation : .test).subtracting(shown(part)).sorted()
        let found = split.gaps(among: recordings).first {
          $0.subject == subject && $0.part == part
        }
        #expect(found?.gestures ?? [] == lacking)
      }
    }
    // Whoever is held out is in no half by intention.
    var rule = Split.Rule()
    rule.heldOutSubjects = [1]
    let heldOut = try Split.proposal(for: recordings, by: rule, seed: 42).split
    #expect(heldOut.gaps(among: recordings).isEmpty)
  }

  @Test func manyNumbersAreCutWithACount() {
    #expect(numberList([]) == "none" && numberList([3, 5]) == "3, 5")
    let many = numberList(Array(0..<300))
    #expect(many == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … and 288 more")
  }

  @Test func oneGestureIsTooFew() throws {
    let paths = layout(sessions: [1, 2, 3]).filter { $0.contains("gesture00") }
    #expect(throws: SplitError.recordings(.fewerThanTwoGestures(found: [0]))) {
      try Split(descriptors(of: paths), seed: 42)
    }
  }

  @Test func otherSessionsAreLeftOutOnlyOnRequest() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2, 3, 4]))
    #expect {
      try Split(recordings, seed: 42)
    } throws: { error in
      guard case SplitError.recordings(.sessionInNoPart(session: 4, _)) = error else {
        return false
      }
      return true
    }
    let split = try Split(recordings, seed: 42, leavesOutOtherSessions: true)
    for (recording, part) in zip(recordings, split.parts) {
      #expect((part == nil) == (recording.session == 4))
    }
  }

  @Test func contradictorySettingsAreRefused() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2, 3]))
    let overlapping = Split.Rule(trainSessions: [1, 3], testSessions: [3])
    #expect(throws: SplitError.sessionInTwoParts(session: 3)) {
      try Split(recordings, by: overlapping, seed: 42)
    }
    #expect(throws: SplitError.noSuchSubject(subject: 9, found: [1, 2])) {
      try Split(recordings, by: .init(heldOutSubjects: [2, 9]), seed: 42)
    }
    #expect(throws: SplitError.everySubjectHeldOut) {
      try Split(recordings, by: .init(heldOutSubjects: [1, 2]), seed: 42)
    }
    #expect(SplitError.sessionInTwoParts(session: 3).kind == .contradiction)
  }

  @Test func recordingsWithoutSessionOrSubjectAreNamed() throws {
    let nowhere = descriptors(of: layout(sessions: [1, 2, 3]) + ["stray_gesture00.csv"])
    let stray = "data/stray_gesture00.csv"
    #expect(throws: SplitError.recordings(.noSession(file: stray))) {
      try Split(nowhere, seed: 42)
    }
    #expect(throws: SplitError.recordings(.noSubject(file: stray))) {
      try Split(nowhere, by: .init(heldOutSubjects: [1]), seed: 42)
    }
  }

  @Test func allThatIsWrongIsListedAndTheOthersAreSplitAsIfAlone() throws {
    let paths = layout(sessions: [1, 2, 3])
    let strays = ["a_gesture00.csv", "z/gesture01.csv"]
    let recordings = descriptors(of: paths + strays + ["Session4/subject_1/gesture00.csv"])
    let (split, problems) = try Split.proposal(for: recordings, seed: 42)
    #expect(
      problems == [
        .noSession(file: "data/a_gesture00.csv"), .noSession(file: "data/z/gesture01.csv"),
        .sessionInNoPart(session: 4, file: "data/Session4/subject_1/gesture00.csv"),
      ])
    let alone = descriptors(of: paths)
    let expected = Dictionary(
      uniqueKeysWithValues: zip(alone.map(\.path), try Split(alone, seed: 42).parts))
    for (recording, part) in zip(recordings, split.parts) {
      #expect(part == expected[recording.path] ?? nil)
    }
    let (_, others) = try Split.proposal(
      for: descriptors(of: strays), by: .init(heldOutSubjects: []), seed: 42)
    #expect(others.count { $0.file != nil } == 2)
    #expect(others.contains(.emptyPart(part: .train)))
  }

  @Test func heldOutSubjectsAreSeenInTheTestPartOnly() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2, 3]))
    let split = try Split(recordings, by: .init(heldOutSubjects: [2]), seed: 42)
    for (recording, part) in zip(recordings, split.parts) {
      #expect((recording.subject == 2) == (part == .test))
      if recording.subject != 2 { #expect((recording.session == 3) == (part == .validation)) }
    }
  }

  @Test func leavingOutRecordingsCanTakeAGestureFromAPart() throws {
    let recordings = descriptors(of: layout(sessions: [1, 2, 3]))
    let split = try Split(recordings, seed: 42)
    let gone = split.indices(of: .test).filter { recordings[$0].gesture == 1 }
    let smaller = split.leavingOut(gone)
    #expect(smaller.problems(with: recordings) == [.gestureMissing(gesture: 1, part: .test)])
    let without = split.leavingOut(split.indices(of: .validation))
    #expect(without.problems(with: recordings) == [.emptyPart(part: .validation)])
  }
}

/// Whether tests that need the shared data run: where it is, and wherever it must be.
let sharedDataIsExpected =
  SharedData.isPresent || ProcessInfo.processInfo.environment["CI"] == "true"

/// Descriptors for relative paths, sorted as a search sorts them.
func descriptors(of paths: [String]) -> [RecordingDescriptor] {
  paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { path in
    let layout = RecordingLayout(path: path)
    return RecordingDescriptor(
      path: path, file: "data/" + path, session: layout.session, gesture: layout.gesture ?? -1,
      subject: layout.subject)
  }
}

/// Two subjects, three gestures, four trials.
private func layout(sessions: [Int]) -> [String] {
  sessions.flatMap { session in
    (1...2).flatMap { subject in
      (0...2).flatMap { gesture in
        (1...4).map { trial in
          "Session\(session)/session\(session)_subject_\(subject)/"
            + "gesture0\(gesture)_trial0\(trial).csv"
        }
      }
    }
  }
}

/// A layout of random size, and a rule that uses all of its sessions.
private func randomLayout(_ random: inout SeededGenerator, holdsOutSubjects: Bool? = nil) -> (
  [RecordingDescriptor], Split.Rule
) {
  let sessions = Array(1...Int.random(in: 2...5, using: &random)).shuffled(using: &random)
  let trained = Int.random(in: 1..<sessions.count, using: &random)
  let subjects = Int.random(in: 2...6, using: &random)
  let gestures = Int.random(in: 2...7, using: &random)
  var paths: [String] = []
  for session in sessions {
    for subject in 1...subjects {
      for gesture in 0..<gestures {
        for trial in 1...Int.random(in: 1...9, using: &random) {
          paths.append("SESSION-0\(session)/subject\(subject)/gesture_\(gesture)/\(trial).csv")
        }
      }
    }
  }
  var heldOut: Set<Int> = []
  if holdsOutSubjects ?? Bool.random(using: &random) {
    heldOut = Set(
      (1...subjects).shuffled(using: &random).prefix(Int.random(in: 1..<subjects, using: &random)))
  }
  let rule = Split.Rule(
    trainSessions: Set(sessions.prefix(trained)), testSessions: Set(sessions.dropFirst(trained)),
    heldOutSubjects: heldOut)
  return (descriptors(of: paths), rule)
}
