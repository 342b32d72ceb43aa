import Testing

@testable import Recordings

/// Recordings of a training, known again.
struct SeenRecordingsTests {
  private let a = Fingerprint(high: 1, low: 2)
  private let b = Fingerprint(high: .max, low: 0)
  private let c = Fingerprint(high: 5, low: 6)

  private func split(_ rows: String, _ scratch: ScratchDirectory) throws -> SplitFile {
    try SplitFile(try scratch.write(rows, to: "split.csv"))
  }

  @Test func fingerprintsAreReadAsTheyAreWritten() {
    for fingerprint in [a, b, c] {
      #expect(fingerprint.hexadecimal.utf8.count == 32)
      #expect(Fingerprint(hexadecimal: fingerprint.hexadecimal) == fingerprint)
    }
    let text = b.hexadecimal
    for wrong in [
      "", "0", text + "0", "+" + text.dropFirst(), text.uppercased(), "g" + text.dropFirst(),
    ] {
      #expect(Fingerprint(hexadecimal: String(wrong)) == nil, "\(wrong)")
    }
  }

  @Test func aRecordingIsKnownByItsContentUnderAnyName() throws {
    let scratch = try ScratchDirectory()
    let file = try split(
      "recording,part,content\nx,train,\(a.hexadecimal)\ny,validation,\(b.hexadecimal)\n"
        + "z,test,\(c.hexadecimal)\n", scratch)
    #expect(file.hasContents && file.recordingCount == 3)
    let seen = try SeenRecordings([file])
    #expect(seen.part(ofPath: "elsewhere", content: a) == .train)
    #expect(seen.part(ofPath: "elsewhere", content: b) == .validation)
    #expect(seen.part(ofPath: "elsewhere", content: c) == nil)
    #expect(seen.part(ofPath: "z", content: c) == nil)
    // The next person's recordings have the same names.
    #expect(seen.part(ofPath: "x", content: Fingerprint(high: 7, low: 7)) == nil)
    #expect(seen.part(ofPath: "x", content: nil) == .train)
    #expect(seen.part(ofPath: "x", content: b) == .validation)
  }

  @Test func aSplitThatDoesNotSayContentsIsKnownByPaths() throws {
    let scratch = try ScratchDirectory()
    let file = try split("recording,part\nx,train\ny,validation\nz,test\n", scratch)
    #expect(!file.hasContents)
    let seen = try SeenRecordings([file])
    #expect(seen.part(ofPath: "x", content: a) == .train)
    #expect(seen.part(ofPath: "y", content: nil) == .validation)
    #expect(seen.part(ofPath: "z", content: c) == nil)
  }

  @Test func whatOneOfTwoRunsTrainedOnWasTrainedOn() throws {
    let scratch = try ScratchDirectory()
    let rows = "recording,part,content\nx,validation,\(a.hexadecimal)\n"
    let first = try split(rows, scratch)
    let second = try split(rows.replacing("validation", with: "train"), scratch)
    for files in [[first, second], [second, first]] {
      #expect(try SeenRecordings(files).part(ofPath: "x", content: a) == .train)
    }
  }

  @Test func contentsThatAreNoneAreRefused() throws {
    let scratch = try ScratchDirectory()
    let file = try split("recording,part,content\nx,train,12\n", scratch)
    let problems = #expect(throws: SplitFileProblems.self) { try file.entries }
    #expect(problems?.description.contains("split.csv:2: found the content \"12\"") == true)
    let short = try split("recording,part,content\nx,train\n", scratch)
    #expect(throws: SplitFileProblems.self) { try short.entries }
    // A recording that was left out has none.
    #expect(try split("recording,part,content\nx,train,\n", scratch).entries[0].content == nil)
  }
}
