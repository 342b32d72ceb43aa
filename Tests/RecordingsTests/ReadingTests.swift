import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Recordings

@Suite struct ReadingTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  /// `count` recordings of three rows, the first sample of each its number.
  private func writeRecordings(_ count: Int) throws -> [String] {
    try (0..<count).map { index in
      let rows = (0..<3).map { "\(index).5,\($0),3,4,5,6,7,8\n" }.joined()
      return try scratch.write(rows, to: "gesture\(index % 2)_\(index).csv")
    }
  }

  @Test(arguments: [1, 2, 5])
  func resultsHaveTheFilesOrder(threads: Int) throws {
    let files = try writeRecordings(60)
    let report = try readRecordings(files, options: ReadOptions(), threads: threads) {
      index, recording in "\(index): \(recording.samples[0])"
    }
    #expect(report.values == (0..<60).map { "\($0): \($0).5" })
    #expect(Set(report.fingerprints.compactMap { $0 }).count == 60)
    #expect(report.problems.isEmpty)
  }

  /// Room for samples is asked for before a row is parsed.
  @Test(arguments: [
    "", "\n", "\r\n", " \n", "1\n", "1,2,3,4,5,6,7,8\n\n", "1,2,3,4,5,6,7,8\n1,2\n",
  ])
  func linesThatAreNoRowsTakeNoRoom(start: String) throws {
    let header = "a,b,c,d,e,f,g,h\n"
    let file = try scratch.write(
      header + start + String(repeating: "\n", count: 1_000_000), to: "feeds.csv")
    let text = FileText()
    try text.read(file)
    let scanner = RecordingScanner(
      text, file: file, options: ReadOptions(), decimals: DecimalScanner())
    let table = try scanner.readFirstLine(at: text.start)
    #expect(scanner.mostRows(of: table) <= 2)
  }

  @Test func everyRowFindsRoom() throws {
    let row = "1,2,3,4,5,6,7,8"
    for (rows, end) in [(1, ""), (1, "\n"), (1_000, ""), (1_000, "\n"), (1_000, "\n\n\n")] {
      let lines = Array(repeating: row, count: rows).joined(separator: "\n")
      let file = try scratch.write(lines + end, to: "rows.csv")
      let recording = try RecordingReader(options: ReadOptions()).read(file)
      #expect(recording.sampleCount == rows)
    }
  }

  @Test func allProblemsAreCollectedInOrderAndTheRestIsRead() throws {
    var files = try writeRecordings(20)
    try scratch.write("", to: "gesture1_3.csv")
    try scratch.write("x\n", to: "gesture1_7.csv")
    files[12] = scratch.path + "/gone.csv"
    try scratch.write("1,2,3,4,5,6,7,8\n", to: "gesture1_15.csv")
    let options = ReadOptions(minimumSamples: 3)
    let report = try readRecordings(files, options: options, threads: 2) { $1.sampleCount }
    #expect(
      report.problems == [
        .emptyFile(file: files[3]),
        .textLine(file: files[7], line: 1, found: "\"x\""),
        .missing(path: files[12]),
        .tooShort(file: files[15], samples: 1, minimum: 3),
      ])
    for index in files.indices {
      let isBad = [3, 7, 12, 15].contains(index)
      #expect(report.values[index] == (isBad ? nil : 3))
      #expect((report.fingerprints[index] == nil) == isBad)
    }
    let all = RecordingProblems(report.problems)
    #expect(all.kind == .badContent)
    #expect(all.description.split(separator: "\n").count == 4)
    #expect(RecordingProblems([.missing(path: "x")]).kind == .unreadable)
  }

  @Test func aProblemFoundByTheCallerIsTheRecordingsProblem() throws {
    let files = try writeRecordings(4)
    let report = try readRecordings(files, options: ReadOptions(), threads: 2) { index, _ in
      if index == 2 { throw RecordingError.noSession(file: files[2]) }
    }
    #expect(report.problems == [.noSession(file: files[2])])
  }

  @Test func anyOtherErrorOfTheCallerEndsTheReading() throws {
    struct Stop: Error {}
    let files = try writeRecordings(200)
    let calls = Atomic<Int>(0)
    #expect(throws: Stop.self) {
      try readRecordings(files, options: ReadOptions(), threads: 2) { index, _ in
        calls.wrappingAdd(1, ordering: .relaxed)
        if index == 5 { throw Stop() }
      }
    }
    #expect(calls.load(ordering: .relaxed) < 200)
  }

  @Test func nothingToReadGivesNothing() throws {
    let report = try readRecordings([String](), options: ReadOptions(), threads: 2) { $1 }
    #expect(report.values.isEmpty)
  }

  @Test func aFileThatMayNotBeReadIsUnreadable() throws {
    let file = try writeRecordings(1)[0]
    #expect(chmod(file, 0) == 0)
    // For root nothing is forbidden: as nobody, then, on this thread only. (The header with the
    // call is in no module.)
    typealias SetFileUser = @convention(c) (UInt32) -> Int32
    let setFileUser = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: SetFileUser.self)
    let isRoot = geteuid() == 0
    if isRoot { _ = setFileUser(65534) }
    defer { if isRoot { _ = setFileUser(0) } }
    #expect {
      try RecordingReader(options: ReadOptions()).read(file)
    } throws: { error in
      guard case RecordingError.unreadable(file, let reason) = error else { return false }
      return reason == "Permission denied" && (error as? RecordingError)?.kind == .unreadable
    }
  }

  @Test func aReadThatFailsMidwayIsNotCalledUnreadable() throws {
    // A regular file whose first page cannot be read: the null page of this process's memory.
    let link = scratch.path + "/gesture0.csv"
    try FileManager.default.createSymbolicLink(
      atPath: link, withDestinationPath: "/proc/self/mem")
    let report = try readRecordings([link], options: ReadOptions(), threads: 1) { $1 }
    #expect(report.problems.count == 1)
    #expect(report.problems.first?.kind == .readFailed)
    #expect(report.problems.first?.description.contains("Input/output error") == true)
    let failed = RecordingError.readFailed(file: "b", bytes: 5, reason: "x")
    #expect(RecordingProblems([.missing(path: "a"), failed]).kind == .readFailed)
    #expect(RecordingProblems([failed, .emptyFile(file: "a")]).kind == .badContent)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: shorterThanItSays)))
  func aFileThatEndsBeforeItsSizeIsAReadThatFailed() throws {
    let link = scratch.path + "/gesture0.csv"
    try FileManager.default.createSymbolicLink(
      atPath: link, withDestinationPath: shorterThanItSays)
    let error = #expect(throws: RecordingError.self) {
      try RecordingReader(options: ReadOptions()).read(link)
    }
    #expect(error?.kind == .readFailed)
    #expect(error?.description.contains("expected 4096 bytes") == true)
  }

  @Test func problemsAreListedByPathAndThoseOfTheSetLast() {
    let problems = RecordingProblems([
      .emptyPart(part: .test), .noSession(file: "b"), .emptyFile(file: "a"),
    ]).problems
    #expect(problems.map(\.file) == ["a", "b", nil])
    #expect(throws: Never.self) {
      try RecordingProblems.check([.emptyFile(file: "a")], skipping: true)
      try RecordingProblems.check([], skipping: false)
    }
    #expect(throws: RecordingProblems.self) {
      try RecordingProblems.check([.emptyFile(file: "a")], skipping: false)
    }
    #expect(throws: RecordingProblems.self) {
      try RecordingProblems.check([.emptyPart(part: .test)], skipping: true)
    }
  }

  @Test func aDirectoryIsNoRecording() throws {
    #expect(throws: RecordingError.directoryNamedAsRecording(file: scratch.path)) {
      try RecordingReader(options: ReadOptions()).read(scratch.path)
    }
  }

  @Test(.enabled(if: sharedDataIsExpected, "no shared data"))
  func realRecordingsAreReadWhole() throws {
    let set = try RecordingSet(directory: SharedData.synapse.path)
    let some = stride(from: 0, to: set.descriptors.count, by: 25).map { set.descriptors[$0] }
    let report = try readRecordings(some, options: ReadOptions(), threads: 2) { index, recording in
      // A second way to read them: Foundation's, row by row.
      let text = try String(contentsOf: URL(filePath: some[index].file), encoding: .utf8)
      let rows = text.split(whereSeparator: \.isNewline).dropFirst()
      let samples = rows.flatMap { $0.split(separator: ",").map { strtod(String($0), nil) } }
      return samples == recording.samples && recording.sampleCount == 2560
        && recording.columnNames?.first == "ch1"
    }
    #expect(report.problems.isEmpty)
    #expect(report.values.allSatisfy { $0 == true })
  }
}

/// A file of the kernel's: 4,096 bytes by its size, a few when it is read.
private let shorterThanItSays = "/sys/kernel/mm/transparent_hugepage/enabled"

@Suite struct LeakTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  private func read(_ set: RecordingSet) throws -> [Fingerprint?] {
    try readRecordings(set.descriptors, options: ReadOptions(), threads: 2) { _, _ in }.fingerprints
  }

  @Test func sameSamplesInTwoPartsAreALeakAndInOnePartNot() throws {
    let row = { (value: Int) in "\(value).5,2,3,4,5,6,7,8" }
    var values: [String: Int] = [:]
    for (index, name) in ["a0", "a1", "b0", "b1", "c0", "c1"].enumerated() { values[name] = index }
    values["b1"] = values["a1"]  // train and test
    values["c0"] = values["b0"]  // test and validation
    for name in ["a0", "a1", "b0", "b1", "c0", "c1"] {
      // Line ends differ: what counts is the samples.
      let end = name.hasPrefix("a") ? "\r\n" : "\n"
      try scratch.write(row(values[name] ?? -1) + end, to: "gesture0_\(name).csv")
    }
    try scratch.write(row(0) + "\n", to: "gesture0_a2.csv")
    let set = try RecordingSet(directory: scratch.path)
    let names = ["a0", "a1", "a2", "b0", "b1", "c0", "c1"]
    #expect(set.descriptors.map(\.path) == names.map { "gesture0_\($0).csv" })
    let split = Split(parts: [.train, .train, .train, .test, .test, .validation, .validation])
    let leaks = try split.leaks(
      among: set.descriptors, fingerprints: try read(set), options: ReadOptions())
    let file = { (name: String) in scratch.path + "/gesture0_\(name).csv" }
    #expect(
      leaks == [
        .sameSamples(file: file("b1"), part: .test, other: file("a1"), otherPart: .train),
        .sameSamples(file: file("c0"), part: .validation, other: file("b0"), otherPart: .test),
      ])
    #expect(leaks.first?.file == file("b1"))
    // Where only one part is used, the fault lies on what is used of it.
    let validation = try split.leaks(
      among: set.descriptors, using: [.validation], fingerprints: try read(set),
      options: ReadOptions())
    #expect(
      validation == [
        .sameSamples(file: file("c0"), part: .validation, other: file("b0"), otherPart: .test)
      ])
    let test = try split.leaks(
      among: set.descriptors, using: [.test], fingerprints: try read(set), options: ReadOptions())
    #expect(test.map(\.file) == [file("b0"), file("b1")])
    let clean = split.leavingOut([4, 5])
    #expect(
      try clean.leaks(
        among: set.descriptors, fingerprints: try read(set), options: ReadOptions()
      ).isEmpty)
  }

  @Test func equalFingerprintsOfDifferentSamplesAreNoLeak() throws {
    try scratch.write("1,2,3,4,5,6,7,8\n", to: "gesture0.csv")
    try scratch.write("1,2,3,4,5,6,7,9\n", to: "gesture1.csv")
    let set = try RecordingSet(directory: scratch.path)
    let first = try read(set)[0]
    let split = Split(parts: [.train, .test])
    #expect(
      try split.leaks(
        among: set.descriptors, fingerprints: [first, first], options: ReadOptions()
      ).isEmpty)
  }
}
