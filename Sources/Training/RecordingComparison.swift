import Artifacts
import Foundation
import Recordings
import SignalProcessing

/// What recordings are compared with: those that a model was trained on, or most of the others.
struct ComparisonReference {
  let kind: RecordingMismatch.Reference
  /// The channels' names; nil where they are not known.
  let names: [String]?
  /// The usual deviation of each channel after the filters.
  let deviation: [Double]
  /// What else is known of the training's recordings.
  let profile: RecordingProfile?

  /// The recordings that a model was trained on.
  init(training: Preprocessing) {
    kind = .training
    names = training.recordings?.channelNames
    deviation = training.recordings?.deviation ?? training.deviation
    profile = training.recordings
  }

  /// Most of `recordings`; nil for none. The names are those that most of them have; `orders` brings
  /// each to their order.
  init?(most recordings: [RecordingTraits]) {
    guard let first = recordings.first else { return nil }
    kind = .dataSet
    profile = nil
    var counts: [[String]: Int] = [:]
    for names in recordings.compactMap(\.comparedNames) { counts[names, default: 0] += 1 }
    let most = counts.values.max() ?? 0
    let common = recordings.first { $0.comparedNames.map { counts[$0] == most } ?? false }
    names = common?.channelNames
    let ordered = recordings.map { traits in
      traits.order(by: common?.channelNames).map(traits.reordered) ?? traits
    }
    deviation = first.shape.deviation.indices.map { channel in
      let alive = ordered.filter { !$0.isDead(channel) }.map { $0.shape.deviation[channel] }
      return alive.isEmpty ? 0 : median(alive)
    }
  }
}

extension RecordingTraits {
  /// For each of `names` the channel that has it; nil where the recording has no names, others, or
  /// one twice.
  func order(by names: [String]?) -> [Int]? {
    guard let names = names?.map(ColumnName.compared), let found = comparedNames,
      Set(found).count == found.count, found.count == names.count
    else { return nil }
    let order = names.compactMap(found.firstIndex)
    return order.count == names.count ? order : nil
  }

  /// Brings the channels to the reference's order, where they have its names in another.
  ///
  /// - Returns: for each channel what it was before, and what has to be said of it; nil where nothing
  ///   was changed.
  mutating func reorder(
    by reference: ComparisonReference
  ) -> (order: [Int], concern: RecordingConcern)? {
    guard let order = order(by: reference.names), order != Array(order.indices) else { return nil }
    let found = channelNames ?? []
    self = reordered(order)
    return (
      order,
      RecordingConcern(
        "its channels stand in another order, \(found.joined(separator: ",")); they were reordered "
          + "to \((channelNames ?? []).joined(separator: ","))")
    )
  }

  /// The columns that have `names`; nil where one is missing or there twice.
  fileprivate func columns(named names: [String]) -> ChannelSelection? {
    guard let found = columnNames?.map(ColumnName.compared) else { return nil }
    let columns = names.map(ColumnName.compared).map { name in
      found.indices.filter { found[$0] == name }.map { $0 + 1 }
    }
    guard columns.allSatisfy({ $0.count == 1 }) else { return nil }
    return ChannelSelection(columns: columns.flatMap { $0 })
  }

  /// As many columns as there are channels that may be channels by all that is known.
  fileprivate func likelyChannels(besides isIndex: (Int) -> Bool) -> ChannelSelection? {
    let fit = (1...max(1, columns)).filter { column in
      !isIndex(column) && !(columnNames.map { ColumnName.isIndex($0[column - 1]) } ?? false)
    }
    guard fit.count >= channels.count else { return nil }
    return ChannelSelection(columns: Array(fit.prefix(channels.count)))
  }

  fileprivate func others(than dead: [Int]) -> ChannelSelection? {
    ChannelSelection(
      columns: channels.enumerated().filter { !dead.contains($0.offset) }.map(\.element))
  }
}

/// Compares one recording, its channels in the reference's order already.
struct RecordingComparison {
  let reference: ComparisonReference
  let sampleRate: Double
  /// What the file's numbers were multiplied by.
  let scale: Double
  /// Whether somebody said which columns are the channels.
  let choosesChannels: Bool

  // MARK: What is refused

  /// The first way in which the recording is not what it should be.
  ///
  /// - Parameter deadEverywhere: channels that are dead in most recordings, which is told once.
  func mismatch(_ traits: RecordingTraits, deadEverywhere: Set<Int> = []) -> RecordingMismatch? {
    indexColumn(traits) ?? otherNames(traits) ?? otherRate(traits)
      ?? dead(traits, except: deadEverywhere) ?? still(traits) ?? outlier(traits)
      ?? otherDeviation(traits)
  }

  private func indexColumn(_ traits: RecordingTraits) -> RecordingMismatch? {
    let rises = { (column: Int) in
      guard let channel = traits.channels.firstIndex(of: column) else { return false }
      return traits.health[channel].risingShare.map { $0 >= RecordingLimits.rising } ?? false
    }
    for column in traits.channels {
      let name = traits.columnNames?[column - 1]
      let isNamed = name.map(ColumnName.isIndex) ?? false
      guard isNamed || rises(column) else { continue }
      let known =
        reference.kind == .training ? reference.names.flatMap(traits.columns(named:)) : nil
      let channels = known ?? traits.likelyChannels(besides: rises)
      // What is in use already is no advice.
      return .indexColumn(
        column: column, name: isNamed ? name : nil,
        channels: channels?.columns == traits.channels ? nil : channels)
    }
    return nil
  }

  private func otherNames(_ traits: RecordingTraits) -> RecordingMismatch? {
    guard let expected = reference.names, let found = traits.channelNames,
      traits.comparedNames != expected.map(ColumnName.compared)
    else { return nil }
    return .otherNames(
      found: found, expected: expected, reference: reference.kind,
      channels: traits.columns(named: expected))
  }

  /// Where a column of times is there, in seconds or a thousandth, millionth or thousand-millionth.
  private func otherRate(_ traits: RecordingTraits) -> RecordingMismatch? {
    guard let clock = traits.clock, clock.last > clock.first, traits.samples > 1 else { return nil }
    let rate = Double(traits.samples - 1) / (clock.last - clock.first)
    let rates = [1, 1e3, 1e6, 1e9].map { rate * $0 }
    let isRight = rates.contains { abs($0 / sampleRate - 1) <= RecordingLimits.rate }
    guard !isRight, let nearest = rates.min(by: { distance($0) < distance($1) }) else { return nil }
    return .otherRate(
      column: clock.column, name: clock.name, found: nearest, expected: sampleRate,
      reference: reference.kind)
  }

  private func distance(_ rate: Double) -> Double { abs(log(rate / sampleRate)) }

  /// In a training; a trained model is asked about such a recording, and gives no confident answer.
  private func dead(_ traits: RecordingTraits, except known: Set<Int>) -> RecordingMismatch? {
    let dead = traits.health.indices.filter(traits.isDead)
    guard reference.kind == .dataSet, let channel = dead.first(where: { !known.contains($0) })
    else { return nil }
    return .deadChannel(column: traits.channels[channel], channels: traits.others(than: dead))
  }

  /// In a training, likewise.
  private func still(_ traits: RecordingTraits) -> RecordingMismatch? {
    guard reference.kind == .dataSet,
      let channel = traits.health.indices.first(where: traits.isStill),
      let stretch = traits.health[channel].stillStretch
    else { return nil }
    return .stillChannel(
      column: traits.channels[channel], share: traits.health[channel].stillShare,
      firstLine: traits.firstRowLine + stretch.lowerBound)
  }

  private func outlier(_ traits: RecordingTraits) -> RecordingMismatch? {
    for channel in traits.health.indices where traits.hasOutlier(channel) {
      guard let peak = traits.health[channel].peak else { continue }
      return .outlier(
        line: traits.firstRowLine + peak.sample, column: traits.channels[channel],
        found: peak.value, distance: peak.distance)
    }
    return nil
  }

  /// Whether a channel that is not dead is much weaker or stronger than usual.
  func isOff(_ traits: RecordingTraits, _ channel: Int) -> Bool {
    let (found, usual) = (traits.shape.deviation[channel], reference.deviation[channel])
    let limit = RecordingLimits.deviation
    return !traits.isDead(channel) && !(found <= limit * usual && found * limit >= usual)
  }

  private func otherDeviation(_ traits: RecordingTraits) -> RecordingMismatch? {
    let limit = RecordingLimits.deviation
    let live = traits.shape.deviation.indices.filter { !traits.isDead($0) }
    guard let off = live.first(where: { isOff(traits, $0) }) else { return nil }
    let ratios = live.filter { reference.deviation[$0] > 0 }.map {
      traits.shape.deviation[$0] / reference.deviation[$0]
    }
    let typical = ratios.isEmpty ? 1 : median(ratios)
    let isOfAll = typical > limit / 10 || typical < 10 / limit
    // Units differ by powers of ten; anything between them is a gain.
    let power = typical > 0 ? -log10(typical) : 0
    let isUnit = isOfAll && power.rounded() != 0 && abs(power - power.rounded()) <= 0.25
    let factor = typical > 0 && isUnit ? pow(10, power.rounded()) : nil
    return .otherDeviation(
      column: traits.channels[off], found: traits.shape.deviation[off],
      expected: reference.deviation[off], reference: reference.kind,
      factor: factor.map { reference.kind == .training ? $0 * scale : $0 })
  }
}
