import Artifacts
import Dispatch
import Foundation
import Recordings
import SignalProcessing
import Synchronization

/// Recordings whose gestures are to be told. All were read and compared with the training's before
/// the first is predicted; their samples are read again one recording at a time, so that memory does
/// not grow with their number.
public struct RecordingsToPredict: Sendable {
  public struct Entry: Sendable {
    /// The path that was opened.
    public let file: String
    public let samples: Int
    /// How many windows it has.
    public let windows: Int
    /// What has to be said about it.
    public let concerns: [RecordingConcern]
    /// Where its channels stand in the file, in the training's order; nil where as in the training.
    let order: [Int]?
    /// The filtered samples, where there was room to keep them.
    let kept: SignalBlocks?
    let version: FileVersion

    /// Whether something about it leaves no confident answer.
    public var isUnanswerable: Bool { concerns.contains { $0.weight == .forbidsAnswer } }
  }

  public let entries: [Entry]
  /// What was wrong with the recordings that were left out.
  public let skipped: [RecordingError]
  /// How they are prepared.
  public let preparation: Preparation
  let standardization: Standardization

  /// How many windows all recordings have together.
  public var windowCount: Int { entries.reduce(0) { $0 + $1.windows } }

  /// The filtered samples of a recording, not standardized.
  ///
  /// - Throws: ``RecordingError`` where the file cannot be read as it was at first.
  public func signal(of entry: Entry) throws -> SignalBlocks {
    if let kept = entry.kept { return kept }
    guard FileVersion(entry.file) == entry.version else { throw changed(entry) }
    var signal = try preparation.readToPredict(entry.file, reader: preparation.reader()).signal
    guard signal.samples == entry.samples, FileVersion(entry.file) == entry.version else {
      throw changed(entry)
    }
    if let order = entry.order { signal.reorder(order) }
    return signal
  }

  private func changed(_ entry: Entry) -> RecordingError {
    .readFailed(
      file: entry.file, bytes: 0,
      reason: "something wrote to the file meanwhile; predict again when that is done")
  }

  /// Standardized samples `[rows, channels]` of a part of a recording.
  public func samples(_ rows: Range<Int>, of signal: SignalBlocks) -> [Float] {
    let count = rows.count * signal.channels
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      let values = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      signal.write(rows, to: values)
      standardization.apply(to: values)
      initialized = count
    }
  }
}

/// What a file was like when it was read.
struct FileVersion: Equatable, Sendable {
  private let inode, size, seconds, nanoseconds: Int

  init(_ file: String) {
    var information = stat()
    _ = stat(file, &information)
    (inode, size) = (Int(information.st_ino), Int(information.st_size))
    (seconds, nanoseconds) = (information.st_mtim.tv_sec, information.st_mtim.tv_nsec)
  }

  var bytes: Int { size }
}

extension Preparation {
  /// Bytes of filtered samples that are kept from the first reading, so that they need not be read
  /// again: an hour of eight channels at 512 samples per second.
  private static let keptBytes = 128 << 20
  /// Files beyond it are read one at a time, whatever the number of threads.
  private static let largeFile = 16 << 20

  /// Reads and filters files whose gesture need not be known, and compares them with those of a
  /// training.
  ///
  /// - Parameters:
  ///   - problems: what is known to be wrong already, to be reported with what is found.
  ///   - progress: told the share of the bytes that were read, from any thread.
  /// - Throws: `RecordingProblems` with all that is wrong, unless bad recordings are skipped;
  ///   ``PreparationError`` for what no skipping helps against.
  public func look(
    at files: [RecordingFile], trained: Preprocessing, problems: [RecordingError] = [],
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws -> RecordingsToPredict {
    guard trained.mean.count == channels.count else {
      throw PreparationError.channelsDiffer(found: channels.count, expected: trained.mean.count)
    }
    let comparison = RecordingComparison(
      reference: ComparisonReference(training: trained), sampleRate: filter.sampleRate,
      scale: scale, choosesChannels: choosesChannels)
    let versions = files.map { FileVersion($0.file) }
    let look = FirstLook(
      preparation: self, files: files.map(\.file), versions: versions, comparison: comparison,
      // A recording alone has to have room in any case.
      room: files.count == 1 ? .max : Self.keptBytes, progress: progress)
    let isLarge = { (index: Int) in versions[index].bytes > Self.largeFile }
    look.run(files.indices.filter { !isLarge($0) }, threads: threads)
    look.run(files.indices.filter(isLarge), threads: 1)
    let outcomes = look.outcomes
    var found = problems
    for case .failure(let error as RecordingError)? in outcomes { found.append(error) }
    for case .failure(let error)? in outcomes where !(error is RecordingError) { throw error }
    try RecordingProblems.check(found, skipping: skipsBadRecordings)
    return RecordingsToPredict(
      entries: outcomes.compactMap { try? $0?.get() }, skipped: RecordingProblems(found).problems,
      preparation: self,
      standardization: Standardization(mean: trained.mean, deviation: trained.deviation))
  }

  func reader() -> RecordingReader { RecordingReader(options: readOptions) }

  /// One recording, filtered, and what it is like. Neither its text nor its rows are in memory
  /// besides.
  func readToPredict(
    _ file: String, reader: RecordingReader, progress: (Int) -> Void = { _ in }
  ) throws -> (signal: SignalBlocks, traits: RecordingTraits) {
    var signal = SignalBlocks(channels: channels.count)
    let outline = try reader.read(
      file, expect: { signal.removeAll(reservingSamples: $0) },
      take: { rows in
        signal.append(rows)
        progress(signal.samples)
      })
    let raw = try filtered(&signal, of: outline, file: file)
    return (
      signal, RecordingTraits(outline, channels: channels, raw: raw, filtered: signal)
    )
  }
}

/// The reading of all files before any is predicted.
private final class FirstLook: Sendable {
  private struct State {
    var outcomes: [Result<RecordingsToPredict.Entry, any Error>?]
    /// Bytes that may still be kept.
    var room: Int
    var bytesRead = 0
  }

  private let preparation: Preparation
  private let files: [String]
  private let versions: [FileVersion]
  private let comparison: RecordingComparison
  private let progress: @Sendable (Double) -> Void
  private let state: Mutex<State>
  private let bytes: Int

  init(
    preparation: Preparation, files: [String], versions: [FileVersion],
    comparison: RecordingComparison, room: Int, progress: @escaping @Sendable (Double) -> Void
  ) {
    (self.preparation, self.files, self.versions) = (preparation, files, versions)
    (self.comparison, self.progress) = (comparison, progress)
    bytes = max(1, versions.reduce(0) { $0 + $1.bytes })
    state = Mutex(State(outcomes: files.map { _ in nil }, room: room))
  }

  /// Lies as the files do.
  var outcomes: [Result<RecordingsToPredict.Entry, any Error>?] { state.withLock { $0.outcomes } }

  func run(_ indices: [Int], threads: Int) {
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, indices.count))) { _ in
      let reader = preparation.reader()
      while true {
        let place = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard place < indices.count else { return }
        let index = indices[place]
        let outcome = Result { try entry(of: index, reader: reader) }
        let share = state.withLock { state in
          state.outcomes[index] = outcome
          state.bytesRead += versions[index].bytes
          return Double(state.bytesRead) / Double(bytes)
        }
        progress(share)
      }
    }
  }

  private func entry(of index: Int, reader: RecordingReader) throws -> RecordingsToPredict.Entry {
    let file = files[index]
    let before = state.withLock { $0.bytesRead }
    var (signal, traits) = try preparation.readToPredict(file, reader: reader) { _ in
      progress(Double(before + reader.bytesRead) / Double(bytes))
    }
    let moved = traits.reorder(by: comparison.reference)
    if let moved { signal.reorder(moved.order) }
    let (mismatch, concerns) = preparation.judge(traits, by: comparison)
    if let mismatch { throw RecordingError.mismatch(file: file, mismatch) }
    let size = signal.byteCount
    let isKept = state.withLock { state in
      guard size <= state.room else { return false }
      state.room -= size
      return true
    }
    return RecordingsToPredict.Entry(
      file: file, samples: signal.samples,
      windows: preparation.windows.count(in: signal.samples),
      concerns: (moved.map { [$0.concern] } ?? []) + concerns, order: moved?.order,
      kept: isKept ? signal : nil, version: versions[index])
  }
}
