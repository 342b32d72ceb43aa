/// How well predictions match the labels of windows, in total, by class, by subject and by
/// recording. Encodes as the JSON of the command line.
public struct Metrics: Sendable, Codable, Equatable {
  public struct PerClass: Sendable, Codable, Equatable {
    /// The gesture's own number, not its index.
    public var gesture: Int
    public var precision: Double
    public var recall: Double
    public var f1: Double
    public var windows: Int
  }

  public struct PerSubject: Sendable, Codable, Equatable {
    public var accuracy: Double
    public var macroF1: Double
    public var windows: Int

    enum CodingKeys: String, CodingKey {
      case accuracy, windows
      case macroF1 = "macro_f1"
    }
  }

  /// Share of windows whose most probable class is the label.
  public var accuracy: Double
  /// Mean F1 over all classes, 0/0 counted as 0.
  public var macroF1: Double
  /// Share of recordings whose mean probabilities peak at the label.
  public var recordingAccuracy: Double
  /// Share of recordings whose windows' majority is the label, ties by summed probability.
  public var recordingMajorityAccuracy: Double
  public var perClass: [PerClass]
  /// Rows are labels, columns predictions, both in ascending order of gestures.
  public var confusion: [[Int]]
  /// By subject's number; windows of unknown subjects under "none".
  public var perSubject: [String: PerSubject]

  enum CodingKeys: String, CodingKey {
    case accuracy, confusion
    case macroF1 = "macro_f1"
    case recordingAccuracy = "recording_accuracy"
    case recordingMajorityAccuracy = "recording_majority_accuracy"
    case perClass = "per_class"
    case perSubject = "per_subject"
  }

  /// - Parameters:
  ///   - probabilities: `[windows, classes]`.
  ///   - labels: class index of each window.
  ///   - recordings: recording of each window, any numbers.
  ///   - subjects: subject of each window, or nil.
  ///   - gestures: number of each class.
  public init(
    probabilities: [Float], labels: [Int], recordings: [Int], subjects: [Int?], gestures: [Int]
  ) {
    let classes = gestures.count
    precondition(probabilities.count == labels.count * classes, "probabilities a window and class")
    let predictions = labels.indices.map {
      Prediction.mostProbable(probabilities[$0 * classes..<($0 + 1) * classes])
    }
    confusion = Self.confusion(labels: labels, predictions: predictions, classes: classes)
    accuracy = Self.accuracy(confusion)
    let scores = Self.scores(confusion)
    macroF1 = Self.mean(scores.map(\.f1))
    perClass = zip(gestures, scores).map { gesture, score in
      PerClass(
        gesture: gesture, precision: score.precision, recall: score.recall, f1: score.f1,
        windows: score.windows)
    }
    var bySubject: [String: (labels: [Int], predictions: [Int])] = [:]
    for index in labels.indices {
      let name = subjects[index].map(String.init) ?? "none"
      bySubject[name, default: ([], [])].labels.append(labels[index])
      bySubject[name, default: ([], [])].predictions.append(predictions[index])
    }
    perSubject = bySubject.mapValues { windows in
      let table = Self.confusion(
        labels: windows.labels, predictions: windows.predictions, classes: classes)
      return PerSubject(
        accuracy: Self.accuracy(table), macroF1: Self.mean(Self.scores(table).map(\.f1)),
        windows: windows.labels.count)
    }
    var byRecording: [Int: [Int]] = [:]
    for (window, recording) in recordings.enumerated() {
      byRecording[recording, default: []].append(window)
    }
    var meanHits = 0
    var majorityHits = 0
    for windows in byRecording.values {
      guard let label = windows.first.map({ labels[$0] }) else { continue }
      let prediction = Prediction(
        windows: windows.map { Array(probabilities[$0 * classes..<($0 + 1) * classes]) })
      if prediction.classIndex == label { meanHits += 1 }
      if prediction.majority == label { majorityHits += 1 }
    }
    let count = max(1, byRecording.count)
    recordingAccuracy = Double(meanHits) / Double(count)
    recordingMajorityAccuracy = Double(majorityHits) / Double(count)
  }

  private static func confusion(labels: [Int], predictions: [Int], classes: Int) -> [[Int]] {
    var table = Array(repeating: Array(repeating: 0, count: classes), count: classes)
    for (label, prediction) in zip(labels, predictions) { table[label][prediction] += 1 }
    return table
  }

  private static func accuracy(_ confusion: [[Int]]) -> Double {
    let hits = confusion.indices.reduce(0) { $0 + confusion[$1][$1] }
    return ratio(hits, confusion.joined().reduce(0, +))
  }

  private static func scores(
    _ confusion: [[Int]]
  ) -> [(precision: Double, recall: Double, f1: Double, windows: Int)] {
    confusion.indices.map { index in
      let hits = confusion[index][index]
      let windows = confusion[index].reduce(0, +)
      let predicted = confusion.reduce(0) { $0 + $1[index] }
      return (
        ratio(hits, predicted), ratio(hits, windows), ratio(2 * hits, windows + predicted), windows
      )
    }
  }

  private static func ratio(_ a: Int, _ b: Int) -> Double { b == 0 ? 0 : Double(a) / Double(b) }

  private static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
  }
}
