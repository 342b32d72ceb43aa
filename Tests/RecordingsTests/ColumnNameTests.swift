import Foundation
import Recordings
import Testing

/// What headers and the lines above them say.
@Suite struct ColumnNameTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  @Test(arguments: [
    "timestamp", "Timestamp (ms)", "time_s", "unixTime", "Unnamed: 0", "index", "Sample Index",
    "sample", "packet_counter", "label", "class", "stamp", "", "\"\"", "System Time", "emg_time",
  ])
  func timesIndicesAndLabelsAreNoChannels(name: String) { #expect(ColumnName.isIndex(name)) }

  @Test(arguments: [
    "ch1", "emg1", "EMG_R_1", "index_finger", "emg_sample_1", "a", "flexor carpi", "1", "X",
    "EXG Channel 0", "Extensor indicis", "lifetime1", "ch1 (uV)", "classic",
  ])
  func namesOfChannelsAreNone(name: String) { #expect(!ColumnName.isIndex(name)) }

  private func read(_ text: String, channels: String = "1-2") throws -> Recording {
    let channels = try #require(ChannelSelection(channels))
    return try RecordingReader(options: ReadOptions(channels: channels))
      .read(scratch.write(text, to: "x.csv"))
  }

  @Test func linesOfCommentsAboveTheHeaderAreSkipped() throws {
    for mark in ["%", "#", "# ", "%%"] {
      for header in ["a,b\n", ""] {
        let text =
          "\(mark)OpenBCI raw data\n\(mark)rate = 512 Hz, 2 channels\n\(header)1.5,2\n3,4\n"
        let recording = try read(text)
        #expect(recording.samples == [1.5, 2, 3, 4])
        #expect(recording.columnNames == (header.isEmpty ? nil : ["a", "b"]))
        #expect(recording.firstRowLine == (header.isEmpty ? 3 : 4))
      }
    }
    let file = scratch.path + "/x.csv"
    #expect(throws: RecordingError.notANumber(file: file, line: 5, column: 2, found: "\"x\"")) {
      try read("# one\n# two\na,b\n1,2\n3,x\n")
    }
    #expect(throws: RecordingError.noRows(file: file)) { try read("# one\n# two") }
    #expect(throws: RecordingError.notANumber(file: file, line: 2, column: 1, found: "\"# 1\"")) {
      try read("1,2\n# 1,2\n")
    }
  }

  @Test func aCommentNamesTheColumnsWhereNoOtherLineDoes() throws {
    #expect(try read("# made by us\n# time,b\n1.5,2\n").columnNames == ["time", "b"])
    #expect(try read("# 2 channels, 512 Hz\na,b\n1.5,2\n").columnNames == ["a", "b"])
    #expect(try read("# a,b,c\n1.5,2\n").columnNames == nil)
  }

  @Test func theIndexOfPandasHasNoName() throws {
    #expect(try read(",a\n0,1\n1,2\n").columnNames == ["", "a"])
    #expect(throws: RecordingError.self) { try read("a,\n0,1\n1,2\n") }
  }

  @Test func aColumnOfTimesIsRead() throws {
    let clock = try read("a,b,time\n1,2,0.5\n3,4,0.75\n5,6,1.5\n\n").clock
    #expect(clock?.column == 3 && clock?.name == "time")
    #expect(clock?.first == 0.5 && clock?.last == 1.5)
    #expect(try read("a,b,time\n1,2,18:00\n3,4,18:01\n").clock == nil)
    #expect(try read("a,b,c\n1,2,3\n").clock == nil)
  }

  @Test(arguments: [
    "-0,164,-0,102\n0,024,-0,014\n", "a,b\n-0,164,-0,102\n0,024,-0,014\n",
    "-164018,000,-102489,010\n24133,000,14,500\n",
    String(repeating: "0,25,0,125\n0,5,0,75\n", count: 5),
  ])
  func decimalCommasBetweenCommasAreNamed(text: String) throws {
    let file = scratch.path + "/x.csv"
    let line = text.hasPrefix("a") ? 2 : 1
    #expect(throws: RecordingError.decimalCommas(file: file, line: line)) { try read(text) }
    #expect(RecordingError.decimalCommas(file: file, line: line).description.contains("point"))
  }

  @Test func wholeNumbersAreNoDecimals() throws {
    for text in [
      "0,0\n0,0\n", "0,1\n-3,2\n", "0,12\n0,0.5\n", "10,7\n12,8\n", "-1,0\n3,0\n",
      String(repeating: "0,0\n", count: 20), "0,-5\n" + String(repeating: "0,7\n", count: 20),
    ] { _ = try read(text) }
  }
}
