import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
import TestSupport
import Testing
import Training

/// Recordings written for one test: subjects 1 and 2, sessions 1 to 3, gestures 0 and 1.
private struct Recorded: ~Copyable {
  let directory = FileManager.default.temporaryDirectory
    .appending(path: "semg-preparation-\(UUID().uuidString)").path

  init(rows: Int = 300) throws {
    for session in 1...3 {
      for subject in 1...2 {
        for gesture in 0...1 {
          for trial in 1...2 {
            let seed = UInt32(1000 * session + 100 * subject + 10 * gesture + trial)
            try write(Self.path(session, subject, gesture, trial), Self.text(rows, seed: seed))
          }
        }
      }
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  static func path(_ session: Int, _ subject: Int, _ gesture: Int, _ trial: Int) -> String {
    "Session\(session)/subject_\(subject)/gesture0\(gesture)_trial0\(trial).csv"
  }

  /// Rows of eight random numbers around zero.
  static func text(_ rows: Int, seed: UInt32) -> String {
    var state = seed
    return (0..<rows).map { _ in
      (0..<8).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return "\(Double(state >> 12) / 1_048_576 - 0.5)"
      }.joined(separator: ",") + "\n"
    }.joined()
  }

  func write(_ path: String, _ text: String) throws {
    let url = URL(filePath: directory + "/" + path)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  func prepare(
    threads: Int = 2, skipsBadRecordings: Bool = false,
    statistics: Preparation.StatisticsSource = .filteredTraining
  ) throws -> PreparedRecordings {
    let found = try RecordingSet(directory: directory)
    return try Preparation(threads: threads, skipsBadRecordings: skipsBadRecordings).prepare(
      found.descriptors, split: Split(found.descriptors, seed: 42), statistics: statistics,
      problems: found.problems)
  }
}

/// What NumPy and SciPy make of fifteen real recordings; the generator lies beside the file.
private struct Expected: Decodable {
  struct Recipe: Decodable {
    let mean, deviation, picked: [Double]
  }
  let paths: [String]
  let rows: [Int]
  let pickedEvery: Int
  let standard, published: Recipe

  static func load() throws -> Expected {
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/preparation_values.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Expected.self, from: Data(contentsOf: url))
  }
}

private let realRecordingsAreNeeded =
  SharedData.isPresent || ProcessInfo.processInfo.environment["CI"] == "true"

@Suite struct PreparationTests {
  @Test(
    .enabled(if: realRecordingsAreNeeded, "no real recordings beside the checkout"),
    arguments: [true, false])
  func agreesWithSciPyOnRealRecordings(isPublished: Bool) throws {
    let expected = try Expected.load()
    let wanted = isPublished ? expected.published : expected.standard
    let recordings = expected.paths.map { path in
      let layout = RecordingLayout(path: path)
      return RecordingDescriptor(
        path: path, file: SharedData.synapse.appending(path: path).path, session: layout.session,
        gesture: layout.gesture ?? -1, subject: layout.subject)
    }
    // A third of the set, so there is no validation part; the problems of a split are not asked.
    let split = Split(parts: recordings.map { $0.session == 3 ? .test : .train })
    let prepared = try Preparation(threads: 2).prepare(
      recordings, split: split, statistics: isPublished ? .rawTraining : .filteredTraining)

    #expect(prepared.recordings.map(\.rows.count) == expected.rows)
    #expect(prepared.classes == [0, 1, 2, 3, 4])
    for channel in 0..<8 {
      let deviation = wanted.deviation[channel]
      #expect(abs(prepared.standardization.mean[channel] - wanted.mean[channel]) < 1e-9 * deviation)
      #expect(abs(prepared.standardization.deviation[channel] / deviation - 1) < 1e-9)
    }
    let rows = stride(from: 0, to: prepared.samples.count / 8, by: expected.pickedEvery)
    let picked = rows.flatMap { prepared.samples[8 * $0..<8 * $0 + 8] }
    try #require(picked.count == wanted.picked.count)
    for (value, wanted) in zip(picked, wanted.picked) {
      #expect(abs(Double(value) - wanted) < 5e-7 * max(1, abs(wanted)))
    }
  }

  @Test func listsEveryWindowOnceInTheOrderOfPaths() throws {
    let recorded = try Recorded()
    let prepared = try recorded.prepare()
    // 300 samples hold two windows of 204 at a step of 81.
    #expect(prepared.recordings.count == 24)
    #expect(prepared.recordings.map(\.path) == prepared.recordings.map(\.path).sorted())
    #expect(prepared.samples.count == 24 * 300 * 8)
    for window in 0..<48 {
      #expect(prepared.windowRecordings[window] == Int32(window / 2))
      #expect(prepared.windowStarts[window] == Int32(window / 2 * 300 + window % 2 * 81))
    }
    #expect(prepared.windowStarts.count == 48 && prepared.windowRecordings.count == 48)
    for (index, recording) in prepared.recordings.enumerated() {
      #expect(recording.windows == 2 * index..<2 * index + 2)
      #expect(recording.rows == 300 * index..<300 * (index + 1))
      let label = Int32(try #require(RecordingLayout(path: recording.path).gesture))
      #expect(prepared.labels[2 * index] == label && recording.label == Int(label))
    }
    let parts = Part.allCases.map { prepared.windows(of: $0) }
    #expect(parts.map(\.count) == [32, 8, 8])
    #expect(parts.joined().sorted() == (0..<48).map(Int32.init))
  }

  @Test func givesTheSameBitsForAnyNumberOfThreads() throws {
    let recorded = try Recorded()
    let one = try recorded.prepare(threads: 1)
    for threads in [2, 5] {
      let other = try recorded.prepare(threads: threads)
      #expect(other.samples == one.samples)
      #expect(other.standardization == one.standardization)
    }
  }

  @Test func fitsToTheTrainingPartOnly() throws {
    let recorded = try Recorded()
    let before = try recorded.prepare().standardization
    try recorded.write(Recorded.path(3, 1, 0, 1), Recorded.text(1000, seed: 7))
    #expect(try recorded.prepare().standardization == before)
    try recorded.write(Recorded.path(2, 1, 0, 1), Recorded.text(1000, seed: 8))
    #expect(try recorded.prepare().standardization != before)
  }

  @Test func usesGivenStatisticsAsTheyAre() throws {
    let recorded = try Recorded()
    let fitted = try recorded.prepare()
    let given = try recorded.prepare(statistics: .given(fitted.standardization))
    #expect(given.samples == fitted.samples)
  }

  @Test func refusesStatisticsOfOtherChannels() throws {
    let recorded = try Recorded()
    let given = Standardization(mean: [0], deviation: [1])
    #expect(throws: PreparationError.channelsDiffer(found: 8, expected: 1)) {
      try recorded.prepare(statistics: .given(given))
    }
  }

  @Test func throwsTheWholeListOfBadRecordings() throws {
    let recorded = try Recorded()
    let (short, ragged) = (Recorded.path(1, 1, 0, 1), Recorded.path(3, 2, 1, 2))
    try recorded.write(short, Recorded.text(203, seed: 1))
    try recorded.write(ragged, "1,2,3,4,5,6,7,8\n1,2\n")
    let problems = #expect(throws: RecordingProblems.self) { try recorded.prepare() }?.problems
    #expect(
      problems?.compactMap(\.file) == [short, ragged].map { recorded.directory + "/" + $0 })
    guard case .tooShort(_, 203, 204)? = problems?.first else {
      Issue.record("found \(String(describing: problems?.first))")
      return
    }
  }

  @Test func refusesValuesBeyondSinglePrecision() throws {
    let recorded = try Recorded()
    let bad = Recorded.path(1, 1, 0, 1)
    var rows = Recorded.text(300, seed: 1).split(separator: "\n").map(String.init)
    rows[41] = "0,0,-1e300,0,0,0,0,0"
    try recorded.write(bad, (["a,b,c,d,e,f,g,h"] + rows).joined(separator: "\n") + "\n")
    let problems = #expect(throws: RecordingProblems.self) { try recorded.prepare() }?.problems
    #expect(
      problems == [
        .valueTooLarge(
          file: recorded.directory + "/" + bad, line: 43, column: 3, found: -1e300, limit: 1e15)
      ])
  }

  @Test func skipsBadRecordingsAndCountsThem() throws {
    let recorded = try Recorded()
    let bad = Recorded.path(1, 1, 0, 1)
    try recorded.write(bad, Recorded.text(10, seed: 1))
    let prepared = try recorded.prepare(skipsBadRecordings: true)
    #expect(prepared.skipped.count == 1)
    #expect(prepared.recordings.count == 23)
    #expect(!prepared.recordings.contains { $0.path == bad })
    #expect(prepared.windowStarts.max() == Int32(22 * 300 + 81))
  }

  @Test func refusesASetThatLosesAGestureByWhatIsSkipped() throws {
    let recorded = try Recorded()
    for session in 1...2 {
      for subject in 1...2 {
        for trial in 1...2 { try recorded.write(Recorded.path(session, subject, 1, trial), "") }
      }
    }
    let problems = #expect(throws: RecordingProblems.self) {
      try recorded.prepare(skipsBadRecordings: true)
    }?.problems
    #expect(problems?.count == 9)
    #expect(problems?.last == .gestureMissing(gesture: 1, part: .train))
  }

  @Test func findsTheSameRecordingInTwoParts() throws {
    let recorded = try Recorded()
    let (trained, tested) = (Recorded.path(1, 1, 0, 1), Recorded.path(3, 1, 0, 1))
    try recorded.write(trained, Recorded.text(300, seed: 9))
    try recorded.write(tested, Recorded.text(300, seed: 9))
    let problems = #expect(throws: RecordingProblems.self) { try recorded.prepare() }?.problems
    guard case .sameSamples? = problems?.first else {
      Issue.record("found \(String(describing: problems))")
      return
    }
    let prepared = try recorded.prepare(skipsBadRecordings: true)
    #expect(prepared.skipped.count == 1 && prepared.recordings.count == 23)
  }

  @Test func findsACopyInAPartThatIsNotRead() throws {
    let recorded = try Recorded()
    let (trained, tested) = (Recorded.path(1, 1, 0, 1), Recorded.path(3, 1, 0, 1))
    try recorded.write(trained, Recorded.text(300, seed: 9))
    try recorded.write(tested, Recorded.text(300, seed: 9))
    // A fault in a part that is not read is no matter.
    try recorded.write(Recorded.path(1, 1, 0, 2), "1,2\n")
    let found = try RecordingSet(directory: recorded.directory)
    var parts = try Split(found.descriptors, seed: 42).parts
    let copy = try #require(found.descriptors.firstIndex { $0.path == tested })
    parts[copy] = .test
    func prepare(skipsBadRecordings: Bool) throws -> PreparedRecordings {
      try Preparation(threads: 1, skipsBadRecordings: skipsBadRecordings).prepare(
        found.descriptors, split: Split(parts: parts), parts: [.test], classes: [0, 1],
        statistics: .given(
          Standardization(
            mean: Array(repeating: 0, count: 8), deviation: Array(repeating: 1, count: 8))))
    }
    let file = { recorded.directory + "/" + $0 }
    let leak = RecordingError.sameSamples(
      file: file(tested), part: .test, other: file(trained), otherPart: .train)
    #expect(throws: RecordingProblems([leak])) { try prepare(skipsBadRecordings: false) }
    let prepared = try prepare(skipsBadRecordings: true)
    #expect(prepared.skipped == [leak])
    #expect(!prepared.recordings.isEmpty && !prepared.recordings.contains { $0.path == tested })
  }

  @Test func aGestureThatTheNetworkDoesNotKnowIsABadRecording() throws {
    let recorded = try Recorded()
    let found = try RecordingSet(directory: recorded.directory)
    func prepare(skipsBadRecordings: Bool) throws -> PreparedRecordings {
      try Preparation(threads: 1, skipsBadRecordings: skipsBadRecordings).prepare(
        found.descriptors, split: Split(found.descriptors, seed: 42), parts: [.test],
        classes: [0, 2],
        statistics: .given(
          Standardization(
            mean: Array(repeating: 0, count: 8), deviation: Array(repeating: 1, count: 8))))
    }
    let problems = #expect(throws: RecordingProblems.self) {
      try prepare(skipsBadRecordings: false)
    }?.problems
    #expect(problems?.count == 2)
    guard case .unknownGesture(_, 1, [0, 2])? = problems?.first else {
      Issue.record("found \(String(describing: problems))")
      return
    }
    let prepared = try prepare(skipsBadRecordings: true)
    #expect(prepared.skipped == problems)
    #expect(prepared.recordings.map(\.label) == [0, 0])
  }
}
