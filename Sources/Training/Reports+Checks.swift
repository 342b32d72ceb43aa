/// What figures that somebody may have edited contradict.
public typealias Contradiction = (found: String, expected: String)

extension RunReport {
  /// What cannot be the figures of any run; nil where all is well.
  public var contradiction: Contradiction? {
    guard seconds.isFinite, seconds >= 0 else { return ("seconds \(seconds)", "0 or more") }
    guard epochs >= 1 else { return ("epochs \(epochs)", "1 or more") }
    for (model, epoch) in bestEpoch where !(0...epochs).contains(epoch) {
      return ("best_epoch \(epoch) of \(model)", "0 to \(epochs)")
    }
    for (model, steps) in skippedSteps ?? [:] where steps < 0 {
      return ("skipped_steps \(steps) of \(model)", "0 or more")
    }
    if let batchSize, batchSize < 1 { return ("batch_size \(batchSize)", "1 or more") }
    for (gesture, weight) in classWeights ?? [:] where !(weight.isFinite && weight > 0) {
      return ("a class weight of \(weight) for gesture \(gesture)", "positive numbers")
    }
    return test.contradiction ?? validation.contradiction
  }
}

extension PartReport {
  /// What cannot be the figures of any part.
  public var contradiction: Contradiction? {
    guard recordings >= 0, windows >= recordings else {
      return (
        "\(windows) windows of \(recordings) recordings in the \(part) part",
        "one or more windows per recording"
      )
    }
    for (model, weight) in ensembleWeights ?? [:] where !(weight.isFinite && weight >= 0) {
      return ("an ensemble weight of \(weight) for \(model)", "numbers of at least 0")
    }
    for (name, metrics) in models.sorted(by: { $0.key < $1.key }) + [("ensemble", ensemble)] {
      if let (found, expected) = metrics.contradiction(windows: windows) {
        return ("\(found) of \(name) in the \(part) part", expected)
      }
    }
    return nil
  }
}

extension Metrics {
  /// What cannot be the figures of so many windows.
  func contradiction(windows: Int) -> Contradiction? {
    let shares = [
      ("accuracy", accuracy), ("macro_f1", macroF1), ("recording_accuracy", recordingAccuracy),
      ("recording_majority_accuracy", recordingMajorityAccuracy),
    ]
    let byClass = perClass.flatMap {
      [("precision", $0.precision), ("recall", $0.recall), ("f1", $0.f1)]
    }
    let bySubject = perSubject.values.flatMap {
      [("accuracy of a subject", $0.accuracy), ("macro_f1 of a subject", $0.macroF1)]
    }
    for (name, share) in shares + byClass + bySubject where !(0...1).contains(share) {
      return ("\(name) \(share)", "a share from 0 to 1")
    }
    let classes = perClass.count
    guard confusion.count == classes, confusion.allSatisfy({ $0.count == classes }),
      confusion.joined().allSatisfy({ (0...windows).contains($0) }),
      confusion.joined().reduce(0, +) == windows
    else { return ("a confusion of other windows", "\(windows) windows of \(classes) gestures") }
    let hits = confusion.indices.reduce(0) { $0 + confusion[$1][$1] }
    guard windows == 0 || abs(accuracy - Double(hits) / Double(windows)) < 1e-6 else {
      return ("accuracy \(accuracy)", "\(hits) of \(windows) windows, as the confusion says")
    }
    guard perClass.allSatisfy({ (0...windows).contains($0.windows) }),
      perSubject.values.allSatisfy({ (0...windows).contains($0.windows) })
    else { return ("windows of a gesture or subject", "0 to \(windows)") }
    return nil
  }
}
