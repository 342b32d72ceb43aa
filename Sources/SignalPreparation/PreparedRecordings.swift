import Artifacts
import Compute
import Recordings
import SignalProcessing

/// One recording among the prepared ones.
public struct PreparedRecording: Hashable, Sendable {
  /// Relative to the data directory; names the recording.
  public let path: String
  /// The path that was opened.
  public let file: String
  /// The part it belongs to; nil where it was prepared for prediction alone.
  public let part: Part?
  public let subject: Int?
  public let session: Int?
  /// Position of its gesture in the classes; nil where that is unknown.
  public let label: Int?
  /// Its rows in the samples.
  public let rows: Range<Int>
  /// Its windows, as positions in the table of all windows.
  public let windows: Range<Int>
  /// Of its samples as they were read; nil where that is not known.
  public var fingerprint: Fingerprint?
  /// Of its filtered signal; nil where that is not known.
  public var mark: SignalMark?
  /// What has to be said about it.
  public internal(set) var concerns: [RecordingConcern] = []

  /// Whether something about it leaves no confident answer.
  public var isUnanswerable: Bool { concerns.contains { $0.weight == .forbidsAnswer } }
}

/// Recordings that were read, filtered and standardized, in the order of their paths.
///
/// Windows are not copied out: a window is a row to start from.
public struct PreparedRecordings: Sendable {
  public let recordings: [PreparedRecording]
  /// Standardized samples `[total rows, channels]`, recordings one after another.
  public let samples: [Float]
  public let channels: Int
  public let windowLength: Int
  /// The row that each window starts at, `[windows]`.
  public let windowStarts: [Int32]
  /// The class of each window, `[windows]`; −1 where the recording's gesture is unknown.
  public let labels: [Int32]
  /// The recording that each window is cut from, as a position in `recordings`, `[windows]`.
  public let windowRecordings: [Int32]
  /// The gestures that are the classes, ascending.
  public let classes: [Int]
  /// What the samples were scaled by.
  public let standardization: Standardization
  /// What was wrong with the recordings that were left out.
  public let skipped: [RecordingError]
  /// What the recordings of the training part are like; nil where none was read.
  public internal(set) var profile: RecordingProfile?
  /// What has to be said about all recordings together.
  public internal(set) var concerns: [RecordingConcern] = []

  /// The windows of `part`, as positions in the table of all windows, ascending.
  public func windows(of part: Part) -> [Int32] {
    recordings.filter { $0.part == part }.flatMap { $0.windows.map(Int32.init) }
  }

  /// By what each recording is known again, by their paths.
  public var contents: [String: RecordingContent] {
    recordings.reduce(into: [:]) { contents, recording in
      contents[recording.path] = recording.fingerprint.map {
        RecordingContent(fingerprint: $0, mark: recording.mark?.text)
      }
    }
  }

  /// The positions of the recordings of `part`, ascending.
  public func recordings(of part: Part) -> [Int] {
    recordings.indices.filter { recordings[$0].part == part }
  }

  /// All samples and windows, for a device. Shares the memory of the samples.
  public var dataset: Dataset {
    Dataset(samples: samples, channels: channels, windowStarts: windowStarts, labels: labels)
  }
}
