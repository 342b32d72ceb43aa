import Foundation
import Recordings
import TestSupport
import Testing

/// What must be read without complaint.
@Suite struct ToleratedTextTests {
  private let scratch: ScratchDirectory
  private let reader = RecordingReader(options: ReadOptions())

  init() throws { scratch = try ScratchDirectory() }

  private static let header = (1...8).map { "ch\($0)" }.joined(separator: ",")
  private static let rows = ["0.5,-1,2.25,3,4,5,6,7", "8,9,10,11,12,13,14,-15.125"]
  private static let samples: [Double] = [
    0.5, -1, 2.25, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, -15.125,
  ]

  private static let texts: [String: String] = {
    let all = [header] + rows
    return [
      "LF": all.joined(separator: "\n") + "\n",
      "CRLF": all.joined(separator: "\r\n") + "\r\n",
      "a byte-order mark": "\u{FEFF}" + all.joined(separator: "\n") + "\n",
      "a byte-order mark without header": "\u{FEFF}" + rows.joined(separator: "\n") + "\n",
      "no header": rows.joined(separator: "\n") + "\n",
      "no header, CRLF": rows.joined(separator: "\r\n") + "\r\n",
      "no last newline": all.joined(separator: "\n"),
      "no last newline, CRLF": all.joined(separator: "\r\n"),
      "CRLF, its last half lost": all.joined(separator: "\r\n") + "\r",
      "blank last lines": all.joined(separator: "\n") + "\n\n\n",
      "blank last lines, CRLF": all.joined(separator: "\r\n") + "\r\n\r\n  \r\n",
      "a space last": all.joined(separator: "\n") + "\n ",
      "spaces after commas": all.joined(separator: "\n").replacingOccurrences(of: ",", with: ", "),
      "spaces everywhere": all.map { " " + $0.replacingOccurrences(of: ",", with: "  ,  ") + "  " }
        .joined(separator: "\n"),
      "exponents": header
        + "\n5e-1,-1E0,2.25e+00,0.3e1,40e-1,5,6,7\n8,9,1e1,1.1e1,12,13,14,-1.5125E+1\n",
      "signs and bare points": "+.5,-1.,2.25,3,4,5,6,7\n8,9,10,11,12,13,14,-15.125\n",
      "quoted names": "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"1\"\n"
        + rows.joined(separator: "\n"),
      "column numbers for names": "0,1,2,3,4,5,6,7\n" + rows.joined(separator: "\n"),
      "column numbers below names": header + "\n0,1,2,3,4,5,6,7\n" + rows.joined(separator: "\n"),
      "more columns": all.map { $0 + ",9,10" }.joined(separator: "\n"),
      "more columns, with text in them": all.map { $0 + ",rest,,2026-11-22 18:00" }
        .joined(separator: "\n"),
      "a comma at each end": all.map { $0 + "," }.joined(separator: "\n"),
    ]
  }()

  @Test(arguments: texts.keys.sorted())
  func isReadWithoutComplaint(name: String) throws {
    let text = try #require(Self.texts[name])
    let recording = try reader.read(scratch.write(text, to: "x.csv"))
    #expect(recording.samples == Self.samples)
    #expect(recording.sampleCount == 2)
    #expect(recording.channelCount == 8)
    #expect(recording.byteCount == text.utf8.count)
    let hasHeader = !name.contains("no header") && !name.contains("without header")
    #expect((recording.columnNames != nil) == (hasHeader && name != "signs and bare points"))
  }

  @Test func namesOfColumnsAreKept() throws {
    let text = " time ,a,b\n0,1,2\n"
    let options = ReadOptions(channels: try #require(ChannelSelection("2-3")))
    let recording = try RecordingReader(options: options).read(scratch.write(text, to: "x.csv"))
    #expect(recording.columnNames == ["time", "a", "b"])
    #expect(recording.columnCount == 3)
    #expect(recording.samples == [1, 2])
  }

  @Test func integersThatCountUpAreNoHeaderAboveIntegers() throws {
    let recording = try reader.read(
      scratch.write("1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8\n", to: "x.csv"))
    #expect(recording.sampleCount == 2)
  }

  @Test func channelsAreTakenInTheOrderAskedFor() throws {
    let file = try scratch.write("1,2,3,4\n5,6,7,8\n", to: "x.csv")
    for (text, samples) in [("4,1", [4.0, 1, 8, 5]), ("2-3", [2, 3, 6, 7]), ("3", [3, 7])] {
      let options = ReadOptions(channels: try #require(ChannelSelection(text)))
      #expect(try RecordingReader(options: options).read(file).samples == samples)
    }
  }

  @Test func aReaderForgetsTheFileBefore() throws {
    let long = try scratch.write(
      String(repeating: "1,2,3,4,5,6,7,8\n", count: 50_000), to: "long.csv")
    let short = try scratch.write(Self.rows.joined(separator: "\n"), to: "short.csv")
    #expect(try reader.read(long).sampleCount == 50_000)
    #expect(try reader.read(short).samples == Self.samples)
    #expect(throws: RecordingError.self) { try reader.read("/nowhere.csv") }
    #expect(try reader.read(short).samples == Self.samples)
  }

  @Test func manyRowsAreReadAsTheyWereWritten() throws {
    var random = SeededGenerator(seed: 3)
    let values = (0..<8 * 3000).map { _ in Double.random(in: -1...1, using: &random) }
    let rows = (0..<3000).map { row in
      values[8 * row..<8 * row + 8].map { String($0) }.joined(separator: ",")
    }
    let file = try scratch.write(rows.joined(separator: "\r\n"), to: "x.csv")
    #expect(try reader.read(file).samples == values)
  }

  @Test func fingerprintsTellSamplesNotText() throws {
    let lf = try reader.read(scratch.write(Self.rows.joined(separator: "\n"), to: "a.csv"))
    let crlf = try reader.read(scratch.write(Self.rows.joined(separator: "\r\n"), to: "b.csv"))
    let other = try reader.read(
      scratch.write(Self.rows.reversed().joined(separator: "\n"), to: "c.csv"))
    #expect(lf.fingerprint == crlf.fingerprint)
    #expect(lf.fingerprint != other.fingerprint)
  }

  @Test func channelSelectionsAreReadAndWritten() {
    #expect(ChannelSelection("1-8") == .firstEight)
    #expect(ChannelSelection("1-8")?.description == "1-8")
    #expect(ChannelSelection("1, 3,5-7")?.columns == [1, 3, 5, 6, 7])
    #expect(ChannelSelection("1,3,5-7")?.description == "1,3,5-7")
    for wrong in ["", "0", "a", "3-1", "1-", "-3", "1,,2", "1,1", "1-3,2", "1-2-3", "5000"] {
      #expect(ChannelSelection(wrong) == nil, "\(wrong)")
    }
  }
}
