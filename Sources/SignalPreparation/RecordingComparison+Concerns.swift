import Artifacts
import Foundation
import Recordings
import SignalProcessing

/// What is said of a recording that is not refused.
extension RecordingComparison {
  func concerns(_ traits: RecordingTraits) -> [RecordingConcern] {
    let isAlive = traits.isAlive
    let twins = twins(traits)
    return [
      dead(traits), still(traits), lostRows(traits), repeatedRows(traits), clipped(traits),
      names(traits), unused(traits), twins, isAlive ? level(traits) : nil,
      isAlive ? balance(traits) : nil, isAlive ? roughness(traits) : nil,
      isAlive && twins == nil ? order(traits) : nil,
    ].compactMap { $0 }
  }

  private func still(_ traits: RecordingTraits) -> RecordingConcern? {
    let still = traits.health.indices.filter {
      traits.health[$0].stillStretch != nil && !traits.isDead($0)
    }
    guard let columns = ChannelSelection(columns: still.map { traits.channels[$0] }),
      let worst = still.max(by: { traits.health[$0].stillShare < traits.health[$1].stillShare }),
      let stretch = traits.health[worst].stillStretch
    else { return nil }
    let isUnanswerable = traits.isStill(worst)
    let verb =
      still.count == 1 ? "column \(columns) stands still" : "columns \(columns) stand still"
    return RecordingConcern(
      "\(verb) in \(percent(traits.health[worst].stillShare)) of the samples, from line "
        + "\(traits.firstRowLine + stretch.lowerBound) to "
        + "\(traits.firstRowLine + stretch.upperBound - 1): dead for a part of the recording",
      isUnanswerable ? .forbidsAnswer : .warning, kind: "still \(isUnanswerable)")
  }

  private func lostRows(_ traits: RecordingTraits) -> RecordingConcern? {
    guard traits.losesRows, let first = traits.gaps.firstZero else { return nil }
    let isUnanswerable = traits.gaps.zeroShare >= RecordingLimits.unanswerable
    return RecordingConcern(
      "all channels are 0 in \(percent(traits.gaps.zeroShare)) of the rows, first in line "
        + "\(traits.firstRowLine + first): lost packets may have been filled up",
      isUnanswerable ? .forbidsAnswer : .warning, kind: "lost rows \(isUnanswerable)")
  }

  private func repeatedRows(_ traits: RecordingTraits) -> RecordingConcern? {
    guard traits.repeatsRows, let first = traits.gaps.firstRepeated, traits.isAlive else {
      return nil
    }
    return RecordingConcern(
      "\(percent(traits.gaps.repeatedShare)) of the rows repeat the row before, first line "
        + "\(traits.firstRowLine + first): samples may have been held or written twice, and the "
        + "sampling rate may not be \(RecordingMismatch.figure(sampleRate))", kind: "repeated rows")
  }

  private func percent(_ share: Double) -> String {
    RecordingMismatch.figure((1000 * share).rounded() / 10) + " %"
  }

  private func twins(_ traits: RecordingTraits) -> RecordingConcern? {
    let pairs = traits.shape.twins.filter { !areTwins($0) }
    guard !pairs.isEmpty else { return nil }
    let list = pairs.prefix(4).map {
      "\(traits.channels[$0.first]) and \(traits.channels[$0.second])"
    }
    let more = pairs.count > 4 ? " and \(pairs.count - 4) more pairs" : ""
    return RecordingConcern(
      "the columns \(list.joined(separator: ", "))\(more) are the same signal, expected one per "
        + "channel: a channel may have been written twice", kind: "twins \(list)")
  }

  /// Whether two channels were one signal in the training, too.
  private func areTwins(_ pair: SignalShape.Twins) -> Bool {
    guard let known = reference.profile?.correlation else { return false }
    let count = reference.deviation.count
    let place =
      pair.first * count - pair.first * (pair.first + 1) / 2 + pair.second - pair.first - 1
    return known.indices.contains(place) && abs(known[place]) >= 0.999
  }

  /// A channel that is much stronger or weaker beside the others than it usually is.
  private func balance(_ traits: RecordingTraits) -> RecordingConcern? {
    let usual = reference.profile?.deviation ?? reference.deviation
    let range: ClosedRange<Double>
    switch reference.kind {
    case .training:
      guard let known = reference.profile?.balance else { return nil }
      let (limit, least) = (RecordingLimits.balance, RecordingLimits.knownBalance)
      range = min(known[0], 1 / least) / limit...max(known[1], least) * limit
    case .dataSet: range = 1 / RecordingLimits.balanceInSet...RecordingLimits.balanceInSet
    }
    let found = traits.balance(usual: usual)
    let off = found.indices.filter { found[$0].map { !range.contains($0) } ?? false }
    let worst = off.max { abs(log(found[$0] ?? 1)) < abs(log(found[$1] ?? 1)) }
    guard let worst, let value = found[worst] else { return nil }
    return RecordingConcern(
      "column \(traits.channels[worst]) is \(RecordingMismatch.figure(value)) times as strong beside "
        + "the others as usual, expected \(RecordingMismatch.figure(range.lowerBound)) to "
        + "\(RecordingMismatch.figure(range.upperBound)): its gain, unit or electrode may be another",
      kind: "balance \(traits.channels[worst]) \(value > 1)")
  }

  /// Beside most recordings of a set.
  private func levelInSet(_ traits: RecordingTraits) -> RecordingConcern? {
    let limit = RecordingLimits.levelInSet
    guard let level = traits.level(usual: reference.deviation), !(1 / limit...limit).contains(level)
    else { return nil }
    return RecordingConcern(
      "its level is \(RecordingMismatch.figure(level)) of that of most recordings beside it: the unit "
        + "or the gain may be another", kind: level < 1 ? "quiet" : "loud")
  }

  private func names(_ traits: RecordingTraits) -> RecordingConcern? {
    if let names = reference.names, traits.channelNames == nil {
      return RecordingConcern(
        "it has no header: that its channels are \(names.joined(separator: ",")) cannot be checked")
    }
    guard reference.names == nil, traits.channelNames != nil, reference.kind == .training,
      reference.profile != nil
    else { return nil }
    return RecordingConcern(
      "the training's recordings had no header: that the channels are the same cannot be checked")
  }

  private func unused(_ traits: RecordingTraits) -> RecordingConcern? {
    let others = traits.otherColumns
    guard let columns = ChannelSelection(columns: others) else { return nil }
    let names = traits.columnNames.map { names in
      " (" + others.prefix(8).map { names[$0 - 1] }.joined(separator: ", ")
        + (others.count > 8 ? ", …)" : ")")
    }
    let isKnown = choosesChannels || reference.profile?.columns == traits.columns
    return RecordingConcern(
      "\(others.count == 1 ? "column" : "columns") \(columns)\(names ?? "") "
        + "\(others.count == 1 ? "is" : "are") not used; see --channels",
      isKnown ? .note : .warning)
  }

  private func dead(_ traits: RecordingTraits) -> RecordingConcern? {
    let dead = traits.health.indices.filter(traits.isDead).map { traits.channels[$0] }
    guard let columns = ChannelSelection(columns: dead) else { return nil }
    let isConstant = traits.health.indices.filter(traits.isDead).allSatisfy {
      traits.health[$0].lowest == traits.health[$0].highest
    }
    guard isConstant else {
      return RecordingConcern(
        "\(dead.count == 1 ? "column \(columns) hardly ever changes" : "columns \(columns) hardly ever change")"
          + ": a label, or a dead channel; see --channels", .forbidsAnswer)
    }
    return RecordingConcern(
      dead.count == 1
        ? "column \(columns) never changes: a dead channel"
        : "columns \(columns) never change: dead channels", .forbidsAnswer)
  }

  private func clipped(_ traits: RecordingTraits) -> RecordingConcern? {
    let shares = traits.health.map(\.clippedShare)
    let clipped = shares.indices.filter {
      shares[$0] >= RecordingLimits.clipped && !traits.isDead($0)
        && traits.health[$0].stillStretch == nil
    }
    guard let columns = ChannelSelection(columns: clipped.map { traits.channels[$0] }),
      let worst = clipped.map({ shares[$0] }).max()
    else { return nil }
    let who = clipped.count == 1 ? "column \(columns) stands" : "columns \(columns) stand"
    return RecordingConcern(
      "\(who) at the lowest or highest value in \(clipped.count == 1 ? "" : "up to ")"
        + "\(Int((100 * worst).rounded())) % of the samples: clipped",
      worst >= RecordingLimits.unanswerable ? .forbidsAnswer : .warning,
      kind: "clipped \(worst >= RecordingLimits.unanswerable)")
  }

  private func level(_ traits: RecordingTraits) -> RecordingConcern? {
    if reference.kind == .dataSet { return levelInSet(traits) }
    guard let profile = reference.profile, let level = traits.level(usual: profile.deviation)
    else { return nil }
    let known = RecordingLimits.knownLevel
    let low = min(profile.level[0], 1 / known) / RecordingLimits.level
    let high = max(profile.level[1], known) * RecordingLimits.level
    guard !(low...high).contains(level) else { return nil }
    return RecordingConcern(
      "its level is \(RecordingMismatch.figure(level)) of the training's, expected "
        + "\(RecordingMismatch.figure(low)) to \(RecordingMismatch.figure(high)): the unit or the "
        + "gain may be another; see --scale",
      kind: level < low ? "quiet" : "loud")
  }

  private func roughness(_ traits: RecordingTraits) -> RecordingConcern? {
    guard let profile = reference.profile, profile.roughness[0] > 0 else { return nil }
    let (known, limit) = (RecordingLimits.knownRoughness, RecordingLimits.roughness)
    let middle = (profile.roughness[0] * profile.roughness[1]).squareRoot()
    let low = min(profile.roughness[0], middle / known) / limit
    let high = max(profile.roughness[1], middle * known) * limit
    let found = traits.shape.roughness
    guard found > 0, !(low...high).contains(found) else { return nil }
    return RecordingConcern(
      "its samples change \(found < low ? "more slowly" : "more quickly") than the training's "
        + "(\(RecordingMismatch.figure(found)), expected \(RecordingMismatch.figure(low)) to "
        + "\(RecordingMismatch.figure(high))): the sampling rate may not be "
        + "\(RecordingMismatch.figure(sampleRate))", kind: found < low ? "slow" : "quick")
  }

  private func order(_ traits: RecordingTraits) -> RecordingConcern? {
    guard let mean = reference.profile?.correlation, let known = reference.profile?.likeness,
      mean.count == traits.shape.correlation.count
    else { return nil }
    let likeness = SignalShape.likeness(traits.shape.correlation, mean)
    guard likeness < known - RecordingLimits.likeness else { return nil }
    return RecordingConcern(
      "its channels hang together otherwise than the training's (likeness "
        + "\(RecordingMismatch.figure(likeness)), expected "
        + "\(RecordingMismatch.figure(known - RecordingLimits.likeness)) or more): the columns may "
        + "be in another order, or some of them no such signals; see --channels", kind: "order")
  }
}

extension RecordingComparison {
  /// What has to be said of sessions whose recordings are all much stronger or weaker than the others
  /// of their set: one of another unit or gain, say.
  func sessionsOfAnotherLevel(
    _ recordings: [(item: PreparationItem, traits: RecordingTraits)]
  ) -> [RecordingConcern] {
    struct Session: Hashable, Comparable {
      let subject, session: Int
      static func < (a: Session, b: Session) -> Bool {
        (a.session, a.subject) < (b.session, b.subject)
      }
    }
    var levels: [Session: [Double]] = [:]
    for (item, traits) in recordings {
      guard let session = item.session, let level = traits.level(usual: reference.deviation) else {
        continue
      }
      levels[Session(subject: item.subject ?? -1, session: session), default: []].append(level)
    }
    let limit = RecordingLimits.levelOfSession
    return levels.sorted { $0.key < $1.key }.compactMap { session, levels in
      guard levels.count >= RecordingLimits.recordingsOfSession else { return nil }
      let level = median(levels)
      guard !(1 / limit...limit).contains(level) else { return nil }
      let who = session.subject < 0 ? "" : " of subject \(session.subject)"
      return RecordingConcern(
        "session \(session.session)\(who): its recordings are \(RecordingMismatch.figure(level)) times "
          + "as strong as recordings of this set usually are: their unit or gain may be another")
    }
  }
}
