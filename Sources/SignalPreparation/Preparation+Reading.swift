import Artifacts
import CVectorLoops
import Compute
import Dispatch
import Foundation
import Recordings
import SignalProcessing
import Synchronization

/// A recording to be prepared, labelled or not.
struct PreparationItem: Sendable {
  let path: String
  let file: String
  let part: Part?
  let gesture: Int?
  let subject: Int?
  let session: Int?

  init(_ recording: RecordingDescriptor, part: Part?) {
    (path, file, self.part) = (recording.path, recording.file, part)
    (gesture, subject, session) = (recording.gesture, recording.subject, recording.session)
  }
}

/// One recording after the filters.
struct FilteredRecording: Sendable {
  /// `[T, C]`. Single precision: 2,625 recordings in double would be half a gigabyte.
  var samples: [Float]
  /// What standardization is to be fitted to; nil where it is not.
  var statistics: ChannelStatistics?
  var traits: RecordingTraits
  var concerns: [RecordingConcern] = []
}

/// All recordings after the filters, nil for those that have a problem.
struct FilteredRecordings: Sendable {
  var values: [FilteredRecording?]
  var fingerprints: [Fingerprint?]
  var problems: [RecordingError]
  /// What has to be said of all together.
  var concerns: [RecordingConcern] = []
}

extension Preparation {
  /// Reads and filters every item; each on one thread, from its bytes to its statistics, so that it
  /// stays in that core's cache.
  func read(_ items: [PreparationItem], source: StatisticsSource) throws -> FilteredRecordings {
    // Memory for the filters, passed from one recording to the next.
    let spare = Mutex<[SignalBlocks]>([])
    try checkRoom(for: items.map(\.file))
    let report = try readRecordings(items.map(\.file), options: readOptions, threads: threads) {
      index, recording in
      try Self.checkRoom(bytes: Self.bytesPerValue * recording.samples.count)
      var signal = spare.withLock { $0.popLast() } ?? SignalBlocks(channels: channels.count)
      defer { spare.withLock { $0.append(signal) } }
      recording.samples.withUnsafeBufferPointer { signal.load($0) }
      var statistics: ChannelStatistics?
      let isFitted = items[index].part == .train
      let raw = try filtered(&signal, of: recording.outline, file: items[index].file) { signal in
        if isFitted, case .rawTraining = source { statistics = ChannelStatistics(signal) }
      }
      if isFitted, case .filteredTraining = source { statistics = ChannelStatistics(signal) }
      let samples = [Float](unsafeUninitializedCapacity: recording.samples.count) { buffer, count in
        count = recording.samples.count
        signal.write(to: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      }
      return FilteredRecording(
        samples: samples, statistics: statistics,
        traits: RecordingTraits(
          recording.outline, channels: channels, raw: raw, filtered: signal))
    }
    return FilteredRecordings(
      values: report.values, fingerprints: report.fingerprints, problems: report.problems)
  }

  /// Scales and filters a recording as its file has it.
  ///
  /// - Parameter unfiltered: is shown it between the two.
  /// - Returns: what its channels are like as the file has them.
  /// - Throws: ``RecordingError`` for a value that is too large, ``SignalProcessingError``.
  func filtered(
    _ signal: inout SignalBlocks, of recording: RecordingOutline, file: String,
    unfiltered: (SignalBlocks) -> Void = { _ in }
  ) throws -> RawTraits {
    // A channel that has gone silent rings down through the filters, without end.
    let control = vl_flush_tiny()
    defer { vl_restore_tiny(control) }
    // A little less, as this is another rounding than the search's.
    if signal.exceeds(0.999 * Self.largestSample / scale),
      let error = tooLargeValue(in: signal, of: recording, file: file)
    {
      throw error
    }
    let raw = RawTraits(
      health: ChannelHealth.all(of: signal, still: Int(filter.sampleRate.rounded())),
      gaps: RowGaps(signal))
    if scale != 1 { signal.multiply(by: scale) }
    unfiltered(signal)
    try filter.apply(to: &signal)
    return raw
  }

  /// While a value is filtered: twice in double precision, and in single.
  private static let bytesPerValue = 2 * 8 + 4
  /// Left free: for the rest of the program.
  private static let spareBytes = 24_000_000

  /// Swift's arrays end the program where memory is short, so it is looked at before.
  ///
  /// - Throws: `PreparationError.outOfMemory`.
  private static func checkRoom(bytes: Int) throws(PreparationError) {
    let room = MemoryRoom.now()
    guard bytes + spareBytes > room.byteCount else { return }
    throw .outOfMemory(bytes: bytes + spareBytes, room: room)
  }

  /// Of the texts that are read at the same time and of their numbers, which take as much.
  private func checkRoom(for files: [String]) throws(PreparationError) {
    let sizes = files.map { file -> Int in
      var information = stat()
      return stat(file, &information) == 0 ? Int(information.st_size) : 0
    }
    try Self.checkRoom(bytes: 2 * sizes.sorted().suffix(threads).reduce(0, +))
  }

  /// Beyond it, filters and squares would leave the range of single precision. No instrument's unit
  /// comes near.
  static let largestSample = 1e15

  private func tooLargeValue(
    in signal: SignalBlocks, of recording: RecordingOutline, file: String
  ) -> RecordingError? {
    for row in 0..<signal.samples {
      for channel in 0..<signal.channels
      where abs(signal[row, channel] * scale) > Self.largestSample {
        return .valueTooLarge(
          file: file, line: row + recording.firstRowLine, column: channels.columns[channel],
          found: signal[row, channel], limit: Self.largestSample)
      }
    }
    return nil
  }

  /// Lays the recordings one after another, standardized, and lists their windows.
  func assemble(
    _ items: [PreparationItem], _ filtered: FilteredRecordings, classes: [Int],
    source: StatisticsSource, skipped: [RecordingError]
  ) throws -> PreparedRecordings {
    let trained = zip(items, filtered.values).compactMap { $0.part == .train ? $1?.traits : nil }
    let standardization = try standardization(of: filtered, source: source)
    var table = WindowTable(classes: classes)
    var sources: [[Float]] = []
    for (index, item) in items.enumerated() {
      guard let value = filtered.values[index] else { continue }
      try table.append(
        item, samples: value.samples.count / channels.count, concerns: value.concerns,
        geometry: windows, fingerprint: filtered.fingerprints[index], mark: value.traits.mark)
      sources.append(value.samples)
    }
    try Self.checkRoom(bytes: sources.reduce(0) { $0 + $1.count } * MemoryLayout<Float>.size)
    return PreparedRecordings(
      recordings: table.recordings,
      samples: standardized(sources, rows: table.recordings.map(\.rows), by: standardization),
      channels: channels.count, windowLength: windows.length,
      windowStarts: table.starts, labels: table.labels, windowRecordings: table.owners,
      classes: classes, standardization: standardization, skipped: skipped,
      profile: RecordingProfile(trained), concerns: filtered.concerns)
  }

  private func standardization(
    of filtered: FilteredRecordings, source: StatisticsSource
  ) throws(PreparationError) -> Standardization {
    if case .given(let standardization) = source {
      guard standardization.channels == channels.count else {
        throw .channelsDiffer(found: channels.count, expected: standardization.channels)
      }
      return standardization
    }
    // Merged in the recordings' order, whichever was read first: the same bits every time.
    var statistics = ChannelStatistics(channels: channels.count)
    for case let recording? in filtered.values {
      if let part = recording.statistics { statistics.merge(part) }
    }
    guard statistics.count > 0 else { throw .nothingToFitStatistics }
    return Standardization(statistics)
  }

  /// The recordings' samples one after another, standardized; `rows` says where each goes.
  private func standardized(
    _ sources: [[Float]], rows: [Range<Int>], by standardization: Standardization
  ) -> [Float] {
    let channels = channels.count
    let total = (rows.last?.upperBound ?? 0) * channels
    return [Float](unsafeUninitializedCapacity: total) { buffer, count in
      // Each iteration writes its own recordings' rows.
      nonisolated(unsafe) let values = buffer
      let workers = max(1, min(threads, sources.count))
      DispatchQueue.concurrentPerform(iterations: workers) { worker in
        let control = vl_flush_tiny()
        defer { vl_restore_tiny(control) }
        for index in stride(from: worker, to: sources.count, by: workers) {
          let range = rows[index].lowerBound * channels..<rows[index].upperBound * channels
          let place = UnsafeMutableBufferPointer(rebasing: values[range])
          _ = place.initialize(from: sources[index])
          standardization.apply(to: place)
        }
      }
      count = total
    }
  }
}

/// The recordings and windows of a prepared set, as they are listed.
private struct WindowTable {
  let classes: [Int]
  var recordings: [PreparedRecording] = []
  var starts: [Int32] = []
  var labels: [Int32] = []
  var owners: [Int32] = []
  private var rows = 0

  init(classes: [Int]) { self.classes = classes }

  mutating func append(
    _ item: PreparationItem, samples: Int, concerns: [RecordingConcern], geometry: WindowGeometry,
    fingerprint: Fingerprint?, mark: SignalMark
  ) throws(PreparationError) {
    let label = item.gesture.flatMap(classes.firstIndex)
    guard rows + samples < Int(Int32.max) else { throw .tooManySamples(rows + samples) }
    let first = starts.count
    for start in geometry.starts(in: samples) {
      starts.append(Int32(rows + start))
      labels.append(Int32(label ?? -1))
      owners.append(Int32(recordings.count))
    }
    recordings.append(
      PreparedRecording(
        path: item.path, file: item.file, part: item.part, subject: item.subject,
        session: item.session, label: label,
        rows: rows..<rows + samples, windows: first..<starts.count, fingerprint: fingerprint,
        mark: mark, concerns: concerns))
    rows += samples
  }
}
