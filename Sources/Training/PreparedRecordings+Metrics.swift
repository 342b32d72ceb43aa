import SignalPreparation

extension PreparedRecordings {
  /// Measures probabilities `[windows, classes]` of the given windows against their labels.
  public func metrics(of windows: [Int32], probabilities: [Float]) -> Metrics {
    let sources = windows.map { Int(windowRecordings[Int($0)]) }
    return Metrics(
      probabilities: probabilities, labels: windows.map { Int(labels[Int($0)]) },
      recordings: sources, subjects: sources.map { recordings[$0].subject }, gestures: classes)
  }
}
