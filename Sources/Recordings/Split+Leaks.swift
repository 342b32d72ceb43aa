extension Split {
  /// Recordings whose samples are also those of a recording in another part: whatever is trained on
  /// one would be tested on the same numbers.
  ///
  /// Equal fingerprints are confirmed sample by sample, by reading both files again. The fault is
  /// laid on one of the two, so that leaving it out ends the leak: a training recording is kept
  /// against any other, one of the test part against one of the validation part. Where only some
  /// parts are used, it is laid on a recording of these; leaks among the others are not reported.
  ///
  /// - Parameters:
  ///   - used: the parts that are used.
  ///   - fingerprints: one per recording, as `readRecordings` reports them; nil for those that could
  ///     not be read.
  public func leaks(
    among recordings: [RecordingDescriptor], using used: Set<Part> = Set(Part.allCases),
    fingerprints: [Fingerprint?], options: ReadOptions
  ) throws(RecordingError) -> [RecordingError] {
    var groups: [Fingerprint: [Int]] = [:]
    for index in recordings.indices {
      guard parts[index] != nil, let fingerprint = fingerprints[index] else { continue }
      groups[fingerprint, default: []].append(index)
    }
    var leaks: [(index: Int, error: RecordingError)] = []
    for group in groups.values where Set(group.map { parts[$0] }).count > 1 {
      for (index, other) in try pairs(in: group, recordings, used, options) {
        guard let part = parts[index], let otherPart = parts[other], used.contains(part) else {
          continue
        }
        leaks.append(
          (
            index,
            .sameSamples(
              file: recordings[index].file, part: part, other: recordings[other].file,
              otherPart: otherPart)
          ))
      }
    }
    return leaks.sorted { $0.index < $1.index }.map(\.error)
  }

  /// Recordings whose samples are also those of another recording of the same part, each with the
  /// first that has them; confirmed sample by sample.
  public func repeats(
    among recordings: [RecordingDescriptor], fingerprints: [Fingerprint?], options: ReadOptions
  ) throws(RecordingError) -> [(index: Int, other: Int)] {
    var groups: [Fingerprint: [Int]] = [:]
    for index in recordings.indices {
      guard parts[index] != nil, let fingerprint = fingerprints[index] else { continue }
      groups[fingerprint, default: []].append(index)
    }
    let reader = RecordingReader(options: options)
    var repeats: [(index: Int, other: Int)] = []
    for group in groups.values where group.count > 1 {
      var kept: [(index: Int, samples: [Double])] = []
      for index in group {
        let samples = try reader.read(recordings[index].file).samples
        let same = kept.first { $0.samples == samples && parts[$0.index] == parts[index] }
        if let same {
          repeats.append((index, same.index))
        } else {
          kept.append((index, samples))
        }
      }
    }
    return repeats.sorted { $0.index < $1.index }
  }

  /// For each recording of `group` that has the samples of one kept in another part: it and that.
  private func pairs(
    in group: [Int], _ recordings: [RecordingDescriptor], _ used: Set<Part>,
    _ options: ReadOptions
  ) throws(RecordingError) -> [(Int, Int)] {
    let reader = RecordingReader(options: options)
    // Parts that are not used are kept first, then training recordings, then the test part's.
    let order = Part.allCases.filter { !used.contains($0) } + [.train, .test, .validation]
    let rank = { (index: Int) in order.firstIndex { $0 == parts[index] } ?? order.count }
    let ordered = group.sorted { (rank($0), $0) < (rank($1), $1) }
    var kept: [(index: Int, samples: [Double])] = []
    var pairs: [(Int, Int)] = []
    for index in ordered {
      let samples = try reader.read(recordings[index].file).samples
      if let same = kept.first(where: { $0.samples == samples }) {
        if parts[same.index] != parts[index] { pairs.append((index, same.index)) }
      } else {
        kept.append((index, samples))
      }
    }
    return pairs
  }
}
