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

  /// By a column of times, in seconds or a thousandth, millionth or thousand-millionth, and by what the
  /// file says itself.
  private func otherRate(_ traits: RecordingTraits) -> RecordingMismatch? {
    if let clock = traits.clock, clock.last != clock.first, traits.samples > 1 {
      guard clock.last > clock.first else { return .fallingTimes(place: clock.place) }
      let rate = Double(traits.samples - 1) / (clock.last - clock.first)
      let rates = [1, 1e3, 1e6, 1e9].map { rate * $0 }
      if !rates.contains(where: isExpected),
        let nearest = rates.min(by: { distance($0) < distance($1) })
      {
        return otherRate(nearest, at: clock.place)
      }
    }
    guard let said = traits.statedRate, !isExpected(said.hertz) else { return nil }
    return otherRate(said.hertz, at: said.place)
  }

  private func otherRate(_ found: Double, at place: String) -> RecordingMismatch {
    .otherRate(place: place, found: found, expected: sampleRate, reference: reference.kind)
  }

  private func isExpected(_ rate: Double) -> Bool {
    abs(rate / sampleRate - 1) <= RecordingLimits.rate
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

  /// The power of ten that mends a level which is `ratio` times the usual: units differ by one, mostly
  /// of a thousand; anything between small ones is a gain.
  private static func unit(_ ratio: Double) -> Double? {
    guard ratio > 0, ratio.isFinite else { return nil }
    let power = -log10(ratio)
    let ofThousands = 3 * (power / 3).rounded()
    if ofThousands != 0, abs(power - ofThousands) <= 0.6 { return pow(10, ofThousands) }
    let nearest = power.rounded()
    guard nearest != 0, abs(nearest) > 2 || abs(power - nearest) <= 0.25 else { return nil }
    return pow(10, nearest)
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
    let factor = isOfAll ? Self.unit(typical) : nil
    return .otherDeviation(
      column: traits.channels[off], found: traits.shape.deviation[off],
      expected: reference.deviation[off], reference: reference.kind,
      factor: factor.map { reference.kind == .training ? $0 * scale : $0 })
  }
}
