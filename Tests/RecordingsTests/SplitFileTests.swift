import Foundation
import Recordings
import Testing

@Suite struct SplitFileTests {
  private let scratch: ScratchDirectory
  private let recordings = descriptors(of: ["a/gesture0.csv", "b/gesture1.csv", "c/gesture2.csv"])
  private let parts: [Part?] = [.train, .validation, .test]

  init() throws { scratch = try ScratchDirectory() }

  private func split(_ text: String) throws -> Split {
    try Split(contentsOf: scratch.write(text, to: "split.csv"), for: recordings)
  }

  private func problems(_ text: String) -> [SplitFileError] {
    do {
      _ = try split(text)
      return []
    } catch let error as SplitFileProblems {
      #expect(error.kind == .badContent)
      return error.problems
    } catch {
      Issue.record(error)
      return []
    }
  }

  private var file: String { scratch.path + "/split.csv" }

  @Test(arguments: [
    "recording,part\na/gesture0.csv,train\nb/gesture1.csv,validation\nc/gesture2.csv,test\n",
    "recording,part\r\na/gesture0.csv,train\r\nb/gesture1.csv,validation\r\nc/gesture2.csv,test",
    "\u{FEFF}recording,part\nc/gesture2.csv,test\na/gesture0.csv,train\nb/gesture1.csv,validation\n\n",
    "\"recording\",\"part\"\n\"a/gesture0.csv\",train\nb/gesture1.csv,\"validation\"\nc/gesture2.csv,test\n",
  ])
  func filesInTheWrittenFormAreRead(text: String) throws {
    #expect(try split(text).parts == parts)
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let awkward = descriptors(of: [
      "gesture0, left.csv", "gesture1 \"x\".csv", "gesture2\nline.csv", " gesture3.csv",
      "gesture4.csv",
    ])
    let split = Split(parts: [.train, .test, .validation, .train, .test])
    let written = try scratch.write(split.csv(of: awkward), to: "split.csv")
    #expect(try Split(contentsOf: written, for: awkward) == split)
    #expect(split.csv(of: awkward).contains("\"gesture1 \"\"x\"\".csv\","))
  }

  @Test func recordingsInNoPartAreNotWritten() {
    let text = Split(parts: [.train, nil, .test]).csv(of: recordings)
    #expect(text == "recording,part\na/gesture0.csv,train\nc/gesture2.csv,test\n")
  }

  @Test func allThatIsWrongIsListed() {
    let text = """
      recording,part
      a/gesture0.csv,training
      z/gesture9.csv,train
      b/gesture1.csv,test
      b/gesture1.csv,train
      b/gesture1.csv

      """
    #expect(
      problems(text) == [
        .unknownPart(file: file, line: 2, found: "training"),
        .unknownRecording(file: file, line: 3, found: "z/gesture9.csv"),
        .duplicate(file: file, line: 5, recording: "b/gesture1.csv", firstLine: 4),
        .fields(file: file, line: 6, found: 1),
        .missing(file: file, recording: "c/gesture2.csv"),
      ])
    for problem in problems(text) {
      #expect(problem.description.contains("found") && problem.description.contains("expected"))
    }
  }

  @Test func wrongFormIsNamed() throws {
    #expect(problems("") == [.header(file: file, found: "")])
    #expect(
      problems("a/gesture0.csv,train\n") == [.header(file: file, found: "a/gesture0.csv,train")])
    #expect(problems("recording,part\n\"a,train\n") == [.quoting(file: file, line: 2)])
    #expect(problems("recording,part\na\"b,train\n") == [.quoting(file: file, line: 2)])
    #expect(problems("recording,part\n\"a\"b,train\n") == [.quoting(file: file, line: 2)])
    let notUTF8 = try scratch.write([0xFF, 0xFE, 0x41], to: "split.csv")
    #expect(throws: SplitFileProblems.self) { try Split(contentsOf: notUTF8, for: recordings) }
  }

  @Test func missingFileIsUnreadable() {
    #expect {
      try Split(contentsOf: "/nowhere/split.csv", for: recordings)
    } throws: { error in
      (error as? SplitFileProblems)?.kind == .unreadable
    }
  }

  @Test func aSplitThatComesThroughAPipeIsReadOnce() throws {
    let text = "recording,part\na/gesture0.csv,train\nb/gesture1.csv,validation\n"
    let pipe = scratch.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    let writer = Process()
    writer.executableURL = URL(filePath: "/bin/sh")
    writer.arguments = ["-c", "printf '%s' \"$1\" > \"$2\"", "sh", text, pipe]
    try writer.run()
    let file = try SplitFile(pipe)
    writer.waitUntilExit()
    #expect(file.recordingCount == 2)
    #expect(try file.split(of: Array(recordings.prefix(2))).parts == [.train, .validation])
  }

  @Test func recordingsThatWereFoundAndAreBadMayBeNamed() throws {
    let text =
      "recording,part\na/gesture0.csv,train\nb/gesture1.csv,validation\nc/gesture2.csv,test\n"
    let file = try SplitFile(scratch.write(text, to: "split.csv"))
    let some = Array(recordings.prefix(2))
    #expect(throws: SplitFileProblems.self) { try file.split(of: some) }
    let split = try file.split(of: some) { $0 == "c/gesture2.csv" }
    #expect(split.parts == [.train, .validation])
  }

  @Test func aReadThatFailsMidwayIsNotCalledUnreadable() {
    let failed = #expect(throws: SplitFileProblems.self) { try SplitFile("/proc/self/mem") }
    #expect(failed?.kind == .readFailed)
    let directory = #expect(throws: SplitFileProblems.self) { try SplitFile(scratch.path) }
    #expect(directory?.kind == .unreadable)
  }
}
