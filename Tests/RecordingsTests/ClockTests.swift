import Recordings
import TestSupport
import Testing

@testable import struct Recordings.ClockText

/// What a file says of its sampling rate beside the samples.
struct ClockTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  private func read(_ lines: [String], piece: Int? = nil, channels: ChannelSelection = .firstEight)
    throws -> RecordingOutline
  {
    let file = try scratch.write(lines.joined(separator: "\n") + "\n", to: "x.csv")
    let reader = RecordingReader(options: ReadOptions(channels: channels))
    guard let piece else { return try reader.read(file).outline }
    return try reader.read(file, piece: piece) { _ in }
  }

  private static let channels = Array(repeating: "0.5", count: 8).joined(separator: ",")
  private static let names = (1...8).map { "ch\($0)" }.joined(separator: ",")

  @Test func aTimeOfDayIsRead() throws {
    #expect(ClockText("00:00:01.5")?.seconds == 1.5)
    #expect(ClockText("12:30:05,25")?.seconds == 45005.25)
    let (new, old) = (ClockText("2024-03-01T00:00:00"), ClockText("2024-02-28 23:59:59.5+01:00"))
    #expect(try #require(new).seconds - #require(old).seconds == 86400.5)
    let january = try #require(ClockText("2025-01-01T00:00:00Z"))
    #expect(january.seconds - (ClockText("2024/12/31T00:00:00")?.seconds ?? 0) == 86400)
    for other in [
      "", "12", "01:30", "a:b:c", "2024-13-01T00:00:00", "1:2:3:4", "2024-01-01", "x T 1:00",
    ] {
      #expect(ClockText(other) == nil, "\(other)")
    }
  }

  @Test(arguments: [
    ("2024-01-01T00:00:00.0000", "2024-01-01T00:00:01.0000"), ("00:00:59.5", "00:01:00.5"),
    ("23:59:59.5", "00:00:00.5"), ("1.25", "2.25"),
  ])
  func timesTellTheirSpan(first: String, last: String) throws {
    let rows = [first] + Array(repeating: "0", count: 30_000) + [last]
    let lines = ["time,\(Self.names)"] + rows.map { "\($0),\(Self.channels)" }
    let selection = try #require(ChannelSelection("2-9"))
    for piece in [nil, 70_000] {
      let clock = try #require(try read(lines, piece: piece, channels: selection).clock)
      #expect(clock.last - clock.first == 1 && clock.column == 1 && clock.name == "time")
    }
  }

  @Test func aColumnThatRisesEvenlyIsOfTimesWithoutAName() throws {
    let clock = { (step: (Int) -> Double) in
      try read((0..<40).map { "\(Self.channels),\(step($0))" }).clock
    }
    let found = try #require(try clock { Double($0) / 2000 })
    #expect(found.name == nil && found.column == 9 && found.last == 39.0 / 2000)
    #expect(try clock { Double($0) } == nil, "an index")
    #expect(try clock { Double($0 % 3) } == nil)
    #expect(try clock { _ in 4 } == nil)
  }

  @Test(arguments: [
    ("# Sampling rate: 2000 Hz", 2000.0), ("%Sample Rate = 250.0 Hz", 250), ("# fs=1 kHz", 1000),
    ("% rate 2000 Hz", 2000), ("# sampling frequency 1925.9", 1925.9),
  ])
  func aCommentTellsTheRate(comment: String, rate: Double) throws {
    let lines = ["# of a study", comment, Self.names, Self.channels]
    let said = try #require(try read(lines).statedRate)
    #expect(said.hertz == rate && said.place == "line 2")
  }

  @Test(arguments: [
    "# heart rate 70", "# line frequency 50 Hz", "# 16 channels at a rate", "# sampled by hand",
    "# sampling rates 500 and 2000 Hz", "# band 20-450 Hz", "# baud rate 115200",
  ])
  func anotherCommentTellsNone(comment: String) throws {
    #expect(try read([comment, Self.names, Self.channels]).statedRate == nil)
  }

  @Test func aColumnTellsTheRate() throws {
    let outline = try read(
      ["\(Self.names),fs"] + Array(repeating: "\(Self.channels),2000", count: 4))
    #expect(outline.statedRate?.hertz == 2000)
    #expect(outline.statedRate?.place == "column 9 (fs)")
    let changing = ["\(Self.names),fs", "\(Self.channels),2000", "\(Self.channels),7"]
    #expect(try read(changing).statedRate == nil)
  }
}
