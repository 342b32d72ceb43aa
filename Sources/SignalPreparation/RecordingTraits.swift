import Artifacts
import Foundation
import Recordings
import SignalProcessing

/// What a recording is like before the filters.
struct RawTraits: Sendable {
  let health: [ChannelHealth]
  let gaps: RowGaps
}

/// What a recording is like, for it to be compared with others.
struct RecordingTraits: Sendable {
  /// The channels' names in the channels' order, and those of all columns; nil without a header, and
  /// where it holds the columns' numbers.
  var channelNames: [String]?
  let columnNames: [String]?
  let columns: Int
  let clock: RecordingOutline.Clock?
  let statedRate: RecordingOutline.StatedRate?
  let firstRowLine: Int
  let samples: Int
  /// Before the filters, as the file has it; one per channel.
  var health: [ChannelHealth]
  let gaps: RowGaps
  /// After the filters.
  var shape: SignalShape
  var mark: SignalMark
  /// The columns that are the channels.
  var channels: [Int]

  /// - Parameter raw: before the filters.
  init(
    _ recording: RecordingOutline, channels: ChannelSelection, raw: RawTraits,
    filtered signal: SignalBlocks
  ) {
    let names = recording.columnNames.flatMap { ColumnName.areNumbers($0) ? nil : $0 }
    columnNames = names?.map { $0.replacing("\"", with: "") }
    channelNames = columnNames.map { names in channels.columns.map { names[$0 - 1] } }
    columns = recording.columnCount
    (clock, statedRate) = (recording.clock, recording.statedRate)
    firstRowLine = recording.firstRowLine
    samples = recording.sampleCount
    (health, gaps) = (raw.health, raw.gaps)
    shape = SignalShape(signal)
    mark = SignalMark(signal)
    self.channels = channels.columns
  }

  /// With the channels in another order: channel c of the result is `order[c]` of this.
  func reordered(_ order: [Int]) -> RecordingTraits {
    var result = self
    result.channelNames = channelNames.map { names in order.map { names[$0] } }
    result.health = order.map { health[$0] }
    result.shape = shape.reordered(order)
    result.mark = mark.reordered(order)
    result.channels = order.map { channels[$0] }
    return result
  }

  func isDead(_ channel: Int) -> Bool {
    health[channel].unchangedShare >= RecordingLimits.unchanged
  }

  /// Whether a channel stands still for so long that nothing can be said of it.
  func isStill(_ channel: Int) -> Bool {
    health[channel].stillShare >= RecordingLimits.unanswerable && !isDead(channel)
  }

  /// Whether all channels change as signals do, from the first sample to the last.
  var isAlive: Bool {
    health.indices.allSatisfy { !isDead($0) && health[$0].stillStretch == nil }
      && !losesRows
  }

  /// Whether rows of zeros stand among others: those of a coarse instrument may be at rest.
  var losesRows: Bool {
    gaps.zeroShare >= RecordingLimits.lostRows && hasFineValues
      && health.indices.allSatisfy { !isDead($0) && health[$0].stillStretch == nil }
  }

  var repeatsRows: Bool { gaps.repeatedShare >= RecordingLimits.repeatedRows && hasFineValues }

  private var hasFineValues: Bool { 2 * health.count(where: \.isCoarse) < health.count }

  func hasOutlier(_ channel: Int) -> Bool {
    !isDead(channel) && (health[channel].peak?.distance ?? 0) >= RecordingLimits.outlier
  }

  /// The channels' names as they are compared.
  var comparedNames: [String]? { channelNames?.map(ColumnName.compared) }

  /// The columns that are no channels and whose names, where they have any, are of none.
  var otherColumns: [Int] { (1...max(1, columns)).filter { !channels.contains($0) } }

  /// The deviation of each channel in units of the usual one and of the recording's level; nil where it
  /// has none.
  func balance(usual: [Double]) -> [Double?] {
    guard let level = level(usual: usual) else { return usual.map { _ in nil } }
    return zip(shape.deviation, usual).map { $0 > 0 && $1 > 0 ? $0 / $1 / level : nil }
  }

  /// The geometric mean over the channels of the deviation in units of the usual one; nil where no
  /// channel has both.
  func level(usual: [Double]) -> Double? {
    let ratios = zip(shape.deviation, usual).filter { $0 > 0 && $1 > 0 }.map { $0 / $1 }
    guard !ratios.isEmpty else { return nil }
    return exp(ratios.reduce(0) { $0 + log($1) } / Double(ratios.count))
  }
}

extension RecordingProfile {
  /// What recordings are like together; nil for none.
  init?(_ recordings: [RecordingTraits]) {
    guard let first = recordings.first else { return nil }
    let usual = first.shape.deviation.indices.map { channel in
      median(recordings.map { $0.shape.deviation[channel] })
    }
    let levels = recordings.compactMap { $0.level(usual: usual) }
    let roughness = recordings.map(\.shape.roughness).filter { $0 > 0 }
    let balances = recordings.flatMap { $0.balance(usual: usual).compactMap { $0 } }
    let named = recordings.first { $0.channelNames != nil }
    self.init(
      channelNames: named?.channelNames,
      columns: recordings.map(\.columns).sorted()[recordings.count / 2], deviation: usual,
      level: Self.range(levels), roughness: Self.range(roughness),
      balance: balances.isEmpty ? nil : Self.range(balances))
    let correlations = recordings.map(\.shape.correlation)
    guard recordings.count >= RecordingLimits.correlatedRecordings, !correlations[0].isEmpty else {
      return
    }
    let mean = correlations[0].indices.map { pair in
      correlations.reduce(0) { $0 + $1[pair] } / Double(correlations.count)
    }
    let likeness = correlations.map { SignalShape.likeness($0, mean) }
    if median(likeness) >= RecordingLimits.usualLikeness {
      (correlation, self.likeness) = (mean, likeness.min())
    }
  }

  private static func range(_ values: [Double]) -> [Double] {
    [values.min() ?? 0, values.max() ?? 0]
  }
}

/// The middle one of `values`, which are not empty; of two in the middle the higher.
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
