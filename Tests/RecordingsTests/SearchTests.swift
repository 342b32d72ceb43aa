import Foundation
import Recordings
import Testing

@Suite struct SearchTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  @Test(
    arguments: [
      ("Session1/session1_subject_3/gesture00_trial01.csv", 1, 0, 3),
      ("SESSION-02/SUBJECT_007/GESTURE-12.CSV", 2, 12, 7),
      ("session_3/subject5/gesture4/trial9.csv", 3, 4, 5),
      ("session003/gesture1/subject2_gesture09.csv", 3, 9, 2),
      ("subject1/subject2/session4/gesture1/x.csv", 4, 1, 2),
      ("session0/gesture_0.csv", 0, 0, nil),
      ("Session1/Session2/mygesture3of5.csv", 2, 3, nil),
      ("session1_extra/gesture1.csv", nil, 1, nil),
      ("presession1/gesture1.csv", nil, 1, nil),
      ("session1.csv", nil, nil, nil),
      ("session/gesture_/subject--1/x.csv", nil, nil, nil),
      ("gesturegesture2/x.csv", nil, 2, nil),
      ("gesture99999999999999999999/x.csv", nil, nil, nil),
      ("notes.csv", nil, nil, nil),
    ] as [(String, Int?, Int?, Int?)])
  func pathsSaySessionGestureAndSubject(path: String, session: Int?, gesture: Int?, subject: Int?) {
    let layout = RecordingLayout(path: path)
    #expect(layout.session == session)
    #expect(layout.gesture == gesture)
    #expect(layout.subject == subject)
  }

  @Test func recordingsAreSortedByTheBytesOfTheirPaths() throws {
    let paths = [
      "Session1/subject_1/gesture0.csv", "Session1/subject_10/gesture0.csv",
      "Session1/subject_1/gesture0_b.csv", "session1/gesture1.csv", "Session1/ä_gesture2.csv",
      "Session1/z_gesture2.CSV", "gesture3.csv", "Session1-gesture4.Csv",
    ]
    for path in paths { try scratch.write("1\n", to: path) }
    let set = try RecordingSet(directory: scratch.path)
    let sorted = paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    #expect(set.descriptors.map(\.path) == sorted)
    #expect(set.descriptors.map(\.file) == sorted.map { scratch.path + "/" + $0 })
    #expect(set.problems.isEmpty)
  }

  @Test func hiddenAndOtherFilesAreSkipped() throws {
    for path in [
      ".gesture0.csv", "._gesture1.csv", ".hidden/gesture2.csv", "a/.csv", "gesture3.txt",
      "gesture4.csv.bak", "csv", "gesture5.csv",
    ] { try scratch.write("1\n", to: path) }
    #expect(try RecordingSearch(scratch.path).files.map(\.path) == ["gesture5.csv"])
  }

  @Test func linksAreFollowedAndNoDirectoryIsReadTwice() throws {
    let outside = try ScratchDirectory()
    let target = try outside.write("1\n", to: "gesture1.csv")
    try scratch.write("1\n", to: "real/gesture0.csv")
    for (name, destination) in [
      ("gesture7.csv", target), ("a_link", outside.path), ("b_link", outside.path),
      ("real/loop", scratch.path), ("c_link", "real"), ("gesture8.csv", "/nowhere/at/all.csv"),
      ("Session9", "/nowhere/at/all"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: scratch.path + "/" + name, withDestinationPath: destination)
    }
    let search = try RecordingSearch(scratch.path)
    #expect(
      search.files.map(\.path) == ["a_link/gesture1.csv", "gesture7.csv", "real/gesture0.csv"])
    #expect(
      search.linksNotFollowed == ["b_link", "c_link", "real/loop"].map { scratch.path + "/" + $0 })
    #expect(search.problems.map(\.kind) == [.unreadable, .unreadable])
    #expect(
      search.problems.map(\.file) == ["Session9", "gesture8.csv"].map { scratch.path + "/" + $0 })
    #expect(try RecordingSet(directory: scratch.path).linksNotFollowed.count == 3)
  }

  @Test(
    arguments: [
      ("Session1/gesture00_gesture01.csv", ["gesture 0", "gesture 1"]),
      ("Session1/session3_gesture1.csv", ["session 3", "session 1"]),
      ("Session1/session2_subject_3/gesture1.csv", ["session 2", "session 1"]),
      ("Session1/gesture02/gesture1.csv", ["gesture 1", "gesture 2"]),
      ("Session1/subject_4/subject_5_gesture1.csv", ["subject 5", "subject 4"]),
      ("Session1/gesture1.5.csv", ["gesture 1.5"]),
      ("Session1/gesture1,25_x.csv", ["gesture 1.25"]),
      ("Session1/session1_subject_3/gesture00_trial01.csv", []),
      ("SESSION-01/session_1_subject_007/GESTURE-12_gesture012.CSV", []),
      ("gesture1_trial2.5.csv", []), ("Session1/gesture1.csv", []),
    ] as [(String, [String])])
  func pathsThatContradictThemselvesAreProblems(path: String, found: [String]) throws {
    let file = try scratch.write("1\n", to: path)
    let set = try RecordingSet(directory: scratch.path)
    #expect(RecordingLayout(path: path).contradiction == found)
    #expect(
      set.problems == (found.isEmpty ? [] : [.contradictoryPath(file: file, found: found)]))
    #expect(set.descriptors.count == (found.isEmpty ? 1 : 0))
    for problem in set.problems {
      #expect(found.allSatisfy(problem.description.contains))
      #expect(problem.file == file)
    }
  }

  @Test func directoryNamedAsARecordingIsAProblemAndStillSearched() throws {
    try scratch.write("1\n", to: "x.csv/gesture0.csv")
    let search = try RecordingSearch(scratch.path)
    #expect(search.problems == [.directoryNamedAsRecording(file: scratch.path + "/x.csv")])
    #expect(search.files.map(\.path) == ["x.csv/gesture0.csv"])
    #expect(search.problems.first?.kind == .badContent)
  }

  @Test func pipesAreNamedAndNotWaitedFor() throws {
    let pipe = scratch.path + "/gesture0.csv"
    #expect(mkfifo(pipe, 0o600) == 0)
    #expect(try RecordingSearch(scratch.path).problems == [.notARegularFile(file: pipe)])
    #expect(throws: RecordingError.notARegularFile(file: pipe)) {
      try RecordingReader(options: ReadOptions()).read(pipe)
    }
  }

  @Test func namesThatAreNotUTF8AreProblems() throws {
    let descriptor = (Array(scratch.path.utf8) + Array("/gesture0\u{0}".utf8)).withUnsafeBytes {
      var name = Array($0.bindMemory(to: CChar.self))
      name.insert(
        contentsOf: [CChar(bitPattern: 0xFF)] + Array(".csv".utf8CString.dropLast()),
        at: name.count - 1)
      return open(name, O_CREAT | O_WRONLY, 0o600)
    }
    #expect(descriptor >= 0)
    close(descriptor)
    let search = try RecordingSearch(scratch.path)
    #expect(search.files.isEmpty)
    #expect(search.problems.count == 1)
    #expect(search.problems.first?.kind == .unreadable)
  }

  @Test func recordingsWithoutAGestureAreProblems() throws {
    let stray = try scratch.write("1\n", to: "Session1/notes.csv")
    try scratch.write("1\n", to: "Session1/gesture0.csv")
    let set = try RecordingSet(directory: scratch.path + "/")
    #expect(set.problems == [.noGesture(file: stray)])
    #expect(set.descriptors.count == 1)
    #expect(set.problems.first?.kind == .badContent)
  }

  @Test func missingAndEmptyDirectoriesAreNamed() throws {
    let nowhere = scratch.path + "/nowhere"
    #expect(throws: RecordingError.missing(path: nowhere)) { try RecordingSet(directory: nowhere) }
    #expect(throws: RecordingError.noRecordings(directory: scratch.path)) {
      try RecordingSet(directory: scratch.path)
    }
    #expect(RecordingError.missing(path: "x").kind == .unreadable)
    #expect(RecordingError.noRecordings(directory: "x").kind == .unreadable)
  }

  @Test func aFileCanBeNamedDirectly() throws {
    let file = try scratch.write("1\n", to: "some/where.txt")
    let search = try RecordingSearch(file)
    #expect(search.files == [RecordingFile(path: "where.txt", file: file)])
  }
}
