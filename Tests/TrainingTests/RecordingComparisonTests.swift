import Artifacts
import Foundation
import Recordings
import SignalProcessing
import TestSupport
import Testing

@testable import SignalPreparation
@testable import Training

/// Recordings beside those that a model was trained on: what is not alike is refused or warned of,
/// what is alike is neither.
@Suite struct RecordingComparisonTests {
  /// What a training on `recordings` leaves to compare with.
  private static func training(
    on recordings: [RecordingDescriptor], where isTrained: (RecordingDescriptor) -> Bool
  ) throws -> (PreparedRecordings, Preprocessing) {
    let split = Split(parts: recordings.map { isTrained($0) ? .train : nil })
    let preparation = try Preparation(threads: 2)
    let prepared = try preparation.prepare(
      recordings, split: split, statistics: .filteredTraining)
    let band = preparation.filter.bandHertz
    return (
      prepared,
      Preprocessing(
        sampleRate: 512, channels: Array(1...8),
        filter: Preprocessing.Filter(
          lowHertz: band.lowerBound, highHertz: band.upperBound, notchHertz: 50),
        windowLength: 204, windowStride: 81, mean: prepared.standardization.mean,
        deviation: prepared.standardization.deviation, gestures: prepared.classes,
        recipe: "standard", recordings: prepared.profile)
    )
  }

  private static func prepare(
    _ files: [RecordingFile], as trained: Preprocessing, allowsMismatch: Bool = false,
    scale: Double = 1, channels: String = "1-8"
  ) throws -> RecordingsToPredict {
    let channels = try #require(ChannelSelection(channels))
    return try Preparation(
      channels: channels, threads: 2, scale: scale, allowsMismatch: allowsMismatch
    ).look(at: files, trained: trained)
  }

  /// All samples of the first recording, standardized.
  private static func samples(of data: RecordingsToPredict) throws -> [Float] {
    let signal = try data.signal(of: data.entries[0])
    return data.samples(0..<signal.samples, of: signal)
  }

  private static func files(_ recordings: [RecordingDescriptor]) -> [RecordingFile] {
    recordings.map { RecordingFile(path: $0.path, file: $0.file) }
  }

  private static let realRecordingsAreNeeded =
    SharedData.isPresent || ProcessInfo.processInfo.environment["CI"] == "true"

  @Test(
    .enabled(if: realRecordingsAreNeeded, "no real recordings beside the checkout"),
    arguments: [3, 8, 13, 18, 23, nil])
  func noRealRecordingIsRefusedOrWarnedOf(heldOut: Int?) throws {
    let all = try RecordingSet(directory: SharedData.synapse.path)
    #expect(all.problems.isEmpty && all.linksNotFollowed.isEmpty)
    #expect(all.descriptors.count == 525)
    let isTrained = { (recording: RecordingDescriptor) in
      heldOut.map { recording.subject != $0 } ?? (recording.session != 3)
    }
    let (prepared, trained) = try Self.training(on: all.descriptors, where: isTrained)
    #expect(prepared.warnings == [] && prepared.notes == [] && prepared.skipped.isEmpty)
    let others = all.descriptors.filter { !isTrained($0) }
    let predicted = try Self.prepare(Self.files(others), as: trained)
    #expect(predicted.entries.count == (heldOut == nil ? 175 : 105))
    #expect(predicted.warnings == [] && predicted.notes == [])
  }

  // MARK: Synthesized recordings, harmed

  /// Five people, three sessions; the third is not trained on.
  private struct Synthesized {
    let directory: TemporaryDirectory
    let recordings: [RecordingDescriptor]
    let trained: Preprocessing
    var others: [RecordingDescriptor] { recordings.filter { $0.session == 3 } }

    init() throws {
      directory = try TemporaryDirectory()
      let place = directory.file("recordings")
      try Synthesizer(
        subjects: 3, sessions: 3, gestures: 3, trials: 3, samples: 1024, sampleRate: 512, seed: 9
      ).write(to: place, threads: 2)
      recordings = try RecordingSet(directory: place).descriptors
      trained = try RecordingComparisonTests.training(on: recordings) { $0.session != 3 }.1
    }

    func table(_ recording: RecordingDescriptor) throws -> Table {
      let read = try RecordingReader(options: ReadOptions()).read(recording.file)
      return Table(
        names: read.columnNames,
        rows: stride(from: 0, to: read.samples.count, by: 8).map {
          Array(read.samples[$0..<$0 + 8])
        })
    }

    func write(_ table: Table) throws -> RecordingFile {
      let file = directory.file("harmed.csv")
      try table.text.write(toFile: file, atomically: true, encoding: .utf8)
      return RecordingFile(path: "harmed.csv", file: file)
    }
  }

  private struct Table {
    var names: [String]?
    var rows: [[Double]]

    var text: String {
      ((names.map { [$0.joined(separator: ",")] } ?? [])
        + rows.map { $0.map { "\($0)" }.joined(separator: ",") })
        .joined(separator: "\n") + "\n"
    }

    func permuted(_ order: [Int]) -> Table {
      Table(
        names: names.map { names in order.map { names[$0] } },
        rows: rows.map { row in order.map { row[$0] } })
    }
  }

  private enum Harm: CaseIterable {
    case order, shift, scale, dead, rate, names, header, outlier, still, lost, held, twice, gain
  }

  /// A copy of `table` with one thing wrong, and what was done.
  private static func harm(
    _ table: Table, _ harm: Harm, by random: inout SystemRandom
  ) -> (Table, String) {
    var result = table
    switch harm {
    case .order:
      var order = Array(0..<8)
      repeat { order.shuffle(using: &random) } while order == Array(0..<8)
      return (table.permuted(order), "columns in the order \(order)")
    case .shift:
      let name = ["time", "", "q", "label"].randomElement(using: &random) ?? ""
      result.names = [name] + (table.names ?? [])
      result.rows = table.rows.enumerated().map { [Double($0) / 512] + $1 }
      return (result, "a column \(name) before")
    case .scale:
      let power = [-6, -3, -2, -1, 1, 2, 3, 6].randomElement(using: &random) ?? 1
      result.rows = table.rows.map { $0.map { $0 * pow(10, Double(power)) } }
      return (result, "samples times 1e\(power)")
    case .dead:
      let channel = Int.random(in: 0..<8, using: &random)
      let value = Bool.random(using: &random) ? 0 : 0.25
      for row in result.rows.indices { result.rows[row][channel] = value }
      return (result, "channel \(channel) dead")
    case .rate:
      // Every second sample, or one between each two: half and twice the rate.
      let isHalf = Bool.random(using: &random)
      result.rows =
        isHalf
        ? table.rows.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        : zip(table.rows, table.rows.dropFirst()).flatMap { a, b in
          [a, zip(a, b).map { ($0 + $1) / 2 }]
        }
      return (result, isHalf ? "half the rate" : "twice the rate")
    case .names:
      let channel = Int.random(in: 0..<8, using: &random)
      result.names?[channel] = "emg_\(channel)"
      return (result, "another name of channel \(channel)")
    case .header:
      result.names = nil
      return (result, "no header")
    case .still:
      for row in 512..<1024 { result.rows[row] = table.rows[511] }
      return (result, "the second half still")
    case .lost:
      for row in result.rows.indices where Int.random(in: 0..<10, using: &random) == 0 {
        result.rows[row] = [Double](repeating: 0, count: 8)
      }
      return (result, "a tenth of the rows lost")
    case .held:
      for row in result.rows.indices { result.rows[row] = table.rows[row - row % 8] }
      return (result, "each eighth sample held")
    case .twice:
      for row in result.rows.indices { result.rows[row][3] = -2 * table.rows[row][2] }
      return (result, "a channel twice")
    case .gain:
      let channel = Int.random(in: 0..<8, using: &random)
      for row in result.rows.indices { result.rows[row][channel] *= 16 }
      return (result, "channel \(channel) times 16")
    case .outlier:
      let (row, channel) = (
        Int.random(in: 0..<1024, using: &random), Int.random(in: 0..<8, using: &random)
      )
      result.rows[row][channel] = 1e6
      return (result, "an outlier")
    }
  }

  /// A generator that can be begun anew.
  struct SystemRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 32) | (state << 32)
    }
  }

  @Test func noHarmedRecordingIsTakenWithoutAWord() throws {
    let set = try Synthesized()
    #expect(try Self.prepare(Self.files(set.others), as: set.trained).warnings == [])
    var random = SystemRandom(state: 2026)
    var refused = 0
    for trial in 0..<(runsSlowTests ? 390 : 78) {
      let recording = set.others[trial % set.others.count]
      let harm = Harm.allCases[trial / 3 % Harm.allCases.count]
      let (table, what) = Self.harm(try set.table(recording), harm, by: &random)
      let file = try set.write(table)
      do {
        let prepared = try Self.prepare([file], as: set.trained)
        #expect(!prepared.warnings.isEmpty, "\(recording.path), \(what)")
        #expect(prepared.entries[0].isUnanswerable == [.dead, .still].contains(harm))
        if harm == .order {
          let whole = try Self.prepare(Self.files([recording]), as: set.trained)
          let (found, expected) = (try Self.samples(of: prepared), try Self.samples(of: whole))
          #expect(found == expected)
        }
      } catch let error as RecordingProblems {
        refused += 1
        #expect(error.problems.allSatisfy { $0.isMismatch && $0.file == file.file }, "\(error)")
        // Who knows better may go on, and it is said.
        let allowed = try Self.prepare([file], as: set.trained, allowsMismatch: true)
        #expect(allowed.warnings.contains { $0.contains("--allow-mismatch") })
      }
    }
    #expect(refused > 20)
  }

  @Test func anotherOrderUnderAHeaderThatDoesNotTellIsWarnedOf() throws {
    let set = try Synthesized()
    var random = SystemRandom(state: 7)
    var warned = 0
    for recording in set.others {
      var table = try set.table(recording)
      let names = table.names
      table = table.permuted(Array(0..<8).shuffled(using: &random))
      table.names = names
      let prepared = try Self.prepare([set.write(table)], as: set.trained)
      warned += prepared.warnings.contains { $0.contains("another order") } ? 1 : 0
    }
    // Some orders leave neighbours neighbours: nobody can tell those.
    #expect(warned * 10 >= set.others.count * 8, "\(warned) of \(set.others.count)")
  }

  @Test func theOptionThatIsNamedMendsTheMismatch() throws {
    let set = try Synthesized()
    let recording = set.others[4]
    let whole = try Self.samples(of: Self.prepare(Self.files([recording]), as: set.trained))
    var table = try set.table(recording)
    table.rows = table.rows.map { $0.map { ($0 * 1e6).rounded() } }
    let microvolts = try set.write(table)
    let error = #expect(throws: RecordingProblems.self) {
      try Self.prepare([microvolts], as: set.trained)
    }
    #expect(error?.description.contains("--scale 1e-6") == true)
    let scaled = try Self.prepare([microvolts], as: set.trained, scale: 1e-6)
    #expect(scaled.warnings == [])
    #expect(zip(try Self.samples(of: scaled), whole).allSatisfy { abs($0 - $1) < 1e-4 })

    table = try set.table(recording)
    table.names = ["Time"] + (table.names ?? [])
    table.rows = table.rows.enumerated().map { [1e9 + Double($0) / 512] + $1 }
    let timed = try set.write(table)
    let other = #expect(throws: RecordingProblems.self) {
      try Self.prepare([timed], as: set.trained)
    }
    #expect(other?.description.contains("--channels 2-9") == true)
    let chosen = try Self.prepare([timed], as: set.trained, channels: "2-9")
    #expect(try Self.samples(of: chosen) == whole)
  }

  @Test func filesWithoutAProfileAreComparedByTheirDeviation() throws {
    let set = try Synthesized()
    var old = set.trained
    old.recordings = nil
    #expect(try Self.prepare(Self.files(set.others), as: old).warnings == [])
    var table = try set.table(set.others[0])
    table.rows = table.rows.map { $0.map { $0 * 1e3 } }
    let file = try set.write(table)
    #expect(throws: RecordingProblems.self) { try Self.prepare([file], as: old) }
  }

  // MARK: One training

  /// Trains on the set after `change` to it.
  private func train(_ change: (Synthesized) throws -> Void) throws -> PreparedRecordings {
    let set = try Synthesized()
    try change(set)
    let found = try RecordingSet(directory: set.directory.file("recordings"))
    return try Preparation(threads: 2).prepare(
      found.descriptors, split: Split(found.descriptors, seed: 42), statistics: .filteredTraining,
      problems: found.problems)
  }

  private func rewrite(
    _ set: Synthesized, _ positions: some Sequence<Int>, _ change: (inout Table) -> Void
  ) throws {
    for position in positions {
      var table = try set.table(set.recordings[position])
      change(&table)
      try table.text.write(
        toFile: set.recordings[position].file, atomically: true, encoding: .utf8)
    }
  }

  @Test func partsOfATrainingThatDifferAreRefused() throws {
    let changes: [(String, (inout Table) -> Void)] = [
      ("found the channels emg0", { $0.names = (0..<8).map { "emg\($0)" } }),
      ("multiply its samples by 1e-6", { $0.rows = $0.rows.map { $0.map { $0 * 1e6 } } }),
      ("column 3 never changes", { for row in $0.rows.indices { $0.rows[row][2] = 0.5 } }),
      ("times as far out as usual", { $0.rows[500][6] = 1e6 }),
    ]
    for (sentence, change) in changes {
      let error = #expect(throws: RecordingProblems.self) {
        try train { try rewrite($0, [5, 6], change) }
      }
      #expect(error?.problems.count == 2)

      #expect(
        error?.problems.allSatisfy { $0.description.contains(sentence) } == true, "\(error as Any)")
    }
    let reversed = try train { set in
      try rewrite(set, [5, 6]) { $0 = $0.permuted(Array((0..<8).reversed())) }
    }
    let whole = try train { _ in }
    #expect(reversed.samples == whole.samples)
    #expect(reversed.standardization == whole.standardization)
    #expect(reversed.warnings.count == 1 && whole.warnings.isEmpty)
  }

  @Test func whatOneTrainingHasOfAnotherKindIsSaid() throws {
    let still = #expect(throws: RecordingProblems.self) {
      try train { set in
        try rewrite(set, [5]) { table in for row in 400..<1024 { table.rows[row][1] = 0.5 } }
      }
    }
    #expect(still?.problems.count == 1)
    #expect(
      still?.description.contains("column 2 stands still in 60.9 % of the samples") == true,
      "\(still as Any)")
    let loud = try train { set in
      let second = set.recordings.indices.filter { set.recordings[$0].session == 2 }
      try rewrite(set, second) { $0.rows = $0.rows.map { $0.map { $0 * 9 } } }
    }
    #expect(
      loud.warnings.contains { $0.contains("session 2 of subject 1: its recordings are") },
      "\(loud.warnings)")
    let changes: [(String, (inout Table) -> Void)] = [
      (
        "the columns 3 and 4 are the same signal",
        { table in
          for row in table.rows.indices { table.rows[row][3] = table.rows[row][2] }
        }
      ),
      (
        "column 5 is",
        { table in
          for row in table.rows.indices { table.rows[row][4] *= 20 }
        }
      ),
      (
        "all channels are 0 in",
        { table in
          for row in stride(from: 3, to: 1024, by: 50) {
            table.rows[row] = [Double](repeating: 0, count: 8)
          }
        }
      ),
    ]
    for (words, change) in changes {
      let found = try train { try rewrite($0, [5], change) }
      #expect(found.warnings.contains { $0.contains(words) }, "\(words): \(found.warnings)")
    }
  }

  /// Two recordings, copies of one: none of two different ones.
  @Test func noTwoSynthesizedRecordingsAreNearlyTheSame() throws {
    let set = try Synthesized()
    let marks = try set.recordings.map { recording in
      let table = try set.table(recording)
      var signal = SignalBlocks(table.rows.flatMap { $0 }, channels: 8)
      try RecordingFilter(sampleRate: 512).apply(to: &signal)
      return SignalMark(signal)
    }
    for (index, mark) in marks.enumerated() {
      #expect(marks[..<index].allSatisfy { !$0.isNearly(mark) })
      let read = try #require(SignalMark(text: mark.text))
      #expect(read == mark && read.isNearly(mark))
    }
  }

  @Test func aChannelThatIsDeadEverywhereIsToldOnce() throws {
    let error = #expect(throws: RecordingProblems.self) {
      try train { set in
        try rewrite(set, set.recordings.indices) { table in
          for row in table.rows.indices { table.rows[row][4] = 0 }
        }
      }
    }
    #expect(error?.problems.count == 1)
    #expect(error?.description.contains("--channels 1-4,6-8") == true)
  }

  @Test func theSameSamplesUnderTwoGesturesAreRefusedAndCopiesMentioned() throws {
    func copy(_ set: Synthesized, from: String, to: String) throws {
      let folder = set.directory.file("recordings/Session1/session1_subject_1/")
      try? FileManager.default.removeItem(atPath: folder + to)
      try FileManager.default.copyItem(atPath: folder + from, toPath: folder + to)
    }
    let error = #expect(throws: RecordingProblems.self) {
      try train { try copy($0, from: "gesture00_trial01.csv", to: "gesture01_trial09.csv") }
    }
    let problems = error?.problems ?? []
    #expect(problems.count == 2)
    #expect(problems.allSatisfy { $0.description.contains("of gesture") && !$0.isMismatch })
    let copies = try train {
      try copy($0, from: "gesture00_trial01.csv", to: "gesture00_trial09.csv")
    }
    #expect(copies.warnings.count == 1)
    #expect(copies.warnings[0].contains("gesture00_trial09.csv"))
    #expect(copies.warnings[0].contains("count twice"))
  }
}
