import Artifacts
import Recordings
import SignalProcessing

extension Preparation {
  /// Compares the recordings with those of a training, or with each other, and brings their channels
  /// to one order. What is refused becomes a problem, or a concern where a mismatch is allowed.
  ///
  /// - Returns: how they were compared; nil where there is none.
  @discardableResult
  func compare(
    _ items: [PreparationItem], _ filtered: inout FilteredRecordings, trained: Preprocessing?
  ) -> RecordingComparison? {
    let traits = filtered.values.compactMap { $0?.traits }
    guard
      let reference = trained.map(ComparisonReference.init(training:))
        ?? ComparisonReference(most: traits)
    else { return nil }
    let comparison = RecordingComparison(
      reference: reference, sampleRate: filter.sampleRate, scale: scale,
      choosesChannels: choosesChannels)
    if reference.kind == .dataSet {
      filtered.concerns += comparison.sessionsOfAnotherLevel(
        zip(items, filtered.values).compactMap { item, value in value.map { (item, $0.traits) } })
    }
    let dead = reference.kind == .dataSet ? deadEverywhere(traits, &filtered) : []
    for index in items.indices {
      guard var value = filtered.values[index] else { continue }
      reorder(&value, by: reference)
      let (mismatch, concerns) = judge(value.traits, by: comparison, deadEverywhere: dead)
      if let mismatch { filtered.problems.append(.mismatch(file: items[index].file, mismatch)) }
      value.concerns += concerns
      filtered.values[index] = value
    }
    return comparison
  }

  /// What a recording is refused for, its channels in the reference's order already, and what has to
  /// be said of it.
  func judge(
    _ traits: RecordingTraits, by comparison: RecordingComparison, deadEverywhere: Set<Int> = []
  ) -> (mismatch: RecordingMismatch?, concerns: [RecordingConcern]) {
    let mismatch = comparison.mismatch(traits, deadEverywhere: deadEverywhere)
    let concerns = comparison.concerns(traits).map { concern in
      allowsMismatch && concern.weight == .forbidsAnswer
        ? RecordingConcern(concern.text) : concern
    }
    guard let mismatch, allowsMismatch else { return (mismatch, concerns) }
    let allowed = RecordingConcern(
      "used by --allow-mismatch: \(mismatch)", kind: "mismatch: \(mismatch.kind)")
    return (nil, [allowed] + concerns)
  }

  private func reorder(_ value: inout FilteredRecording, by reference: ComparisonReference) {
    guard let (order, concern) = value.traits.reorder(by: reference) else { return }
    value.statistics = value.statistics?.reordered(order)
    let channels = order.count
    let samples = value.samples
    value.samples = samples.indices.map { index in
      samples[index - index % channels + order[index % channels]]
    }
    value.concerns.append(concern)
  }

  /// The channels that are dead in half of the recordings or more, each told once.
  private func deadEverywhere(
    _ traits: [RecordingTraits], _ filtered: inout FilteredRecordings
  ) -> Set<Int> {
    let counts = channels.columns.indices.map { channel in traits.count { $0.isDead(channel) } }
    let dead = Set(counts.indices.filter { counts[$0] > 0 && 2 * counts[$0] >= traits.count })
    let live = channels.columns.enumerated().filter { !dead.contains($0.offset) }.map(\.element)
    for channel in dead.sorted() {
      let problem = RecordingError.deadChannel(
        column: channels.columns[channel], recordings: counts[channel], all: traits.count,
        channels: ChannelSelection(columns: live))
      if allowsMismatch {
        filtered.concerns.append(RecordingConcern("used by --allow-mismatch: \(problem)"))
      } else {
        filtered.problems.append(problem)
      }
    }
    return dead
  }

  /// Finds recordings of one part with the same samples: under two gestures they are a problem, under
  /// one they are mentioned.
  func findRepeats(
    among recordings: [RecordingDescriptor], parts: [Part?], _ filtered: inout FilteredRecordings
  ) throws {
    let repeats = try Split(parts: parts).repeats(
      among: recordings, fingerprints: filtered.fingerprints, options: readOptions)
    var copies: [(copy: String, original: String)] = []
    for (index, other) in repeats {
      let (copy, original) = (recordings[index], recordings[other])
      if copy.gesture == original.gesture {
        copies.append((copy.file, original.file))
        continue
      }
      // Which of the two is right, nobody can tell: both are at fault.
      for (wrong, twin) in [(copy, original), (original, copy)] {
        filtered.problems.append(
          .sameSamplesOtherGesture(
            file: wrong.file, gesture: wrong.gesture, other: twin.file, otherGesture: twin.gesture))
      }
    }
    if let first = copies.first {
      let others = copies.count > 1 ? " (and \(copies.count - 1) more)" : ""
      filtered.concerns.append(
        RecordingConcern(
          "\(first.copy)\(others): the same samples as \(first.original), in one part: they count "
            + "twice"))
    }
  }
}
