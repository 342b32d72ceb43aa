import Foundation
import TestSupport
import Testing

@testable import Recordings

@Suite struct SynthesizerTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  private let small = Synthesizer(
    subjects: 2, sessions: 3, gestures: 2, trials: 2, samples: 300, seed: 5)

  private func contents(of directory: String) throws -> [String: Data] {
    let files = try RecordingSearch(directory).files
    return try Dictionary(
      uniqueKeysWithValues: files.map { ($0.path, try Data(contentsOf: URL(filePath: $0.file))) })
  }

  @Test func filesHaveThePublicSetsLayoutAndForm() throws {
    let directory = scratch.path + "/a/b/set/"
    try small.write(to: directory, threads: 2)
    let set = try RecordingSet(directory: directory)
    #expect(set.problems.isEmpty)
    #expect(set.descriptors.count == small.recordingCount)
    let first = "Session1/session1_subject_1/gesture00_trial01.csv"
    #expect(set.descriptors.first?.path == first)
    #expect(set.descriptors.last?.path == "Session3/session3_subject_2/gesture01_trial02.csv")
    let bytes = try #require(try contents(of: directory)[first])
    let text = String(decoding: bytes, as: UTF8.self)
    let lines = text.components(separatedBy: "\r\n")
    #expect(lines.count == 302 && lines[301].isEmpty)
    #expect(lines[0] == "ch1,ch2,ch3,ch4,ch5,ch6,ch7,ch8")
    for line in lines[1...300] {
      #expect(line.wholeMatch(of: /-?\d+\.\d{6}(,-?\d+\.\d{6}){7}/) != nil)
    }
    #expect(try Split(set.descriptors, seed: 42).problems(with: set.descriptors).isEmpty)
  }

  @Test func theSameOptionsGiveTheSameFilesOnAnyNumberOfThreads() throws {
    try small.write(to: scratch.path + "/one", threads: 1)
    try small.write(to: scratch.path + "/two", threads: 3)
    let one = try contents(of: scratch.path + "/one")
    #expect(one == (try contents(of: scratch.path + "/two")))
    #expect(Set(one.values).count == one.count)
    var other = small
    other.seed = 6
    try other.write(to: scratch.path + "/other", threads: 2)
    let second = try contents(of: scratch.path + "/other")
    #expect(one.allSatisfy { second[$0.key] != $0.value })
  }

  @Test func aRecordingDoesNotDependOnHowManyAreMade() throws {
    try small.write(to: scratch.path + "/few", threads: 2)
    var more = small
    (more.subjects, more.gestures, more.trials) = (3, 3, 3)
    try more.write(to: scratch.path + "/many", threads: 2)
    let many = try contents(of: scratch.path + "/many")
    for (path, bytes) in try contents(of: scratch.path + "/few") {
      #expect(many[path] == bytes)
    }
  }

  @Test func nothingIsOverwritten() throws {
    let taken = scratch.path + "/taken"
    let kept = try scratch.write("kept", to: "taken/x")
    #expect(throws: SynthesisError.notEmpty(path: taken)) { try small.write(to: taken, threads: 2) }
    #expect(throws: SynthesisError.notEmpty(path: kept)) { try small.write(to: kept, threads: 2) }
    #expect(try String(contentsOfFile: kept, encoding: .utf8) == "kept")
    #expect(SynthesisError.notEmpty(path: taken).kind == .cannotCreate)
    // An empty directory is a place like a new one.
    let empty = scratch.path + "/empty"
    #expect(mkdir(empty, 0o755) == 0)
    try small.write(to: empty, threads: 2)
    #expect(try RecordingSet(directory: empty).descriptors.count == small.recordingCount)
    // Nothing is left beside.
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
    #expect(Set(names) == ["taken", "empty"])
  }

  @Test func placesThatCannotBeMadeAreNamed() throws {
    let file = try scratch.write("x", to: "file")
    #expect {
      try small.write(to: file + "/set", threads: 2)
    } throws: { error in
      guard case SynthesisError.cannotCreate(_, let reason) = error else { return false }
      return reason == "Not a directory"
    }
  }

  @Test func aFullDiskIsAFailedWrite() throws {
    var text = RecordingText()
    text.set([.zero])
    let full = open("/dev/full", O_WRONLY)
    defer { close(full) }
    let isWritten = text.write(to: full)
    let code = errno
    #expect(!isWritten && code == ENOSPC)
    #expect(throws: SynthesisError.self) { try text.write(to: scratch.path + "/gone/x.csv") }
    #expect(SynthesisError.writeFailed(path: "x", reason: "y").kind == .writeFailed)
  }

  @Test func numbersAreRoundedToSixDecimals() throws {
    let values: ElectrodeFrame = [
      0, -0.0000004, 0.0000005, -1.2345678, 12.5, -0.999999501, 100, 1e-7,
    ]
    var text = RecordingText()
    text.set([values])
    try text.write(to: scratch.path + "/x.csv")
    let line = try String(contentsOfFile: scratch.path + "/x.csv", encoding: .utf8)
      .components(separatedBy: "\r\n")[1]
    #expect(
      line == "0.000000,0.000000,0.000001,-1.234568,12.500000,-1.000000,100.000000,0.000000")
  }

  @Test func optionsOutOfRangeAreRefused() {
    var none = small
    none.subjects = 0
    #expect(throws: SynthesisError.outOfRange(option: "subjects", found: "0", expected: "1 to 999"))
    {
      try none.write(to: scratch.path + "/set", threads: 2)
    }
    var slow = small
    slow.sampleRate = 10
    #expect(throws: SynthesisError.self) { try slow.write(to: scratch.path + "/set", threads: 2) }
  }

  @Test(arguments: [1000.0, 2000])
  func otherRatesGiveSignalsOfTheSameSize(rate: Double) throws {
    let deviation = { (rate: Double) in
      let forearm = Forearm(subject: 1, session: 1, gestures: 1, sampleRate: rate, seed: 3)
      let signal = SynthesizedSignal(
        forearm: forearm, sampleRate: rate, sampleCount: Int(2 * rate))
      var random = SynthesisRandom(seed: 3, 1)
      let frames = signal.make(gesture: 0, &random)
      return (frames.map { ($0 * $0).sum() }.reduce(0, +) / Double(8 * frames.count)).squareRoot()
    }
    let ratio = deviation(rate) / deviation(512)
    #expect(ratio > 0.7 && ratio < 1.4, "\(ratio)")
  }

  /// Five subjects of each, all recordings. Slow without the optimizer.
  @Test(
    .enabled(if: sharedDataIsExpected, "no shared data"),
    .enabled(if: isOptimizedOrAllTests, "only in a release build, or with SEMG_ALL_TESTS=1"),
    arguments: [42, 7, 11] as [UInt64])
  func synthesizedSetsAreLikeTheRealOne(seed: UInt64) throws {
    let directory = scratch.path + "/set"
    try Synthesizer(seed: seed).write(to: directory, threads: 2)
    let real = try SignalStatistics(directory: SharedData.synapse.path)
    let made = try SignalStatistics(directory: directory)
    for (a, b) in zip(made.bandShares, real.bandShares) { #expect(abs(a - b) < 0.05, "\(made)") }
    for (a, b) in zip(made.ringCorrelations, real.ringCorrelations) {
      #expect(abs(a - b) < 0.05, "\(made)")
    }
    for (name, a, b, factor) in [
      ("kurtosis", made.kurtosis, real.kurtosis, 1.3),
      ("deviation", made.deviation, real.deviation, 1.5),
      ("spread of amplitudes", made.amplitudeSpread, real.amplitudeSpread, 1.3),
      ("ratio of subjects", made.subjectRatio, real.subjectRatio, 1.6),
    ] {
      #expect(max(a / b, b / a) < factor, "\(name): \(a), really \(b)")
    }
    let accuracies = (made.discriminantAccuracy, real.discriminantAccuracy)
    #expect(abs(accuracies.0 - accuracies.1) < 0.10, "\(accuracies)")
  }
}

/// Whether the slow tests run: compiled for release, or asked for.
private let isOptimizedOrAllTests: Bool = {
  #if DEBUG
    ProcessInfo.processInfo.environment["SEMG_ALL_TESTS"] == "1"
  #else
    true
  #endif
}()
