import Foundation
import Testing

@testable import Recordings

/// A file that is read in pieces is read as the whole of it is, and found at fault as the whole is.
struct PieceTests {
  private static let header = "time,a,b"

  /// Rows of some 26 bytes: 20,000 are eight pieces of the smallest size.
  private static func rows(_ count: Int) -> [String] {
    (0..<count).map { row in
      let value = (row * 7919) % 100_000
      return "\(Double(row) / 500),0.\(100_000 + value),-0.\(999_999 - value)"
    }
  }

  private static func text(_ lines: [String], ending: String = "\n") -> String {
    lines.joined(separator: ending) + ending
  }

  /// What reading makes of a text: samples and what else the file says, or what is wrong with it.
  private struct Outcome: Equatable {
    var samples: [Double] = []
    var outline = ""
    var error: RecordingError?
  }

  private func outcomes(of text: [UInt8]) throws -> (whole: Outcome, pieces: Outcome) {
    let directory = try ScratchDirectory()
    let file = directory.path + "/x.csv"
    try Data(text).write(to: URL(filePath: file))
    let channels = try #require(ChannelSelection("2-3"))
    let reader = RecordingReader(options: ReadOptions(channels: channels, minimumSamples: 3))
    var (whole, pieces) = (Outcome(), Outcome())
    do throws(RecordingError) {
      let recording = try reader.read(file)
      (whole.samples, whole.outline) = (recording.samples, "\(recording.outline)")
    } catch { whole.error = error }
    var expected = 0
    do {
      let outline = try reader.read(
        file, piece: 1, expect: { expected = $0 }, take: { pieces.samples += $0 })
      pieces.outline = "\(outline)"
      #expect(expected >= outline.sampleCount, "there would be no room")
    } catch let error as RecordingError {
      (pieces.error, pieces.samples) = (error, [])
    }
    return (whole, pieces)
  }

  private static let sound: [String] = [
    text([header] + rows(20_000)), text([header] + rows(20_000), ending: "\r\n"),
    text(rows(20_000)), (["# remark", header] + rows(9_999)).joined(separator: "\n"),
    text([header] + rows(20_000)) + " \r\n\n" + String(repeating: "\n", count: 200_000),
    text([header] + rows(2)), text(Array(repeating: "% " + header, count: 20_000) + rows(9)),
    // Cut in its last number, as nobody can tell where decimals vary.
    (rows(20_000) + ["40.0,0.1,0.2", "40.1,0.12,0.1"]).joined(separator: "\n"),
  ]

  @Test(arguments: sound.indices)
  func piecesTogetherAreTheWhole(index: Int) throws {
    let (whole, pieces) = try outcomes(of: Array(Self.sound[index].utf8))
    if index != 5 { #expect(whole.error == nil) }
    #expect(pieces == whole)
  }

  /// The shortest rows there are: a digit for each channel, and nothing in the other columns.
  @Test func rowsOfEmptyColumnsFindRoom() throws {
    let rows = (0..<20_000).map { ",\($0 % 10),\($0 / 2_000),,,,,,,,," }
    let (whole, pieces) = try outcomes(of: Array(Self.text(rows).utf8))
    #expect(whole.error == nil)
    #expect(whole.samples.count == 40_000)
    #expect(pieces == whole)
  }

  private static func changed(at row: Int, _ change: (String) -> String) -> String {
    var lines = [header] + rows(20_000)
    lines[row] = change(lines[row])
    return text(lines)
  }

  private static let unsound: [String] = [
    changed(at: 15_000) { $0 + ",1" }, changed(at: 15_000) { _ in "" },
    changed(at: 15_000) { $0.replacing("0.", with: "0,") },
    changed(at: 15_000) { $0.replacing("-", with: "x") }, changed(at: 15_000) { $0 + "\0" },
    changed(at: 15_000) { $0.replacing(",", with: ";") }, changed(at: 20_000) { _ in "" } + "  x",
    changed(at: 2) { $0 + "7" } + "\n\n" + String(repeating: "\n", count: 100_000) + "\0",
    changed(at: 15_000) { _ in String(repeating: "1", count: 70_000) },
    changed(at: 15_000) { _ in String(repeating: "1", count: 170_000) },
    changed(at: 20_000) { _ in String(repeating: "1", count: 170_000) },
    String(changed(at: 1) { $0 }.dropLast(4)), String(changed(at: 1) { $0 }.dropLast(12)),
    "a,b,c\n" + String(repeating: "\n", count: 200_000), text([header]) + "1,2,",
  ]

  @Test(arguments: unsound.indices)
  func theSameFaultIsFoundInTheSameLine(index: Int) throws {
    let (whole, pieces) = try outcomes(of: Array(Self.unsound[index].utf8))
    #expect(whole.error != nil)
    #expect(pieces.error == whole.error)
  }

  @Test func whatTheCallerThrowsEndsTheReading() throws {
    struct Enough: Error {}
    let directory = try ScratchDirectory()
    let file = directory.path + "/x.csv"
    try Data(Self.sound[0].utf8).write(to: URL(filePath: file))
    let reader = RecordingReader(options: ReadOptions(channels: try #require(.init("2-3"))))
    var count = 0
    #expect(throws: Enough.self) {
      try reader.read(file, piece: 1) { _ in
        count += 1
        if count == 2 { throw Enough() }
      }
    }
    #expect(count == 2)
    #expect(throws: Never.self) { try reader.read(file) }
  }
}
